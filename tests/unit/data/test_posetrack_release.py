"""PoseTrack's sequence files: their conversion, and each way they can be wrong."""

import json

import numpy as np
import pytest

from poseras.data.image_size import measure_pictures
from poseras.data.posetrack_release import (
    convert_sequences,
    list_pictures,
    name_keypoints,
    read_sequences,
)
from poseras.data.posetrack_versions import check_annotated_sequences, find_undetected_sequences
from poseras.structures import ImageTable, PersonRecords

NAMES = ["nose", "l_hand"]


def sequence(first, frames=2, people=1, split="val"):
    """Frames first, first + 1, ... with some people on the first of them."""
    return {
        "images": [
            {"id": i, "file_name": f"images/{split}/{first:06d}/{i:06d}.jpg", "nframes": frames}
            for i in range(first, first + frames)
        ],
        "annotations": [
            {
                "id": 100 * first + n,
                "image_id": first,
                "keypoints": [1.5, 2, 1, 3, 4, 1],
                "bbox": [1, 2, 3, 4.5],
                "track_id": n,
                "scores": [],
            }
            for n in range(people)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": NAMES}],
    }


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def convert(folder, labelled=True):
    sequences = read_sequences(folder)
    sizes = {name: (90, 120) for name in list_pictures(sequences, "images")}
    return convert_sequences(sequences, sizes, labelled=labelled)


def test_files_are_joined_by_name_and_completed(tmp_path):
    content = convert(write(tmp_path, b=sequence(20), a=sequence(10))).content
    assert list(content) == ["images", "annotations", "categories"]
    assert [image["id"] for image in content["images"]] == [10, 11, 20, 21]
    assert content["images"][0] == {
        "id": 10,
        "file_name": "images/val/000010/000010.jpg",
        "nframes": 2,
        "width": 120,
        "height": 90,
        "coco_url": "invalid",
    }
    person = content["annotations"][0]
    assert (person["num_keypoints"], person["iscrowd"], person["area"]) == (2, 0, 13.5)
    assert (person["track_id"], person["bbox"]) == (0, [1, 2, 3, 4.5])


def test_a_person_without_labels_has_an_empty_box_and_needs_none(tmp_path):
    files = sequence(10, people=2)
    files["annotations"][0]["keypoints"] = [0] * 6
    files["annotations"][1]["keypoints"] = [0] * 6
    del files["annotations"][1]["bbox"]
    people = convert(write(tmp_path, a=files)).content["annotations"]
    assert [(p["bbox"], p["num_keypoints"], p["area"]) for p in people] == [([0] * 4, 0, 0)] * 2


def test_people_of_the_test_split_are_copied(tmp_path):
    files = sequence(10)
    assert (
        convert(write(tmp_path, a=files), labelled=False).content["annotations"]
        == (files["annotations"])
    )


def test_a_file_may_lack_annotations_and_may_have_other_entries(tmp_path):
    files = sequence(10)
    del files["annotations"]
    conversion = convert(write(tmp_path, a={**files, "version": "0.2"}, b=sequence(20)))
    assert len(conversion.content["annotations"]) == 1
    assert conversion.summary() == (
        "4 pictures, 1 people; left out: 1 file-level entries 'version'"
    )


def test_names_of_keypoints_become_canonical(tmp_path):
    sequences = read_sequences(write(tmp_path, a=sequence(10)))
    assert name_keypoints(sequences, {"l_hand": "left_hand"}) == ("nose", "left_hand")


def test_pictures_lie_below_the_folder_of_pictures(tmp_path):
    sequences = read_sequences(write(tmp_path / "labels", a=sequence(10, frames=1)))
    (path,) = list_pictures(sequences, tmp_path / "photos").values()
    assert path == tmp_path / "photos/val/000010/000010.jpg"
    with pytest.raises(FileNotFoundError, match=r"1 of the 1 pictures .* lists are not there"):
        measure_pictures({"a": path}, tmp_path / "labels")


def break_person(key, value=None):
    def change(files):
        person = files["annotations"][0]
        if value is None:
            del person[key]
        else:
            person[key] = value

    return change


def set_key(key, value):
    return lambda files: files.update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda files: files.pop("images"),
            r"a\.json must have images and categories. Received no",
        ),
        (set_key("images", {}), r"a\.json must have a list of images"),
        (set_key("categories", []), r"a\.json must have a list of categories"),
        (lambda files: files["images"][1].pop("id"), r"Picture 1 of .*a\.json must have id"),
        (break_person("image_id"), r"Person 0 of .*a\.json must have id and image_id"),
        (break_person("image_id", 99), r"Person 1000 of a\.json must stand on one of its 2"),
        (break_person("bbox"), r"Person 1000 of a\.json must have bbox"),
        (break_person("bbox", [1, 2, 3]), r"bbox of Person 1000 of a\.json must be 4 numbers"),
        (break_person("keypoints", [1, 2]), r"keypoints of Person 1000 of a\.json must be x, y, v"),
        (break_person("keypoints", ["1", 2, 1]), r"keypoints of Person 1000"),
        (
            lambda files: files["images"][0].update(file_name="images/../../etc/passwd"),
            r"Pictures of a\.json must lie inside",
        ),
    ],
)
def test_a_wrong_entry_is_one_line_that_names_it(tmp_path, change, message):
    files = sequence(10)
    change(files)
    with pytest.raises(ValueError, match=message) as caught:
        convert(write(tmp_path, a=files))
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_an_error(tmp_path):
    write(tmp_path, a=sequence(10))
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text()[:-20])
    with pytest.raises(ValueError, match=r"a\.json must be a PoseTrack 2018 file. It is not JSON"):
        read_sequences(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="No PoseTrack sequences in"):
        read_sequences(tmp_path)


