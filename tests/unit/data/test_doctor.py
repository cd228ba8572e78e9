"""What the data doctor's statistics and rules say, on numbers that a person can check."""

import copy
import json
import math
import shutil
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from poseras.data.dataset import load_dataset
from poseras.data.doctor import columns as columns_module
from poseras.data.doctor.entries import check_joints
from poseras.data.doctor.examination import examine
from poseras.data.doctor.findings import Findings, sort_codes
from poseras.data.doctor.kinds import KINDS
from poseras.data.doctor.mending import mend
from poseras.data.doctor.people import describe_other_format
from poseras.data.doctor.sides import binomial_tail, check_sides, measure_faces, measure_pair
from poseras.data.doctor.splits import must_be_apart

# Somebody who faces the camera: x grows to the person's left.
FACING = {
    "nose": (100, 40),
    "left_eye": (108, 32),
    "right_eye": (92, 32),
    "left_shoulder": (130, 80),
    "right_shoulder": (70, 80),
    "left_elbow": (140, 120),
    "right_elbow": (60, 120),
    "left_hip": (120, 180),
    "right_hip": (80, 180),
    "left_ankle": (122, 300),
    "right_ankle": (78, 300),
}
NAMES = tuple(FACING)


def person(exchanged=(), unseen=(), centre_and_angle=None):
    """Keypoints of the person above, some pairs exchanged, some joints unlabelled, turned."""
    points = np.array([FACING[name] for name in NAMES], float)
    if centre_and_angle:
        angle = math.radians(centre_and_angle)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        points = (points - 100) @ turn.T + 100
    keypoints = np.column_stack([points, np.full(len(points), 2)])
    for joint in exchanged:
        pair = [NAMES.index(f"left_{joint}"), NAMES.index(f"right_{joint}")]
        keypoints[pair] = keypoints[pair[::-1]]
    for joint in unseen:
        keypoints[NAMES.index(joint)] = 0
    return keypoints


@pytest.fixture
def make_columns(tmp_path, project_root):
    """Columns of a file of COCO that holds some people, one a picture."""

    def make(people):
        entries = [
            {
                "id": number + 1,
                "image_id": number,
                "category_id": 1,
                "bbox": [50, 20, 120, 290],
                "keypoints": keypoints.ravel().tolist(),
            }
            for number, keypoints in enumerate(people)
        ]
        images = [
            {"id": n, "file_name": f"{n}.jpg", "width": 400, "height": 400}
            for n in range(len(people))
        ]
        categories = [{"id": 1, "name": "person", "keypoints": list(NAMES)}]
        path = tmp_path / "people.json"
        path.write_text(
            json.dumps({"images": images, "annotations": entries, "categories": categories})
        )
        dataset = load_dataset(project_root, "COCO")
        read, malformed = columns_module.read_columns(dataset, "train", path, tmp_path)
        assert not malformed
        return read

    return make


def codes_and_lines(columns):
    findings = Findings("train", columns.path)
    check_sides(columns, findings)
    return [(finding.code, finding.line) for finding in findings.found]


PAIRS = ("eye", "shoulder", "elbow", "hip", "ankle")


def test_the_turn_of_a_face_does_not_depend_on_how_it_is_turned(make_columns):
    columns = make_columns([person(centre_and_angle=angle) for angle in (0.0, 70, 180, 250)])
    faces = measure_faces(columns)
    # Eyes 16 px apart, the nose 8 px below: 16 * 8 / 16^2.
    np.testing.assert_allclose(faces.values, 0.5)
    assert faces.valid.all() and not faces.contradicts.any()
    np.testing.assert_allclose(measure_pair(columns, "shoulder").values, 60 * 100 / 100**2)


def test_people_who_face_the_camera_and_people_who_do_not_are_both_fine(make_columns):
    body = ("shoulder", "elbow", "hip", "ankle")
    away = person(exchanged=body, unseen=("nose", "left_eye", "right_eye"))
    assert codes_and_lines(make_columns([person()] * 12 + [away] * 8)) == []


