"""Colours that people keep, and pictures of maps and arrows."""

import numpy as np
import pytest

from poseras.skeleton import Skeleton
from poseras.structures import People
from poseras.visualize import contact_sheet
from poseras.visualize_parts import (
    PERSON_COLOURS,
    ColourKeeper,
    draw_coloured_people,
    draw_detections,
    draw_frames,
    draw_pairwise_arrows,
    draw_score_maps,
    list_limbs,
)

SKELETON = Skeleton(
    "made/up",
    ("nose", "left_ear", "right_ear"),
    flip_pairs=((1, 2),),
    limbs=((0, 1), (0, 2)),
)
GREY = np.full((120, 160, 3), 90, np.uint8)


def people_at(*centres, missing=()):
    """People of three joints around their centres."""
    points = np.array(centres, float).reshape(-1, 1, 2) + [[0, 10], [15, -5], [-15, -5]]
    scores = np.ones(points.shape[:2])
    for person, joint in missing:
        points[person, joint], scores[person, joint] = 0, 0
    return People(points, scores, np.ones(len(points)))


def test_people_keep_their_numbers_when_they_change_places_in_the_list():
    keeper = ColourKeeper()
    assert keeper.assign(people_at((100, 100), (500, 100), (900, 100))).tolist() == [0, 1, 2]
    assert keeper.assign(people_at((910, 120), (90, 100))).tolist() == [2, 0]
    # The second is new, 300 px from everybody, and takes the lowest number that is free.
    moved = people_at((920, 120), (500, 500), (80, 100))
    assert keeper.assign(moved).tolist() == [2, 1, 0]


def test_the_distances_add_up_to_least_rather_than_the_nearest_first():
    keeper = ColourKeeper(farthest_px=1000)
    keeper.assign(people_at((100, 100), (200, 100)))
    # The first is nearest to the second of before, but then 300 px would be left for the other.
    assert keeper.assign(people_at((190, 100), (400, 100))).tolist() == [0, 1]


@pytest.mark.parametrize(("far", "number"), [(199.0, 1), (200.0, 0)])
def test_who_moves_as_far_as_the_limit_is_somebody_new(far, number):
    keeper = ColourKeeper()
    keeper.assign(people_at((100, 100), (900, 900)))
    assert keeper.assign(people_at((900 + far, 900))).tolist() == [number]


def test_nobody_and_people_without_a_joint_get_numbers():
    keeper = ColourKeeper()
    nobody = People(np.zeros((0, 3, 2)), np.zeros((0, 3)), np.zeros(0))
    assert keeper.assign(nobody).tolist() == []
    empty = people_at((50, 50), (80, 80), missing=[(0, 0), (0, 1), (0, 2)])
    assert keeper.assign(empty).tolist() == [0, 1]
    assert keeper.assign(empty).tolist() == [0, 1]
    assert keeper.assign(nobody).tolist() == []
    assert keeper.assign(empty).tolist() == [0, 1]


@pytest.mark.parametrize(("reference", "number"), [("mean", 1), ("last_joint", 0)])
def test_the_point_of_reference_decides_who_is_who(reference, number):
    keeper = ColourKeeper(farthest_px=20, reference=reference)
    keeper.assign(people_at((100, 100), (400, 400)))
    turned = people_at((400, 400))
    turned.keypoints_px[0] = turned.keypoints_px[0, [2, 0, 1]]  # the last joint 30 px away
    assert keeper.assign(turned).tolist() == [number]


def test_a_missing_last_joint_is_replaced_as_published_and_people_are_left_alone():
    keeper = ColourKeeper(farthest_px=20, reference="last_joint")
    seen = people_at((900, 900), (300, 300), missing=[(1, 2)])
    before = seen.keypoints_px.copy()
    keeper.assign(seen)
    np.testing.assert_array_equal(seen.keypoints_px, before)
    # The sum of the other two is divided by all three joints: (205, 201.7).
    here = people_at((220, 206.7))
    assert np.linalg.norm(here.keypoints_px[0, 2] - before[1, :2].sum(axis=0) / 3) < 1e-1
    assert keeper.assign(here).tolist() == [1]


def test_limbs_are_listed_with_whole_pixels_and_the_colour_of_the_person():
    lines = list_limbs(people_at((60.9, 50.2), (30, 40)), SKELETON, [31, 2], (120, 160))
    assert lines[0].tolist() == [60, 60, 75, 45, *PERSON_COLOURS[1]]
    assert lines[:, 4:].tolist() == PERSON_COLOURS[[1, 1, 2, 2]].tolist()


