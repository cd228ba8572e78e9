"""The program around MPII's converter: default layout, options, one line where input is wrong."""

import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

import mpii2coco


def struct(**fields):
    value = np.empty((1, 1), [(name, object) for name in fields])
    value[0, 0] = tuple(fields.values())
    return value


@pytest.fixture
def release(tmp_path, monkeypatch):
    """data/MPII of a project: two pictures in the release, a train and a test one."""
    folder = tmp_path / "data" / "MPII"
    (folder / "images").mkdir(parents=True)
    (folder / "original_annotations").mkdir()
    points = [struct(x=5.0 * i, y=9.0 * i, id=float(i), is_visible="0") for i in (1, 2, 3)]
    person = struct(
        annopoints=struct(point=np.concatenate(points, axis=1)),
        **{"x1": 1.0, "y1": 2.0, "x2": 4.0, "y2": 6.0},
    )
    entries = [
        struct(image=struct(name="a.jpg"), annorect=person),
        struct(image=struct(name="b.jpg"), annorect=struct(scale=1.0)),
    ]
    whole = struct(annolist=np.concatenate(entries, axis=1), img_train=np.array([[1, 0]]))
    savemat(folder / "original_annotations" / mpii2coco.MAT, {"RELEASE": whole})
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(folder / "images" / name), np.zeros((30, 40, 3), np.uint8))
    monkeypatch.setattr(mpii2coco, "FOLDER", folder)
    return folder


def test_without_options_the_default_layout_is_read_and_written(release, capsys):
    mpii2coco.main([])
    train = json.loads((release / "annotations" / "train.json").read_text())
    test = json.loads((release / "annotations" / "test.json").read_text())
    assert train["images"] == [{"id": 0, "file_name": "images/a.jpg", "width": 40, "height": 30}]
    assert len(train["annotations"]) == 1 and not test["annotations"]
    assert "train.json: 1 pictures, 1 people" in capsys.readouterr().out


def test_the_release_may_lie_where_it_was_unpacked(release):
    source = release / "original_annotations" / mpii2coco.MAT
    target = release / "mpii_human_pose_v1_u12_2" / mpii2coco.MAT
    target.parent.mkdir()
    source.rename(target)
    assert mpii2coco.find_mat() == target


def test_options_choose_the_split_and_what_is_kept(release, tmp_path):
    output = tmp_path / "elsewhere"
    choices = ["--zero-based", "--visibility", "--details", "--split", "train"]
    mpii2coco.main(["--output", str(output), *choices])
    assert [path.name for path in output.iterdir()] == ["train.json"]
    content = json.loads((output / "train.json").read_text())
    (person,) = content["annotations"]
    assert content["info"] == {"first_pixel": 0}
    assert person["keypoints"][3:6] == [4, 8, 1] and person["bbox_head"] == [0, 1, 3, 4]


def test_a_listed_picture_that_is_absent_stops_everything(release, capsys):
    (release / "images" / "b.jpg").unlink()
    with pytest.raises(SystemExit) as caught:
        mpii2coco.main([])
    assert caught.value.code == 2
    line = [text for text in capsys.readouterr().err.splitlines() if "error:" in text]
    assert len(line) == 1 and "1 of the 2 pictures" in line[0] and "b.jpg" in line[0]
    assert not (release / "annotations").exists()


def test_a_damaged_picture_is_named(release, capsys):
    (release / "images" / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SystemExit):
        mpii2coco.main([])
    assert "a.jpg must be a complete picture" in capsys.readouterr().err
    assert not (release / "annotations").exists()


@pytest.fixture
def lists(release):
    """data/MPII/annot with a validation list of one person."""
    person = {
        "image": "a.jpg",
        "center": [11.0, 11.0],
        "scale": 0.1,
        "joints": [[5.0, 6.0]] * 16,
        "joints_vis": [1] * 16,
    }
    (release / "annot").mkdir()
    (release / "annot" / "valid.json").write_text(json.dumps([person]))
    boxes = np.array([[[1.0], [2]], [[4], [6]]])
    savemat(release / "annot" / "gt_valid.mat", {"headboxes_src": boxes})
    return release


def test_the_lists_that_are_there_are_converted_with_their_head_boxes(lists):
    mpii2coco.main(["--annot", str(lists / "annot")])
    assert [path.name for path in (lists / "annotations").iterdir()] == ["val.json"]
    (person,) = json.loads((lists / "annotations" / "val.json").read_text())["annotations"]
    assert person["bbox_head"] == [0, 1, 3, 4] and person["keypoints"][:3] == [4, 5, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "val"], "The release has no split val: --annot DIR"),
        (["--annot", "{annot}", "--details"], "--details belongs to the release file"),
        (["--annot", "{annot}", "--zero-based"], "--zero-based belongs to the release file"),
        (["--annot", "{annot}", "--split", "train"], "No list of people at"),
        (["--annot", "{annot}/none"], "None of train.json, valid.json, test.json is in"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(lists, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        mpii2coco.main([text.format(annot=lists / "annot") for text in arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert caught.value.code == 2 and len(lines) == 1 and message in lines[0]
