"""Building the library, and telling one that must not be loaded."""

import logging
import os
import re
import shutil

import pytest

from poseras import ops
from poseras.ops import build, library

IDENTITY = "poseras-ops-identity{tensorflow=%s;sources=%s;cuda=%s}"
needs_compiler = pytest.mark.skipif(build.find_compiler() is None, reason="no C++ compiler")
needs_nvcc = pytest.mark.skipif(build.find_nvcc() is None, reason="no nvcc")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another place for the library, which is asked for anew."""
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "nms_ops.so")
    library.load_library.cache_clear()
    yield library.LIBRARY
    monkeypatch.undo()
    library.load_library.cache_clear()


def write_library(path, tensorflow=None, sources=None, cuda="none"):
    import tensorflow as tf

    identity = IDENTITY % (tensorflow or tf.__version__, sources or library.hash_sources(), cuda)
    path.write_bytes(b"\x7fELF\0\0" + identity.encode() + b"\0\0")


def suppresses():
    return ops.nms([[0, 0, 9, 9], [0, 0, 9, 9]], [1, 2], 0.5).tolist() == [1]


def test_without_a_library_one_line_says_that_numpy_does_it(elsewhere, caplog):
    with caplog.at_level(logging.INFO, logger="poseras"):
        assert suppresses() and suppresses()
    assert [record.getMessage() for record in caplog.records] == [
        "The compiled NMS op is not built; NMS runs in NumPy. `make ops` builds it."
    ]


@pytest.mark.parametrize(
    ("built", "reason"),
    [
        ({"tensorflow": "1.15.0"}, r"built for TensorFlow 1.15.0, this is TensorFlow \d"),
        ({"sources": "0" * 16}, "the kernels have changed since it was built"),
        ({}, "is not loaded: .*nms_ops.so: .*(ELF|short|header|mach-o)"),  # right name, no library
    ],
)
def test_a_library_that_does_not_fit_is_named_and_not_loaded(built, reason, elsewhere, caplog):
    write_library(elsewhere, **built)
    with caplog.at_level(logging.INFO, logger="poseras"):
        assert suppresses() and suppresses()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{elsewhere} is not loaded: ")
    assert record.getMessage().endswith("NMS runs in NumPy; `make ops` builds it anew.")
    assert re.search(reason, record.getMessage())


def test_a_foreign_library_is_named_and_not_loaded(elsewhere, caplog):
    elsewhere.write_bytes(b"\x7fELF somebody else's")
    assert suppresses()
    assert "it was not built by poseras.ops.build" in caplog.text


def test_a_change_of_any_kernel_changes_the_hash(tmp_path):
    kernels = tmp_path / "kernels"
    shutil.copytree(library.KERNELS, kernels)
    assert library.hash_sources(kernels) == library.hash_sources()
    for path in kernels.iterdir():
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        assert library.hash_sources(kernels) != library.hash_sources(), path.name
        path.write_bytes(before)


def test_without_a_compiler_one_line_is_printed_and_nothing_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert build.main(tmp_path / "nms_ops.so") == 0
    assert capsys.readouterr().out == (
        "No C++ compiler was found (c++, g++, clang++ or $CXX), so NMS will run in NumPy.\n"
    )
    assert list(tmp_path.iterdir()) == []


def fake_program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_compiler_that_stops_is_quoted(tmp_path, monkeypatch, capsys):
    fake_program(tmp_path / "broken", "echo out of memory >&2; exit 3")
    monkeypatch.setenv("CXX", str(tmp_path / "broken"))
    assert build.main(tmp_path / "nms_ops.so") == 1
    said = capsys.readouterr().out
    assert "broken stopped with status 3:\nout of memory" in said
    assert said.endswith("The NMS op could not be built; poseras works without it, in NumPy.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


@pytest.mark.parametrize("cuda", ["none", "13.9", "nvcc 13.9 failed"])
def test_an_up_to_date_library_is_left_alone(cuda, tmp_path, monkeypatch, capsys):
    nvcc = None if cuda == "none" else build.Nvcc("nvcc", "13.9", (80,))
    fake_program(tmp_path / "broken", "exit 3")
    monkeypatch.setenv("CXX", str(tmp_path / "broken"))
    monkeypatch.setattr(build, "find_nvcc", lambda: nvcc)
    write_library(tmp_path / "nms_ops.so", cuda=cuda)
    assert build.main(tmp_path / "nms_ops.so") == 0
    assert f"is up to date (CUDA: {cuda})" in capsys.readouterr().out
    write_library(tmp_path / "nms_ops.so", cuda="12.0")
    assert build.main(tmp_path / "nms_ops.so") == 1


def test_nvcc_compiles_for_the_cards_that_it_knows(tmp_path, monkeypatch):
    says = (
        "case $1 in --version) echo release 12.4, V12.4;; *) echo sm_52 sm_80 sm_90 sm_90a;; esac"
    )
    fake_program(tmp_path / "nvcc", says)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + os.environ["PATH"])
    nvcc = build.find_nvcc()
    assert (nvcc.version, nvcc.capabilities) == ("12.4", (80, 90))
    assert nvcc.architecture_flags() == [
        "-gencode=arch=compute_80,code=sm_80",
        "-gencode=arch=compute_90,code=sm_90",
        "-gencode=arch=compute_90,code=compute_90",
    ]


@needs_compiler
@pytest.mark.slow
def test_a_second_build_does_nothing_and_a_failing_nvcc_leaves_cuda_out(
    tmp_path, monkeypatch, capsys
):
    fake_program(tmp_path / "nvcc", "echo no such host compiler >&2; exit 1")
    nvcc = build.Nvcc(str(tmp_path / "nvcc"), "13.9", (80,))
    monkeypatch.setattr(build, "find_nvcc", lambda: nvcc)
    target = tmp_path / "nms_ops.so"
    assert build.main(target) == 0
    assert "Building once more, without the CUDA kernels." in capsys.readouterr().out
    assert library.read_identity(target)["cuda"] == "nvcc 13.9 failed"
    before = target.stat()
    assert build.main(target) == 0
    assert "is up to date" in capsys.readouterr().out
    assert target.stat().st_mtime_ns == before.st_mtime_ns


@needs_compiler
@needs_nvcc
@pytest.mark.slow
def test_nvcc_builds_the_cuda_kernels_with_ptx(tmp_path):
    nvcc = build.find_nvcc()
    target = tmp_path / "suppression_cuda.o"
    build.compile_cuda(nvcc, build.find_compiler(), target)
    content = target.read_bytes()
    assert b".nv_fatbin" in content and b"SuppressBoxesOnGpu" in content
