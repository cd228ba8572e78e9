"""The multicut against the original's solutions and the proven optima."""

import numpy as np
import pytest

from poseras.ops import multicut_compiled
from poseras.ops.multicut import make_graph, solve_multicut

FOLDER = "deepercut_arttrack/"
CASES = FOLDER + "multicut.npz"
# The original's sum is float64 over some thousand terms; solvers stop at gains of 1e-6.
TOLERANCE = 1e-6
#: Nodes of an instance that the exact solver must prove.
PROVEN = 40


def load(golden, tag):
    assert tag, f"no case in {CASES}"
    arrays = golden.load(CASES)
    (case,) = (c for c in golden.load(FOLDER + "multicut.json") if c["name"] == tag)
    return case, tuple(arrays[f"{tag}/{part}"] for part in ("unary", "edges", "cost"))


@pytest.mark.golden(CASES, keys="(?P<tag>.+)/unary")
def test_the_energy_of_the_original_solution_is_equal(golden, tag):
    case, instance = load(golden, tag)
    arrays, graph = golden.load(CASES), make_graph(*instance)
    assert len(graph) == case["n"] and len(graph.edges) == case["edges"]
    energy = graph.objective(arrays[f"{tag}/active"], arrays[f"{tag}/cluster"])
    assert energy == pytest.approx(case["objective"], abs=TOLERANCE)


@pytest.mark.parametrize("way", ["as built", "reference"])
@pytest.mark.golden(CASES, keys="(?P<tag>.+)/unary")
def test_local_search_is_at_least_as_good_as_the_original(golden, tag, way, monkeypatch):
    if way == "reference":
        monkeypatch.setattr(multicut_compiled, "load_library", lambda: None)
    case, instance = load(golden, tag)
    solution = solve_multicut(*instance)
    assert solution.complete
    assert solution.objective <= case["objective"] + TOLERANCE
    if case["optimum"] is not None:
        assert solution.objective >= case["optimum"] - TOLERANCE


@pytest.mark.slow
@pytest.mark.golden(CASES, keys="(?P<tag>.+)/unary")
def test_the_exact_solver_reaches_every_optimum_of_small_instances(golden, tag):
    case, instance = load(golden, tag)
    if case["n"] > PROVEN or case["optimum"] is None:
        pytest.skip(f"{tag} has more than {PROVEN} nodes, or no proven optimum")
    solution = solve_multicut(*instance, solver="exact", time_limit_s=300)
    assert solution.complete
    assert solution.objective == pytest.approx(case["optimum"], abs=TOLERANCE)
    assert np.isfinite(solution.bound)
