import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from poseras.data.annotation import read_coco, read_split
from poseras.data.dataset import load_dataset
from poseras.skeleton import Skeleton

STAR = Skeleton("Stars/star_3", ("head_top", "left_wrist", "right_wrist"))


def make_file(**changes) -> dict:
    """Two pictures, three people of three joints."""

    def person(number: int, image_id: int) -> dict:
        return {
            "id": number,
            "image_id": image_id,
            "category_id": 1,
            "bbox": [1.5, 2, 30, 40],
            "area": 600.25,
            "iscrowd": 0,
            "num_keypoints": 2,
            "keypoints": [10, 11, 2, 20.5, 21, 1, 0, 0, 0],
            "segmentation": [[1, 2, 3, 4.5, 5, 6]],
        }

    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
            {"id": 3, "file_name": "sub/b.jpg", "width": 64, "height": 48},
        ],
        "annotations": [person(11, 3), person(12, 7), person(13, 3)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(STAR.keypoints)}],
        **changes,
    }


def write(folder: Path, content) -> Path:
    path = folder / "people.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read(folder: Path, content, skeleton: Skeleton = STAR, **options):
    return read_coco(write(folder, content), folder / "images", skeleton, **options)


def test_columns_hold_what_the_file_says(tmp_path):
    table = read(tmp_path, make_file())
    assert len(table) == 3
    assert table.images.ids.tolist() == [7, 3]
    assert table.images.paths == (
        str(tmp_path / "images/a.jpg"),
        str(tmp_path / "images/sub/b.jpg"),
    )
    assert table.images.sizes_hw.tolist() == [[80, 100], [48, 64]]
    assert table.annotation_ids.tolist() == [11, 12, 13]
    assert table.image_index.tolist() == [1, 0, 1]
    assert table.boxes_xywh.tolist() == [[1.5, 2, 30, 40]] * 3
    assert table.areas.tolist() == [600.25] * 3
    assert table.keypoints.dtype == np.float32
    assert table.keypoints[0].tolist() == [[10, 11, 2], [20.5, 21, 1], [0, 0, 0]]
    assert table.num_keypoints.tolist() == [2, 2, 2]
    assert not table.iscrowd.any()
    assert table.skipped == ()


def test_an_image_info_file_without_annotations_is_valid(tmp_path):
    content = make_file()
    del content["annotations"]
    table = read(tmp_path, content)
    assert len(table) == 0
    assert len(table.images) == 2
    assert table.keypoints.shape == (0, 3, 3)


def test_a_file_with_no_image_at_all_is_valid(tmp_path):
    table = read(tmp_path, {"images": [], "annotations": []})
    assert len(table.images) == len(table) == 0


def test_absent_fields_are_derived(tmp_path):
    content = make_file()
    for key in ("area", "iscrowd", "num_keypoints", "category_id"):
        del content["annotations"][0][key]
    content["annotations"][1].update(area=None, num_keypoints=None)
    table = read(tmp_path, content)
    assert table.areas.tolist() == [30 * 40, 30 * 40, 600.25]
    assert table.num_keypoints.tolist() == [2, 2, 2]
    assert table.iscrowd.tolist() == [False] * 3


def test_whole_floats_and_booleans_are_read_as_integers(tmp_path):
    content = make_file()
    content["images"][0].update(id=7.0, width=100.0)
    content["annotations"][1].update(image_id=7.0, iscrowd=True, id=12.0)
    table = read(tmp_path, content)
    assert table.annotation_ids.tolist() == [11, 12, 13]
    assert table.image_index.tolist() == [1, 0, 1]
    assert table.iscrowd.tolist() == [False, True, False]


def test_a_byte_order_mark_is_no_obstacle(tmp_path):
    assert len(read(tmp_path, "\ufeff" + json.dumps(make_file()))) == 3


