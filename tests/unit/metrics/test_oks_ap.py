"""The vectorised evaluator on problems small enough to be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from poseras.metrics.columns import Detections, GroundTruth
from poseras.metrics.matching import count_up, list_pairs, measure_iou, measure_oks, rank_detections
from poseras.metrics.oks_ap import (
    ALL,
    KEYPOINT_RULES,
    LARGE,
    MEDIUM,
    Rules,
    evaluate_box_ap,
    evaluate_oks_ap,
)

# One joint whose OKS is exp(-d^2 / (2 area)): sigma .5 makes (2 sigma)^2 = 1.
SIGMAS = [0.5]
AREA = 5000.0  # medium


def make_row(row_id, image_id, x=0.0, y=0.0, flag=2, **values):
    return {
        "id": row_id,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [x - 10, y - 10, 20, 20],
        "area": AREA,
        "iscrowd": 0,
        "num_keypoints": int(flag > 0),
        "keypoints": [x, y, flag],
        **values,
    }


def make_truth(*rows, images=(1, 2, 3)):
    return GroundTruth.from_coco(
        {
            "images": [{"id": i} for i in images],
            "categories": [{"id": 1}],
            "annotations": list(rows),
        }
    )


def make_detections(*places):
    """Predictions of (image id, x, y, score), each with a box of medium size."""
    return Detections.from_coco(
        [
            {
                "image_id": image,
                "category_id": 1,
                "keypoints": [x, y, 1],
                "score": score,
                "bbox": [x, y, 50, 50],
            }
            for image, x, y, score in places
        ]
    )


def evaluate(truth, detections, **options):
    return evaluate_oks_ap(truth, detections, sigmas=SIGMAS, **options)


def distance_for(oks):
    return np.sqrt(-2 * AREA * np.log(oks))


def measure(truth, detections, sigmas=SIGMAS):
    ranking = rank_detections(truth, detections, 20)
    return measure_oks(truth, detections, ranking, list_pairs(truth, ranking), sigmas)


def test_oks_is_the_exponential_of_the_squared_distance_over_twice_the_area():
    truth = make_truth(make_row(1, 1, x=100.0, y=50.0, area=2.0))
    (oks,) = measure(truth, make_detections((1, 101.0, 50.0, 1.0)))
    assert oks == pytest.approx(np.exp(-0.25), abs=1e-12)


def test_oks_is_the_mean_over_labelled_joints_only():
    row = make_row(1, 1, keypoints=[0, 0, 2, 7, 7, 0, 0, 0, 1], num_keypoints=2)
    result = {
        "image_id": 1,
        "category_id": 1,
        "score": 1,
        "keypoints": [0, 0, 0, 99, 99, 0, 1e6, 0, 0],
    }
    (oks,) = measure(make_truth(row), Detections.from_coco([result]), [0.5, 0.5, 0.5])
    assert oks == pytest.approx(0.5)


def test_a_row_without_labelled_joints_is_compared_by_its_doubled_box():
    row = make_row(1, 1, flag=0, bbox=[100, 100, 40, 20], area=50.0)
    inside, beside, corner = (60.0, 80.0), (190.0, 90.0), (190.0, 150.0)
    detections = make_detections((1, *inside, 0.9), (1, *beside, 0.8), (1, *corner, 0.7))
    # The doubled box runs from 60 to 180 and from 80 to 140.
    expected = [1.0, np.exp(-100 / 100), np.exp(-200 / 100)]
    np.testing.assert_allclose(measure(make_truth(row), detections), expected, rtol=1e-12)


def test_iou_of_a_crowd_is_the_share_of_the_prediction_inside_it():
    dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [
            make_row(1, 1, bbox=[0, 0, 10, 10]),
            make_row(2, 1, bbox=[0, 0, 10, 10], iscrowd=1),
            make_row(3, 1, bbox=[10, 0, 10, 10]),
        ],
    }
    truth = GroundTruth.from_coco(dataset, kind="boxes")
    result = {"image_id": 1, "category_id": 1, "score": 1, "bbox": [5, 0, 5, 20]}
    detections = Detections.from_coco([result], kind="boxes")
    ranking = rank_detections(truth, detections, 100)
    iou = measure_iou(truth, detections, ranking, list_pairs(truth, ranking))
    # Touching boxes do not overlap.
    np.testing.assert_allclose(iou, [50 / 150, 50 / 100, 0.0])


def test_perfect_predictions_have_every_number_at_one_and_empty_ranges_at_minus_one():
    truth = make_truth(make_row(1, 1), make_row(2, 2))
    stats = evaluate(truth, make_detections((1, 0, 0, 0.9), (2, 0, 0, 0.8))).stats
    assert list(stats) == [
        *("AP", "AP .5", "AP .75", "AP (M)", "AP (L)"),
        *("AR", "AR .5", "AR .75", "AR (M)", "AR (L)"),
    ]
    assert stats == {name: (-1.0 if "(L)" in name else 1.0) for name in stats}


def test_half_the_people_found_reach_51_of_101_recall_points():
    truth = make_truth(make_row(1, 1), make_row(2, 2))
    stats = evaluate(truth, make_detections((1, 0, 0, 0.9))).stats
    assert stats["AP"] == pytest.approx(51 / 101)
    assert stats["AR"] == 0.5


def test_a_false_alarm_before_the_hit_halves_precision_and_one_behind_costs_nothing():
    truth = make_truth(make_row(1, 1))
    before = evaluate(truth, make_detections((2, 0, 0, 0.9), (1, 0, 0, 0.5)))
    behind = evaluate(truth, make_detections((2, 0, 0, 0.1), (1, 0, 0, 0.5)))
    assert before.stats["AP"] == pytest.approx(0.5)
    assert behind.stats["AP"] == pytest.approx(1.0)


def test_precision_is_the_best_at_this_or_any_higher_recall():
    truth = make_truth(*(make_row(i, i) for i in (1, 2, 3)))
    detections = make_detections((1, 900, 0, 0.9), (1, 0, 0, 0.8), (2, 0, 0, 0.7), (3, 0, 0, 0.6))
    # Precision at the hits is 1/2, 2/3, 3/4: interpolated 3/4 everywhere.
    assert evaluate(truth, detections).stats["AP"] == pytest.approx(0.75)


def test_each_threshold_is_listed_and_a_prediction_counts_up_to_its_oks():
    detections = make_detections((1, distance_for(0.72), 0, 0.9))
    evaluation = evaluate(make_truth(make_row(1, 1)), detections)
    assert evaluation.ar_per_threshold == [1.0] * 5 + [0.0] * 5
    assert evaluation.ap_per_threshold == pytest.approx([1.0] * 5 + [0.0] * 5)
    assert evaluation.precision.shape == (10, 101, 1, 3, 1)


def test_a_second_prediction_of_a_person_is_a_false_alarm_even_if_it_is_better():
    truth = make_truth(make_row(1, 1), make_row(2, 2))
    detections = make_detections((1, distance_for(0.8), 0, 0.9), (1, 0, 0, 0.8), (2, 0, 0, 0.7))
    evaluation = evaluate(truth, detections)
    # Up to .75 the worse one takes the person: precision 1 up to recall 1/2, then 2/3.
    assert evaluation.ap_per_threshold[0] == pytest.approx((51 + 50 * 2 / 3) / 101)
    # Above its OKS the better one does: precision 2/3 everywhere.
    assert evaluation.ap_per_threshold[-1] == pytest.approx(2 / 3)


def test_an_ignored_row_and_a_crowd_swallow_predictions_without_counting():
    crowd = make_row(2, 1, x=5000.0, flag=0, iscrowd=1)
    truth = make_truth(make_row(1, 1), crowd, make_row(3, 2, flag=0))
    hits = [(1, 0, 0, 0.1)]
    absorbed = [(1, 5000, 0, 0.9), (1, 5001, 0, 0.8), (2, 0, 0, 0.7)]
    assert evaluate(truth, make_detections(*hits, *absorbed)).stats["AP"] == pytest.approx(1.0)
    # An ignored row that is no crowd absorbs one prediction; the second is a false alarm.
    again = make_detections(*hits, *absorbed, (2, 0, 0, 0.6))
    assert evaluate(truth, again).stats["AP"] == pytest.approx(0.5)


def test_a_row_that_counts_is_preferred_to_a_more_similar_ignored_one():
    truth = make_truth(make_row(1, 1, x=distance_for(0.6)), make_row(2, 1, flag=0))
    evaluation = evaluate(truth, make_detections((1, 0, 0, 0.9)))
    assert evaluation.ar_per_threshold == [1.0, 1.0] + [0.0] * 8


def test_of_equally_similar_rows_the_later_in_the_file_is_taken():
    # The first prediction lies between both; what it leaves decides whether the second hits.
    far = distance_for(0.7)
    left, right = make_row(1, 1, x=-far), make_row(2, 1, x=far)
    detections = make_detections((1, 0, 0, 0.9), (1, far, 0, 0.8))
    assert evaluate(make_truth(left, right), detections).ar_per_threshold[0] == 0.5
    assert evaluate(make_truth(right, left), detections).ar_per_threshold[0] == 1.0


def test_only_the_best_predictions_of_a_picture_count_and_file_order_breaks_ties():
    truth = make_truth(make_row(1, 1))
    rules = replace(KEYPOINT_RULES, max_detections=(2,))
    first, last = ([(1, 0, 0, 0.5)], [(1, 900, 0, 0.5)] * 2)
    assert evaluate(truth, make_detections(*first, *last), rules=rules).stats["AR"] == 1.0
    assert evaluate(truth, make_detections(*last, *first), rules=rules).stats["AR"] == 0.0


def test_equal_scores_of_different_pictures_run_in_order_of_picture_id():
    truth = make_truth(make_row(1, 2))
    alarm_first = make_detections((2, 0, 0, 0.5), (1, 0, 0, 0.5))
    hit_first = make_detections((3, 0, 0, 0.5), (2, 0, 0, 0.5))
    assert evaluate(truth, alarm_first).stats["AP"] == pytest.approx(0.5)
    assert evaluate(truth, hit_first).stats["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("area", "medium", "large"),
    [(32**2 - 1, -1, -1), (32**2, 1, -1), (96**2, 1, 1), (96**2 + 1, -1, 1), (1e10, -1, 1)],
)
def test_area_ranges_include_both_ends(area, medium, large):
    stats = evaluate(make_truth(make_row(1, 1, area=area)), make_detections((1, 0, 0, 1))).stats
    assert (stats["AR"], stats["AR (M)"], stats["AR (L)"]) == (1.0, medium, large)


def test_an_unmatched_prediction_outside_the_area_range_is_ignored_there():
    truth = make_truth(make_row(1, 1), make_row(2, 1, x=9000.0, area=20000.0))
    detections = make_detections((3, 0, 0, 0.9), (1, 0, 0, 0.8), (1, 9000, 0, 0.7))
    stats = evaluate(truth, detections).stats
    # The false alarm has a medium box of 50 x 50 px, so that large people are not charged for it.
    assert stats["AP (M)"] == pytest.approx(0.5)
    assert stats["AP (L)"] == pytest.approx(1.0)


def test_row_id_zero_is_never_found_but_stays_taken():
    detections = make_detections((1, 0, 0, 0.9), (1, 0, 0, 0.8))
    assert evaluate(make_truth(make_row(7, 1)), detections).stats["AR"] == 1.0
    assert evaluate(make_truth(make_row(0, 1)), detections).stats["AR"] == 0.0


def test_categories_are_matched_apart_and_averaged_and_unlisted_ones_are_left_out():
    rows = [make_row(1, 1), make_row(2, 1, category_id=2), make_row(3, 1, category_id=9)]
    dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 2}, {"id": 1}, {"id": 5}],
        "annotations": rows,
    }
    results = [
        {"image_id": 1, "category_id": c, "keypoints": [0, 0, 1], "score": 1} for c in (1, 5, 9)
    ]
    evaluation = evaluate(GroundTruth.from_coco(dataset), Detections.from_coco(results))
    assert evaluation.stats["AR"] == 0.5
    np.testing.assert_array_equal(evaluation.recall[0, :, 0, 0], [1.0, 0.0, -1.0])


def test_no_prediction_at_all_gives_zero_and_no_row_at_all_gives_minus_one():
    detections = make_detections((1, 0, 0, 0.9))
    none = detections.take(np.zeros(0, int))
    assert set(evaluate(make_truth(make_row(1, 1, area=96**2)), none).stats.values()) == {0.0}
    assert set(evaluate(make_truth(), detections).stats.values()) == {-1.0}


def test_sigmas_areas_ignored_rows_and_rules_are_what_the_caller_says():
    # As CrowdPose: area from the box, its own ignored rows, one range.
    truth = make_truth(make_row(1, 1), make_row(2, 2), make_row(3, 3))
    boxes = truth.boxes_xywh
    truth = replace(
        truth,
        areas=0.53 * boxes[:, 2] * boxes[:, 3],
        ignore=np.array([False, False, True]),
    )
    evaluation = evaluate_oks_ap(
        truth,
        make_detections((1, 10.0, 0, 0.9)),
        sigmas=[0.25],
        rules=Rules(area_ranges=(ALL,), max_detections=(20,), thresholds=np.array([0.5, 0.7])),
    )
    # exp(-100 / (2 * 212 * .25)) = .389 misses, for both thresholds.
    assert evaluation.stats == {"AP": 0.0, "AP .5": 0.0, "AR": 0.0, "AR .5": 0.0}
    wider = evaluate_oks_ap(
        truth,
        make_detections((1, 10.0, 0, 0.9)),
        sigmas=[0.35],
        rules=Rules(area_ranges=(ALL,), max_detections=(20,), thresholds=np.array([0.5, 0.7])),
    )
    # exp(-100 / (2 * 212 * .49)) = .618 hits one of the two rows that count at .5 alone.
    assert wider.ar_per_threshold == [0.5, 0.0]


def test_part_of_the_pictures_is_scored_as_if_the_others_were_not_there():
    truth = make_truth(make_row(1, 1), make_row(2, 2))
    detections = make_detections((1, 0, 0, 0.9), (2, 900, 0, 0.8))
    one = np.array([1])
    assert evaluate(truth, detections).stats["AR"] == 0.5
    assert evaluate(truth.on_images(one), detections.on_images(one)).stats["AR"] == 1.0
    assert truth.on_images(one).images.tolist() == [1]


def test_the_number_of_predictions_per_picture_gives_one_recall_each_for_boxes():
    rows = [make_row(i, 1, x=100.0 * i) for i in range(1, 13)]
    dataset = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": rows}
    results = [
        {"image_id": 1, "category_id": 1, "bbox": row["bbox"], "score": 1 / row["id"]}
        for row in rows
    ]
    stats = evaluate_box_ap(
        GroundTruth.from_coco(dataset, kind="boxes"), Detections.from_coco(results, kind="boxes")
    ).stats
    assert len(stats) == 12
    assert stats["AR maxDets=1"] == pytest.approx(1 / 12)
    assert stats["AR maxDets=10"] == pytest.approx(10 / 12)
    assert stats["AR maxDets=100"] == 1.0
    assert stats["AP"] == pytest.approx(1.0)
    assert stats["AR (S)"] == -1.0


def test_count_up_starts_again_at_each_new_value():
    assert count_up(np.array([4, 4, 4, 2, 9, 9])).tolist() == [0, 1, 2, 0, 0, 1]
    assert count_up(np.zeros(0, int)).tolist() == []


def test_the_protocol_names_evaluator_sigmas_and_ranges():
    protocol = evaluate(make_truth(make_row(1, 1)), make_detections((1, 0, 0, 1))).protocol()
    assert protocol["evaluator"] == "fast"
    assert protocol["sigmas"] == [0.5]
    assert protocol["max_detections"] == [20]
    assert protocol["area_ranges_px2"] == {r.name: [r.low, r.high] for r in (ALL, MEDIUM, LARGE)}
    assert protocol["thresholds"][0] == 0.5
    assert set(protocol["versions"]) == {"poseras", "numpy"}


def test_predictions_on_unknown_pictures_are_counted_and_the_first_is_named():
    detections = make_detections((1, 0, 0, 1), (77, 0, 0, 1), (88, 0, 0, 1))
    with pytest.raises(ValueError, match="2 unknown image_id of 3, the first is 77; .*split"):
        evaluate(make_truth(make_row(1, 1)), detections)


def test_another_number_of_joints_than_sigmas_is_an_error():
    with pytest.raises(ValueError, match=r"each of the 3 sigmas. Received \(1, 1, 3\)"):
        evaluate_oks_ap(make_truth(make_row(1, 1)), make_detections((1, 0, 0, 1)), sigmas=[1, 1, 1])


def test_boxes_are_needed_for_box_metrics():
    result = {"image_id": 1, "category_id": 1, "score": 1, "keypoints": [0, 0, 0]}
    with pytest.raises(ValueError, match="Box metrics need boxes_xywh"):
        evaluate_box_ap(make_truth(make_row(1, 1)), Detections.from_coco([result]))
