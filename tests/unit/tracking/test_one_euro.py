"""With cutoffs of 1 / (2 pi) Hz and frames one second apart, a low pass takes half of the new."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from poseras.structures import People
from poseras.tracking import OneEuroSettings, OneEuroSmoother

HALF_HZ = 1 / (2 * math.pi)
SIMPLE = {"min_cutoff_hz": HALF_HZ, "velocity_cutoff_hz": HALF_HZ, "beta": 0.0, "max_gap_s": 10.0}
IDS = np.array([1])


def make_person(*points, scores=1.0, box=None):
    keypoints = np.array(points, float)[None]
    boxes = None if box is None else np.array([box], float)
    return People(keypoints, np.full(keypoints.shape[:2], 1.0) * scores, np.ones(1), boxes)


def run(smoother, points, step_s=1.0, **more):
    """x of the first joint in each frame."""
    return [
        smoother.smooth(IDS, make_person(p, **more), step_s * k).keypoints_px[0, 0, 0].item()
        for k, p in enumerate(points)
    ]


def test_without_speed_it_is_a_low_pass():
    smoother = OneEuroSmoother(OneEuroSettings(**SIMPLE))
    assert run(smoother, [(0, 0), (16, 0), (16, 0), (0, 0)]) == pytest.approx([0, 8, 12, 6])


def test_the_share_follows_the_time_between_frames():
    # time constant 1 s, half a second: 1 / (1 + 1 / 0.5) = 1/3
    smoother = OneEuroSmoother(OneEuroSettings(**SIMPLE))
    assert run(smoother, [(0, 0), (9, 0), (9, 0)], 0.5) == pytest.approx([0, 3, 5])


def test_a_joint_that_was_lost_for_long_has_no_velocity_from_before():
    settings = OneEuroSettings(**{**SIMPLE, "beta": HALF_HZ, "max_gap_s": 1.5})
    before, fresh = OneEuroSmoother(settings), OneEuroSmoother(settings)
    rest, box = (5.0, 5.0), (0, 0, 40, 40)
    seen, lost = [[1.0, 1.0]], [[0.0, 1.0]]
    for time_s, x, scores in ((0, 0.0, seen), (1, 900.0, seen), (2, 0.0, lost), (3, 0.0, lost)):
        before.smooth(IDS, make_person((x, 0.0), rest, scores=scores, box=box), time_s)
    for time_s, x in ((4, 100.0), (5, 120.0)):
        person = make_person((x, 0.0), rest, box=box)
        again, anew = (s.smooth(IDS, person, time_s).keypoints_px for s in (before, fresh))
        np.testing.assert_allclose(again, anew)


def test_speed_opens_the_filter():
    # The box is 40 px wide and high. Velocity: half of 80 px/s; 40 px/s is one size a second, so
    # the cutoff is twice HALF_HZ and the share 1 / (1 + 1/2) = 2/3 of 80 px.
    smoother = OneEuroSmoother(OneEuroSettings(**{**SIMPLE, "beta": HALF_HZ}))
    x = run(smoother, [(0, 0), (80, 0), (80, 0)], box=(0, 0, 40, 40))
    assert x[:2] == pytest.approx([0, 160 / 3])
    # Then half of 40 and of 80 - 160/3 = 80/3 px/s: 100/3, 5/6 sizes: share 1 / (1 + 6/11) = 11/17.
    assert x[2] == pytest.approx(160 / 3 + 11 / 17 * 80 / 3)


def test_both_coordinates_share_one_cutoff():
    settings = OneEuroSettings(**{**SIMPLE, "beta": HALF_HZ})
    turned = []
    for points in ([(0, 0), (50, 0)], [(0, 0), (30, 40)]):
        smoother = OneEuroSmoother(settings)
        for k, point in enumerate(points):
            person = smoother.smooth(IDS, make_person(point, box=(0, 0, 40, 40)), float(k))
        turned.append(np.linalg.norm(person.keypoints_px[0, 0]))
    assert turned[0] == pytest.approx(turned[1])


def test_a_constant_stays_as_it_is():
    smoother = OneEuroSmoother()
    assert run(smoother, [(7.25, -3)] * 20, 0.04) == [7.25] * 20


def test_noise_becomes_less():
    noise = np.random.default_rng(0).normal(0, 2, (100, 2)) + 50
    x = run(OneEuroSmoother(), noise, 0.04, box=(0, 0, 100, 200))
    assert np.std(x[20:]) < 0.75 * np.std(noise[20:, 0])
    still = OneEuroSmoother(OneEuroSettings(beta=0))
    x = run(still, noise, 0.04, box=(0, 0, 100, 200))
    # a low pass that takes the share a keeps a / (2 - a) of the variance; here a = 0.2
    assert np.std(x[20:]) < 0.45 * np.std(noise[20:, 0])


def test_a_lost_joint_neither_moves_nor_disturbs_its_filter():
    smoother = OneEuroSmoother(OneEuroSettings(**SIMPLE))
    first = smoother.smooth(IDS, make_person((0, 0), (0, 0)), 0.0)
    assert first.keypoints_px.tolist() == [[[0, 0], [0, 0]]]
    lost = smoother.smooth(IDS, make_person((99, 0), (8, 0), scores=np.array([0.2, 1])), 1.0)
    assert lost.keypoints_px[0, :, 0].tolist() == [99, 4]
    # Two seconds after it was last seen: 1 / (1 + 1/2) of the way.
    back = smoother.smooth(IDS, make_person((9, 0), (4, 0)), 2.0)
    assert back.keypoints_px[0, :, 0] == pytest.approx([6, 4])


def test_after_a_long_gap_a_joint_starts_afresh():
    smoother = OneEuroSmoother(OneEuroSettings(**{**SIMPLE, "max_gap_s": 3.0}))
    x = [
        smoother.smooth(IDS, make_person((x, 0)), time).keypoints_px[0, 0, 0]
        for time, x in ((0.0, 0), (3.0, 8), (6.5, 40), (7.5, 60))
    ]
    assert x == pytest.approx([0, 6, 40, 50])


def test_tracks_are_filtered_by_themselves_whatever_their_row():
    smoother = OneEuroSmoother(OneEuroSettings(**SIMPLE))
    two = People(np.array([[[0.0, 0]], [[100.0, 0]]]), np.ones((2, 1)), np.ones(2))
    smoother.smooth(np.array([5, 9]), two, 0.0)
    turned = People(two.keypoints_px[::-1] + 8, np.ones((2, 1)), np.ones(2))
    smooth = smoother.smooth(np.array([9, 5]), turned, 1.0)
    assert smooth.keypoints_px[:, 0, 0].tolist() == [104, 4]


def test_nobody_is_smoothed_to_nobody_and_the_gone_are_forgotten():
    smoother = OneEuroSmoother(OneEuroSettings(max_gap_s=1.0))
    nobody = People(np.zeros((0, 2, 2)), np.zeros((0, 2)), np.zeros(0))
    for k in range(5):
        smoother.smooth(np.array([k]), make_person((0, 0)), 2.0 * k)
        assert len(smoother.smooth(np.zeros(0, np.int64), nobody, 2.0 * k + 1)) == 0
    assert set(smoother._filters) == {4}


@dataclass(frozen=True)
class NamedPeople(People):
    name: str = ""


def test_the_record_stays_what_it_was_and_the_received_one_is_left_alone():
    smoother = OneEuroSmoother(OneEuroSettings(**SIMPLE))
    points = np.array([[[4.0, 0]]])
    smoother.smooth(IDS, make_person((0, 0)), 0.0)
    person = NamedPeople(points, np.ones((1, 1)), np.ones(1), name="a.mp4")
    smooth = smoother.smooth(IDS, person, 1.0)
    assert (smooth.name, smooth.keypoints_px[0, 0, 0], points[0, 0, 0]) == ("a.mp4", 2, 4)


def test_time_must_rise():
    smoother = OneEuroSmoother()
    smoother.smooth(IDS, make_person((0, 0)), 1.0)
    with pytest.raises(ValueError, match=r"time_s must rise .* Received 1.0 after 1.0"):
        smoother.smooth(IDS, make_person((0, 0)), 1.0)
    smoother.reset()
    smoother.smooth(IDS, make_person((0, 0)), 0.5)


@pytest.mark.parametrize("ids", [[], [1, 2]])
def test_there_is_one_id_per_person(ids):
    with pytest.raises(ValueError, match="one id of its own for each of the 1 people"):
        OneEuroSmoother().smooth(np.array(ids), make_person((0, 0)), 0.0)


@pytest.mark.parametrize("name", ["min_cutoff_hz", "velocity_cutoff_hz", "max_gap_s"])
def test_settings_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} must be positive. Received 0"):
        OneEuroSettings(**{name: 0})
    with pytest.raises(ValueError, match="one_euro.beta must be at least 0"):
        OneEuroSettings(beta=-1)
