"""Whole files or none: what stays on the disk after success, failure and a full disk."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from poseras import files


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_bytes_and_json_are_written_with_nothing_beside_them(tmp_path: Path):
    files.write_text_atomically(tmp_path / "a.txt", "Käse\n")
    files.write_bytes_atomically(tmp_path / "b.bin", b"\0\1")
    files.write_json_atomically(tmp_path / "c.json", {"AP": np.float64(0.5), "n": (1, np.int64(2))})
    assert (tmp_path / "a.txt").read_bytes() == b"K\xc3\xa4se\n"
    assert (tmp_path / "b.bin").read_bytes() == b"\0\1"
    assert (tmp_path / "c.json").read_bytes() == b'{"AP":0.5,"n":[1,2]}'
    assert entries(tmp_path) == ["a.txt", "b.bin", "c.json"]


def test_json_for_people_is_indented_and_ends_with_a_line_feed(tmp_path: Path):
    files.write_json_atomically(tmp_path / "m.json", {"a": [1]}, indent=True)
    assert (tmp_path / "m.json").read_text() == '{\n  "a": [\n    1\n  ]\n}\n'


def test_what_json_cannot_express_is_an_error_that_names_the_file(tmp_path: Path):
    with pytest.raises(ValueError, match=r"What goes into .*m\.json must be JSON"):
        files.write_json_atomically(tmp_path / "m.json", {"a": object()})
    assert entries(tmp_path) == []


def test_missing_folders_are_made(tmp_path: Path):
    files.write_text_atomically(tmp_path / "COCO" / "run" / "m.txt", "x")
    assert (tmp_path / "COCO" / "run" / "m.txt").read_text() == "x"


def test_files_get_the_permissions_of_the_users_umask(tmp_path: Path):
    former = os.umask(0o027)
    try:
        files.write_text_atomically(tmp_path / "m.txt", "x")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "m.txt").stat().st_mode) == 0o640


def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    target = tmp_path / "m.txt"
    target.write_text("old")

    def write_half() -> None:
        with files.unfinished_file(target) as unfinished:
            unfinished.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert target.read_text() == "old"
    assert entries(tmp_path) == ["m.txt"]


def test_the_old_file_stands_in_full_until_the_new_one_is_complete(tmp_path: Path):
    target = tmp_path / "m.txt"
    target.write_text("old")
    with files.unfinished_file(target) as unfinished:
        unfinished.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_file_and_folder_are_brought_to_the_disk_around_the_move(tmp_path: Path, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        calls.append("move")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    files.write_text_atomically(tmp_path / "m.txt", "x")
    assert calls == ["file", "move", "folder"]


def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path: Path, monkeypatch):
    target = tmp_path / "m.txt"
    target.write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"^Cannot write .*m\.txt: No space left on device\. Free"):
        files.write_text_atomically(target, "new")
    assert target.read_text() == "old"
    assert entries(tmp_path) == ["m.txt"]


def test_a_file_system_without_fsync_of_folders_is_no_error(tmp_path: Path, monkeypatch):
    real_fsync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_text_atomically(tmp_path / "m.txt", "x")
    assert (tmp_path / "m.txt").read_text() == "x"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "output").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"^Cannot write .*m\.txt: .*\. Make that folder writable"):
        files.write_text_atomically(tmp_path / "output" / "run" / "m.txt", "x")


WRITER = """
import sys, time
from poseras import files
with files.unfinished_file(sys.argv[1]) as unfinished:
    unfinished.write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of writing `m.txt`."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "m.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_leftovers_go_when_their_writer_was_killed_and_not_before(tmp_path: Path, writer):
    (tmp_path / "n.txt").write_text("whole")
    (leftover,) = tmp_path.glob(".*")
    assert files.remove_leftovers(tmp_path) == []
    assert (leftover / "m.txt").read_text() == "half"
    writer.kill()
    writer.wait()
    assert files.remove_leftovers(tmp_path) == [leftover]
    assert entries(tmp_path) == ["n.txt"]
    assert files.remove_leftovers(tmp_path / "absent") == []


def test_what_this_process_writes_is_not_a_leftover(tmp_path: Path):
    with files.unfinished_file(tmp_path / "m.txt") as unfinished:
        unfinished.write_text("x")
        assert files.remove_leftovers(tmp_path) == []
    assert (tmp_path / "m.txt").read_text() == "x"


