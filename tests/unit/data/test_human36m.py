"""Human3.6M's folders and release, on small ones that the tests write."""

import errno
import json
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

import human36m2coco
from poseras.data import human36m_release as release
from poseras.data.dataset import load_dataset
from poseras.data.human36m_coco import annotation_file, convert_subject
from poseras.data.human36m_sequences import (
    BODY_JOINTS,
    BROKEN,
    CAMERA_IDS,
    JOINTS_18,
    PROTOCOLS,
    SequenceName,
    list_sequences,
    read_sequence,
)

NAME = SequenceName(1, 2, 1, 3)
ROTATION = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
POSITION = np.array([100.0, -5000, 1000])


def make_meta(frames=11, **changes):
    rng = np.random.default_rng(0)
    meta = {
        "pose3d_world": rng.normal(0, 300, (frames, 17, 3)) + [0, 0, 900],
        "R": ROTATION,
        "T": POSITION[None],
        "f": np.array([[1100.0, 1090]]),
        "c": np.array([[50.0, 60]]),
        "img_height": np.full((frames, 1), 120),
        "img_width": np.full((frames, 1), 100),
    }
    return {k: v for k, v in (meta | changes).items() if v is not None}


def write_folder(root, name=NAME, frames=11, pictures=True, **changes):
    (root / name.folder).mkdir(parents=True)
    savemat(root / name.folder / "h36m_meta.mat", make_meta(frames, **changes))
    for frame in range(frames if pictures else 0):
        picture = np.full((120, 100, 3), 10 * frame, np.uint8)
        assert cv2.imwrite(str(root / name.frame_file(frame)), picture)


def test_sequences_are_counted_as_published():
    assert len(list(list_sequences([1, 5, 6, 7, 8]))) == 600
    assert len(list(list_sequences([9, 11]))) == 239
    assert BROKEN not in list(list_sequences([11]))
    with pytest.raises(ValueError, match=r"Subjects must be among .* Received \[2\]"):
        list(list_sequences([2]))


def test_frames_have_names_and_numbers_of_their_own():
    assert NAME.folder == "s_01_act_02_subact_01_ca_03"
    assert NAME.frame_file(0) == f"{NAME.folder}/{NAME.folder}_000001.jpg"
    names = list(list_sequences([1, 11]))
    assert len({name.frame_id(i) for name in names for i in (0, 1, 9999)}) == 3 * len(names)


def test_a_sequence_is_read_in_the_space_of_its_camera(tmp_path):
    write_folder(tmp_path, pictures=False)
    sequence = read_sequence(tmp_path, NAME, stride=5)
    assert sequence.frames.tolist() == [0, 5, 10] and sequence.size_hw == (120, 100)
    world = make_meta()["pose3d_world"][[0, 5, 10]]
    moved = world - POSITION
    expected = np.stack([moved[..., 0], -moved[..., 2], moved[..., 1]], axis=-1)
    np.testing.assert_allclose(sequence.joints_camera_mm[:, :17], expected, atol=1e-9)
    shoulders = sequence.joints_camera_mm[:, [11, 14]]
    np.testing.assert_allclose(sequence.joints_camera_mm[:, 17], shoulders.mean(axis=1))
    u = sequence.joints_camera_mm[..., 0] / sequence.joints_camera_mm[..., 2] * 1100 + 50
    np.testing.assert_allclose(sequence.keypoints_px[..., 0], u)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"R": None}, "must hold R. Received none; a camera is needed in 3D"),
        ({"f": np.ones((1, 3))}, r"f of .* must have shape \(2,\)"),
        ({"pose3d_world": np.zeros((4, 16, 3))}, r"\(frames, 17, 3\). Received \(4, 16, 3\)"),
        ({"T": np.array([[0.0, 9000, 0]])}, "must lie before the camera .* 11 of 11 frames"),
    ],
)
def test_metadata_that_cannot_be_used_are_named(tmp_path, changes, message):
    write_folder(tmp_path, pictures=False, **changes)
    with pytest.raises(ValueError, match=message):
        read_sequence(tmp_path, NAME)


