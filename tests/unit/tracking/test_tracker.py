"""People of three joints, 20 px wide and 80 px high, whose OKS at a distance d is exp(-d^2 / 128):
half at 9.4 px, a tenth at 17 px, a hundredth at 24 px."""

import math
import subprocess
import sys

import cv2
import numpy as np
import pytest

from poseras.structures import People
from poseras.tracking import Tracker, TrackerSettings
from poseras.tracking.flow import FlowMeter

SHAPE = np.array([[0.0, 0.0], [0.0, 40.0], [20.0, 80.0]])
SIGMAS = (0.1, 0.1, 0.1)  # 2 (2 sigma)^2 1600 = 128


def make_people(*places, scores=1.0):
    """People whose first joints lie at the given places."""
    points = SHAPE + np.array(places, float).reshape(-1, 1, 2)
    return People(points, np.ones(points.shape[:2]) * scores, np.ones(len(points)))


def make_tracker(**settings):
    return Tracker(TrackerSettings(**{"motion": "none", **settings}), SIGMAS)


def follow(tracker, *frames):
    """Ids of each frame; a frame is a list of places."""
    return [tracker.update(None, make_people(*places)).tolist() for places in frames]


def make_texture(height=160, width=240, seed=1):
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def test_ids_begin_at_1_and_stay_with_their_people():
    ids = follow(
        make_tracker(), [(0, 0), (100, 0)], [(101, 0), (2, 0)], [(102, 0), (200, 0), (4, 0)]
    )
    assert ids == [[1, 2], [2, 1], [2, 3, 1]]


def test_ids_are_whole_numbers_of_64_bits():
    assert make_tracker().update(None, make_people((0, 0))).dtype == np.int64


@pytest.mark.parametrize("matching", ["greedy", "optimal"])
def test_two_people_who_cross_keep_their_ids_at_constant_velocity(matching):
    frames = [[(8 * k, 0), (156 - 8 * k, 0)] for k in range(20)]
    moved = follow(make_tracker(motion="motion", matching=matching), *frames)
    assert moved == [[1, 2]] * 20
    in_place = follow(make_tracker(matching=matching), *frames)
    assert in_place[-1] == [2, 1]  # which is what velocity is good for


@pytest.mark.parametrize("matching", ["greedy", "optimal"])
def test_the_order_of_rows_does_not_matter(matching):
    rng = np.random.default_rng(3)
    tracker = make_tracker(motion="motion", matching=matching)
    for k in range(12):
        places = np.array([(40 * p + 3 * k * (-1) ** p, 30 * p) for p in range(6)])
        order = rng.permutation(6) if k else np.arange(6)
        ids = tracker.update(None, make_people(*places[order]))
        assert ids.tolist() == (order + 1).tolist()


@pytest.mark.parametrize(("hidden", "ids"), [(2, [1]), (3, [2])])
def test_somebody_hidden_for_fewer_frames_than_are_remembered_keeps_the_id(hidden, ids):
    tracker = make_tracker(memory_frames=3)
    assert follow(tracker, [(0, 0)], *[[]] * hidden, [(0, 0)])[-1] == ids


def test_somebody_hidden_is_expected_farther_on():
    frames = [[(10 * k, 0)] for k in range(3)] + [[]] * 4 + [[(70, 0)]]
    assert follow(make_tracker(motion="motion"), *frames)[-1] == [1]
    assert follow(make_tracker(), *frames)[-1] == [2]


def test_the_longer_somebody_was_hidden_the_farther_off_they_may_appear():
    near, far = [(0, 0)], [(24, 0)]  # 0.011 in the next frame
    assert follow(make_tracker(), near, far)[-1] == [2]
    # 20 frames more add 4 to one of the two areas, whose mean is 3 times as large: exp(-1.5) = 0.22
    assert follow(make_tracker(), near, *[[]] * 20, far)[-1] == [1]
    assert follow(make_tracker(min_oks=0.23), near, *[[]] * 20, far)[-1] == [2]


