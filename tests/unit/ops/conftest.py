"""The ways to a result that every test of suppression goes, and the libraries that tests need.

Where the package holds no library that is up to date, one is built for the session (NMS: half a
minute, the multicut: some seconds); without a compiler the tests that need it are skipped.
"""

import ctypes
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from poseras import ops
from poseras.ops import build, compiled, library, multicut_compiled, reference

WAYS = [
    "reference",
    "arrays of one image",
    "arrays of a batch",
    "eager tensors",
    "traced tensors",
    "traced tensors without the op",
]
WITHOUT_OP = {"reference", "traced tensors without the op"}


def build_once(
    name: str, make: Callable[[Path, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A library, built by whichever test process comes first."""
    compiler = build.find_compiler()
    if compiler is None:
        pytest.skip(f"{name} is not built and there is no C++ compiler to build it")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    target = folder / name
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            make(target, compiler)
    return target


@pytest.fixture(scope="session")
def compiled_library(tmp_path_factory: pytest.TempPathFactory) -> library.Library:
    """The loaded library of NMS, for the whole process from then on."""
    import tensorflow as tf

    here = library.LIBRARY
    if not (here.exists() and library.find_fault(here, tf.__version__) is None):
        library.LIBRARY = build_once(
            here.name,
            lambda target, compiler: build.build_library(target, compiler, None, "none"),
            tmp_path_factory,
        )
        library.load_library.cache_clear()
    loaded = library.load_library()
    assert loaded is not None
    return loaded


@pytest.fixture(scope="session")
def compiled_multicut(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The loaded library of the multicut, for the whole process from then on."""
    here = multicut_compiled.LIBRARY
    if not multicut_compiled.is_up_to_date(here):
        multicut_compiled.LIBRARY = build_once(here.name, build.build_multicut, tmp_path_factory)
        multicut_compiled.load_library.cache_clear()
    loaded = multicut_compiled.load_library()
    assert loaded is not None
    return loaded


class Suppression:
    """`ops.nms` and its relatives, called in one way; lists and arrays come back."""

    def __init__(self, way: str):
        self.way = way

    def __repr__(self) -> str:
        return self.way

    def nms(self, boxes, scores, threshold, **options) -> list[int]:
        return self._one(ops.nms, reference.nms_batched, [boxes, scores], threshold, options)

    def oks_nms(self, keypoints, scores, areas, threshold, **options) -> list[int]:
        arrays = [keypoints, scores, areas]
        return self._one(ops.oks_nms, reference.oks_nms_batched, arrays, threshold, options)

    def nms_batched(self, boxes, scores, row_splits, threshold, **options):
        arrays = [boxes, scores, row_splits]
        return self._many(ops.nms_batched, reference.nms_batched, arrays, threshold, options)

    def oks_nms_batched(self, keypoints, scores, areas, row_splits, threshold, **options):
        arrays = [keypoints, scores, areas, row_splits]
        return self._many(
            ops.oks_nms_batched, reference.oks_nms_batched, arrays, threshold, options
        )

    def _one(self, single, batched, arrays, threshold, options) -> list[int]:
        if self.way == "reference":
            kept, counts = batched(*arrays, None, threshold, **options)
            return kept[0, : counts[0]].tolist()
        if self.way == "arrays of a batch":
            batch = ops.nms_batched if single is ops.nms else ops.oks_nms_batched
            kept, counts = batch(*arrays, [0, len(arrays[0])], threshold, **options)
            return kept[0, : counts[0]].tolist()
        if self.way == "arrays of one image":
            kept = single(*arrays, threshold, **options)
            assert kept.dtype == np.int64
            return kept.tolist()
        return self._with_tensors(single, arrays, threshold, options).numpy().tolist()

    def _many(self, batched_op, batched_reference, arrays, threshold, options):
        if self.way == "reference":
            return batched_reference(*arrays, threshold, **options)
        if self.way.startswith("arrays"):
            return batched_op(*arrays, threshold, **options)
        kept, counts = self._with_tensors(batched_op, arrays, threshold, options)
        return kept.numpy(), counts.numpy()

    def _with_tensors(self, function: Callable, arrays, threshold, options):
        import tensorflow as tf

        tensors = [tf.constant(np.asarray(array)) for array in arrays]
        if self.way == "eager tensors":
            return function(*tensors, threshold, **options)
        shapeless = [tf.TensorSpec(None, tensor.dtype) for tensor in tensors]
        traced = tf.function(lambda *inputs: function(*inputs, threshold, **options))
        return traced.get_concrete_function(*shapeless)(*tensors)


@pytest.fixture(params=WAYS)
def suppression(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Suppression:
    if request.param not in WITHOUT_OP:
        request.getfixturevalue("compiled_library")
    elif request.param != "reference":
        monkeypatch.setattr(compiled, "load_library", lambda: None)
    return Suppression(request.param)
