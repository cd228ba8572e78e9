"""Whole pictures in several sizes: nobody is stretched, and maps come home."""

import numpy as np
import pytest
import tensorflow as tf

from poseras.engine.image_tester import at_scales
from poseras.systems.simplepose_v2.options import Options
from poseras.systems.simplepose_v2.system import System

OPTIONS = Options(input_shape=(64, 64), backbone_width=8, units=(1, 1), stacks=1)
VIEW_HW, STRIDE, BORDER = (160, 224), 32, (124, 116, 104)
#: Two people, x before y, one of them near the far corner.
PEOPLE = np.float32(
    [
        [[40, 30], [20, 55], [62, 50], [30, 90], [55, 95]],
        [[180, 70], [160, 95], [210, 90], [165, 140], [205, 150]],
    ]
)


class Recorder:
    """A system of which nothing is merged, and a network that keeps the pictures that it sees."""

    def __init__(self):
        self.seen = []

    def __call__(self, images, training=False):
        self.seen.append(np.asarray(images))
        return {"heatmaps.0": tf.zeros((1, images.shape[1] // 4, images.shape[2] // 4, 1))}

    def merge_scales(self, outputs):
        return outputs


def answer_truly(system, scales):
    """A network that finds PEOPLE on a view in these sizes, called in their order."""
    calls = iter(scales)

    def network(images, training=False):
        keypoints = (PEOPLE + 0.5) * next(calls) - 0.5
        batch = {
            "keypoints": np.concatenate([keypoints, np.full((2, 5, 1), 2, np.float32)], -1)[None],
            "boxes_xywh": np.full((1, 2, 4), 50, np.float32),
            "image_to_network": np.eye(2, 3, dtype=np.float32)[None],
            "ignore_mask": np.zeros((1, *images.shape[1:3]), bool),
        }
        return {k: tf.constant(v) for k, v in system.perfect_outputs(system.encode(batch)).items()}

    return network


@pytest.mark.parametrize("scale", [0.5, 0.7, 0.75, 1.25])
def test_people_are_found_where_they_are_in_a_view_that_is_no_square(five_joints, scale):
    system = System(OPTIONS, five_joints)
    scales = (1.0, scale)
    network = at_scales(system, answer_truly(system, scales), scales, STRIDE, BORDER)
    outputs = network(np.zeros((1, *VIEW_HW, 3), np.uint8))
    assert outputs["heatmaps.0"].shape[1:3] == (VIEW_HW[0] // 4, VIEW_HW[1] // 4)
    people = system.group({k: np.asarray(v)[0] for k, v in system.decode(outputs).items()})
    assert len(people) == 2
    for person in PEOPLE:
        # Peaks are whole pixels, of two maps in different sizes: less than half a cell.
        assert np.abs(people.keypoints_px - person).max(axis=(1, 2)).min() < 2


@pytest.mark.parametrize(
    ("scale", "inside_hw", "size_hw"),
    [
        (0.5, (80, 112), (96, 128)),
        (0.7, (112, 157), (128, 160)),
        (0.6, (96, 134), (96, 160)),
        (1.25, (200, 280), (224, 288)),
    ],
)
def test_both_sides_are_resized_by_the_scale_itself_and_padded(scale, inside_hw, size_hw):
    rows, columns = np.mgrid[: VIEW_HW[0], : VIEW_HW[1]]
    picture = np.stack([columns, rows, rows * 0], axis=-1)[None].astype(np.uint8)
    network = Recorder()
    merged = at_scales(network, network, (1.0, scale), STRIDE, BORDER)(picture)
    resized = network.seen[1][0]
    assert resized.shape == (*size_hw, 3)
    height, width = inside_hw
    rows, columns = ((np.mgrid[:height, :width] + 0.5) / scale - 0.5)[:, 4:-4, 4:-4]
    # Resizing leaves a ramp one, but near its ends.
    np.testing.assert_allclose(resized[4 : height - 4, 4 : width - 4, 0], columns, atol=0.05)
    np.testing.assert_allclose(resized[4 : height - 4, 4 : width - 4, 1], rows, atol=0.05)
    assert (resized[height:] == BORDER).all() and (resized[:, width:] == BORDER).all()
    assert (resized[:height, :width, 2] == 0).all()
    # Whole cells of the picture alone come home.
    cells = [max(round(side / 4 * scale), 1) for side in VIEW_HW]
    assert list(merged[1]["heatmaps.0"].shape[1:3]) == cells


def test_a_white_square_shows_how_large_each_look_is():
    network = Recorder()
    at_scales(network, network, (1.0, 0.75, 0.5), 128)(np.full((1, 256, 256, 3), 255, np.uint8))
    shown = [int((image[0] > 0).all(axis=-1).sum()) for image in network.seen]
    assert shown == [256**2, 192**2, 128**2]