def test_a_missing_and_a_damaged_sequence_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="--allow-missing leaves out"):
        read_sequence(tmp_path, NAME)
    (tmp_path / NAME.folder).mkdir()
    (tmp_path / NAME.folder / "h36m_meta.mat").write_bytes(b"no matrix")
    with pytest.raises(ValueError, match="cannot be read as a MATLAB file"):
        read_sequence(tmp_path, NAME)


def test_a_subject_becomes_coco_format_with_camera_and_joints(tmp_path):
    write_folder(tmp_path, frames=6)
    conversion = convert_subject(tmp_path, 1, 5, actions=[2], allow_missing=True)
    content = conversion.content
    assert conversion.dropped == {"missing sequences": 7, "missing frames": 0}
    assert [image["file_name"] for image in content["images"]] == [
        NAME.frame_file(0),
        NAME.frame_file(5),
    ]
    assert content["categories"][0]["keypoints"] == list(JOINTS_18)
    image, row = content["images"][1], content["annotations"][1]
    assert image["camera"]["R"] == ROTATION.tolist() and image["camera"]["T"] == POSITION.tolist()
    assert image["camera"]["f"] == [1100, 1090] and image["camera"]["k"] == [0, 0, 0]
    assert (image["height"], image["width"]) == (120, 100)
    told = {key: row[key] for key in ("subject", "action", "subaction", "camera_id", "frame")}
    assert told == {
        "subject": 1, "action": 2, "subaction": 1, "camera_id": CAMERA_IDS[2], "frame": 6,
    }  # fmt: skip
    sequence = read_sequence(tmp_path, NAME, 5)
    np.testing.assert_allclose(row["joints_camera_mm"], sequence.joints_camera_mm[1], atol=1e-4)
    left, top, width, height = row["bbox"]
    assert 0 <= left < left + width <= 100 and 0 <= top < top + height <= 120
    assert annotation_file(1, 5) == "s_01_every_5.json"


def test_missing_frames_are_an_error_or_counted(tmp_path):
    write_folder(tmp_path, frames=6)
    (tmp_path / NAME.frame_file(5)).unlink()
    with pytest.raises(FileNotFoundError, match="No sequence at .*ca_01"):
        convert_subject(tmp_path, 1, 5, actions=[2])
    conversion = convert_subject(tmp_path, 1, 5, actions=[2], allow_missing=True)
    assert conversion.dropped["missing frames"] == 1 and len(conversion.content["images"]) == 1
    for name in list_sequences([1]):
        if name.action == 2 and name != NAME:
            write_folder(tmp_path, name, frames=1)
    with pytest.raises(FileNotFoundError, match="although the sequence has a pose for it"):
        convert_subject(tmp_path, 1, 5, actions=[2])


def write_video(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 50, (64, 48))
    assert writer.isOpened()
    for frame in range(frames):
        writer.write(np.full((48, 64, 3), 20 + 20 * frame, np.uint8))
    writer.release()


def write_metadata(path, numbers=None):
    numbers = np.arange(300) / 100 if numbers is None else numbers
    subjects = "".join(f"<td>S{s}</td>" for s in range(1, 12))
    rows = [f"<tr><td>action</td><td>subaction</td>{subjects}</tr>"]
    for action in range(1, 17):
        for subaction in (1, 2):
            cells = "".join(f"<td>Walk {action} {subaction}</td>" for _ in range(11))
            rows.append(f"<tr><td>{action}</td><td>{subaction}</td>{cells}</tr>")
    rows.append("<tr><td></td><td></td>" + "<td>name</td>" * 11 + "</tr>")
    text = " ".join(map(str, numbers))
    path.write_text(f"<metadata><mapping>{''.join(rows)}</mapping><w0>[{text}]</w0></metadata>")


