"""Drawings: where colour lands, what is left out, and that inputs stay as they were."""

import dataclasses

import numpy as np
import pytest

from poseras import visualize
from poseras.skeleton import Skeleton
from poseras.structures import People

RED, GREEN = (250, 0, 0), (0, 250, 0)
CHAIN = Skeleton("Made/chain", ("a", "b", "c"), limbs=((0, 1), (1, 2)), colours=(RED, GREEN))
POINTS = np.array([[[80.0, 80.0], [480.0, 80.0], [480.0, 720.0]]])  # (1 person, 3 joints, 2)


def grey(height: int = 800, width: int = 640) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def people(points: np.ndarray = POINTS, scores=(0.9, 0.9, 0.9)) -> People:
    count = len(points)
    return People(points, np.tile(scores, (count, 1)), np.full(count, 0.5))


def changed(picture: np.ndarray) -> np.ndarray:
    return (picture != 128).any(axis=-1)


def test_limbs_have_the_colours_of_the_skeleton_and_red_is_the_first_channel():
    drawn = visualize.draw_people(grey(), people(), CHAIN)
    np.testing.assert_array_equal(drawn[80, 280], RED)
    np.testing.assert_array_equal(drawn[400, 480], GREEN)
    assert tuple(drawn[80, 80]) == RED  # a joint has the colour of its first limb


def test_the_input_picture_is_not_drawn_into():
    image = grey()
    truth = np.concatenate([POINTS, np.full((1, 3, 1), 2.0)], axis=-1)
    for drawn in (
        visualize.draw_people(image, people(), CHAIN),
        visualize.draw_people(image, people(), CHAIN, style="original"),
        visualize.draw_truth(image, truth, CHAIN),
    ):
        assert changed(drawn).any()
        assert not changed(image).any()


def test_a_dark_outline_separates_limbs_from_any_ground():
    drawn = visualize.draw_people(np.full((800, 640, 3), RED, np.uint8), people(), CHAIN)
    assert (drawn[:, 280].max(axis=-1) < 40).sum() >= 2  # above and below the red limb on red


def test_joints_below_the_faint_threshold_and_their_limbs_are_left_out():
    drawn = visualize.draw_people(grey(), people(scores=(0.9, 0.9, 0.05)), CHAIN)
    assert not changed(drawn)[400:].any()
    np.testing.assert_array_equal(drawn[80, 280], RED)


def test_a_doubtful_joint_is_hollow_and_its_limb_is_thinner():
    sure = visualize.draw_people(grey(), people(), CHAIN)
    doubtful = visualize.draw_people(grey(), people(scores=(0.9, 0.9, 0.3)), CHAIN)
    assert tuple(sure[720, 480]) == GREEN
    assert doubtful[720, 480].max() < 40
    assert (doubtful[700:740, 460:500] == GREEN).all(axis=-1).any()  # the ring
    assert changed(doubtful)[400].sum() < changed(sure)[400].sum()
    np.testing.assert_array_equal(doubtful[80, 280], sure[80, 280])


def test_visibility_one_is_drawn_as_hidden_and_zero_not_at_all():
    truth = np.concatenate([POINTS, np.array([[[2.0], [1.0], [0.0]]])], axis=-1)
    drawn = visualize.draw_truth(grey(), truth, CHAIN)
    assert tuple(drawn[80, 80]) == RED
    assert drawn[80, 480].max() < 40
    assert not changed(drawn)[400:].any()


def test_strokes_grow_with_the_person():
    large = visualize.draw_people(grey(), people(POINTS), CHAIN)
    small = visualize.draw_people(grey(), people(POINTS / 4), CHAIN)
    assert changed(large)[400].sum() > 1.9 * changed(small)[100].sum()


def test_a_small_person_in_front_of_a_large_one_stays_visible():
    large = np.array([[80.0, 80.0], [80.0, 720.0], [480.0, 720.0]])
    small = np.array([[20.0, 300.0], [20.0, 400.0], [280.0, 400.0]])  # crosses the red limb
    for order in ([large, small], [small, large]):
        drawn = visualize.draw_people(grey(), people(np.array(order)), CHAIN)
        assert tuple(drawn[400, 80]) == GREEN
        assert tuple(drawn[350, 80]) == RED


@pytest.mark.parametrize("style", ["house", "original"])
def test_points_that_are_not_finite_or_far_outside_do_no_harm(style: str):
    points = np.array([[[np.nan, 3.0], [1e12, -1e12], [480.0, 720.0]]])
    drawn = visualize.draw_people(grey(), people(points), CHAIN, style=style)
    assert changed(drawn)[715:726, 475:486].any()


@pytest.mark.parametrize("style", ["house", "original"])
def test_a_picture_without_people_comes_back_unchanged(style: str):
    nobody = People(np.zeros((0, 3, 2)), np.zeros((0, 3)), np.zeros(0), np.zeros((0, 4)))
    drawn = visualize.draw_people(grey(), nobody, CHAIN, style=style, scores=True, boxes=True)
    assert not changed(drawn).any()