def test_the_same_frames_in_two_files_are_refused_as_mixed_label_versions(tmp_path):
    write(tmp_path, old=sequence(10), new=sequence(10, people=0))
    with pytest.raises(
        ValueError, match=r"picture 10 in new\.json and in old\.json; labels .*0\.45"
    ):
        read_sequences(tmp_path)


def test_files_with_other_keypoints_are_refused(tmp_path):
    other = sequence(20)
    other["categories"][0]["keypoints"] = ["nose", "tail"]
    write(tmp_path, a=sequence(10), b=other)
    with pytest.raises(
        ValueError, match=r"must name the same keypoints. Received others in b\.json"
    ):
        read_sequences(tmp_path)


def table_of(ids):
    paths = tuple(f"/{i}.jpg" for i in ids)
    return ImageTable(np.array(ids), paths, np.zeros((len(ids), 2), np.int32))


def people_on(images, ids):
    count = len(ids)
    return PersonRecords(
        images=images,
        image_index=np.array([images.ids.tolist().index(i) for i in ids], np.int32),
        boxes_xywh=np.ones((count, 4), np.float32),
        keypoints=np.zeros((count, 2, 3), np.float32),
        scores=np.ones(count),
        areas=np.ones(count),
        annotation_ids=np.arange(count),
    )


def test_annotations_and_sequences_of_the_same_version_agree(tmp_path):
    sequences = read_sequences(write(tmp_path, a=sequence(10), b=sequence(20)))
    check_annotated_sequences(sequences, table_of([10, 11, 20, 21]), tmp_path, tmp_path / "v.json")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([10, 11], r"1 of the 2 sequences of .* are not in .*v\.json: b\. .*74 .*170"),
        ([10, 11, 20, 21, 30], r"1 of the 5 pictures of .*v\.json are in no sequence .* is 30"),
    ],
)
def test_annotations_of_another_version_say_what_matches(tmp_path, ids, message):
    sequences = read_sequences(write(tmp_path, a=sequence(10), b=sequence(20)))
    with pytest.raises(ValueError, match=message):
        check_annotated_sequences(sequences, table_of(ids), tmp_path, tmp_path / "v.json")


def test_detections_of_another_version_say_which_sequences_match(tmp_path):
    sequences = read_sequences(write(tmp_path, a=sequence(10), b=sequence(20), c=sequence(30)))
    records = people_on(table_of([10, 11, 20, 21, 30, 31]), [11, 31])
    line = find_undetected_sequences(sequences, records, tmp_path / "boxes.json")
    assert line.startswith(
        f"The boxes of {tmp_path}/boxes.json lie on 2 of the 3 sequences, none on b"
    )
    assert "74" in line and "170" in line
    everywhere = people_on(table_of([10, 11, 20, 21, 30, 31]), [10, 20, 31])
    assert find_undetected_sequences(sequences, everywhere, tmp_path / "boxes.json") == ""