def test_segmentations_are_there_when_asked_for(tmp_path):
    content = make_file()
    content["annotations"][2]["segmentation"] = {"counts": [1, 2, 3], "size": [48, 64]}
    table = read(tmp_path, content, segmentations=True)
    assert table.segmentation(0) == [[1, 2, 3, 4.5, 5, 6]]
    assert table.take(np.array([2])).segmentation(0) == {"counts": [1, 2, 3], "size": [48, 64]}
    with pytest.raises(ValueError, match="was read without segmentations"):
        read(tmp_path, content).segmentation(0)


def test_segmentations_follow_their_rows_when_bad_entries_are_skipped(tmp_path):
    content = make_file()
    content["annotations"][0]["bbox"] = [1, 2, 3]
    content["annotations"][2]["segmentation"] = [[9, 9, 9, 9, 9, 9]]
    table = read(tmp_path, content, segmentations=True, on_bad_sample="skip")
    assert table.annotation_ids.tolist() == [12, 13]
    assert table.segmentation(1) == [[9, 9, 9, 9, 9, 9]]


def test_joints_in_another_order_are_reindexed_by_name_through_aliases(tmp_path):
    content = make_file()
    content["categories"][0]["keypoints"] = ["r_hand", "left_wrist", "head_top"]
    table = read(tmp_path, content, aliases={"r_hand": "right_wrist"})
    assert table.keypoints[0].tolist() == [[0, 0, 0], [20.5, 21, 1], [10, 11, 2]]


def test_joints_without_a_source_are_zero_and_named_in_the_log(tmp_path, caplog):
    network = Skeleton("Comets/comet_2", ("left_ear", "left_wrist"))
    with caplog.at_level(logging.INFO, "poseras"):
        table = read(tmp_path, make_file(), network, keypoint_sets=(STAR,))
    assert table.keypoints[0].tolist() == [[0, 0, 0], [20.5, 21, 1]]
    assert "has no left_ear of Comets/comet_2" in caplog.text


def test_no_joint_in_common_is_an_error(tmp_path):
    network = Skeleton("Comets/comet_1", ("left_ear",))
    with pytest.raises(ValueError, match=r"must share keypoint names with .* Comets/comet_1"):
        read(tmp_path, make_file(), network, keypoint_sets=(STAR,))


def test_a_file_that_names_no_keypoints_is_ordered_by_the_set_that_fits(tmp_path):
    long = Skeleton("Stars/star_4", ("neck", *STAR.keypoints))
    table = read(tmp_path, make_file(categories=[]), long, keypoint_sets=(long, STAR))
    assert table.keypoints[0].tolist() == [[0, 0, 0], [10, 11, 2], [20.5, 21, 1], [0, 0, 0]]


def test_rows_of_categories_without_keypoints_are_left_out(tmp_path):
    content = make_file()
    content["categories"].append({"id": 18, "name": "dog"})
    content["annotations"][1].update(category_id=18, keypoints=[])
    assert read(tmp_path, content).annotation_ids.tolist() == [11, 13]


