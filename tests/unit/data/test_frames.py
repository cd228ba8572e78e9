import cv2
import numpy as np
import pytest

from poseras.data import frames


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 10):
        image = np.full((8, 12, 3), number, np.uint8)
        cv2.imwrite(str(tmp_path / f"shot_{number}.png"), image)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_gives_its_pictures_by_name_and_passes_over_other_files(folder):
    source = frames.open_frames(folder)
    assert (source.kind, source.count, source.frame_rate) == ("pictures", 3, None)
    assert [f.name for f in source] == ["shot_1.png", "shot_10.png", "shot_2.png"]
    assert [(f.number, f.image_id, f.time_s) for f in source] == [(n, n, None) for n in range(3)]


def test_a_numbered_pattern_counts_instead_of_sorting_names(folder):
    source = frames.open_frames(f"{folder}/shot_%d.png")
    assert [f.name for f in source] == ["shot_1.png", "shot_2.png", "shot_10.png"]
    assert [int(f.image_rgb[0, 0, 0]) for f in source] == [1, 2, 10]
    assert frames.open_frames(f"{folder}/shot_%02d.png").count == 1


def test_a_glob_gives_the_pictures_among_its_matches(folder):
    assert [f.name for f in frames.open_frames(f"{folder}/*1*")] == ["shot_1.png", "shot_10.png"]
    (folder / "a" / "b").mkdir(parents=True)
    cv2.imwrite(str(folder / "a" / "b" / "shot_1.png"), np.zeros((4, 4, 3), np.uint8))
    names = [f.name for f in frames.open_frames(f"{folder}/**/shot_1.png")]
    assert names == ["a/b/shot_1.png", "shot_1.png"]


def test_one_picture_is_a_source_of_one_frame(folder):
    (frame,) = frames.open_frames(folder / "shot_2.png")
    assert frame.image_rgb.shape == (8, 12, 3) and frame.name == "shot_2.png"


def test_numbers_that_are_names_are_the_ids(tmp_path):
    for name in ("000000000785.jpg", "12.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    assert [f.image_id for f in frames.open_frames(tmp_path)] == [785, 12]
    cv2.imwrite(str(tmp_path / "012.png"), np.zeros((4, 4, 3), np.uint8))
    assert [f.image_id for f in frames.open_frames(tmp_path)] == [0, 1, 2]


def test_an_unreadable_picture_is_named_and_passed_over(folder, caplog):
    (folder / "shot_11.png").write_bytes(b"no picture")
    assert [f.number for f in frames.open_frames(folder)] == [0, 1, 3]
    assert "shot_11.png" in caplog.text


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("nowhere", "There is nothing at .*nowhere"),
        ("*.jpg", "It matches 0 files, none of them a picture"),
        ("*.txt", "It matches 1 files, none of them a picture"),
        ("other_%04d.png", r"such as other_0001\.png\. There is none"),
        ("empty/shot_%d.png", "There is none"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(folder, given, rule):
    with pytest.raises(FileNotFoundError, match=rule):
        frames.open_frames(f"{folder}/{given}")


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match="must hold pictures"):
        frames.open_frames(tmp_path)


def test_a_camera_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="asks for camera 97 of this machine, and none"):
        frames.open_frames("97")


class Camera:
    """Three frames, then nothing."""

    opened = 0

    def __init__(self, number):
        self.left = 3
        Camera.opened += 1

    def isOpened(self):
        return True

    def set(self, *_):
        return True

    def get(self, _):
        return 0.0

    def read(self):
        self.left -= 1
        image = np.zeros((4, 6, 3), np.uint8)
        image[..., 0] = 200  # blue comes first
        return (self.left >= 0), image

    def release(self):
        Camera.opened -= 1


def test_a_camera_gives_rgb_frames_with_the_time_since_the_first(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    clock = iter([10.5, 11.0, 12.0])
    source = frames.open_camera(0, clock=lambda: next(clock))
    taken = list(source)
    assert (source.kind, source.name, source.count, source.frame_rate) == (
        *("camera", "camera_0"),
        *(None, 30.0),
    )
    assert [f.time_s for f in taken] == [0.0, 0.5, 1.5]
    assert taken[0].image_rgb[0, 0].tolist() == [0, 0, 200]


@pytest.mark.parametrize("looked_at", [1, 3])
def test_a_camera_is_free_again_when_nobody_looks_any_more(monkeypatch, looked_at):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(Camera, "opened", 0)
    taken = iter(frames.open_camera(0))
    for _ in range(looked_at):
        next(taken)
    assert Camera.opened == 1
    taken.close()
    assert Camera.opened == 0
