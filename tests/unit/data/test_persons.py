import json
import logging

import numpy as np
import pytest

from poseras.data.annotation import read_coco, read_split
from poseras.data.dataset import load_dataset
from poseras.data.persons import (
    annotated_persons,
    clip_boxes,
    detected_persons,
    join_records,
    sort_by_image,
    training_persons,
)
from poseras.skeleton import Skeleton

DOT = Skeleton("Dots/dot_1", ("nose",))
IMAGES = [
    {"id": 9, "file_name": "nine.jpg", "width": 100, "height": 80},
    {"id": 4, "file_name": "four.jpg", "width": 60, "height": 50},
]


def read_people(folder, rows, images=IMAGES):
    """A table of rows (image id, box, other fields of the annotation)."""
    annotations = [
        {"id": number, "image_id": image, "bbox": box, "keypoints": [5, 6, 2], "area": 50, **rest}
        for number, (image, box, rest) in enumerate(rows)
    ]
    path = folder / "people.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return read_coco(path, folder, DOT)


def write_boxes(folder, boxes):
    path = folder / "boxes.json"
    path.write_text(boxes if isinstance(boxes, str) else json.dumps(boxes))
    return path


def box(image, score, bbox=(1, 2, 3, 4), category=1):
    return {"image_id": image, "category_id": category, "bbox": list(bbox), "score": score}


@pytest.mark.parametrize(
    ("given", "published", "exact"),
    [
        ([10, 20, 30, 40], [10, 20, 29, 39], [10, 20, 30, 40]),
        ([-5, -6, 30, 40], [0, 0, 29, 39], [0, 0, 25, 34]),
        ([80, 70, 30, 40], [80, 70, 19, 9], [80, 70, 20, 10]),
        ([20, 20, 0.5, 30], [20, 20, 0, 29], [20, 20, 0.5, 30]),
        ([99, 79, 5, 5], [99, 79, 0, 0], [99, 79, 1, 1]),
    ],
)
def test_boxes_are_shifted_as_published_or_cut_exactly(given, published, exact):
    for rule, expected in (("published", published), ("exact", exact)):
        boxes, inside = clip_boxes(np.array([given], float), np.array([[80, 100]]), rule)
        assert boxes.tolist() == [expected]
        assert inside.all()


@pytest.mark.parametrize(
    ("given", "published", "exact"),
    [
        ([500, 20, 30, 30], False, False),  # right of the image
        ([20, 500, 30, 30], False, False),  # below
        ([-50, 10, 20, 20], True, False),  # left: the published rule shifts it inside
        ([100, 10, 20, 20], False, False),  # begins at the right border
        ([99.5, 10, 20, 20], False, True),  # half a pixel inside
        ([20, 20, 0, 30], True, False),  # no width
        ([20, 20, -3, 30], True, False),
    ],
)
def test_boxes_outside_are_marked(given, published, exact):
    for rule, expected in (("published", published), ("exact", exact)):
        _, inside = clip_boxes(np.array([given], float), np.array([[80, 100]]), rule)
        assert inside.tolist() == [expected]


def test_training_leaves_out_those_nobody_can_learn_from_and_counts_them(tmp_path, caplog):
    whole = [10, 10, 20, 20]
    rows = [
        (9, whole, {}),
        (9, whole, {"iscrowd": 1}),
        (9, whole, {"num_keypoints": 0}),
        (9, whole, {"num_keypoints": 1, "keypoints": [5, 6, 0]}),
        (4, whole, {"area": 0}),
        (4, [500, 10, 20, 20], {}),
        (4, [10, 10, 1, 1], {}),
        (4, whole, {}),
    ]
    with caplog.at_level(logging.INFO, "poseras"):
        records = training_persons(read_people(tmp_path, rows))
    assert records.annotation_ids.tolist() == [0, 7]
    assert records.image_ids.tolist() == [9, 4]
    assert records.boxes_xywh.tolist() == [[10, 10, 19, 19]] * 2
    assert records.scores.tolist() == [1, 1]
    assert records.areas.tolist() == [50, 50]
    assert (
        "2 people of 8 annotations; left out: 1 crowds, 1 without keypoints, 1 unlabelled, "
        "1 without area, 1 outside the image, 1 with an empty box." in caplog.text
    )


def test_training_may_trust_the_number_of_keypoints(tmp_path):
    rows = [(9, [10, 10, 20, 20], {"num_keypoints": 1, "keypoints": [5, 6, 0]})]
    table = read_people(tmp_path, rows)
    assert len(training_persons(table, skip_unlabelled=True)) == 0
    assert len(training_persons(table, skip_unlabelled=False)) == 1