def test_one_person_with_all_sides_exchanged_is_named(make_columns):
    ((code, line),) = codes_and_lines(make_columns([person()] * 12 + [person(exchanged=PAIRS)]))
    assert code == "sides-suspicious"
    assert line == "annotation 13 on image 12 has the eyes of a face that is seen from inside."


def test_one_person_with_exchanged_hips_is_named(make_columns):
    ((code, line),) = codes_and_lines(make_columns([person()] * 12 + [person(exchanged=["hip"])]))
    assert code == "sides-suspicious" and "shoulders and hips that face opposite ways" in line


def test_a_file_with_all_sides_exchanged_is_one_error_and_not_one_a_person(make_columns):
    ((code, line),) = codes_and_lines(make_columns([person(exchanged=PAIRS)] * 12))
    assert code == "sides-swapped"
    assert line == "left_eye and right_eye turn the wrong way around the nose on 12 of 12 people."


def test_a_file_with_one_pair_exchanged_names_that_pair(make_columns):
    found = codes_and_lines(make_columns([person(exchanged=["elbow"])] * 14))
    assert [code for code, _ in found] == ["sides-swapped"]
    assert found[0][1].startswith("left_elbow and right_elbow lie on the other side")


def test_without_faces_most_people_seen_from_behind_are_worth_a_look(make_columns):
    body, face = ("shoulder", "elbow", "hip", "ankle"), ("nose", "left_eye", "right_eye")
    away = person(exchanged=body, unseen=face)
    found = codes_and_lines(make_columns([away] * 38 + [person(unseen=face)] * 2))
    assert found == [("people-turned-away", "38 of 40 people are seen from behind.")]
    # As many from behind as cameras on all sides see.
    assert codes_and_lines(make_columns([away] * 220 + [person(unseen=face)] * 180)) == []


def test_three_people_are_too_few_for_a_verdict_on_the_file(make_columns):
    found = codes_and_lines(make_columns([person(exchanged=PAIRS)] * 3))
    assert [code for code, _ in found] == ["sides-suspicious"] * 3


def test_a_skeleton_without_a_trunk_is_not_judged(make_columns):
    columns = make_columns([person()])
    columns = replace(columns, names=tuple(f"x_{name}" for name in NAMES))
    findings = Findings("train", columns.path)
    assert "not judged" in check_sides(columns, findings) and not findings.found


@pytest.mark.parametrize(("people", "expected"), [(49, []), (50, ["joint-never-labelled"])])
def test_a_joint_that_nobody_of_many_has_is_worth_a_note(make_columns, people, expected):
    columns = make_columns([person(unseen=("nose",))] * people)
    findings = Findings("train", columns.path)
    check_joints(columns, findings)
    assert [finding.code for finding in findings.found] == expected
    assert all(finding.line.startswith("nose: ") for finding in findings.found)


@pytest.mark.parametrize(
    ("successes", "trials", "rate", "chance"),
    [(0, 5, 0.3, 1), (5, 5, 0.5, 1 / 32), (1, 2, 0.1, 0.19), (6, 6, 0.1, 1e-6)],
)
def test_the_binomial_tail_by_hand(successes, trials, rate, chance):
    assert binomial_tail(successes, trials, rate) == pytest.approx(chance)


def boxes(corners):
    left, top, width, height = np.random.default_rng(0).integers(100, 300, (4, 20))
    last = (left + width, top + height) if corners else (width, height)
    return np.stack([left, top, *last], axis=1).astype(float)


def test_boxes_as_corners_are_recognised_by_their_pictures():
    sizes = np.full((20, 2), 600.0)
    assert describe_other_format(boxes(corners=False), sizes) == ""
    assert "fit their pictures and people as corners alone" in (
        describe_other_format(boxes(corners=True), sizes)
    )


def test_boxes_that_lie_inside_in_both_readings_say_nothing():
    assert describe_other_format(boxes(corners=True), np.full((20, 2), 6000.0)) == ""