def test_an_earlier_process_of_the_same_number_has_ended(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(files, "_process", lambda: "0a1b")
    with files.unfinished_file(tmp_path / "m.txt") as unfinished:
        unfinished.write_text("x")
        monkeypatch.setattr(files, "_process", lambda: "2c3d")
        assert files.remove_leftovers(tmp_path) == [unfinished.parent]
        unfinished.parent.mkdir()
        unfinished.write_text("x")


def test_what_another_machine_left_stays(tmp_path: Path, monkeypatch, writer):
    writer.kill()
    writer.wait()
    monkeypatch.setattr(files, "_host", lambda: "0a1b2c3d")
    assert files.remove_leftovers(tmp_path) == [] and len(entries(tmp_path)) == 1


def test_a_process_of_somebody_else_is_at_work(tmp_path: Path, monkeypatch):
    (tmp_path / f".m.txt.{files._host()}-4711-0a1b-0{files.UNFINISHED}").mkdir()

    def forbid(process: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbid)
    assert files.remove_leftovers(tmp_path) == []


@pytest.mark.parametrize("name", [".unfinished", ".m.txt.unfinished", "m.0a1b2c3d-9-0a1b-0"])
def test_files_of_others_are_no_leftovers(tmp_path: Path, name: str):
    (tmp_path / name).mkdir()
    assert files.remove_leftovers(tmp_path) == []


def test_a_folder_takes_the_place_of_another_when_it_is_complete(tmp_path: Path):
    target = tmp_path / "model"
    for name in ("a", "b"):
        with files.unfinished_folder(target) as unfinished:
            (unfinished / "inside").mkdir(parents=True)
            (unfinished / "inside" / name).write_text(name)
            assert not (target / "inside" / name).exists()
        assert entries(target / "inside") == [name]
    assert entries(tmp_path) == ["model"]


def test_the_old_folder_comes_back_where_the_new_one_cannot_be_moved(tmp_path: Path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    real_replace = os.replace

    def replace(source: Path, place: Path) -> None:
        if Path(source).name == "model" and Path(source) != target:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real_replace(source, place)

    def write() -> None:
        with files.unfinished_folder(target) as unfinished:
            unfinished.mkdir()

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match=r"^Cannot write .*model: Input/output error\. Make that"):
        write()
    assert entries(tmp_path) == ["model"] and entries(target) == ["old"]


def test_pictures_by_the_thousand_do_not_wait_for_the_disk(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: pytest.fail("waited for the disk"))
    files.write_bytes_atomically(tmp_path / "a.jpg", b"x", flush=False)
    files.write_image_atomically(tmp_path / "b.png", np.zeros((2, 2, 3), np.uint8), flush=False)
    assert entries(tmp_path) == ["a.jpg", "b.png"]


def test_opencv_is_loaded_for_pictures_alone():
    program = "import sys, poseras.files; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_png_picture_is_read_back_with_red_still_red(tmp_path: Path):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 200
    files.write_image_atomically(tmp_path / "a.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], image)


def test_the_quality_of_a_jpeg_is_chosen_and_opencvs_where_it_is_not(tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    files.write_image_atomically(tmp_path / "usual.jpg", image)
    files.write_image_atomically(tmp_path / "low.jpg", image, jpeg_quality=30)
    cv2.imwrite(str(tmp_path / "opencv.jpg"), image[..., ::-1])
    assert (tmp_path / "usual.jpg").read_bytes() == (tmp_path / "opencv.jpg").read_bytes()
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "usual.jpg").stat().st_size / 2


def test_a_picture_that_its_format_cannot_hold_is_an_error(tmp_path: Path):
    wide = np.zeros((1, 65501, 3), np.uint8)  # JPEG ends at 65500
    with pytest.raises(ValueError, match=r"OpenCV cannot write \(1, 65501, 3\) pixels as \.jpg"):
        files.write_image_atomically(tmp_path / "a.jpg", wide)
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("a.xyz", np.zeros((2, 2, 3), np.uint8), r"known format. Received a\.xyz"),
        ("a.png", np.zeros((2, 2, 3)), r"must be uint8 .* Received float64 of \(2, 2, 3\)"),
        ("a.png", np.zeros((2, 2), np.uint8), r"Received uint8 of \(2, 2\)"),
    ],
)
def test_what_is_no_picture_is_an_error(tmp_path: Path, name: str, image: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        files.write_image_atomically(tmp_path / name, image)


def test_sha256_of_a_file_larger_than_one_chunk(tmp_path: Path):
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    assert files.sha256_of_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()
