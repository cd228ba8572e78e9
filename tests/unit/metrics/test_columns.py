"""Reading COCO rows into columns, and the errors of files that are none."""

from dataclasses import replace

import numpy as np
import pytest

from poseras.metrics.columns import Detections, GroundTruth, extent_areas


def make_row(row_id, image_id, flag=2, **values):
    return {
        "id": row_id,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [-10, -10, 20, 20],
        "area": 5000.0,
        "iscrowd": 0,
        "num_keypoints": int(flag > 0),
        "keypoints": [0, 0, flag],
        **values,
    }


def make_truth(*rows):
    return GroundTruth.from_coco(
        {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": list(rows)}
    )


def test_columns_keep_the_order_of_the_file():
    truth = make_truth(make_row(5, 1), make_row(2, 1, keypoints=[3, 4, 1], bbox=[1, 2, 3, 4]))
    assert truth.ids.tolist() == [5, 2]
    assert truth.boxes_xywh[1].tolist() == [1, 2, 3, 4]
    assert truth.keypoints.tolist() == [[[0, 0, 2]], [[3, 4, 1]]]
    assert truth.take(np.array([1])).ids.tolist() == [2]


def test_the_area_of_predictions_is_the_extent_of_all_joints_unless_the_first_has_a_box():
    first = {"image_id": 1, "category_id": 1, "score": 1, "keypoints": [0, 0, 0, 4, 5, 1]}
    second = {**first, "bbox": [0, 0, 2, 3]}
    assert Detections.from_coco([first, second]).areas.tolist() == [20, 20]
    assert Detections.from_coco([second, second]).areas.tolist() == [6, 6]
    with pytest.raises(ValueError, match="Each row of the predictions must have 'bbox'. Row 1"):
        Detections.from_coco([second, first])


def test_unlabelled_rows_are_ignored_for_keypoints_and_count_for_boxes():
    dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [make_row(1, 1, flag=0), make_row(2, 1, iscrowd=1)],
    }
    assert GroundTruth.from_coco(dataset).ignore.tolist() == [True, True]
    assert GroundTruth.from_coco(dataset, kind="boxes").ignore.tolist() == [False, True]


def test_extent_needs_the_axis_of_people():
    with pytest.raises(ValueError, match=r"\(people, joints, 2 or 3\). Received \(17, 3\)"):
        extent_areas(np.zeros((17, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 1}, "different ids. Received id 1 2 times"),
        ({"image_id": 8}, "Ground truth rows must stand on pictures .* the first is 8"),
        ({"bbox": [1, 2, 3]}, "'bbox' of annotations must be a list of 4 numbers. Row 1"),
        ({"bbox": 3}, "'bbox' of annotations must be a list of 4 numbers. Row 1"),
        ({"keypoints": [1, 2, 2, 3]}, "'keypoints' of annotations must be a list of 3 .* Row 1"),
        ({"keypoints": [1, None, 2]}, "'keypoints' of annotations must hold numbers alone"),
        ({"keypoints": ["1", 1, 2]}, "'keypoints' of annotations must hold numbers alone"),
        ({"keypoints": [[1], 1, 2]}, "'keypoints' of annotations must hold numbers alone"),
        ({"area": float("nan")}, "areas must hold finite numbers. Row 1 has NaN"),
        ({"id": 1.5}, "'id' of annotations must be a whole number. Received 1.5"),
        ({"image_id": "1"}, "'image_id' of annotations must be a whole number. Received '1'"),
    ],
)
def test_annotations_that_are_not_coco_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        make_truth(make_row(1, 1), {**make_row(2, 1), **change})


@pytest.mark.parametrize("key", ["id", "image_id", "category_id", "bbox", "area", "keypoints"])
def test_a_missing_key_is_named_with_its_row(key):
    row = make_row(2, 1)
    del row[key]
    with pytest.raises(ValueError, match=f"Each row of annotations must have '{key}'. Row 1"):
        make_truth(make_row(1, 1), row)


def test_a_file_without_a_part_is_named():
    with pytest.raises(ValueError, match="must be an object with a list 'annotations'"):
        GroundTruth.from_coco({"images": [], "categories": []})


def test_an_empty_list_of_predictions_is_an_error_as_in_the_official_loader():
    with pytest.raises(ValueError, match="predictions must not be empty"):
        Detections.from_coco([])


def test_keypoints_without_three_numbers_a_joint_are_an_error():
    with pytest.raises(ValueError, match="three numbers per joint. Received 4 numbers"):
        make_truth(make_row(1, 1, keypoints=[1, 2, 3, 4]))


def test_columns_of_different_lengths_are_an_error():
    truth = make_truth(make_row(1, 1))
    with pytest.raises(ValueError, match=r"areas must have shape \(1\). Received \(2,\)"):
        replace(truth, areas=np.ones(2))


def test_segments_without_boxes_are_refused():
    result = {"image_id": 1, "category_id": 1, "score": 1, "keypoints": [0, 0, 0]}
    with pytest.raises(ValueError, match="segmentation but no bbox"):
        Detections.from_coco([{**result, "segmentation": []}])
