"""Snapshots: what comes back, what damage is noticed, what a kill or a full disk leaves behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from poseras import files
from poseras.engine import snapshot

METADATA = {"system": "simple_baselines", "counters": {"epoch": 2, "step": 40}}


def made_up_arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "weights/conv1/kernel": random.normal(size=(3, 3, 2, 4)).astype(np.float32),
        "weights/out/bias": np.arange(5, dtype=np.float64),
        "optimizer/iteration": np.array(40, np.int64),
        "ema/conv1/kernel": np.ones((2, 3), ml_dtypes.bfloat16),
        "resources/half": np.linspace(0, 1, 7).astype(np.float16),
        "resources/mask": np.array([True, False, True]),
        "resources/bytes": np.arange(256, dtype=np.uint8),
        "resources/empty": np.zeros((0, 4), np.float32),
    }


def assert_same_arrays(have: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert have.keys() == want.keys()
    for name, array in want.items():
        assert have[name].dtype == array.dtype, name
        assert have[name].shape == array.shape, name
        np.testing.assert_array_equal(have[name], array, err_msg=name)


def write_numbered(folder: Path, number: int | str, step: int, system: str = "a") -> Path:
    path = snapshot.snapshot_path(folder, number)
    metadata = {"system": system, "counters": {"step": step}}
    snapshot.write_snapshot(path, {"weights/a": np.full(50, step, np.float32)}, metadata)
    return path


def flip_bit(path: Path, byte: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def test_every_kind_of_array_and_the_metadata_come_back_as_they_were(tmp_path: Path):
    path = tmp_path / "snapshot_2.safetensors"
    sha256 = snapshot.write_snapshot(path, made_up_arrays(), METADATA)
    found = snapshot.read_snapshot(path)
    assert_same_arrays(found.arrays, made_up_arrays())
    assert found.metadata == METADATA == snapshot.read_metadata(path)
    assert found.sha256 == sha256
    assert found.path == path
    assert found.has_ema
    assert found.part("optimizer").keys() == {"iteration"}
    assert os.listdir(tmp_path) == ["snapshot_2.safetensors"]


@pytest.mark.parametrize(
    "view",
    [
        np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24.0)[::-2],
        np.broadcast_to(np.arange(3.0), (4, 3)),
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.array(7.0)[()],
    ],
    ids=["transposed", "fortran", "strided", "broadcast", "big-endian", "number"],
)
def test_a_view_comes_back_with_its_own_values_whatever_its_memory_layout(
    tmp_path: Path, view: np.ndarray
):
    path = tmp_path / "snapshot_0.safetensors"
    snapshot.write_snapshot(path, {"weights/a": view}, {})
    found = snapshot.read_snapshot(path).arrays["weights/a"]
    assert found.shape == np.shape(view)
    np.testing.assert_array_equal(found, view)


def test_the_library_itself_scrambles_transposed_views(tmp_path: Path):
    # The reason for np.ascontiguousarray in write_snapshot. If this fails the library has learnt.
    view = np.arange(6.0).reshape(2, 3).T
    save_file({"a": view}, tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", framework="np") as file:
        assert not np.array_equal(file.get_tensor("a"), view)


def test_other_programs_can_read_the_arrays_with_the_library_alone(tmp_path: Path):
    path = tmp_path / "snapshot_0.safetensors"
    snapshot.write_snapshot(path, made_up_arrays(), METADATA)
    with safe_open(path, framework="np") as file:
        have = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert_same_arrays(have, made_up_arrays())


def test_equal_contents_have_equal_digests_and_different_ones_do_not(tmp_path: Path):
    arrays = made_up_arrays()
    first = snapshot.write_snapshot(tmp_path / "a.safetensors", arrays, METADATA)
    backwards = dict(reversed(arrays.items()))
    assert snapshot.write_snapshot(tmp_path / "b.safetensors", backwards, METADATA) == first
    other = {**arrays, "weights/out/bias": arrays["weights/out/bias"] + 1}
    assert snapshot.write_snapshot(tmp_path / "c.safetensors", other, METADATA) != first
    assert snapshot.write_snapshot(tmp_path / "d.safetensors", arrays, {}) != first


def test_the_digest_of_the_weights_looks_at_nothing_else():
    arrays = made_up_arrays()
    moved = {**arrays, "optimizer/iteration": np.array(41, np.int64)}
    assert snapshot.weights_sha256(arrays) == snapshot.weights_sha256(moved)
    trained = {**arrays, "weights/out/bias": arrays["weights/out/bias"] + 1}
    assert snapshot.weights_sha256(arrays) != snapshot.weights_sha256(trained)


def test_arrays_and_metadata_that_a_snapshot_cannot_hold_are_named(tmp_path: Path):
    path = tmp_path / "snapshot_0.safetensors"
    with pytest.raises(ValueError, match="Received resources/names of dtype <U3"):
        snapshot.write_snapshot(path, {"resources/names": np.array(["abc"])}, {})
    with pytest.raises(ValueError, match=r"metadata of .*snapshot_0\.safetensors must be JSON"):
        snapshot.write_snapshot(path, {}, {"config": {1, 2}})
    with pytest.raises(ValueError, match="must be JSON"):
        snapshot.write_snapshot(path, {}, {"loss": float("nan")})
    assert os.listdir(tmp_path) == []


def test_a_flipped_bit_anywhere_in_the_file_is_noticed(tmp_path: Path):
    path = tmp_path / "snapshot_0.safetensors"
    arrays = {"weights/a": np.arange(6, dtype=np.float32), "weights/b": np.array([True])}
    snapshot.write_snapshot(path, arrays, METADATA)
    whole = path.read_bytes()
    for byte in range(len(whole)):
        path.write_bytes(whole)
        flip_bit(path, byte, bit=byte % 8)
        with pytest.raises(ValueError, match=re.escape(str(path))) as error:
            snapshot.read_snapshot(path)
        assert "\n" not in str(error.value)


def test_a_file_cut_off_anywhere_is_noticed(tmp_path: Path):
    path = tmp_path / "snapshot_0.safetensors"
    snapshot.write_snapshot(path, made_up_arrays(), METADATA)
    whole = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is cut off, damaged or not a safetensors file"):
            snapshot.read_snapshot(path)
        with pytest.raises(ValueError, match="is cut off, damaged or not a safetensors file"):
            snapshot.read_metadata(path)


def test_changed_metadata_are_noticed(tmp_path: Path):
    path = tmp_path / "snapshot_0.safetensors"
    snapshot.write_snapshot(path, made_up_arrays(), METADATA)
    content = path.read_bytes()
    assert content.count(b'\\"step\\": 40') == 1
    path.write_bytes(content.replace(b'\\"step\\": 40', b'\\"step\\": 41'))
    for read in (snapshot.read_snapshot, snapshot.read_metadata):
        with pytest.raises(ValueError, match="is damaged: its contents do not match their SHA"):
            read(path)


def test_a_renamed_array_is_noticed(tmp_path: Path):
    path = tmp_path / "snapshot_0.safetensors"
    snapshot.write_snapshot(path, made_up_arrays(), METADATA)
    path.write_bytes(path.read_bytes().replace(b"weights/out/bias", b"weights/out/bIas"))
    with pytest.raises(ValueError, match="do not match their SHA-256"):
        snapshot.read_snapshot(path)


def test_other_files_are_told_from_snapshots(tmp_path: Path):
    path = tmp_path / "snapshot_0.safetensors"
    path.write_text("a text that somebody put here, longer than a header")
    with pytest.raises(ValueError, match="not a safetensors file"):
        snapshot.read_snapshot(path)
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="not a snapshot that poseras wrote"):
        snapshot.read_snapshot(path)
    with pytest.raises(FileNotFoundError, match=r"There is no snapshot .*snapshot_1\.safetensors"):
        snapshot.read_snapshot(tmp_path / "snapshot_1.safetensors")


WRITER = """
import sys, numpy as np
from poseras.engine import snapshot
arrays = {f"weights/{i}": np.full(4_000_000, 2.0, np.float32) for i in range(4)}
while True:
    snapshot.write_snapshot(sys.argv[1], arrays, {"counters": {"step": 2}})