def test_limbs_near_the_border_and_people_of_two_joints_are_not_drawn():
    near = people_at((25, 50))  # the right ear stands at x = 10
    assert list_limbs(near, SKELETON, [0], (120, 160))[:, 2].tolist() == [40]
    assert len(list_limbs(people_at((26, 50)), SKELETON, [0], (120, 160))) == 2
    assert len(list_limbs(people_at((134, 50)), SKELETON, [0], (120, 160))) == 2
    assert len(list_limbs(people_at((135, 50)), SKELETON, [0], (120, 160))) == 1
    assert len(list_limbs(people_at((60, 50), missing=[(0, 2)]), SKELETON, [0], (120, 160))) == 0


def test_a_person_is_drawn_in_one_colour_over_frames():
    frames = [(GREY, people_at((50, 50), (110, 50))), (GREY, people_at((111, 52), (51, 52)))]
    first, second = draw_frames(frames, SKELETON)
    assert (GREY == 90).all()
    for picture, shift in ((first, 0), (second, 2)):
        assert picture[60 + shift, 50 + shift // 2].tolist() == PERSON_COLOURS[0].tolist()
        assert picture[60 + shift, 110 + shift // 2].tolist() == PERSON_COLOURS[1].tolist()


def test_people_of_other_joints_are_refused():
    with pytest.raises(ValueError, match="People must have the 3 joints of made/up and a colour"):
        draw_coloured_people(GREY, people_at((60, 50)), SKELETON, [])
    with pytest.raises(ValueError, match=r"part_scores must have shape \(height, width, 3\)"):
        draw_score_maps(GREY, np.zeros((15, 20, 2)), SKELETON, stride=8)


def test_score_maps_of_mirrored_joints_share_a_picture():
    maps = np.zeros((15, 20, 3))
    maps[2, 3, 1] = maps[10, 15, 2] = 1.0
    sheet = draw_score_maps(GREY, maps, SKELETON, stride=8)
    blue, red = [45, 45, 109], [109, 45, 45]
    plain = np.full_like(GREY, blue)
    left, nose, ears = sheet[:, :160], sheet[:, 164:324], sheet[:, 328:]
    np.testing.assert_array_equal(left, GREY)
    np.testing.assert_allclose(nose, plain, atol=1)
    for row, column in ((2, 3), (10, 15)):
        cell = ears[8 * row + 3 : 8 * row + 5, 8 * column + 3 : 8 * column + 5]
        np.testing.assert_allclose(cell, np.broadcast_to(red, cell.shape), atol=40)
    np.testing.assert_allclose(ears[60:70, 60:70], plain[60:70, 60:70], atol=1)
    assert sheet.shape == contact_sheet([GREY] * 3, 3).shape


def test_maps_that_are_rounded_down_cover_the_picture():
    sheet = draw_score_maps(GREY[:117, :157], np.ones((14, 19, 3)), SKELETON, stride=8, columns=1)
    maps = sheet[121:]
    assert (maps[:117] == maps[0, 0]).all()


def test_arrows_lead_to_where_joints_are_expected():
    vectors = np.zeros((1, 3, 2))
    vectors[0, 1], vectors[0, 2] = (60, 0), (0, 50)
    start = np.array([[40.0, 40.0]])
    both = draw_pairwise_arrows(GREY, start, vectors)
    one = draw_pairwise_arrows(GREY, start, vectors, targets=[2])
    changed = [(picture != GREY).any(axis=-1) for picture in (both, one)]
    assert changed[0][40, 95] and changed[0][85, 40]
    assert not changed[1][40, 95] and changed[1][85, 40]
    assert both[40, 70].tolist() != both[70, 40].tolist()
    nowhere = draw_pairwise_arrows(GREY, np.array([[np.nan, 1.0]]), vectors)
    np.testing.assert_array_equal(nowhere, GREY)


def test_detections_have_the_colour_of_their_joint():
    points = np.array([[30.0, 30.0], [60.0, 30.0], [90.0, 30.0], [np.nan, 1.0]])
    picture = draw_detections(GREY, points, [0, 2, 0, 1], 3)
    assert picture[30, 30].tolist() == picture[30, 90].tolist() != picture[30, 60].tolist()
    assert (picture != GREY).any(axis=-1).sum() < 3 * 11 * 11
