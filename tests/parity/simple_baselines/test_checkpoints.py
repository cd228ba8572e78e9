"""Whole checkpoints in the original's files: imported for every depth, and exported back."""

import keras
import numpy as np
import pytest

from poseras import foreign
from poseras.checkpoints import read_checkpoint
from poseras.checkpoints.files import checkpoint_name
from poseras.checkpoints.pytorch_writer import write_pytorch_file
from poseras.checkpoints.tensorflow1 import write_tf1_checkpoint
from poseras.skeleton import Skeleton

TENSORFLOW = "simple_baselines/tf1_forward.npz"
VARIABLES = "simple_baselines/tf1_variables.json"
TORCH = "simple_baselines/torch_forward.npz"

# In standard deviations of the map: float32 sums in another order, as in the tests of the networks.
TENSORFLOW_TOLERANCE = 5e-4
TORCH_TOLERANCE = 1e-4


def skeleton_of(joints):
    return Skeleton("made-up/joints", tuple(f"joint_{n}" for n in range(joints)))


def import_checkpoint(path, input_hw, joints, **settings):
    told = {"options.input_shape": list(input_hw), **settings}
    network = foreign.describe_network(path, "simple_baselines", told)
    return foreign.import_checkpoint(path, network, skeleton_of(joints))


def predict(imported, images_bgr):
    """The maps of a snapshot's network on pictures whose channels stand as the original's."""
    from poseras.predictor import load_predictor

    model = load_predictor(imported.snapshot).model
    return np.asarray(model(images_bgr[..., ::-1].astype(np.float32))["heatmaps"])


def entries_of(golden, names):
    return {name: golden.fill(name, tuple(shape)) for name, shape in names}


@pytest.mark.golden(TENSORFLOW, keys=r"(?P<tag>.+)_image_u8")
def test_checkpoint_of_the_tensorflow_original_gives_its_maps(golden, tag, variables_of, tmp_path):
    assert tag, f"{TENSORFLOW} holds no case"
    cases = golden.load(TENSORFLOW)
    images, heatmaps = cases[f"{tag}_image_u8"], cases[f"{tag}_heatmap"]
    depth, shapes = variables_of(tag, heatmaps.shape[-1])
    entries = entries_of(golden, shapes.items())
    if "eps" in tag:
        norm = next(n for n in entries if n.endswith("conv1/BatchNorm/gamma")).removesuffix(
            "/gamma"
        )
        entries[f"{norm}/moving_variance"] *= np.float32(1e-5)
        entries[f"{norm}/gamma"] *= np.float32(4e-3)
    path = tmp_path / "snapshot_140.ckpt"
    write_tf1_checkpoint(path, entries)
    imported = import_checkpoint(path, images.shape[1:3], heatmaps.shape[-1])
    assert imported.snapshot.metadata["options"]["depth"] == depth
    assert sorted(imported.conversion.used) == sorted(entries)
    worst = np.abs(predict(imported, images) - heatmaps).max()
    assert worst <= TENSORFLOW_TOLERANCE * heatmaps.std()
    check_export(imported, read_checkpoint(path))


@pytest.mark.golden(TORCH, keys=r"(?P<tag>.+)_image_u8")
def test_checkpoint_of_microsoft_gives_its_maps(golden, tag, state_dict_of, tmp_path):
    assert tag, f"{TORCH} holds no case"
    cases = golden.load(TORCH)
    images, heatmaps = cases[f"{tag}_image_u8"], cases[f"{tag}_heatmap"]
    case = state_dict_of(tag, heatmaps.shape[1])
    entries = entries_of(golden, case["state_dict"])
    path = tmp_path / "model_best.pth.tar"
    wrapped = {f"module.{name}": array for name, array in entries.items()}
    write_pytorch_file(path, wrapped, wrapper="state_dict")
    # No entry shows the input size, and none which convolution strides.
    style = {"options.stride_on": "1x1" if case["style"] == "caffe" else "3x3"}
    imported = import_checkpoint(path, images.shape[1:3], heatmaps.shape[1], **style)
    assert imported.snapshot.metadata["options"]["depth"] == case["layers"]
    worst = np.abs(predict(imported, images).transpose(0, 3, 1, 2) - heatmaps).max()
    assert worst <= TORCH_TOLERANCE * heatmaps.std()
    check_export(imported, entries)


def check_export(imported, original):
    """A strict load of what is written back finds every name, in its shape, dtype and values."""
    written = foreign.export_entries(imported.snapshot)
    assert written.keys() == original.keys()
    for name, array in original.items():
        assert written[name].shape == np.shape(array), name
        assert written[name].dtype == array.dtype, name
        np.testing.assert_array_equal(written[name], array, err_msg=name)


def test_training_snapshots_give_network_and_moments_by_name(golden, name_lists, tmp_path):
    lists = name_lists(VARIABLES)
    tags = [tag for tag in lists if tag.endswith("_training_checkpoint")]
    assert tags, f"{VARIABLES} holds no training checkpoint"
    for tag in tags:
        entries = entries_of(golden, lists[tag])
        path = tmp_path / "snapshot_7.ckpt"
        write_tf1_checkpoint(path, entries)
        joints = entries["out/weights"].shape[-1]
        imported = import_checkpoint(path, (64, 64), joints)
        conversion = imported.conversion
        assert conversion.unused == conversion.missing == ()
        slots = [name for name in entries if name.endswith(("/Adam", "/Adam_1"))]
        counters = [name for name, shape in lists[tag] if not shape]
        assert sorted(conversion.training) == sorted(slots + counters)
        moments = imported.snapshot.part("optimizer")
        assert len(moments) == len(slots) + 1  # and the iteration
        name = "out/weights"
        np.testing.assert_array_equal(moments["adam/out_kernel_momentum"], entries[f"{name}/Adam"])
        assert imported.snapshot.metadata["counters"]["epoch"] == 7
        keras.backend.clear_session()


def test_checkpoints_of_both_formats_are_told_apart_and_named(golden):
    folder = golden.path("simple_baselines/tiny_checkpoints")
    names = {checkpoint_name(path).name.split(".data-")[0] for path in folder.iterdir()}
    names -= {"checkpoint"}  # TensorFlow's own list of the newest ones
    assert names
    for name in sorted(names):
        entries = read_checkpoint(folder / name)
        assert entries, name
        with pytest.raises(ValueError, match="is no network of simple_baselines: its blocks have"):
            foreign.recognise(folder / name, "simple_baselines")
