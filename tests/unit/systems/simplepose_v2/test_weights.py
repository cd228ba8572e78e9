"""Published checkpoints: what they are told by, and that they come back as they went."""

from dataclasses import replace

import numpy as np
import pytest

from poseras.checkpoints.files import read_checkpoint
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.skeleton import Skeleton
from poseras.systems.simplepose_v2.limbs import COCO_JOINTS, COCO_LIMBS
from poseras.systems.simplepose_v2.options import Options
from poseras.systems.simplepose_v2.system import System
from poseras.systems.simplepose_v2.weights import convert, export, recognise

PAIRS = tuple((j, j + 1) for j in range(1, 17, 2))
SKELETON = Skeleton("COCO/coco_17", tuple(COCO_JOINTS), PAIRS, COCO_LIMBS["published_19"])
SMALL = Options(input_shape=(64, 64), backbone_width=8, units=(1, 2, 1))
HRNET = Options(backbone="hrnet", backbone_width=4, stacks=1)


def build(options):
    model = System(options, SKELETON).build_model()
    random = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(random.normal(size=variable.shape))
    return model, {v.path: np.asarray(v.value) for v in model.variables}


def as_options(recognised):
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in recognised.options.items()}
    return Options(input_shape=(128, 128), **values)


@pytest.mark.parametrize("options", [SMALL, HRNET], ids=["hourglass", "hrnet"])
def test_an_exported_network_is_recognised_and_comes_back(options, tmp_path):
    model, arrays = build(options)
    path = tmp_path / "PoseNet_77_epoch.pth"
    write_pytorch_file(path, export(arrays, options), wrapper="model_state_dict")
    entries = read_checkpoint(path)
    recognised = recognise({name: array.shape for name, array in entries.items()})
    assert recognised.joint_count == 17 and "OffsetGuided" in recognised.kind
    found = as_options(recognised)
    assert (found.backbone, found.backbone_width, found.units, found.stacks) == (
        options.backbone,
        options.backbone_width,
        options.units,
        options.stacks,
    )
    shapes = {path: array.shape for path, array in arrays.items()}
    conversion = convert(shapes, entries, options)
    assert not (conversion.misfit or conversion.missing)
    for name, array in conversion.arrays.items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)


@pytest.mark.parametrize("prefix", ["", "module."], ids=["renamed", "CenterNet's own"])
def test_centernets_file_fills_the_backbone_and_leaves_its_own_heads(prefix):
    _, arrays = build(SMALL)
    entries = {
        prefix + name.removeprefix("basenet."): array
        for name, array in export(arrays, SMALL).items()
        if name.startswith("basenet.")
    }
    entries[f"{prefix}hm.0.0.conv.weight"] = np.zeros((8, 8, 3, 3), np.float32)
    recognised = recognise({name: array.shape for name, array in entries.items()})
    assert recognised.joint_count is None and "CenterNet" in recognised.kind
    conversion = convert({p: a.shape for p, a in arrays.items()}, entries, SMALL)
    assert conversion.unused == (f"{prefix}hm.0.0.conv.weight",)
    assert conversion.missing and all(name.startswith("headnets.") for name in conversion.missing)


def test_heads_that_a_file_holds_become_options():
    options = Options(
        input_shape=(64, 64),
        backbone_width=8,
        units=(1, 1),
        limbs="tree_16",
        background=True,
        jitter=True,
        scales=True,
        spread=True,
        offset_loss="laplace",
        loss_weights=(1, 1, 1, 1, 1),
    )
    _, arrays = build(options)
    shapes = {name: array.shape for name, array in export(arrays, options).items()}
    found = as_options(recognise(shapes))
    for name in ("limbs", "background", "jitter", "scales", "spread", "offset_loss"):
        assert getattr(found, name) == getattr(options, name), name


@pytest.mark.parametrize("stacks", [1, 2, 3])
def test_a_network_of_any_number_of_stacks_is_recognised_with_weights_for_all(stacks):
    options = replace(SMALL, stacks=stacks, stack_weights=(1.0,) * max(stacks, 2))
    _, arrays = build(options)
    shapes = {name: array.shape for name, array in export(arrays, options).items()}
    found = as_options(recognise(shapes))
    assert (found.stacks, found.stack_weights) == (stacks, options.stack_weights)


@pytest.mark.parametrize(
    ("joints", "limbs", "limb_set"),
    [(17, 19, "published"), (14, 15, "published"), (17, 16, "tree_16")]
    + [(16, 15, "skeleton"), (14, 19, "skeleton"), (17, 15, "skeleton")],
)
def test_limbs_of_a_published_list_are_told_by_both_heads(joints, limbs, limb_set):
    _, arrays = build(SMALL)
    shapes = {name: array.shape for name, array in export(arrays, SMALL).items()}
    shapes["headnets.0.hp_convs.0.weight"] = (joints, 8, 1, 1)
    shapes["headnets.1.reg_convs.0.weight"] = (2 * limbs, 8, 1, 1)
    recognised = recognise(shapes)
    assert (recognised.joint_count, recognised.options["limbs"]) == (joints, limb_set)


def test_another_systems_file_is_not_recognised():
    assert (
        recognise({"conv1.weight": (64, 3, 7, 7), "layer1.0.conv1.weight": (64, 64, 1, 1)}) is None
    )


def test_the_predecessors_network_has_no_published_names():
    with pytest.raises(ValueError, match="imhn backbone"):
        export({}, Options(backbone="imhn", stacks=1))