def test_training_boxes_can_be_cut_exactly(tmp_path):
    table = read_people(tmp_path, [(9, [-5, 10, 30, 30], {})])
    assert training_persons(table, box_clipping="exact").boxes_xywh.tolist() == [[0, 10, 25, 30]]


def test_training_needs_the_size_of_every_image(tmp_path):
    images = [{"id": 9, "file_name": "nine.jpg"}]
    table = read_people(tmp_path, [(9, [1, 2, 3, 4], {})], images)
    with pytest.raises(ValueError, match=r"width and height of every image.* Image 9 has none"):
        training_persons(table)


def test_annotated_people_are_all_there_sorted_by_image_and_else_in_file_order(tmp_path):
    rows = [
        (9, [-5, 10, 300, 20], {"iscrowd": 1}),
        (4, [500, 10, 20, 20], {"num_keypoints": 0}),
        (9, [1, 1, 1, 1], {"area": 0}),
        (4, [0, 0, 0, 0], {}),
        (4, [5, 5, 5, 5], {"keypoints": [0, 0, 0]}),
    ]
    records = annotated_persons(read_people(tmp_path, rows))
    assert records.annotation_ids.tolist() == [1, 4, 0, 2]
    assert records.boxes_xywh[2].tolist() == [-5, 10, 300, 20]
    assert records.scores.tolist() == [1] * 4


@pytest.mark.parametrize("choose", [training_persons, annotated_persons])
def test_a_file_without_annotations_says_what_to_do(tmp_path, choose):
    with pytest.raises(ValueError, match=r"holds no annotations .*test\.use_gt_box=false"):
        choose(read_people(tmp_path, []))


def test_detections_are_filtered_and_sorted_by_descending_image_and_score(tmp_path, caplog):
    path = write_boxes(
        tmp_path,
        [
            box(4, 0.5, [1, 1, 5, 5]),
            box(9, 0.25),
            box(4, 0.75),
            box(9, 0.9, category=18),
            box(9, 0.0),
            box(77, 0.9),
            box(4, 0.5, [2, 2, 6, 6]),
            box(9, 1),
            box(9, 0.5, [1, 2, 0, 4]),
        ],
    )
    with caplog.at_level(logging.INFO, "poseras"):
        records = detected_persons(read_people(tmp_path, []), path)
    assert records.image_ids.tolist() == [9, 9, 4, 4, 4]
    assert records.scores.tolist() == [1, 0.25, 0.75, 0.5, 0.5]
    assert records.boxes_xywh[3:].tolist() == [[1, 1, 5, 5], [2, 2, 6, 6]]
    assert records.keypoints.shape == (5, 1, 3)
    assert set(records.annotation_ids) == {-1}
    assert (
        "5 people of 9 boxes; left out: 1 on other images, 1 of another category than 1, "
        "1 with an empty box, 1 with a score of 0 or less." in caplog.text
    )


def test_detections_count_above_the_threshold_alone(tmp_path):
    path = write_boxes(tmp_path, [box(4, 0.5), box(4, 0.6), box(4, 0.4)])
    records = detected_persons(read_people(tmp_path, []), path, score_threshold=0.5)
    assert records.scores.tolist() == [0.6]


def test_detections_of_another_split_name_file_annotations_and_counts(tmp_path):
    path = write_boxes(tmp_path, [box(77, 0.9), box(78, 0.9), box(4, 0.9, category=3)])
    with pytest.raises(
        ValueError,
        match=r"0 of 3 boxes of .*boxes\.json match the 2 images of .*people\.json: 2 on other "
        r"images, 1 of another category than 1\..*test\.detections=FILE",
    ):
        detected_persons(read_people(tmp_path, []), path)


@pytest.mark.parametrize("content", [[], [box(4, 0.5), box(9, 0.3), box(77, 0.9)]])
def test_a_detector_that_is_sure_of_nobody_is_told_and_gives_no_people(tmp_path, caplog, content):
    path = write_boxes(tmp_path, content)
    records = detected_persons(read_people(tmp_path, []), path, score_threshold=0.5)
    assert len(records) == 0 and records.boxes_xywh.shape == (0, 4)
    assert "boxes.json has no box that counts: nobody is looked for" in caplog.text


