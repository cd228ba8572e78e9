"""Pictures that no camera takes: defined results from the whole way, view to people and back."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from poseras.data.frames import Frame
from poseras.frame_prediction import Looking, find_in_frames
from poseras.predictor import Predictor
from poseras.skeleton import Skeleton
from poseras.systems.simplepose_v2.options import Options, default_view
from poseras.systems.simplepose_v2.system import System

SKELETON = Skeleton("made/up", ("nose", "left_wrist", "right_wrist"), ((1, 2),), ((0, 1), (0, 2)))
OPTIONS = Options(input_shape=(64, 64), backbone_width=8, units=(1, 1), stacks=1)
LENGTH = 64


def see_the_middle(images, training=False):
    """What a network would say that finds each joint next to the middle of any picture."""
    batch, rows, columns = (tf.shape(images)[axis] // (1, 4, 4)[axis] for axis in range(3))

    def bump(cells):
        # A tenth of a cell, so that no two pixels are equally near.
        middle = (tf.cast(cells, tf.float32) - 1) / 2 + 0.1
        return tf.exp(-(((tf.range(cells, dtype=tf.float32) - middle) / 2) ** 2))

    maps = (bump(rows)[:, None] * bump(columns))[None, ..., None]
    return {
        "heatmaps.0": tf.broadcast_to(maps, [batch, rows, columns, 3]),
        "offsets.0": tf.zeros([batch, rows, columns, 2, 2]),
    }


@pytest.fixture(scope="module")
def predictor():
    system = System(OPTIONS, SKELETON)
    view = replace(default_view(OPTIONS), length=LENGTH)
    return Predictor(system, see_the_middle, view, tf.distribute.get_strategy(), snapshot=None)


@pytest.mark.parametrize(
    "size_hw", [(1, 1), (1, 64), (20, 4000), (4000, 20), (6000, 8000), (40, 60)]
)
def test_the_middle_of_a_picture_of_any_size_comes_home(predictor, size_hw):
    picture = np.zeros((*size_hw, 3), np.uint8)
    (pose,) = predictor.predict(picture, flip_test=False).keypoints_px
    middle = (np.array(size_hw[::-1]) - 1) / 2
    # A pixel of the view, in which each side of the picture has one at least, and half a pixel of
    # the picture, because a single one is counted from its corner.
    view_px = np.minimum(np.array(size_hw[::-1]), max(size_hw) / LENGTH)
    assert (np.abs(pose - middle) <= view_px + 0.5).all()


def test_a_view_that_would_be_too_large_is_one_error_that_says_what_bounds_it(predictor):
    tall = replace(predictor, view=replace(predictor.view, rule="fixed_height", length=640))
    pictures = [np.zeros((40, 60, 3), np.uint8), np.zeros((20, 4000, 3), np.uint8)]
    with pytest.raises(ValueError, match=r"1: The view .* 4000x20, .* view.rule=long_edge bounds"):
        tall.predict(pictures, flip_test=False)
    frame = Frame(pictures[1], number=57, image_id=57, name="climb.mp4", time_s=2.28)
    with pytest.raises(ValueError, match=r"^frame 57 of climb\.mp4: The view of a picture"):
        list(find_in_frames(tall, [frame], Looking(flip_test=False)))


def test_people_of_a_picture_of_one_pixel_can_be_drawn(predictor):
    picture = np.zeros((1, 1, 3), np.uint8)
    assert predictor.predict(picture, flip_test=False).draw(picture).shape == (1, 1, 3)
