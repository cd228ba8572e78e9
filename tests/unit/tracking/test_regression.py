import numpy as np
import pytest

from poseras.structures import People
from poseras.tracking import RegressionSettings, jitter_px, smooth_tracks

WIDE = RegressionSettings(half_window_s=5.5)  # with frames a second apart: five on each side
PLAIN = RegressionSettings(half_window_s=5.5, outlier_passes=0)


def make_frames(points, scores=None):
    """One person a frame from (frames, joints, 2), and ids of 1."""
    points = np.asarray(points, float)
    scores = np.ones(points.shape[:2]) if scores is None else np.asarray(scores, float)
    frames = [People(p[None], s[None], np.ones(1)) for p, s in zip(points, scores, strict=True)]
    return frames, [np.array([1])] * len(frames)


def smooth(points, settings=WIDE, times=None, scores=None):
    frames, ids = make_frames(points, scores)
    times = np.arange(len(frames)) if times is None else times
    return np.array([p.keypoints_px[0] for p in smooth_tracks(frames, ids, times, settings)])


def along(function, times):
    """(frames, 1, 2) of one joint."""
    return np.array([[function(t)] for t in times], float)


def parabola(t):
    return 3 * t * t - 20 * t + 5, -0.5 * t * t + 7


@pytest.mark.parametrize("settings", [WIDE, PLAIN])
@pytest.mark.parametrize("seed", range(3))
def test_a_parabola_has_no_lag_at_any_frame_spacing(settings, seed):
    times = np.cumsum(np.random.default_rng(seed).uniform(0.2, 1.5, 40))
    points = along(parabola, times)
    assert smooth(points, settings, times) == pytest.approx(points, abs=1e-6)


def test_a_constant_stays_as_it_is():
    points = np.full((12, 3, 2), 41.5)
    assert smooth(points) == pytest.approx(points, abs=1e-9)


def test_equal_frames_give_the_savitzky_golay_filter():
    # Five frames of equal weight: (-3, 12, 17, 12, -3) / 35. With tricube weights of the distances
    # 1/3 and 2/3 the same normal equations give the numbers below.
    near, far = (1 - (1 / 3) ** 3) ** 3, (1 - (2 / 3) ** 3) ** 3
    s0, s2, s4 = 1 + 2 * near + 2 * far, 2 * near + 8 * far, 2 * near + 32 * far
    impulse = np.zeros((9, 1, 2))
    impulse[4] = 1
    settings = RegressionSettings(half_window_s=3.0, outlier_passes=0)
    response = smooth(impulse, settings)[:, 0, 0]
    centre = s4 / (s0 * s4 - s2 * s2)
    beside = near * (s4 - s2) / (s0 * s4 - s2 * s2)
    assert response[[3, 4, 5]] == pytest.approx([beside, centre, beside])
    assert response[[0, 1]] == pytest.approx([0, 0])


def test_noise_becomes_less_and_a_step_back_and_forth_is_not_flattened():
    times = np.arange(200) / 25
    truth = along(lambda t: (100 * np.sin(2 * np.pi * t), 50 * t), times)
    noisy = truth + np.random.default_rng(0).normal(0, 3, truth.shape)
    steady = smooth(noisy, RegressionSettings(), times)
    error = [np.sqrt(np.mean((p - truth) ** 2)) for p in (noisy, steady)]
    assert error[1] < 0.65 * error[0]
    exact = smooth(truth, RegressionSettings(), times)
    assert np.abs(exact - truth)[5:-5].max() < 2  # px of 100


def test_an_exchanged_joint_is_pulled_back():
    times = np.arange(30.0)
    points = along(lambda t: (2 * t, 0.0), times)
    points += np.random.default_rng(1).normal(0, 0.1, points.shape)
    spoiled = points.copy()
    spoiled[15] += 80
    assert np.abs(smooth(spoiled) - points)[15].max() < 0.5
    assert np.abs(smooth(spoiled, PLAIN) - points)[15].max() > 10


def test_a_joint_that_does_not_count_stays_and_moves_no_other():
    points = along(lambda t: (t, 0.0), np.arange(11.0))
    points[5] = 1000
    scores = np.ones((11, 1))
    scores[5] = 0.2
    assert smooth(points, scores=scores) == pytest.approx(points, abs=1e-9)


