"""Every kind of fault, planted alone into a clean synthetic set, is found by the data doctor."""

import shutil

import cv2
import numpy as np
import pytest

from poseras.data.doctor.kinds import KINDS

NAN = float("nan")


def swap_sides(person, joints):
    """Exchange left and right of some joints of COCO's 17, counted from 1 by pairs."""
    keypoints = np.array(person["keypoints"], object).reshape(17, 3)
    for left in joints:
        keypoints[[left, left + 1]] = keypoints[[left + 1, left]]
    person["keypoints"] = keypoints.ravel().tolist()


def first_face(p):
    """Of the people whose face is towards us, the one with the widest face."""

    def width(person):
        nose, left, right = np.array(person["keypoints"], float).reshape(17, 3)[:3]
        return (left[0] - right[0]) * (min(nose[2], left[2], right[2]) == 2)

    return max(p.people, key=width)


# Each plants one kind of fault into a Planted.


def change_person(**values):
    return lambda p: p.people[2].update(values)


def change_image(**values):
    return lambda p: p.images[2].update(values)


def replace_keypoints(change):
    def plant(p):
        keypoints = np.array(p.people[2]["keypoints"], float).reshape(17, 3)
        p.people[2]["keypoints"] = change(keypoints).ravel().tolist()

    return plant


def set_value(row, column, value):
    def change(keypoints):
        keypoints[row, column] = value
        return keypoints

    return replace_keypoints(change)


def to_one_point(keypoints):
    labelled = keypoints[:, 2] > 0
    keypoints[labelled, :2] = keypoints[labelled, :2].mean(axis=0)
    return keypoints


def far_to_the_left(keypoints):
    keypoints[0] = (-500, 100, 2)
    return keypoints


def move_box(p):
    left, top, width, height = p.people[2]["bbox"]
    p.people[2]["bbox"] = [left + width, top, width / 4, height]
    p.people[2]["area"] = width * height / 8


def corners(p):
    for person in p.people:
        left, top, width, height = person["bbox"]
        person["bbox"] = [left, top, left + width, top + height]
        person["area"] = width * height / 2


def all_sides(p):
    for person in p.people:
        swap_sides(person, range(1, 17, 2))


def elbows(p):
    for person in p.people:
        swap_sides(person, [7])


def one_mirrored(p):
    swap_sides(first_face(p), range(1, 17, 2))


def cut_picture(p):
    path = p.picture(2)
    path.write_bytes(path.read_bytes()[:2000])


def shrink_picture(p):
    picture = cv2.imread(str(p.picture(2)))
    cv2.imwrite(str(p.picture(2)), picture[::2, ::2])


def leak(p):
    name = p.val["images"][0]["file_name"]
    shutil.copy(p.picture(2), p.folder / "images" / "val" / name)


def spoil_flip_pairs(p):
    path = p.folder / "dataset.yaml"
    path.write_text(path.read_text().replace("[5, 6], [7, 8]", "[5, 8], [7, 6]"))


def add_category(p):
    names = p.train["categories"][0]["keypoints"]
    p.train["categories"].append({"id": 2, "name": "dog", "keypoints": names})
    p.people[2]["category_id"] = 2


def add_things(p):
    p.train["categories"].append({"id": 3, "name": "ball"})
    p.people[2]["category_id"] = 3


