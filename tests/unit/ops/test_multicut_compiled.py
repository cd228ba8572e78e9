"""The compiled multicut takes the steps of its reference, and is not loaded where it is stale."""

import itertools
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from poseras.ops import build, library, multicut_compiled, multicut_local
from poseras.ops.multicut import KICKS, Graph, make_graph, solve_multicut

needs_compiler = pytest.mark.skipif(build.find_compiler() is None, reason="no C++ compiler")

#: Of both kinds of kicks, few: the reference takes most of the time of these tests.
FEW = 6

COSTS = {
    "spread": lambda rng, size: rng.normal(-0.3, 2, size),
    "tied": lambda rng, size: rng.integers(-3, 4, size).astype(float),
    "tied, inexact": lambda rng, size: 0.1 * rng.integers(-1, 2, size),
    "as dear as mixed labels": lambda rng, size: rng.normal(0, 800, size),
    "equal": lambda rng, size: np.full(size, -float(rng.integers(0, 2))),
}


def make_instance(kind: str, seed: int, most: int = 24) -> Graph:
    """A random graph, sometimes without edges or in parts."""
    rng = np.random.default_rng(seed)
    nodes, density = int(rng.integers(1, most)), rng.random()
    pairs = [p for p in itertools.combinations(range(nodes), 2) if rng.random() < density]
    edges = np.array(pairs, int).reshape(-1, 2)
    return make_graph(COSTS[kind](rng, nodes), edges, COSTS[kind](rng, len(edges)))


def assert_same(graph: Graph, max_work: int | None, kicks: int) -> None:
    """Nothing may differ, not even in the last place."""
    found = multicut_compiled.improve(graph, max_work, kicks)
    expected = multicut_local.improve(graph, max_work, kicks)
    np.testing.assert_array_equal(found.cluster, expected.cluster)
    np.testing.assert_array_equal(found.active, expected.active)
    assert found.objective == expected.objective and found.complete == expected.complete


@pytest.mark.parametrize("kind", COSTS)
def test_random_graphs_are_solved_as_by_the_reference(kind, compiled_multicut):
    for seed in range(40):
        assert_same(make_instance(kind, seed), None, FEW)


def test_larger_graphs_are_solved_as_by_the_reference(compiled_multicut):
    for seed in (4, 21, 24):  # whose solutions depend on the order of the kicks
        rng = np.random.default_rng(seed)
        edges = np.array([p for p in itertools.combinations(range(70), 2) if rng.random() < 0.15])
        graph = make_graph(rng.normal(-2, 2, 70), edges, rng.normal(0, 2, len(edges)))
        assert_same(graph, None, KICKS)


@pytest.mark.parametrize("kind", COSTS)
def test_the_limit_stops_both_at_the_same_step(kind, compiled_multicut):
    work = np.random.default_rng(0).integers(0, 10_000, 25)
    stopped = 0
    for seed, limit in enumerate(work.tolist()):
        graph = make_instance(kind, seed)
        assert_same(graph, limit, FEW)
        stopped += not multicut_compiled.improve(graph, limit, FEW).complete
    assert 0 < stopped < len(work)


def test_hardly_anything_to_decide_is_decided_alike(compiled_multicut):
    none = np.zeros((0, 2), np.int64)
    for unary in ([], [-1.0], [0.0], [1.0], [-1.0, 1.0, 0.0]):
        assert_same(make_graph(unary, none, []), None, KICKS)
    for unary in ([-1.0] * 6, [1.0] * 6):  # one label for all
        for cost in (-1.0, 0.0, 1.0):
            edges = list(itertools.combinations(range(6), 2))
            assert_same(make_graph(unary, edges, [cost] * len(edges)), None, KICKS)


def test_arrays_of_other_layouts_are_read_as_they_are(compiled_multicut):
    graph = make_instance("spread", 3)
    layouts = Graph(
        np.repeat(graph.unary, 2)[::2],
        np.asfortranarray(graph.edges),
        np.repeat(graph.costs, 2)[::2],
    )
    found, expected = (multicut_compiled.improve(g, None, KICKS) for g in (layouts, graph))
    np.testing.assert_array_equal(found.cluster, expected.cluster)
    assert found.objective == expected.objective