def test_boxes_that_miss_their_keypoints_as_corners_are_no_corners():
    sizes, given = np.full((20, 2), 600.0), boxes(corners=True)
    keypoints, held = np.full((20, 3, 3), 2.0), np.ones((20, 3), bool)
    keypoints[..., :2] = given[:, None, 2:] + 90
    assert describe_other_format(given, sizes, keypoints, held) == ""
    keypoints[..., :2] = given[:, None, 2:] - 10
    assert describe_other_format(given, sizes, keypoints, held) != ""


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("train", "val", True),
        ("val", "test", True),
        ("trainval", "val", False),
        ("trainval", "test", True),
        ("train_protocol_1", "val_protocol_1", True),
        ("train_protocol_1", "val", False),
        ("train:s_05", "val:s_09", True),
        ("train", "train:s_05", False),
        ("train", "sequences", True),
    ],
)
def test_which_splits_must_not_share_pictures(one, other, apart):
    assert must_be_apart(one, other) is must_be_apart(other, one) is apart


def test_every_kind_says_what_it_means_and_what_to_do():
    for kind in KINDS.values():
        assert kind.meaning and kind.advice and kind.severity in ("error", "warning", "note")
    assert sort_codes(["box-leaves-picture", "flip-pairs", "box-empty"]) == [
        "box-empty",
        "flip-pairs",
        "box-leaves-picture",
    ]


@pytest.fixture
def linked(tmp_path, project_root, samples):
    """A project whose data sets are the real samples."""

    def link(name):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        shutil.copy(project_root / "data" / name / "dataset.yaml", folder)
        for part in ("images", "annotations", "dets", "original_annotations"):
            if (samples / name / part).exists():
                (folder / part).symlink_to(samples / name / part)
        return load_dataset(tmp_path, name)

    return link


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # The detections of the sample lie on 4 of its 20 pictures, as its own README says.
        ("COCO", {"pictures-undetected"}),
        ("MPII", {"box-leaves-picture"}),
        # Train and val of these samples share their pictures; a head top lies 11 px above one.
        (
            "PoseTrack",
            {"picture-in-two-splits", "box-leaves-picture", "keypoints-beyond-border"},
        ),
        ("CrowdPose", {"picture-in-two-splits"}),
    ],
)
def test_real_data_have_no_false_alarm(linked, name, expected):
    report = examine(linked(name), threads=2)
    assert set(report.codes()) == expected
    assert (
        report.to_dict()["clean"]
        is report.is_clean
        is all(KINDS[code].severity == "note" for code in expected)
    )


def test_posetrack_files_of_two_label_versions_are_named(linked, tmp_path):
    dataset = linked("PoseTrack")
    folder = tmp_path / "other"
    folder.mkdir()
    for path in dataset.split("val").sequences.glob("*.json"):
        content = json.loads(path.read_text())
        for image in content["images"]:
            image["id"] += 10_000
        for entry in content["annotations"]:
            entry["image_id"] += 10_000
        (folder / path.name).write_text(json.dumps(content))
    split = replace(dataset.split("val"), sequences=folder)
    dataset = replace(dataset, splits={"val": split})
    report = examine(dataset, look_at_pictures=False)
    (finding,) = [f for f in report.findings if f.code == "label-versions"]
    assert "3 of the 3 sequences" in finding.line and finding.kind.severity == "error"


def test_detections_that_leave_out_a_sequence_are_named(linked, tmp_path):
    dataset = linked("PoseTrack")
    boxes = json.loads(dataset.split("val").detections.read_text())
    first = min(box["image_id"] for box in boxes)
    path = tmp_path / "dets.json"
    path.write_text(json.dumps([box for box in boxes if box["image_id"] != first]))
    split = replace(dataset.split("val"), detections=path)
    report = examine(replace(dataset, splits={"val": split}), look_at_pictures=False)
    (finding,) = [f for f in report.findings if f.code == "label-versions"]
    assert "lie on 2 of the 3 sequences" in finding.line


def test_people_that_the_sequences_do_not_have_are_named(linked, tmp_path):
    dataset = linked("PoseTrack")
    content = json.loads(dataset.split("val").annotations.read_text())
    del content["annotations"][0]
    path = tmp_path / "fewer.json"
    path.write_text(json.dumps(content))
    split = replace(dataset.split("val"), annotations=path)
    report = examine(replace(dataset, splits={"val": split}), look_at_pictures=False)
    assert report.count("label-versions") == 1