@pytest.mark.parametrize("matching", ["greedy", "optimal"])
def test_identical_people_are_told_apart_by_their_order(matching):
    frames = [[(0, 0), (0, 0), (0, 0)]] * 3
    assert follow(make_tracker(matching=matching), *frames) == [[1, 2, 3]] * 3


def test_greedy_matching_takes_the_best_pair_and_optimal_matching_the_best_sum():
    # The second person lies between both remembered ones, a little nearer to the first.
    before, after = [(0, 0), (16, 0)], [(-12, 0), (7, 0)]
    assert follow(make_tracker(), before, after)[-1] == [3, 1]
    assert follow(make_tracker(matching="optimal"), before, after)[-1] == [1, 2]


def test_a_pair_must_reach_the_least_similarity():
    distance = 12
    oks = math.exp(-(distance**2) / 128)
    frames = [(0, 0)], [(distance, 0)]
    assert follow(make_tracker(min_oks=oks - 1e-6), *frames)[-1] == [1]
    assert follow(make_tracker(min_oks=oks + 1e-6), *frames)[-1] == [2]


def test_the_size_of_the_box_decides_where_there_is_one():
    tracker = make_tracker(min_oks=0.5)
    for x, ids in ((0, [1]), (12, [1])):  # exp(-144 / 512) = 0.75; without boxes it would be 0.32
        people = make_people((x, 0))
        boxes = np.array([[x, 0, 80, 80]])
        found = People(people.keypoints_px, people.keypoint_scores, people.person_scores, boxes)
        assert tracker.update(None, found).tolist() == ids


def test_people_without_a_common_joint_are_strangers_until_one_is_seen_again():
    tracker = make_tracker()
    upper, lower = np.array([1, 1, 0]), np.array([0, 0, 1])
    assert tracker.update(None, make_people((0, 0), scores=upper)).tolist() == [1]
    assert tracker.update(None, make_people((0, 0), scores=lower)).tolist() == [2]
    assert tracker.update(None, make_people((0, 0), scores=upper)).tolist() == [1]


def test_somebody_without_a_counted_joint_is_new_in_each_frame():
    tracker = make_tracker()
    faint = make_people((0, 0), scores=0.2)  # must score more than 0.2
    assert [tracker.update(None, faint).tolist() for _ in range(3)] == [[1], [2], [3]]


def test_who_shows_other_joints_goes_by_the_box_for_one_frame():
    def person(x, scores):
        people = make_people((x, 0), scores=np.array(scores))
        boxes = np.array([[x, 0.0, 20, 80]])  # of two that are 8 px apart: IoU 12 / 28 = 0.43
        return People(people.keypoints_px, people.keypoint_scores, people.person_scores, boxes)

    def run(*people, **settings):
        tracker = make_tracker(**settings)
        return [tracker.update(None, p).tolist() for p in people]

    upper, lower, nothing = [1, 1, 0], [0, 0, 1], [0, 0, 0]
    assert run(person(0, upper), person(8, lower), person(0, nothing)) == [[1], [1], [1]]
    assert run(person(0, upper), person(8, lower), min_box_iou=0.5) == [[1], [2]]
    assert run(person(0, upper), make_people(), person(0, lower)) == [[1], [], [2]]


def test_a_box_takes_the_id_of_nobody_who_was_found_by_joints():
    tracker = make_tracker()
    tracker.update(None, make_people((0, 0)))
    people = make_people((0, 0), (2, 0), scores=np.array([[1, 1, 1], [0, 0, 0]]))
    boxes = np.array([[0.0, 0, 20, 80], [0.0, 0, 20, 80]])
    found = People(people.keypoints_px, people.keypoint_scores, people.person_scores, boxes)
    assert tracker.update(None, found).tolist() == [1, 2]


def test_boxes_move_with_their_joints():
    tracker = make_tracker(motion="motion")
    for x, scores in ((0, [1, 1, 1]), (16, [1, 1, 1]), (32, [0, 0, 0])):
        people = make_people((x, 0), scores=np.array(scores))
        boxes = np.array([[x, 0.0, 18, 80]])  # 16 px on only IoU 2 / 34 is left
        found = People(people.keypoints_px, people.keypoint_scores, people.person_scores, boxes)
        assert tracker.update(None, found).tolist() == [1]


