"""Kinds of errors on people of three joints, whose similarities can be worked out by hand."""

import numpy as np
import pytest

from poseras.metrics.columns import Detections, GroundTruth
from poseras.metrics.keypoint_errors import KINDS, diagnose_keypoints

# sigma .5 makes (2 sigma)^2 = 1, so ks = exp(-d^2 / 10000): 0.852 at 40 px and 0.845 at 41 px,
# 0.502 at 83 px and 0.494 at 84 px.
SIGMAS = [0.5, 0.5, 0.5]
AREA = 5000.0
NOSE, LEFT, RIGHT = range(3)
MIRROR = np.array([NOSE, RIGHT, LEFT])
#: Far enough apart that no joint is near another.
PERSON = np.array([[500.0, 100], [300, 500], [700, 500]])
FAR = np.array([0.0, 5000])


def make_truth(*people, flags=None, **values):
    flags = [[2, 2, 2]] * len(people) if flags is None else flags
    return GroundTruth.from_coco(
        {
            "images": [{"id": 1}, {"id": 2}],
            "categories": [{"id": 1}],
            "annotations": [
                {
                    "id": number,
                    "image_id": 1,
                    "category_id": 1,
                    "bbox": [0, 0, 10, 10],
                    "area": AREA,
                    "keypoints": np.column_stack([person, flag]).ravel().tolist(),
                    **values,
                }
                for number, (person, flag) in enumerate(zip(people, flags, strict=True), start=1)
            ],
        }
    )


def make_detections(*poses, scores=None):
    scores = [1 - 0.1 * n for n in range(len(poses))] if scores is None else scores
    return Detections.from_coco(
        [
            {
                "image_id": 1,
                "category_id": 1,
                "score": score,
                "keypoints": np.column_stack([pose, np.ones(len(pose))]).ravel().tolist(),
            }
            for pose, score in zip(poses, scores, strict=True)
        ]
    )


def name_kinds(truth, detections, **options):
    errors = diagnose_keypoints(truth, detections, sigmas=SIGMAS, mirror=MIRROR, **options)
    return [["-" if kind < 0 else KINDS[kind] for kind in row] for row in errors.kinds]


def moved(joint, shift):
    pose = PERSON.copy()
    pose[joint] += shift
    return pose


def test_the_twenty_best_predictions_of_a_picture_are_looked_at():
    poses = [PERSON + FAR] * 19 + [PERSON, PERSON]
    truth, scores = make_truth(PERSON), np.linspace(1, 0.5, 21).tolist()
    found = diagnose_keypoints(
        truth, make_detections(*poses, scores=scores), sigmas=SIGMAS, mirror=MIRROR
    )
    assert found.detections.tolist() == [19]
    late = make_detections(PERSON + FAR, *poses[:20], scores=scores)
    assert len(diagnose_keypoints(truth, late, sigmas=SIGMAS, mirror=MIRROR)) == 0


@pytest.mark.parametrize(
    ("distance", "kind"),
    [(0, "good"), (40, "good"), (41, "jitter"), (83, "jitter"), (84, "miss"), (1000, "miss")],
)
def test_the_distance_to_its_own_joint_parts_good_from_jitter_from_miss(distance, kind):
    kinds = name_kinds(make_truth(PERSON), make_detections(moved(LEFT, [0, distance])))
    assert kinds == [["good", kind, "good"]]


def test_a_joint_on_the_other_side_of_its_person_is_an_inversion():
    pose = PERSON.copy()
    pose[LEFT] = PERSON[RIGHT] + [83, 0]
    assert name_kinds(make_truth(PERSON), make_detections(pose)) == [["good", "inversion", "good"]]
    pose[LEFT] = PERSON[RIGHT] + [84, 0]
    assert name_kinds(make_truth(PERSON), make_detections(pose)) == [["good", "miss", "good"]]


def test_another_joint_than_that_of_the_other_side_is_no_inversion():
    pose = PERSON.copy()
    pose[LEFT], pose[NOSE] = PERSON[NOSE], PERSON[RIGHT]
    assert name_kinds(make_truth(PERSON), make_detections(pose)) == [["miss", "miss", "good"]]


@pytest.mark.parametrize("of_other", [LEFT, RIGHT])
def test_the_same_joint_of_somebody_else_on_either_side_is_a_swap(of_other):
    pose = PERSON.copy()
    pose[LEFT] = (PERSON + FAR)[of_other]
    truth = make_truth(PERSON, PERSON + FAR)
    assert name_kinds(truth, make_detections(pose)) == [["good", "swap", "good"]]