def test_every_file_of_a_split_with_several_is_looked_at(linked):
    dataset = linked("COCO")
    split, other = dataset.split("train"), dataset.split("val")
    split = replace(split, detections=None, more_annotations=(other.annotations,))
    dataset = replace(dataset, splits={"train": split})
    report = examine(dataset, look_at_pictures=False)
    assert list(report.columns) == ["train", "train:person_keypoints_val2017"]
    assert [len(columns) for columns in report.columns.values()] == [75, 59]


def test_crowdpose_counts_twelve_joints_and_either_count_is_right(linked, tmp_path):
    dataset = linked("CrowdPose")
    content = json.loads(dataset.split("train").annotations.read_text())
    person = next(p for p in content["annotations"] if p["num_keypoints"] > 3)
    marked = [v > 0 for v in person["keypoints"][2::3]]
    path = tmp_path / "counted.json"
    split = replace(dataset.split("train"), annotations=path)
    for count, findings in ((sum(marked), 0), (sum(marked[:12]), 0), (sum(marked) + 1, 1)):
        person["num_keypoints"] = count
        path.write_text(json.dumps(content))
        report = examine(replace(dataset, splits={"train": split}), look_at_pictures=False)
        assert report.count("num-keypoints") == findings


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content.pop("annotations"), "no list annotations; it holds info, "),
        (lambda content: content["annotations"].clear(), "the list annotations is empty"),
    ],
)
def test_a_file_without_people_is_an_error_unless_its_split_is_a_test(
    linked, tmp_path, change, reason
):
    dataset = linked("COCO")
    content = json.loads(dataset.split("val").annotations.read_text())
    change(content)
    path = tmp_path / "nobody.json"
    path.write_text(json.dumps(content))
    split = replace(dataset.split("val"), annotations=path, detections=None)
    report = examine(replace(dataset, splits={"val": split}), look_at_pictures=False)
    (finding,) = report.findings
    assert finding.code == "people-missing" and not report.is_clean
    assert f"nobody.json has no people: {reason}" in finding.line
    report = examine(replace(dataset, splits={"test": split}), look_at_pictures=False)
    assert report.is_clean and reason in report.remarks[0]


ODD_VALUES = [None, 0, -1, 1e308, math.nan, math.inf, "x", "", True, [], {}, [1, 2], {"a": 1}]
ODD_VALUES += [2**70, -(2**63), 1.5, "../../etc", "a\nb", 10**400]


def corrupt(content, random):
    """Replace, take out or double one thing somewhere in a JSON value."""
    place = None
    while isinstance(content, dict | list) and content and (not place or random.random() < 0.85):
        key = random.choice(list(content if isinstance(content, dict) else range(len(content))))
        place, content = (content, key), content[key]
    holder, key = place
    action = random.random()
    if action < 0.6:
        holder[key] = copy.deepcopy(random.choice(ODD_VALUES))
    elif action < 0.8 or isinstance(holder, dict):
        del holder[key]
    else:
        holder.insert(key, copy.deepcopy(holder[key]))


@pytest.mark.filterwarnings("error")
def test_no_corruption_of_a_file_stops_the_doctor_and_what_it_mends_stays_mended(linked, tmp_path):
    dataset = linked("CrowdPose")
    original = json.loads(dataset.split("train").annotations.read_text())
    path = tmp_path / "corrupt.json"
    split = replace(dataset.split("train"), annotations=path)
    dataset = replace(dataset, splits={"train": split})
    mended_codes = {"annotation-without-image", "annotation-id-doubled", "annotation-id-zero"}
    mended_codes |= {"num-keypoints"}
    for seed in range(60):
        random, content = Random(seed), copy.deepcopy(original)
        for _ in range(random.randint(1, 4)):
            corrupt(content, random)
        path.write_text(json.dumps(content))
        report = examine(dataset, look_at_pictures=False)
        for columns in report.columns.values():
            mended, _ = mend(columns, report.sizes_hw, dataset.evaluation)
            path.write_text(json.dumps(mended))
            left = set(examine(dataset, look_at_pictures=False).codes())
            assert not left & mended_codes, (seed, left)
