"""The compiled local search, called through ctypes; multicut_local.py says what it does.

`python -m poseras.ops.build` writes the library beside this file. It needs no TensorFlow, and is
loaded at the first call.
"""

from __future__ import annotations

import ctypes
import logging
from functools import lru_cache
from pathlib import Path

import numpy as np

from .library import hash_sources, read_identity
from .multicut import Graph, Solution

log = logging.getLogger("poseras")

LIBRARY = Path(__file__).with_name("multicut_ops.so")


def is_up_to_date(path: Path) -> bool:
    """Whether a library was built from the kernels as they are."""
    return path.exists() and read_identity(path).get("sources") == hash_sources()


@lru_cache(maxsize=1)
def load_library() -> ctypes.CDLL | None:
    """The compiled solver, or None, after one log line, without it.

    The first call decides for the whole process.
    """
    if not LIBRARY.exists():
        log.info("The compiled multicut is not built; it runs in NumPy. `make ops` builds it.")
        return None
    fault = None if is_up_to_date(LIBRARY) else "the kernels have changed since it was built"
    if fault is None:
        try:
            return _declare(ctypes.CDLL(str(LIBRARY)))
        except OSError as error:
            fault = str(error)
    log.warning(
        "%s is not loaded: %s. The multicut runs in NumPy; `make ops` builds it anew.",
        LIBRARY,
        fault,
    )
    return None


def improve(graph: Graph, max_work: int | None, kicks: int) -> Solution | None:
    """What `multicut_local.improve` returns; None without the library.

    Raises:
        MemoryError: the graph does not fit.
    """
    library = load_library()
    if library is None:
        return None
    unary, costs = (np.ascontiguousarray(values) for values in (graph.unary, graph.costs))
    edges = np.ascontiguousarray(graph.edges)
    active, cluster = np.empty(len(graph), bool), np.empty(len(graph), np.int64)
    status = library.poseras_multicut(
        unary.ctypes.data,
        len(graph),
        edges.ctypes.data,
        costs.ctypes.data,
        len(edges),
        kicks,
        -1 if max_work is None else max_work,
        active.ctypes.data,
        cluster.ctypes.data,
    )
    if status < 0:
        raise MemoryError(f"The multicut of {len(graph)} detections does not fit into memory.")
    return Solution(active, cluster, graph.objective(active, cluster), status == 1)


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """The signature at the end of kernels/multicut.cc."""
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    library.poseras_multicut.argtypes = [
        *(pointer, count, pointer, pointer, count),
        *(count, count),
        *(pointer, pointer),
    ]
    library.poseras_multicut.restype = ctypes.c_int
    return library