@pytest.fixture
def archive(tmp_path):
    """A release of one sequence: 7 poses, a video of 6 frames."""
    cdflib = pytest.importorskip("cdflib", reason="pip install cdflib reads Human3.6M's poses")
    from cdflib.cdfwrite import CDF

    assert cdflib
    root = tmp_path / "release"
    poses = root / "S1" / "MyPoseFeatures" / "D3_Positions" / "Walk 2 1.cdf"
    poses.parent.mkdir(parents=True)
    values = np.random.default_rng(1).normal(0, 300, (1, 7, 96)).astype(np.float32)
    writer = CDF(str(poses))
    writer.write_var(
        {
            "Variable": "Pose",
            "Data_Type": writer.CDF_FLOAT,
            "Num_Elements": 1,
            "Rec_Vary": True,
            "Dim_Sizes": [7, 96],
        },
        var_data=values,
    )
    writer.close()
    write_video(root / "S1" / "Videos" / f"Walk 2 1.{CAMERA_IDS[2]}.mp4", 6)
    # The camera 3 of subject 1 stands far back, so that everything lies before it.
    numbers = np.zeros(300)
    numbers[6 * 22 : 6 * 22 + 6] = [0, 0, 0, 0, 0, -9000]
    numbers[264 + 18 : 264 + 27] = [1000, 1001, 32, 24, -0.2, 0.1, 0.01, 1e-3, 2e-3]
    write_metadata(root / "metadata.xml", numbers)
    return root, values


def test_a_missing_reader_of_poses_is_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cdflib", None)  # as Python marks what cannot be imported
    with pytest.raises(ValueError, match=r"need cdflib, which is not installed: pip install"):
        release.read_poses(tmp_path / "Walk 2 1.cdf")


def test_a_release_becomes_folders_of_frames(archive, tmp_path, caplog):
    root, values = archive
    metadata = release.read_metadata(root / "metadata.xml")
    with caplog.at_level(logging.WARNING, "poseras"):
        count = release.convert_sequence(root, metadata, tmp_path, NAME, stride=5)
    assert count == 6 and "6 frames for 7 poses; 6 are kept" in caplog.text
    frames = sorted(path.name for path in (tmp_path / NAME.folder).glob("*.jpg"))
    assert frames == [f"{NAME.folder}_000001.jpg", f"{NAME.folder}_000006.jpg"]
    # The sixth frame is brighter by five steps; video and JPEG blur that by some grey levels.
    picture = cv2.imread(str(tmp_path / NAME.folder / frames[1]))
    assert picture.shape == (48, 64, 3) and abs(picture.mean() - 120) < 6
    meta = loadmat(tmp_path / NAME.folder / "h36m_meta.mat")
    expected = values.reshape(7, 32, 3)[:6, list(BODY_JOINTS)]
    np.testing.assert_array_equal(meta["pose3d_world"], expected)
    assert meta["img_height"].tolist() == [[48]] * 6
    sequence = read_sequence(tmp_path, NAME)
    np.testing.assert_allclose(sequence.camera, [1000, 1001, 32, 24, -0.2, 0.1, 0.01, 1e-3, 2e-3])
    assert sequence.joints_camera_mm.shape == (6, 18, 3)
    assert release.is_complete(tmp_path, NAME, 5) and not release.is_complete(tmp_path, NAME, 1)


def test_frames_keep_their_colours_and_their_quality(archive, tmp_path, monkeypatch):
    root, _ = archive
    noise = np.random.default_rng(0).integers(0, 60, (48, 64, 3)).astype(np.uint8)
    noise[..., 2] += 180  # red, as OpenCV orders the channels
    capture = SimpleNamespace(
        grab=lambda: True, retrieve=lambda: (True, noise), release=lambda: None
    )
    monkeypatch.setattr(release.cv2, "VideoCapture", lambda path: capture)
    metadata = release.read_metadata(root / "metadata.xml")
    release.convert_sequence(root, metadata, tmp_path, NAME, stride=5, jpeg_quality=40)
    expected = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 40])[1].tobytes()
    assert (tmp_path / NAME.frame_file(0)).read_bytes() == expected


def test_a_full_disk_leaves_no_half_sequence(archive, tmp_path, monkeypatch):
    root, _ = archive
    metadata = release.read_metadata(root / "metadata.xml")

    def fail(path, values):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("scipy.io.savemat", fail)
    with pytest.raises(
        OSError, match=r"Cannot write .*h36m_meta\.mat: No space left on device\. F"
    ):
        release.convert_sequence(root, metadata, tmp_path, NAME, stride=5)
    assert {path.suffix for path in (tmp_path / NAME.folder).iterdir()} == {".jpg"}