BAD_ENTRIES = {
    "NaN box": (
        lambda c: c["annotations"][1].update(bbox=[float("nan"), 2, 3, 4]),
        r"annotation 12 has NaN or infinity in its bbox",
    ),
    "NaN keypoint": (
        lambda c: c["annotations"][1]["keypoints"].__setitem__(3, float("nan")),
        r"annotation 12 has NaN or infinity in its keypoints",
    ),
    "infinite area": (
        lambda c: c["annotations"][1].update(area=float("inf")),
        r"annotation 12 has NaN or infinity in its area",
    ),
    "beyond single precision": (
        lambda c: c["annotations"][1]["keypoints"].__setitem__(3, 1e300),
        r"annotation 12 has NaN or infinity in its keypoints",
    ),
    "keypoint count": (
        lambda c: c["annotations"][1]["keypoints"].pop(),
        r"annotation 12 must have 9 keypoint values, .* 3 joints\. Received 8",
    ),
    "no keypoints": (
        lambda c: c["annotations"][1].pop("keypoints"),
        r"annotation 12 is malformed: .*missing required field `keypoints`",
    ),
    "text as number": (
        lambda c: c["annotations"][1]["keypoints"].__setitem__(3, "x"),
        r"annotation 12 is malformed: Expected `int \| float`, got `str`",
    ),
    "short box": (
        lambda c: c["annotations"][1].update(bbox=[1, 2, 3]),
        r"annotation 12 is malformed: Expected `array` of length 4, got 3",
    ),
    "visibility": (
        lambda c: c["annotations"][1]["keypoints"].__setitem__(2, 3),
        r"annotation 12 must have visibilities 0 .* Received \[0\.0, 1\.0, 3\.0\]",
    ),
    "unknown image": (
        lambda c: c["annotations"][1].update(image_id=99),
        r"annotation 12 must stand on one of the 2 listed images\. Received image_id 99",
    ),
    "doubled annotation": (
        lambda c: c["annotations"][1].update(id=11),
        r"annotation id 11 stands twice",
    ),
    "no object": (
        lambda c: c["annotations"].__setitem__(1, None),
        r"annotation at position 1 is malformed: Expected `object`, got `null`",
    ),
    "huge id": (
        lambda c: c["annotations"][1].update(id=10**30),
        r"annotation 1000000000000000000000000000000 is malformed",
    ),
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_a_bad_annotation_is_one_line_that_names_file_and_entry(tmp_path, name):
    spoil, message = BAD_ENTRIES[name]
    content = make_file()
    spoil(content)
    with pytest.raises(ValueError, match=rf"people\.json: {message}.*on_bad_sample=skip") as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_skip_leaves_a_bad_annotation_out_counts_and_lists_it(tmp_path, caplog, name):
    spoil, message = BAD_ENTRIES[name]
    content = make_file()
    spoil(content)
    table = read(tmp_path, content, on_bad_sample="skip")
    assert table.annotation_ids.tolist() == [11, 13]
    assert len(table.skipped) == 1
    assert "skipped 1 bad entries" in caplog.text
    assert table.skipped[0] in caplog.text


@pytest.mark.parametrize(
    "file_name",
    ["/etc/a.jpg", "../a.jpg", "x/../../a.jpg", "C:\\a.jpg", "C:a.jpg", "x\\..\\a.jpg", "", "a\0"],
)
def test_a_file_name_that_leaves_its_folder_is_an_error(tmp_path, file_name):
    content = make_file()
    content["images"][1]["file_name"] = file_name
    with pytest.raises(ValueError, match=r"image 3 must lie inside its folder .* Received file_n"):
        read(tmp_path, content)
    table = read(tmp_path, content, on_bad_sample="skip")
    assert table.images.ids.tolist() == [7]
    assert table.annotation_ids.tolist() == [12]
    assert len(table.skipped) == 3  # the picture and the two people on it


@pytest.mark.parametrize(
    "file_name", ["a..b.jpg", "x/..b/c.jpg", "xy:z.jpg", "name with space.jpg"]
)
def test_a_strange_file_name_inside_its_folder_is_no_error(tmp_path, file_name):
    content = make_file()
    content["images"][1]["file_name"] = file_name
    assert read(tmp_path, content).images.paths[1] == f"{tmp_path}/images/{file_name}"


def test_a_doubled_image_id_is_an_error(tmp_path):
    content = make_file()
    content["images"][1]["id"] = 7
    with pytest.raises(ValueError, match=r"image id 7 stands twice"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"is not JSON: .* It has 0 bytes; was it copied whole\?"),
        ('{"images": [', r"is not JSON: .* It has 12 bytes"),
        ([{"image_id": 1}], r"not an annotation file in COCO format.* It holds a list"),
        ({"annolist": 1, "version": 2}, r"It holds the keys annolist, version"),
        ({"images": {}}, r"not an annotation file in COCO format"),
        (make_file(annotations={"11": {}}), r"a list of every annotation\. It holds an object"),
        (3, r"It holds 3"),
    ],
)
def test_a_file_that_is_not_coco_is_one_line(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"people\.json .*{message}|people\.json {message}"):
        read(tmp_path, content, on_bad_sample="skip")


