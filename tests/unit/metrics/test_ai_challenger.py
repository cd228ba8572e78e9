"""AI Challenger's score on people of one seen joint, whose OKS can be computed by hand."""

import numpy as np
import pytest

from poseras.metrics.ai_challenger import SIGMAS, compute_oks, evaluate_ai_challenger

JOINTS = len(SIGMAS)


def make_pose(x=0.0, flag=1):
    """All joints but the first are unlabelled."""
    return [x, 0, flag] + [0, 0, 3] * (JOINTS - 1)


def make_picture(*poses, name="p"):
    people = {f"human{number}": pose for number, pose in enumerate(poses)}
    boxes = {person: [0, 0, 99, 101] for person in people}  # the area plus one is 10,000
    return {"image_id": name, "keypoint_annotations": people, "human_annotations": boxes}


def distance_of(oks):
    """How far the first joint is off: oks = exp(-d^2 / (2 (2 sigma)^2 area))."""
    return 2 * SIGMAS[0] * 100 * np.sqrt(-2 * np.log(oks))


def test_oks_counts_seen_joints_and_the_box_plus_one():
    truth = np.array([make_pose(), make_pose(flag=2)], float).reshape(2, JOINTS, 3)
    predicted = np.array([make_pose(distance_of(0.7))], float).reshape(1, JOINTS, 3)
    oks = compute_oks(truth, np.array([[0, 0, 99, 101.0]] * 2), predicted)
    np.testing.assert_allclose(oks, [[0.7], [0.0]], atol=1e-12)


def test_the_score_is_the_mean_over_ten_thresholds():
    evaluation = evaluate_ai_challenger(
        [make_picture(make_pose())], [make_picture(make_pose(distance_of(0.72)))]
    )
    # Above 0.50, 0.55, 0.60, 0.65 and 0.70.
    assert evaluation.score == pytest.approx(0.5)
    assert evaluation.stats == {"AP": 0.5, "AP .5": 1.0, "AP .75": 0.0}


def test_needless_predictions_lengthen_the_divisor_and_one_may_serve_two_people():
    two = make_picture(make_pose(), make_pose())
    assert evaluate_ai_challenger([two], [make_picture(make_pose())]).score == 1
    three = make_picture(*[make_pose()] * 3)
    assert evaluate_ai_challenger([make_picture(make_pose())], [three]).score == pytest.approx(
        1 / 3
    )


def test_a_picture_without_predictions_counts_its_people():
    reference = [make_picture(make_pose()), make_picture(make_pose(), name="q")]
    first, empty = make_picture(make_pose()), make_picture(name="q")
    for predictions in ([first], [first, empty]):
        assert evaluate_ai_challenger(reference, predictions).score == 0.5


def test_extensions_are_dropped_and_the_last_of_two_predictions_counts():
    right = make_picture(make_pose(), name="p.jpg")
    wrong = make_picture(make_pose(500.0))
    evaluation = evaluate_ai_challenger(
        [make_picture(make_pose())], [wrong, right, make_picture(make_pose(), name="other")]
    )
    assert evaluation.score == 1
    assert (evaluation.repeated, evaluation.unknown, evaluation.unpredicted) == (1, 1, 0)
    assert evaluation.protocol()["repeated_predictions"] == 1


def test_names_with_dots_are_told_apart():
    reference = [make_picture(make_pose(), name=f"img.00{n}") for n in (1, 2)]
    predictions = [make_picture(make_pose(), name=f"img.00{n}.JPG") for n in (1, 2)]
    evaluation = evaluate_ai_challenger(reference, predictions)
    assert (evaluation.score, evaluation.repeated, evaluation.unknown) == (1, 0, 0)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="The reference must have people"):
        evaluate_ai_challenger([], [])
    with pytest.raises(ValueError, match="must have an image_id"):
        evaluate_ai_challenger([{"keypoint_annotations": {}}], [])
    with pytest.raises(ValueError, match="must have keypoint_annotations"):
        evaluate_ai_challenger([make_picture(make_pose())], [{"image_id": "p"}])
    with pytest.raises(ValueError, match="42 numbers. Received {'human0': 3}"):
        evaluate_ai_challenger([make_picture([1, 2, 3])], [])
    with pytest.raises(ValueError, match=r"keypoints must have shape \(people, 14, 3\)"):
        compute_oks(np.zeros((1, 17, 3)), np.zeros((1, 4)), np.zeros((1, 14, 2)))