def test_the_program_reads_a_release_on_several_processes_and_goes_on(archive, tmp_path, capsys):
    root, _ = archive
    frames, output = tmp_path / "frames", tmp_path / "annotations"
    arguments = ["--release", root, "--frames", frames, "--output", output]
    arguments += ["--subjects", 1, "--actions", 2, "--processes", 2]
    with pytest.raises(SystemExit):
        human36m2coco.main([str(argument) for argument in arguments])
    assert "--allow-missing" in capsys.readouterr().err
    arguments = [str(argument) for argument in [*arguments, "--allow-missing"]]
    human36m2coco.main(arguments)
    content = json.loads((output / "s_01_every_5.json").read_text())
    assert [row["frame"] for row in content["annotations"]] == [1, 6]
    assert content["images"][0]["camera"]["k"] == [-0.2, 0.1, 0.01]
    assert "7 of 8 sequences are not in" in capsys.readouterr().out
    # A second run finds everything there; a frame that was lost is made again.
    picture = frames / NAME.frame_file(5)
    before = (frames / NAME.frame_file(0)).stat().st_mtime_ns
    human36m2coco.main(arguments)
    assert (frames / NAME.frame_file(0)).stat().st_mtime_ns == before
    picture.unlink()
    human36m2coco.main(arguments)
    assert picture.is_file()


def test_what_the_release_lacks_is_named(archive, tmp_path):
    root, _ = archive
    metadata = release.read_metadata(root / "metadata.xml")
    other = SequenceName(1, 2, 1, 4)
    with pytest.raises(FileNotFoundError, match=r"Videos.*60457274.mp4. Unpack Videos_S1.tgz"):
        release.convert_sequence(root, metadata, tmp_path, other)
    assert release.is_there(root, metadata, NAME) and not release.is_there(root, metadata, other)
    (root / "S1" / "Videos" / f"Walk 2 1.{CAMERA_IDS[2]}.mp4").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no frame that can be decoded"):
        release.convert_sequence(root, metadata, tmp_path, NAME)
    next(root.glob("S1/*/*/*.cdf")).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as a CDF file"):
        release.convert_sequence(root, metadata, tmp_path, NAME)


def test_metadata_name_files_and_hold_cameras(tmp_path):
    path = tmp_path / "metadata.xml"
    write_metadata(path)
    metadata = release.read_metadata(path)
    assert metadata.prefixes[7, 14, 2] == "Walk 14 2" and len(metadata.prefixes) == 11 * 32
    # Numbers of subject 5 and camera 2: 6 * (11 * 1 + 4) = 90 hundredths on.
    camera = release.find_camera(metadata, 5, 2)
    np.testing.assert_allclose(camera.position_mm, [0.93, 0.94, 0.95])
    np.testing.assert_allclose(camera.camera[:2], [2.73, 2.74])
    np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<metadata>", "is not XML"),
        ("<metadata/>", "must hold the elements mapping and w0"),
        ("<m><mapping><r/></mapping><w0>[1 2]</w0></m>", "must have 300 numbers. Received 2"),
        ("<m><mapping><r/></mapping><w0>[1 two]</w0></m>", "w0 of .*metadata.xml must be numbers"),
    ],
)
def test_metadata_that_cannot_be_used_is_named(tmp_path, text, message):
    path = tmp_path / "metadata.xml"
    with pytest.raises(FileNotFoundError, match="name it with --metadata"):
        release.read_metadata(path)
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        release.read_metadata(path)


def test_a_quarter_turn_about_each_axis_is_right_handed():
    turns = [release.decode_camera(np.eye(6)[axis] * np.pi / 2, np.zeros(9)) for axis in range(3)]
    for axis, turn in enumerate(turns):
        one, two = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        np.testing.assert_allclose(turn.rotation @ one, two, atol=1e-12)


def test_the_splits_are_the_subjects_of_the_protocols(project_root):
    dataset = load_dataset(project_root, "Human36M")
    for number, suffix in ((1, "_protocol_1"), (2, "")):
        protocol = PROTOCOLS[number]
        for split, subjects in (
            ("train", protocol.train_subjects),
            ("val", protocol.test_subjects),
        ):
            files = dataset.split(split + suffix)
            names = [path.name for path in (files.annotations, *files.more_annotations)]
            assert names == [annotation_file(s, protocol.strides()[s]) for s in subjects]