def test_a_single_joint_is_followed():
    tracker = make_tracker()
    for k in range(5):
        people = make_people((2 * k, 0), scores=np.array([1, 0, 0]))
        assert tracker.update(None, people).tolist() == [1]


@pytest.mark.parametrize("motion", ["flow", "motion", "none"])
def test_frames_without_people_are_frames_too(motion):
    tracker = make_tracker(motion=motion)
    image = make_texture()
    for _ in range(2):
        assert tracker.propagate(image).shape == (0, 4)
        assert tracker.update(image, make_people()).shape == (0,)
    assert tracker.update(image, make_people((5, 5))).tolist() == [1]


def test_reset_forgets_people_ids_and_pictures():
    tracker = make_tracker(motion="flow")
    for size in (160, 120):
        tracker.update(make_texture(size), make_people((20, 20)))
        tracker.reset()
    assert len(tracker.propagate(make_texture())) == 0
    assert tracker.update(None, make_people((90, 20))).tolist() == [1]


def test_memory_stays_flat():
    tracker = make_tracker(memory_frames=4)
    for k in range(30):
        tracker.update(None, make_people((500 * k, 0), (0, 0)))
    assert len(tracker._memory) == 2 * 5  # those of the last frame and of four before it


def test_people_are_expected_where_their_velocity_brings_them():
    tracker = make_tracker(motion="motion")
    follow(tracker, *[[(6 * k, 3 * k)] for k in range(4)])  # 18, 9 at last
    (box,) = tracker.propagate(None)
    # 20 x 80 px, 15 % more, about the same centre: 24 + 10, 12 + 40
    assert box == pytest.approx([34 - 11.5, 52 - 46, 23, 92])


@pytest.mark.parametrize("memory_frames", [1, 15])
def test_the_velocity_goes_half_the_way_to_a_new_one(memory_frames):
    tracker = make_tracker(motion="motion", memory_frames=memory_frames)
    follow(tracker, [(0, 0)], [(10, 0)], [(20, 0)], [(24, 0)])  # 10, 10, then 4 px a frame: 7
    (box,) = tracker.propagate(None)
    assert box[0] + 11.5 - 10 == pytest.approx(24 + 7)


def test_the_velocity_is_that_of_the_joints_seen_twice_and_per_frame():
    tracker = make_tracker(motion="motion")
    tracker.update(None, make_people((0, 0), scores=np.array([1, 1, 0])))
    tracker.update(None, make_people())
    tracker.update(None, make_people((8, 0), scores=np.array([0, 1, 1])))  # 4 px a frame
    (box,) = tracker.propagate(None)  # around the joints (12, 40) and (32, 80)
    assert box == pytest.approx([22 - 11.5, 60 - 23, 23, 46])


def test_boxes_are_expected_of_the_last_frames_only():
    tracker = make_tracker(box_frames=2)
    follow(tracker, [(0, 0), (100, 0)], [(100, 0)])
    assert len(tracker.propagate(None)) == 2
    follow(tracker, [(100, 0)])
    assert tracker.propagate(None)[:, 0] == pytest.approx([100 - 1.5])


def test_no_box_is_expected_outside_the_picture_or_of_a_single_joint():
    image = np.zeros((100, 100, 3), np.uint8)
    tracker = make_tracker()
    tracker.update(image, make_people((10, 10), (101.6, 10), (10, -86.1), (90, 10)))
    assert tracker.propagate(image)[:, 0] == pytest.approx([8.5, 88.5])
    tracker.reset()
    tracker.update(image, make_people((10, 10), scores=np.array([0, 1, 0])))
    assert tracker.propagate(image).shape == (0, 4)