def test_a_detection_file_of_bad_entries_alone_is_no_detector_that_found_nobody(tmp_path):
    path = write_boxes(tmp_path, [{"image_id": 4}])
    with pytest.raises(ValueError, match=r"0 of 0 boxes of .*boxes\.json match the 2 images"):
        detected_persons(read_people(tmp_path, []), path, on_bad_sample="skip")


def test_a_missing_detection_file_says_what_to_do(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"No person boxes at .*gone\.json\. .*test\.use_gt_box=true"
    ):
        detected_persons(read_people(tmp_path, []), tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": []}, r"not a detection file in COCO result format.* It holds an object"),
        ("[{", r"is not JSON"),
        ([box(4, 0.5), {"image_id": 4}], r"detection at position 1 is malformed: .*`category_id`"),
        ([box(4, 0.5), box(4, float("nan"))], r"detection at position 1 holds NaN"),
        ([box(4, 0.5), box(4, 0.5, [1, 2, float("inf"), 4])], r"detection at position 1 holds NaN"),
        ([box(4, 0.5), box(4, 0.5, [1, 2, 3])], r"Expected `array` of length 4, got 3"),
    ],
)
def test_a_bad_detection_file_is_one_line(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        detected_persons(read_people(tmp_path, []), write_boxes(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_bad_detections_can_be_skipped(tmp_path, caplog):
    content = [box(4, 0.5), {"image_id": 4}, box(4, float("nan"))]
    records = detected_persons(
        read_people(tmp_path, []), write_boxes(tmp_path, content), on_bad_sample="skip"
    )
    assert records.scores.tolist() == [0.5]
    assert "skipped 2 bad entries" in caplog.text


def test_sorting_by_image_keeps_the_order_within_an_image(tmp_path):
    rows = [(9, [1, 1, 5, 5], {}), (4, [1, 1, 5, 5], {}), (9, [1, 1, 5, 5], {})]
    records = sort_by_image(training_persons(read_people(tmp_path, rows)))
    assert records.annotation_ids.tolist() == [1, 0, 2]


def test_joined_records_keep_their_images(tmp_path):
    rows = [(9, [1, 1, 5, 5], {}), (4, [2, 2, 6, 6], {})]
    records = training_persons(read_people(tmp_path, rows))
    joined = join_records([records, records])
    assert joined.image_index.tolist() == [0, 1, 2, 3]
    assert joined.image_ids.tolist() == [9, 4, 9, 4]
    assert joined.images.paths == records.images.paths * 2
    assert joined.boxes_xywh.tolist() == records.boxes_xywh.tolist() * 2


@pytest.mark.parametrize(("split", "people"), [("train", 46), ("val", 46)])
def test_real_coco_samples_give_their_known_number_of_people(project_root, samples, split, people):
    path = samples / "COCO" / "annotations" / f"person_keypoints_{split}2017.json"
    table = read_split(load_dataset(project_root, "COCO"), split, annotations=path)
    labelled = int(((table.num_keypoints > 0) & ~table.iscrowd).sum())
    assert (table.num_keypoints > 0).sum() == people
    assert len(training_persons(table)) == labelled
    assert len(annotated_persons(table)) == len(table)


def test_real_detections_lie_on_the_four_pictures(project_root, samples):
    coco = samples / "COCO"
    dataset = load_dataset(project_root, "COCO")
    tables = {
        name: read_split(dataset, "val", annotations=coco / "annotations" / f"{name}.json")
        for name in ("person_keypoints_val2017_detected4", "person_keypoints_val2017")
    }
    for table in tables.values():
        records = detected_persons(table, coco / "dets" / "human_detection.json")
        assert len(records) == 118
        assert set(records.image_ids) == {785, 40083, 196141, 197388}
    train = read_split(
        dataset, "train", annotations=coco / "annotations/person_keypoints_train2017.json"
    )
    with pytest.raises(ValueError, match=r"0 of 118 boxes .* match the 19 images .*: 118 on other"):
        detected_persons(train, coco / "dets" / "human_detection.json")


def test_simulated_detections_lie_on_the_val_and_test_pictures(project_root, samples):
    coco = samples / "COCO"
    dataset = load_dataset(project_root, "COCO")
    found = 0
    for split, file in (("val", "person_keypoints_val2017"), ("test", "image_info_test-dev2017")):
        table = read_split(dataset, split, annotations=coco / "annotations" / f"{file}.json")
        found += len(detected_persons(table, coco / "dets" / "human_detection_simulated.json"))
    assert found == 91