"""


def kill_in_the_middle(path: Path) -> list[Path]:
    """SIGKILL a process that writes 64 MB over and over; what it left unfinished."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline and writer.poll() is None:
            unfinished = [
                p for p in path.parent.glob(f".*{files.UNFINISHED}/*") if p.stat().st_size
            ]
            if unfinished:
                break
        writer.send_signal(signal.SIGKILL)
    finally:
        writer.kill()
        writer.wait()
    return list(path.parent.glob(f".*{files.UNFINISHED}"))


def test_a_writer_killed_in_the_middle_leaves_the_former_snapshot_and_a_known_leftover(
    tmp_path: Path,
):
    path = tmp_path / "snapshot_1.safetensors"
    snapshot.write_snapshot(path, {"weights/0": np.full(4, 1.0, np.float32)}, METADATA)
    former = path.read_bytes()
    for _ in range(5):  # the kill may come after the move: then it has finished a snapshot
        leftovers = kill_in_the_middle(path)
        if leftovers and path.read_bytes() == former:
            break
        snapshot.write_snapshot(path, {"weights/0": np.full(4, 1.0, np.float32)}, METADATA)
        files.remove_leftovers(tmp_path)
    else:
        pytest.fail("not one of five kills came while the snapshot was being written")
    assert snapshot.read_snapshot(path).metadata == METADATA
    assert snapshot.list_snapshots(tmp_path) == {1: path}
    assert files.remove_leftovers(tmp_path) == leftovers
    assert os.listdir(tmp_path) == [path.name]


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 256 KiB; where this user may not mount one, the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_former_snapshot_stays(small_disk: Path):
    path = write_numbered(small_disk, 1, step=10)
    former = path.read_bytes()
    large = {"weights/a": np.zeros(1_000_000, np.float32)}
    with pytest.raises(OSError, match=r"^Cannot write .*snapshot_1\.safetensors: .*No space left"):
        snapshot.write_snapshot(path, large, METADATA)
    with pytest.raises(OSError, match="Free some space there; what stood there before is unchang"):
        snapshot.write_snapshot(snapshot.snapshot_path(small_disk, 2), large, METADATA)
    assert path.read_bytes() == former
    assert os.listdir(small_disk) == [path.name]


def test_a_disk_that_fills_up_at_the_last_moment_leaves_the_former_snapshot(
    tmp_path: Path, monkeypatch
):
    path = write_numbered(tmp_path, 1, step=10)
    former = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"^Cannot write .*: No space left on device\. Free some"):
        write_numbered(tmp_path, 1, step=20)
    assert path.read_bytes() == former
    assert os.listdir(tmp_path) == [path.name]