def test_the_flow_of_a_frame_is_measured_once(monkeypatch):
    calls = []
    advance = FlowMeter.advance
    monkeypatch.setattr(FlowMeter, "advance", lambda m, i: calls.append(1) or advance(m, i))
    tracker, image = make_tracker(motion="flow"), make_texture()
    for _ in range(3):
        tracker.propagate(image)
        tracker.update(image, make_people((20, 20)))
    assert len(calls) == 3
    tracker.update(image, make_people((20, 20)))  # without propagate
    assert len(calls) == 4


def test_flow_follows_a_shaken_camera_and_velocity_cannot():
    scene = make_texture(200, 300)
    shifts = [0, 24, 0, 24, 0]  # px, farther than the similarity reaches

    def run(motion):
        tracker = make_tracker(motion=motion)
        views = [np.ascontiguousarray(scene[20:180, 40 - s : 260 - s]) for s in shifts]
        people = [make_people((80 + s, 30), (140 + s, 50)) for s in shifts]
        return [tracker.update(v, p).tolist() for v, p in zip(views, people, strict=True)]

    assert run("flow") == [[1, 2]] * 5
    assert run("motion")[1] == run("none")[1] == [3, 4]


def test_somebody_hidden_moves_on_though_what_hides_them_stands_still():
    tracker, still = make_tracker(motion="flow"), make_texture()
    frames = [[(10 * k, 20)] for k in range(3)] + [[]] * 3 + [[(60, 20)]]
    ids = [tracker.update(still, make_people(*places)).tolist() for places in frames]
    assert ids == [[1], [1], [1], [], [], [], [1]]


def test_pictures_of_another_size_begin_the_flow_anew():
    tracker = make_tracker(motion="flow")
    ids = [
        tracker.update(make_texture(height), make_people((20 + k, 20))).tolist()
        for k, height in enumerate([160, 160, 120, 120, 200])
    ]
    assert ids == [[1]] * 5


def test_flow_asks_for_pictures():
    tracker = make_tracker(motion="flow")
    for call in (tracker.propagate, lambda image: tracker.update(image, make_people((0, 0)))):
        with pytest.raises(ValueError, match="needs the picture of each frame.*motion=motion"):
            call(None)
    with pytest.raises(ValueError, match=r"\(height, width, 3\) uint8 picture. Received \(9, 9\)"):
        tracker.propagate(np.zeros((9, 9)))


def test_people_must_have_the_joints_of_the_sigmas():
    people = People(np.zeros((1, 2, 2)), np.ones((1, 2)), np.ones(1))
    with pytest.raises(ValueError, match="3 joints of oks_sigmas. Received 2"):
        make_tracker().update(None, people)


def test_coordinates_that_are_not_finite_are_refused_and_change_nothing():
    tracker = make_tracker()
    with pytest.raises(ValueError, match="must be finite. Received NaN"):
        tracker.update(None, make_people((np.nan, 0)))
    assert tracker.update(None, make_people((0, 0))).tolist() == [1]


@pytest.mark.parametrize("sigmas", [(), (0.1, 0.0), ((0.1,),)])
def test_sigmas_must_be_positive(sigmas):
    with pytest.raises(ValueError, match="one positive number per joint"):
        Tracker(TrackerSettings(), sigmas)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"matching": "best"}, "matching must be one of .*'best'"),
        ({"motion": "kalman"}, "motion must be one of .*'kalman'"),
        ({"memory_frames": 0}, "tracker.memory_frames must be at least 1. Received 0"),
        ({"min_oks": 1.1}, "tracker.min_oks must be between 0 and 1. Received 1.1"),
        ({"min_box_iou": 2}, "tracker.min_box_iou must be between 0 and 1. Received 2"),
        ({"box_nms_iou": -1}, "tracker.box_nms_iou must be between 0 and 1"),
        ({"box_margin": 0.9}, "tracker.box_margin must be at least 1"),
        ({"flow_length_px": 8}, "tracker.flow_length_px must be at least 32"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrackerSettings(**settings)


def test_importing_the_package_brings_neither_opencv_nor_scipy_nor_tensorflow():
    code = (
        "import sys, poseras.tracking as t; t.Tracker(t.TrackerSettings(), [0.1]); "
        "print([m for m in ('cv2', 'scipy', 'tensorflow', 'keras') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
