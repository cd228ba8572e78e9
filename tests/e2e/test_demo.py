"""demo.py as a user runs it: each kind of input, each source of person boxes, each wrong input."""

import json

import cv2
import numpy as np
import pytest

import demo
from poseras.data.images import read_image
from poseras.data.video import read_video
from poseras.engine.video_writer import open_video_writer

pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")

FRAMES = 10


def shown(project, *arguments):
    """What the program wrote: the folder, and the content of poses.json."""
    output = project.root / "poses"
    run = project.run("demo.py", *arguments, "--output", str(output), "--gpu", "cpu")
    assert run.returncode == 0, run.stderr[-3000:]
    return output, json.loads((output / "poses.json").read_text()), run.stderr


def write_clip(path, photo):
    """A camera that moves to the right over a photo, 25 pictures per second but for a pause."""
    image = cv2.resize(read_image(photo), (320, 240), interpolation=cv2.INTER_AREA)
    with open_video_writer(path, 25) as writer:
        for number in range(FRAMES):
            time_s = number / 25 + (0.5 if number >= 5 else 0)
            writer.write(np.ascontiguousarray(image[:, 4 * number : 4 * number + 200]), time_s)
    return path


@pytest.fixture
def clip(tmp_path, samples):
    return write_clip(tmp_path / "clip.mp4", min((samples / "images").glob("*.jpg")))


@pytest.fixture
def photos(samples):
    return samples / "images"


def test_a_folder_is_drawn_and_a_broken_picture_in_it_is_named(project):
    project.write_snapshot(3)
    pictures = project.data / "images" / "val2017"
    (pictures / "broken.png").write_bytes(b"no picture")
    output, content, said = shown(project, "--input", str(pictures), "--test_epoch", "3")
    assert "each whole picture is taken as the box" in said and "broken.png" in said
    names = [image["file_name"] for image in content["images"]]
    assert names == [f"{number:012d}.jpg" for number in (1, 2, 3)]
    assert len(content["annotations"]) == 3 and len(content["annotations"][0]["keypoints"]) == 51
    assert len(list(output.glob("*.jpg"))) == 3


def test_photos_with_the_boxes_of_a_file(project, photos):
    snapshot = project.write_snapshot()
    names = sorted(path.name for path in photos.glob("*.jpg"))[:3]
    boxes = [
        {
            "file_name": name,
            "category_id": category,
            "bbox": [20 + 100 * n, 30, 90, 200],
            "score": 1,
        }
        for name in names
        for n, category in enumerate((1, 1, 2))
    ]
    (project.root / "boxes.json").write_text(json.dumps(boxes))
    given = ("--input", str(photos), "--detections", str(project.root / "boxes.json"))
    settings = ("--set", "test.oks_nms_threshold=0", "test.flip_test=false")
    output, content, _ = shown(project, *given, "--model-file", str(snapshot), *settings)
    people = [person["image_id"] for person in content["annotations"]]
    by_name = {image["file_name"]: image["id"] for image in content["images"]}
    assert sorted(people) == sorted([by_name[name] for name in names] * 2), "category 1 is a person"
    assert len(list(output.glob("*.jpg"))) == len(content["images"]) == 10


def test_a_video_is_tracked_smoothed_drawn_and_tabled(project, clip):
    snapshot = project.write_snapshot()
    boxes = [
        {"image_id": frame, "category_id": 1, "bbox": [20, 10, 90, 220], "score": 0.9}
        for frame in range(FRAMES)
    ]
    (project.root / "boxes.json").write_text(json.dumps(boxes))
    given = ("--input", str(clip), "--detections", str(project.root / "boxes.json"))
    wanted = ("--track", "optimal", "--smooth", "--csv", "--model-file", str(snapshot))
    output, content, _ = shown(project, *given, *wanted)
    times = [image["time_s"] for image in content["images"]]
    np.testing.assert_allclose(np.diff(times), [0.04] * 4 + [0.54] + [0.04] * 4, atol=1e-3)
    frames = list(read_video(output / "clip.mp4"))
    np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=1e-3)
    assert frames[0].image_rgb.shape == (240, 200, 3)
    assert all(person["track_id"] >= 1 for person in content["annotations"])
    assert content["info"]["tracking"]["matching"] == "optimal" and content["info"]["smoothed"]
    rows = (output / "poses.csv").read_text().splitlines()
    assert len(rows) == 1 + 17 * len(content["annotations"])


@pytest.mark.slow
def test_a_bottom_up_run_of_this_project_is_the_detector(project, clip):
    snapshot = project.write_snapshot()
    bottom_up = project.write_bottom_up_snapshot("finder")
    given = ("--input", str(clip), "--model-file", str(snapshot), "--detector-run", "finder")
    _, content, _ = shown(project, *given)
    assert content["info"]["boxes"] == f"people found by {bottom_up.name}"
    assert len(content["images"]) == FRAMES  # weights drawn at random find nobody


@pytest.mark.slow
def test_a_detector_of_kerashub_with_random_weights(project, clip, dfine_preset):
    snapshot = project.write_snapshot()
    given = ("--input", str(clip), "--model-file", str(snapshot), "--detector", str(dfine_preset))
    _, content, _ = shown(project, *given)
    assert content["info"]["boxes"] == "detector dfine_tiny"
    assert len(content["images"]) == FRAMES


def one_line(capsys, *arguments):
    """What the program says on its way out, in this process."""
    with pytest.raises(SystemExit) as end:
        demo.main(arguments)
    assert end.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1 and lines[0].startswith("demo.py: error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere", "There is nothing at"),
        ("*.jpg", "It matches 0 files"),
        ("shots_%04d.png", "such as shots_0001.png. There is none"),
        ("texts", "must hold pictures"),
        ("empty.mp4", "must be a picture or a video. Received 0 bytes"),
        ("noise.mp4", "FFmpeg cannot open"),
    ],
)
def test_wrong_input_ends_with_one_line_and_nothing_written(project, tmp_path, capsys, given, said):
    snapshot = project.write_snapshot()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("no picture")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(3000))
    output = tmp_path / "out"
    named = ("--model-file", str(snapshot), "--output", str(output))
    assert said in one_line(capsys, "--input", str(tmp_path / given), *named)
    assert not output.exists()


def test_a_camera_that_is_not_there_ends_with_one_line(project, tmp_path, capsys):
    named = ("--model-file", str(project.write_snapshot()), "--output", str(tmp_path / "out"))
    assert "camera 97" in one_line(capsys, "--input", "97", *named)


def test_without_the_weights_that_come_with_poseras_one_line_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("poseras.shipped.WEIGHTS", "none.safetensors")
    line = one_line(capsys, "--input", "a.jpg", "--output", str(tmp_path / "out"))
    assert "weights that come with poseras must lie at" in line


def test_a_least_score_without_a_detector_ends_with_one_line(project, clip, tmp_path, capsys):
    named = ("--model-file", str(project.write_snapshot()), "--output", str(tmp_path / "out"))
    line = one_line(capsys, "--input", str(clip), *named, "--min-score", "0.5")
    assert "Received 0.5 without --detector" in line


def test_two_sources_of_boxes_are_one_too_many(tmp_path, capsys):
    given = ("--input", "a.jpg", "--output", "out", "--detections", "a", "--detector", "b")
    assert "not allowed with argument" in one_line(capsys, *given)