def test_a_swap_is_measured_with_the_size_of_the_other_person():
    truth = make_truth(PERSON, PERSON + FAR)
    truth.areas[1] = 4 * AREA  # near up to twice the distance
    pose = PERSON.copy()
    pose[LEFT] = (PERSON + FAR)[LEFT] + [166, 0]
    assert name_kinds(truth, make_detections(pose)) == [["good", "swap", "good"]]
    pose[LEFT] = PERSON[RIGHT] + [166, 0]
    assert name_kinds(truth, make_detections(pose)) == [["good", "miss", "good"]]


def test_between_the_other_side_and_somebody_else_the_nearer_decides():
    other = PERSON + [400, 0]  # its left joint lies on the right joint of the first
    other[LEFT] += [60, 0]
    truth = make_truth(PERSON, other)
    pose = PERSON.copy()
    pose[LEFT] = PERSON[RIGHT] + [20, 0]
    assert name_kinds(truth, make_detections(pose))[0] == ["good", "inversion", "good"]
    pose[LEFT] = PERSON[RIGHT] + [40, 0]
    assert name_kinds(truth, make_detections(pose))[0] == ["good", "swap", "good"]


def test_a_joint_near_its_own_is_no_inversion_in_the_paper_even_if_the_other_side_is_nearer():
    narrow = PERSON.copy()
    narrow[RIGHT] = narrow[LEFT] + [60, 0]
    pose = narrow.copy()
    pose[LEFT] += [35, 0]  # 35 px from its own joint, 25 px from the other side's
    truth, detections = make_truth(narrow), make_detections(pose)
    assert name_kinds(truth, detections) == [["good", "good", "good"]]
    assert name_kinds(truth, detections, precedence="nearest") == [["good", "inversion", "good"]]


def test_joints_without_a_label_have_no_kind_and_attract_nobody():
    pose = PERSON.copy()
    pose[LEFT] = PERSON[RIGHT]
    truth = make_truth(PERSON, flags=[[2, 1, 0]])
    assert name_kinds(truth, make_detections(pose)) == [["good", "miss", "-"]]


def test_each_person_gets_the_best_scored_prediction_from_an_oks_of_a_tenth_on():
    truth = make_truth(PERSON, PERSON + FAR)
    # ks of all joints at 151 px is 0.102, at 153 px 0.096.
    poses = [PERSON + [151, 0], PERSON, PERSON + FAR + [153, 0]]
    detections = make_detections(*poses, scores=[0.9, 0.8, 0.7])
    errors = diagnose_keypoints(truth, detections, sigmas=SIGMAS, mirror=MIRROR)
    assert errors.detections.tolist() == [0] and errors.rows.tolist() == [0]
    assert errors.oks == pytest.approx([np.exp(-(151**2) / 10000)])


def test_ignored_people_get_no_row_but_take_part_in_swaps():
    crowd = PERSON + FAR
    truth = make_truth(PERSON, crowd)
    truth.crowd[1] = truth.ignore[1] = True
    pose = PERSON.copy()
    pose[RIGHT] = crowd[RIGHT]
    assert name_kinds(truth, make_detections(pose, crowd)) == [["good", "good", "swap"]]


def test_kinds_are_counted_per_joint():
    truth = make_truth(PERSON, PERSON + FAR)
    second = moved(LEFT, [60, 0]) + FAR
    errors = diagnose_keypoints(
        truth, make_detections(PERSON, second), sigmas=SIGMAS, mirror=MIRROR
    )
    assert errors.count().tolist() == [[2, 0, 0, 0, 0], [1, 1, 0, 0, 0], [2, 0, 0, 0, 0]]
    assert errors.count(errors.rows == 1)[LEFT].tolist() == [0, 1, 0, 0, 0]


def test_nobody_matched_is_no_row():
    errors = diagnose_keypoints(
        make_truth(PERSON), make_detections(PERSON + FAR), sigmas=SIGMAS, mirror=MIRROR
    )
    assert len(errors) == 0 and errors.count().tolist() == [[0] * 5] * 3


def test_wrong_arguments_are_refused():
    truth, detections = make_truth(PERSON), make_detections(PERSON)
    with pytest.raises(ValueError, match="precedence must be paper or nearest. Received 'far'"):
        name_kinds(truth, detections, precedence="far")
    with pytest.raises(ValueError, match="each of the 3 sigmas. Received 2"):
        diagnose_keypoints(truth, detections, sigmas=SIGMAS, mirror=MIRROR[:2])