def test_sure_joints_weigh_more():
    points, scores = np.zeros((11, 1, 2)), np.ones((11, 1))
    points[5] = 10
    sure = smooth(points, PLAIN, scores=scores)[5, 0, 0]
    scores[5] = 0.3
    assert smooth(points, PLAIN, scores=scores)[5, 0, 0] < 0.6 * sure


def test_a_gap_is_not_bridged_by_what_lies_beyond_the_window():
    times = np.concatenate([np.arange(8.0), 100 + np.arange(8.0)])
    points = along(lambda t: (t if t < 50 else 5 * t, 0.0), times)
    assert smooth(points, times=times) == pytest.approx(points, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_sightings_stay_where_they_are(count):
    points = np.random.default_rng(2).uniform(0, 100, (count, 2, 2))
    assert smooth(points) == pytest.approx(points, abs=1e-6)


def test_tracks_are_smoothed_by_themselves_whatever_their_row():
    times = np.arange(12.0)
    left, right = along(parabola, times), along(lambda t: (900 - t, 5 * t * t), times)
    frames, ids = [], []
    for k in range(12):
        rows = [left[k], right[k]] if k % 2 else [right[k], left[k]]
        frames.append(People(np.array(rows), np.ones((2, 1)), np.ones(2)))
        ids.append(np.array([1, 2] if k % 2 else [2, 1]))
    for before, after in zip(frames, smooth_tracks(frames, ids, times, WIDE), strict=True):
        assert after.keypoints_px == pytest.approx(before.keypoints_px, abs=1e-6)


def test_frames_without_people_and_videos_without_frames():
    nobody = People(np.zeros((0, 2, 2)), np.zeros((0, 2)), np.zeros(0))
    none = np.zeros(0, np.int64)
    assert [len(p) for p in smooth_tracks([nobody] * 3, [none] * 3, [0, 1, 2])] == [0, 0, 0]
    assert smooth_tracks([], [], []) == []


def test_a_joint_that_is_never_found_stays_at_its_zeros():
    points, scores = np.zeros((9, 2, 2)), np.array([[1.0, 0.0]] * 9)
    points[:, 0] = np.arange(9)[:, None]
    assert smooth(points, scores=scores) == pytest.approx(points, abs=1e-9)


@pytest.mark.parametrize("times", [[0, 1], [0, 0, 1], [0, 2, 1], [0, 1, np.nan]])
def test_times_must_rise_frame_by_frame(times):
    frames, ids = make_frames(np.zeros((3, 1, 2)))
    with pytest.raises(ValueError, match="times_s must hold 3 rising numbers"):
        smooth_tracks(frames, ids, times)


def test_ids_must_fit_the_people():
    frames, ids = make_frames(np.zeros((3, 1, 2)))
    with pytest.raises(ValueError, match=r"one array per frame \(3\). Received 2"):
        smooth_tracks(frames, ids[:2], [0, 1, 2])
    with pytest.raises(ValueError, match="frame 1 must hold one id of its own for each of the 1"):
        smooth_tracks(frames, [ids[0], np.array([1, 2]), ids[2]], [0, 1, 2])


def test_the_window_must_be_positive():
    with pytest.raises(ValueError, match="half_window_s must be positive. Received 0"):
        RegressionSettings(half_window_s=0)


def test_jitter_is_the_mean_second_difference():
    points = along(lambda t: (t * t, 0.0), np.arange(5.0))  # second difference 2
    assert jitter_px(*make_frames(points)) == 2
    assert jitter_px(*make_frames(along(lambda t: (3 * t, -t), np.arange(9.0)))) == 0


def test_jitter_counts_three_successive_frames_of_one_track():
    points = np.zeros((4, 1, 2))
    points[3] = [3, 4]
    frames, ids = make_frames(points)
    assert jitter_px(frames, ids) == 2.5  # 0 and 5
    assert jitter_px(frames, [*ids[:3], np.array([2])]) == 0
    assert np.isnan(jitter_px([frames[0], frames[2]], ids[:2]))
    faint = make_frames(points, [[1], [1], [1], [0.2]])[0]
    assert jitter_px(faint, ids) == 0


def test_independent_errors_make_three_times_their_size_of_jitter():
    noise = np.random.default_rng(4).normal(0, 2, (400, 17, 2))
    expected = 2 * np.sqrt(6) * np.sqrt(np.pi / 2)
    assert jitter_px(*make_frames(noise)) == pytest.approx(expected, rel=0.03)
