import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

import human36m2coco
from poseras.data.human36m_sequences import SequenceName


def write_sequence(root, name, frames):
    (root / name.folder).mkdir(parents=True)
    pose = np.random.default_rng(0).normal(0, 200, (frames, 17, 3)) + [0, 0, 5000]
    camera = {"R": np.eye(3), "T": np.zeros((1, 3)), "f": [[900.0, 900]], "c": [[50.0, 50]]}
    savemat(root / name.folder / "h36m_meta.mat", {"pose3d_world": pose, **camera})
    for frame in range(frames):
        cv2.imwrite(str(root / name.frame_file(frame)), np.zeros((100, 110, 3), np.uint8))


@pytest.fixture
def folders(tmp_path):
    root = tmp_path / "folders"
    write_sequence(root, SequenceName(1, 2, 1, 1), 6)
    write_sequence(root, SequenceName(9, 3, 2, 4), 66)
    return root


def run(*arguments):
    human36m2coco.main([str(argument) for argument in arguments])


def test_folders_that_are_there_become_one_file_a_subject(folders, tmp_path):
    run("--preprocessed", folders, "--output", tmp_path, "--allow-missing")
    files = {path.name: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert sorted(files) == [
        "s_01_every_5.json",
        "s_05_every_5.json",
        "s_06_every_5.json",
        "s_07_every_5.json",
        "s_08_every_5.json",
        "s_09_every_64.json",
        "s_11_every_64.json",
    ]
    assert [a["frame"] for a in files["s_01_every_5.json"]["annotations"]] == [1, 6]
    assert [a["frame"] for a in files["s_09_every_64.json"]["annotations"]] == [1, 65]
    # The size of a picture comes from its file where the metadata lack it.
    assert files["s_01_every_5.json"]["images"][0]["width"] == 110


def test_the_first_protocol_trains_on_subject_nine(folders, tmp_path):
    arguments = ("--preprocessed", folders, "--output", tmp_path, "--allow-missing")
    run(*arguments, "--protocol", 1, "--subjects", 9)
    (path,) = tmp_path.glob("*.json")
    assert path.name == "s_09_every_5.json"
    assert len(json.loads(path.read_text())["images"]) == 14


def test_all_frames_are_written_on_request(folders, tmp_path):
    arguments = ("--preprocessed", folders, "--output", tmp_path, "--allow-missing")
    run(*arguments, "--subjects", 1, "--all-frames")
    content = json.loads((tmp_path / "s_01_every_1.json").read_text())
    assert len(content["images"]) == 6


def test_the_real_frames_are_taken_as_they_lie(samples, tmp_path):
    data = samples / "Human36M" / "data"
    run("--preprocessed", data, "--output", tmp_path, "--allow-missing", "--all-frames")
    files = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))]
    images = [image for content in files for image in content["images"]]
    people = [person for content in files for person in content["annotations"]]
    assert [image["file_name"].partition("/")[0] for image in images] == sorted(
        path.name for path in data.iterdir()
    )
    for image, person in zip(images, people, strict=True):
        assert {"R", "T", "f", "c", "k", "p"} <= image["camera"].keys()
        x, y = np.reshape(person["keypoints"], (-1, 3))[:, :2].T
        assert 0 < x.min() < x.max() < image["width"] and 0 < y.min() < y.max() < image["height"]


def test_boxes_hold_two_metres_around_the_root_or_the_joints_closely(folders, tmp_path):
    arguments = ("--preprocessed", folders, "--output", tmp_path, "--allow-missing")
    found = {}
    for kind in ("root", "joints"):
        run(*arguments, "--subjects", 1, "--boxes", kind)
        content = json.loads((tmp_path / "s_01_every_5.json").read_text())
        found[kind] = content["annotations"][0]
    x, y = np.reshape(found["joints"]["keypoints"], (-1, 3))[:, :2].T
    left, top, right, bottom = max(x.min(), 0), max(y.min(), 0), min(x.max(), 110), y.max()
    np.testing.assert_allclose(
        found["joints"]["bbox"], [left, top, right - left, min(bottom, 100) - top], atol=2e-3
    )
    assert found["root"]["area"] > found["joints"]["area"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--subjects", 2), "must be among 1, 5, 6, 7, 8, 9, 11"),
        (("--actions", 17), "actions among 2 to 16"),
        ((), "No sequence at"),
        (("--subjects", 5, "--allow-missing"), "Not one frame was found"),
        (("--preprocessed", "nowhere"), "No folder nowhere"),
    ],
)
def test_wrong_input_ends_with_one_line(folders, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run("--preprocessed", folders, "--output", tmp_path, *arguments)
    assert message in capsys.readouterr().err


def test_without_release_or_folders_the_release_is_asked_for(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("--release", tmp_path, "--frames", tmp_path, "--output", tmp_path)
    assert "No metadata at" in capsys.readouterr().err