def test_a_binary_file_is_not_json(tmp_path):
    path = tmp_path / "people.json"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(ValueError, match=r"people\.json is not JSON"):
        read_coco(path, tmp_path, STAR)


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"No annotations at .*gone\.json\. data/README\.md"
    ):
        read_coco(tmp_path / "gone.json", tmp_path, STAR)


def test_keypoint_names_of_another_skeleton_are_an_error(tmp_path):
    content = make_file()
    content["categories"][0]["keypoints"][1] = "l_hand"
    with pytest.raises(ValueError, match=r"must name keypoints of Stars/star_3.*Received l_hand; "):
        read(tmp_path, content)


def test_two_categories_with_different_keypoints_are_an_error(tmp_path):
    content = make_file()
    content["categories"].append({"id": 2, "name": "dog", "keypoints": ["nose"]})
    with pytest.raises(ValueError, match=r"one list of keypoints.*'person' and 'dog'"):
        read(tmp_path, content)


def test_one_entry_with_two_faults_of_a_kind_is_listed_once(tmp_path):
    content = make_file()
    content["annotations"][1].update(bbox=[float("nan")] * 4, keypoints=[float("nan")] * 9)
    assert read(tmp_path, content, on_bad_sample="skip").skipped == (
        "annotation 12 has NaN or infinity in its bbox.",
    )


def test_an_unknown_policy_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"on_bad_sample must be stop or skip. Received 'ignore'"):
        read(tmp_path, make_file(), on_bad_sample="ignore")


def test_a_long_list_of_skipped_entries_is_cut_in_the_log_alone(tmp_path, caplog):
    content = make_file()
    content["annotations"] = [{"id": number} for number in range(50)]
    table = read(tmp_path, content, on_bad_sample="skip")
    assert len(table.skipped) == 50
    assert "skipped 50 bad entries" in caplog.text
    assert "and 30 more" in caplog.text


def test_the_garbage_collector_runs_again_after_an_error(tmp_path):
    program = (
        "import gc, pathlib, sys\n"
        "from poseras.data.annotation import read_coco\n"
        "from poseras.skeleton import Skeleton\n"
        "try:\n"
        "    read_coco(sys.argv[1], '.', Skeleton('a/b', ('c',)))\n"
        "except ValueError:\n"
        "    print(gc.isenabled(), 'tensorflow' in sys.modules)\n"
    )
    path = write(tmp_path, "[]")
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("split", "file", "images", "rows", "with_keypoints", "crowds", "keypoints"),
    [
        ("train", "person_keypoints_train2017", 19, 75, 46, 2, 513),
        ("val", "person_keypoints_val2017", 20, 59, 46, 1, 534),
        ("val", "person_keypoints_val2017_detected4", 4, 14, 12, None, 181),
        ("test", "image_info_test-dev2017", 3, 0, 0, 0, 0),
    ],
)
def test_real_coco_files_read_with_their_known_counts(
    project_root, samples, split, file, images, rows, with_keypoints, crowds, keypoints
):
    path = samples / "COCO" / "annotations" / f"{file}.json"
    table = read_split(load_dataset(project_root, "COCO"), split, annotations=path)
    assert len(table.images) == images
    assert len(table) == rows
    assert (table.num_keypoints > 0).sum() == with_keypoints
    assert (table.keypoints[..., 2] > 0).sum() == keypoints
    if crowds is not None:
        assert table.iscrowd.sum() == crowds
    assert all(f"/images/{split}2017/" in path for path in table.images.paths)