def test_thousands_of_detections_end_at_the_limit_with_the_best_so_far(compiled_multicut, caplog):
    rng = np.random.default_rng(5)
    unary, edges = rng.normal(-1, 1, 6_000), rng.integers(0, 6_000, (200_000, 2))
    costs = rng.normal(0.5, 2, len(edges))
    energies = []
    for work in (5_000_000, 50_000_000):
        part = solve_multicut(unary, edges, costs, max_work=work)
        assert not part.complete
        assert "6000 detections" in caplog.text and f"limit of max_work {work}" in caplog.text
        energies.append(part.objective)
    assert energies[1] < energies[0] < unary[unary < 0].sum()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another place for the library, which is asked for anew."""
    monkeypatch.setattr(multicut_compiled, "LIBRARY", tmp_path / "multicut_ops.so")
    multicut_compiled.load_library.cache_clear()
    yield multicut_compiled.LIBRARY
    monkeypatch.undo()
    multicut_compiled.load_library.cache_clear()


def solves() -> bool:
    return solve_multicut([-1.0, -1.0], [[0, 1]], [-1.0]).cluster.tolist() == [0, 0]


def test_without_a_library_one_line_says_that_numpy_does_it(elsewhere, caplog):
    with caplog.at_level(logging.INFO, logger="poseras"):
        assert solves() and solves()
    assert [record.getMessage() for record in caplog.records] == [
        "The compiled multicut is not built; it runs in NumPy. `make ops` builds it."
    ]


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ("0" * 16, "the kernels have changed since it was built"),
        (library.hash_sources(), "(ELF|short|header|mach-o)"),  # the right name, but no library
    ],
)
def test_a_library_that_does_not_fit_is_named_and_not_loaded(sources, reason, elsewhere, caplog):
    elsewhere.write_bytes(b"\x7fELF\0\0poseras-ops-identity{sources=%s}\0" % sources.encode())
    assert solves() and solves()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{elsewhere} is not loaded: ")
    assert record.getMessage().endswith("The multicut runs in NumPy; `make ops` builds it anew.")
    assert re.search(reason, record.getMessage())


@needs_compiler
def test_a_second_build_does_nothing(elsewhere, capsys):
    assert build.main_multicut(elsewhere) == 0
    assert capsys.readouterr().out == f"{elsewhere} was built.\n"
    before = elsewhere.stat().st_mtime_ns
    assert build.main_multicut(elsewhere) == 0
    assert capsys.readouterr().out == f"{elsewhere} is up to date.\n"
    assert elsewhere.stat().st_mtime_ns == before
    assert solves() and multicut_compiled.load_library() is not None
    assert [path.name for path in elsewhere.parent.iterdir()] == [elsewhere.name]


def test_without_a_compiler_that_works_numpy_does_it(tmp_path, monkeypatch, capsys):
    target = tmp_path / "multicut_ops.so"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert build.main_multicut(target) == 0
    assert (
        "No C++ compiler was found, so the multicut will run in NumPy." in capsys.readouterr().out
    )
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho out of memory >&2; exit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert build.main_multicut(target) == 1
    assert "broken stopped with status 3:\nout of memory" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def find_runtime(compiler: str, name: str) -> str:
    """The path of a library of the compiler, or the name alone where it has none."""
    command = [compiler, f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def solve_random_graphs(target: str) -> None:
    """Run in a process of its own, under the sanitizers."""
    multicut_compiled.LIBRARY = Path(target)
    for kind in COSTS:
        for seed in range(60):
            graph = make_instance(kind, seed, most=60)
            for work in (None, 200, 20_000):
                multicut_compiled.improve(graph, work, KICKS)
    print("all solved")


@needs_compiler
@pytest.mark.slow
def test_the_sanitizers_find_nothing(tmp_path):
    compiler = build.find_compiler()
    # Both: the sanitizer looks for the C++ library's exceptions when it is loaded.
    runtimes = [find_runtime(compiler, name) for name in ("libasan.so", "libstdc++.so")]
    if not all(Path(runtime).is_absolute() for runtime in runtimes):
        pytest.skip(f"{compiler} has no libasan.so")
    target = tmp_path / "multicut_ops.so"
    flags = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    build.build_multicut(target, compiler, (*flags, "-D_GLIBCXX_ASSERTIONS"))
    # Python itself frees little at its end, which is no leak of the solver.
    settings = {"LD_PRELOAD": ":".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"}
    code = f"import runpy; runpy.run_path({__file__!r})['solve_random_graphs']({str(target)!r})"
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True
    )
    assert result.returncode == 0 and "all solved" in result.stdout, result.stderr[-3000:]