def test_a_skeleton_without_colours_or_limbs_is_drawn_too():
    plain = Skeleton("Made/plain", CHAIN.keypoints, limbs=CHAIN.limbs)
    drawn = visualize.draw_people(grey(), people(), plain)
    assert tuple(drawn[80, 280]) == (128, 0, 255)  # the violet end of the rainbow
    points_alone = visualize.draw_people(grey(), people(), Skeleton("Made/dots", ("a", "b", "c")))
    assert tuple(points_alone[720, 480]) == (255, 255, 255)
    assert not changed(points_alone)[80, 280]


def test_boxes_and_scores_are_drawn_on_request():
    found = dataclasses.replace(people(), boxes_xywh=np.array([[40.0, 40.0, 480.0, 700.0]]))
    plain = visualize.draw_people(grey(), found, CHAIN)
    boxed = visualize.draw_people(grey(), found, CHAIN, boxes=True)
    scored = visualize.draw_people(grey(), found, CHAIN, scores=True)
    assert tuple(boxed[500, 40]) == (255, 255, 255)
    assert not changed(plain)[500, 40]
    assert (scored[:75, 80:140] == 255).all(axis=-1).any()  # the digits, above the first joint
    assert not changed(plain)[:65].any()


def test_the_original_style_draws_neck_and_spine_of_skeletons_that_have_them():
    names = ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
    points = np.array([[80.0, 10], [100, 60], [60, 60], [100, 160], [60, 160]])
    scores = np.full(5, 0.9)
    drawn = visualize.draw_original(grey(), points, scores, Skeleton("Made/trunk", names))
    first, last = np.round(visualize.rainbow_colours(2)).astype(np.uint8)
    np.testing.assert_array_equal(drawn[35, 80], first)
    np.testing.assert_array_equal(drawn[110, 80], last)
    scores[0] = 0.1  # without a nose the spine keeps its colour
    drawn = visualize.draw_original(grey(), points, scores, Skeleton("Made/trunk", names))
    assert not changed(drawn)[35, 80]
    np.testing.assert_array_equal(drawn[110, 80], last)


def test_the_original_style_blends_by_alpha():
    drawn = visualize.draw_original(grey(), POINTS[0], np.ones(3), CHAIN, alpha=0.5)
    solid = visualize.draw_original(grey(), POINTS[0], np.ones(3), CHAIN)
    np.testing.assert_allclose(drawn[80, 280], solid[80, 280] / 2 + 64, atol=0.5)


def test_the_rainbow_runs_from_violet_over_green_to_red():
    colours = visualize.rainbow_colours(3)
    np.testing.assert_allclose(colours[0], [127.5, 0, 255])
    np.testing.assert_allclose(colours[1] / 255, [0.504, 1.0, 0.704], atol=5e-3)
    np.testing.assert_allclose(colours[2], [255, 0, 0], atol=1e-9)


def test_a_contact_sheet_lays_pictures_out_in_rows_of_equal_cells():
    images = [np.full((2, 3, 3), 10 * n, np.uint8) for n in range(1, 4)]
    sheet = visualize.contact_sheet(images, columns=2, gap=1, background=(7, 7, 7))
    expected = [
        [10, 10, 10, 7, 20, 20, 20],
        [10, 10, 10, 7, 20, 20, 20],
        [7, 7, 7, 7, 7, 7, 7],
        [30, 30, 30, 7, 7, 7, 7],
        [30, 30, 30, 7, 7, 7, 7],
    ]
    np.testing.assert_array_equal(sheet, np.repeat(np.array(expected)[..., None], 3, axis=-1))


def test_smaller_pictures_stand_in_the_middle_of_their_cells():
    sheet = visualize.contact_sheet([grey(10, 10), grey(4, 6)], columns=5, background=(0, 0, 0))
    assert sheet.shape == (10, 24, 3)
    rows, columns = np.nonzero(changed(sheet)[:, 14:] == 0)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 6, 2, 7)


def test_a_comparison_has_the_truth_on_the_left():
    truth = np.concatenate([POINTS, np.zeros((1, 3, 1))], axis=-1)
    both = visualize.draw_comparison(grey(), people(), truth, CHAIN)
    assert both.shape == (800, 1284, 3)
    assert not changed(both)[:, :640].any()
    assert changed(both)[:, 644:].any()


def test_wrong_pictures_and_joint_counts_are_errors():
    with pytest.raises(ValueError, match=r"must be uint8 .* Received float64 of \(4, 4, 3\)"):
        visualize.draw_people(np.zeros((4, 4, 3)), people(), CHAIN)
    with pytest.raises(ValueError, match=r"\(people, 3, \.\.\.\), as Made/chain .*\(1, 2, 3\)"):
        visualize.draw_truth(grey(), np.zeros((1, 2, 3)), CHAIN)
    with pytest.raises(ValueError, match="at least one picture and one column. Received 0 and 2"):
        visualize.contact_sheet([], 2)