def undetect(p):
    image = p.val["images"][0]["id"]
    p.detections[:] = [d for d in p.detections if d["image_id"] == image]
    box = {"image_id": image, "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.5}
    p.detections.append(box)


def add_detection(**values):
    box = {"category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.5}
    return lambda p: p.detections.append({"image_id": p.images[2]["id"], **box, **values})


FAULTS = {
    "entry-malformed": lambda p: p.people[2].pop("bbox"),
    "people-missing": lambda p: p.val.pop("annotations"),
    "keypoint-names": lambda p: p.train["categories"][0]["keypoints"].__setitem__(0, "beak"),
    "keypoint-count": lambda p: p.people[2].update(keypoints=[1, 2, 2] * 14),
    "flip-pairs": spoil_flip_pairs,
    "category-unknown": change_person(category_id=77),
    "category-mixed": add_category,
    "category-without-keypoints": add_things,
    "image-id-doubled": lambda p: p.images[2].update(id=p.images[3]["id"]),
    "image-listed-twice": lambda p: p.images.append({**p.images[2], "id": 999_999}),
    "image-outside-folder": change_image(file_name="../val/x.jpg"),
    "image-size-unknown": change_image(width=0),
    "picture-missing": lambda p: p.picture(2).unlink(),
    "picture-unreadable": cut_picture,
    "picture-size": shrink_picture,
    "picture-doubled": lambda p: shutil.copy(p.picture(2), p.picture(3)),
    "picture-in-two-splits": leak,
    "annotation-id-doubled": lambda p: p.people[2].update(id=p.people[3]["id"]),
    "annotation-id-zero": change_person(id=0),
    "annotation-without-image": change_person(image_id=123_456),
    "person-doubled": lambda p: p.people.append({**p.people[2], "id": 888_888}),
    "number-not-finite": set_value(5, 0, NAN),
    "visibility": set_value(5, 2, 0.87),
    "num-keypoints": lambda p: p.people[2].update(num_keypoints=p.people[2]["num_keypoints"] + 1),
    "box-format": corners,
    "box-empty": lambda p: p.people[2].update(bbox=[50, 50, 0, 30]),
    "box-outside": change_person(bbox=[5000, 50, 40, 60]),
    "box-leaves-picture": lambda p: p.people[2].update(bbox=[-40, *p.people[2]["bbox"][1:]]),
    "area-wrong": change_person(area=1e7),
    "keypoints-outside-box": move_box,
    "keypoints-outside-picture": replace_keypoints(far_to_the_left),
    "keypoints-beyond-border": set_value(9, slice(None), (-5.0, 100.0, 1.0)),
    "keypoints-in-one-point": replace_keypoints(to_one_point),
    "crowd-labelled": change_person(iscrowd=1),
    "sides-swapped": all_sides,
    "sides-suspicious": one_mirrored,
    "detection-malformed": add_detection(score=7.5),
    "detection-category": add_detection(category_id=3),
    "detection-without-image": add_detection(image_id=424_242),
    "detection-outside": add_detection(bbox=[9000, 5, 20, 20]),
    "pictures-undetected": undetect,
}


def test_the_clean_set_has_no_finding_of_any_kind(planted):
    report = planted.examine()
    assert [finding.line for finding in report.findings] == []
    assert report.is_clean and len(report.sizes_hw) == 19 and not report.remarks


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_is_found_where_it_is(planted, code):
    FAULTS[code](planted)
    report = planted.examine()
    assert report.count(code) >= 1, [finding.line for finding in report.findings]
    assert report.is_clean is all(KINDS[c].severity == "note" for c in report.codes())


def test_one_fault_does_not_look_like_many_others(planted):
    # What else a fault is said to be, besides itself, where that cannot be told from it.
    also = {
        "image-id-doubled": {"annotation-without-image", "detection-without-image"},
        "picture-doubled": set(),
        "entry-malformed": set(),
        "num-keypoints": set(),
        "visibility": set(),
        "picture-size": set(),
        "sides-suspicious": set(),
        "box-format": set(),
    }
    for code, others in also.items():
        spoiled = type(planted)(planted.root)
        before = {path: path.read_bytes() for path in planted.root.rglob("*") if path.is_file()}
        FAULTS[code](spoiled)
        found = set(spoiled.examine().codes())
        assert code in found and found <= {code, *others}, (code, found)
        for path, content in before.items():
            path.write_bytes(content)


def test_elbows_that_are_exchanged_everywhere_are_named(planted):
    elbows(planted)
    (finding,) = [f for f in planted.examine().findings if f.code == "sides-swapped"]
    assert finding.line.startswith("left_elbow and right_elbow lie on the other side")


def test_detections_that_are_written_as_corners_are_recognised(planted):
    for box in planted.detections:
        left, top, width, height = box["bbox"]
        box["bbox"] = [left, top, left + width, top + height]
    assert planted.examine().codes() == ["box-format"]
