"""Pictures of different sizes: one trace, padding that nothing learns, and what cannot start."""

import keras
import numpy as np
import pytest
import tensorflow as tf

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


def test_padding_counts_in_no_loss():
    system = make_system()
    alone = make_batch([(40, 40)], (40, 40))
    padded = make_batch([(40, 40)], (64, 128))
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
    del padded["shown_hw"]
    other = system.compute_loss(system.encode(padded), wide)
    assert float(other["parts"]) != pytest.approx(float(losses["parts"]), rel=1e-3)


def test_batches_of_every_size_share_one_trace():
    keras.utils.set_random_seed(1)
    system = make_system()
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
