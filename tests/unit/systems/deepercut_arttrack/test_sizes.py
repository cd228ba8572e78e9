"""Pictures of different sizes: one trace, padding that nothing learns, and what cannot start."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from poseras.data.pillow_resize import resize_like_pillow
from poseras.engine.train_step import StepSettings, TrainStep
from poseras.skeleton import Skeleton
from poseras.systems.deepercut_arttrack.options import Options
from poseras.systems.deepercut_arttrack.system import System

SKELETON = Skeleton("made/up", ("left_hip", "right_hip", "nose"), ((0, 1),), ((0, 1), (1, 2)), ())
LIGHT = {"depth": 18, "backbone_width": 4, "batch_norm": "trained"}
PERSON = np.float32([[[20, 14, 2], [9, 30, 2], [13, 21, 1]]])


def make_system(**settings):
    resources = {"means_px": np.zeros((6, 2)), "deviations_px": np.full((6, 2), 9.0)}
    return System(Options(pairwise=True, **LIGHT, **settings), SKELETON, resources)


def make_batch(sizes, pad_to):
    """A batch of pictures of grey noise in the left top corners of larger ones."""
    random = np.random.default_rng(3)
    images = np.full((len(sizes), *pad_to, 3), 120, np.uint8)
    ignored = np.ones((len(sizes), *pad_to), bool)
    for image, mask, (height, width) in zip(images, ignored, sizes, strict=True):
        image[:height, :width] = random.integers(0, 256, (height, width, 3))
        mask[:height, :width] = False
    return {
        "image": images,
        "keypoints": np.tile(PERSON, (len(sizes), 1, 1, 1)),
        "ignore_mask": ignored,
        "image_to_network": np.tile(np.float32([[1, 0, 0], [0, 1, 0]]), (len(sizes), 1, 1)),
        "shown_hw": np.array(sizes, np.int32),
    }


@pytest.mark.parametrize("masked", [False, True])
def test_padding_counts_in_no_loss(masked):
    system = make_system(use_ignore_mask=masked)
    alone = make_batch([(36, 41)], (36, 41))
    padded = make_batch([(36, 41)], (64, 128))
    for batch in (alone, padded):
        batch["ignore_mask"][:, 4:20, :13] = True
    targets, padded_targets = system.encode(alone), system.encode(padded)
    assert targets["parts"].shape[1:3] == (6, 6) and padded_targets["parts"].shape[1:3] == (8, 16)
    random = np.random.default_rng(4)
    shapes = {"parts": (3,), "refinement": (3, 2), "pairwise": (6, 2)}
    wide = {n: random.normal(size=(1, 8, 16, *s)).astype(np.float32) for n, s in shapes.items()}
    own = {name: values[:, :6, :6] for name, values in wide.items()}
    losses = system.compute_loss(targets, own)
    same = system.compute_loss(padded_targets, wide)
    for name, value in losses.items():
        # The same terms, summed in another order.
        assert float(same[name]) == pytest.approx(float(value), rel=1e-5), name
    counted = int((np.asarray(targets["part_weights"]) > 0).sum())
    assert (counted < targets["parts"].numpy().size) == masked
    del padded["shown_hw"]
    padded["ignore_mask"][:] = False
    other = system.compute_loss(system.encode(padded), wide)
    assert float(other["parts"]) != pytest.approx(float(losses["parts"]), rel=1e-3)


# The last two sides are no multiples of 16, so that 7.4 to 8 pixels make a cell.
@pytest.mark.parametrize("size_hw", [(32, 48), (33, 47), (129, 128), (89, 133)])
def test_ignored_regions_become_cells_as_pillow_resizes_them(size_hw):
    random = np.random.default_rng(size_hw[0])
    blocks = random.integers(0, 2, (-(-size_hw[0] // 7), -(-size_hw[1] // 5)), np.uint8)
    mask = np.kron(blocks, np.ones((7, 5), np.uint8))[: size_hw[0], : size_hw[1]]
    mask[:, 16:20] = 1  # half of the pixels of a cell: a tie in the first size
    batch = make_batch([size_hw], (160, 192))
    batch["ignore_mask"][0, : size_hw[0], : size_hw[1]] = mask > 0
    weights = np.asarray(make_system(use_ignore_mask=True).encode(batch)["part_weights"])[0]
    height, width = (2 * -(-side // 16) for side in size_hw)
    wanted = 1 - resize_like_pillow(mask, (height, width))
    assert 0 < wanted.mean() < 1
    for joint in range(3):
        np.testing.assert_array_equal(weights[:height, :width, joint], wanted)
    assert not weights[height:].any() and not weights[:, width:].any()


def test_batches_of_every_size_share_one_trace():
    keras.utils.set_random_seed(1)
    system = make_system(use_ignore_mask=True)
    batches = [make_batch(s, p) for s, p in (([(40, 40)], (40, 40)), ([(33, 70)], (33, 70)))]
    spec = {
        key: tf.TensorSpec((1, None, None, *values.shape[3:]), values.dtype)
        if key in ("image", "ignore_mask")
        else tf.TensorSpec(values.shape, values.dtype)
        for key, values in batches[0].items()
    }
    dataset = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)
    step = TrainStep(system, system.build_model(), StepSettings(weight_decay=0.0))
    step.expect(dataset.element_spec)
    losses = [float(step([batch], 1e-4)["total"]) for batch in dataset]
    assert step.traces == 1 and len(losses) == 2 and np.isfinite(losses).all()


def test_frozen_statistics_need_pretrained_weights():
    frozen = System(Options(), SKELETON)
    with pytest.raises(ValueError, match="frozen needs pretrained weights.*batch_norm=trained"):
        frozen.check_start(pretrained=False)
    frozen.check_start(pretrained=True)
    make_system().check_start(pretrained=False)
    with pytest.raises(ValueError, match="needs the pairwise statistics"):
        System(Options(pairwise=True), SKELETON).check_start(pretrained=True)
