"""The multicut as an integer program, solved to proven optimality by HiGHS where time allows.

A variable for each node, is it kept, and for each edge, does it join two kept nodes of one cluster.
That joins are transitive, is said by one inequality for each cycle: of a cycle's edges never all
but one join. There are too many to write down, so only those are added that a solution breaks;
first of the relaxation without integrality, then of integer solutions.

Source: Chopra and Rao, "The partition problem", 1993; Kappes et al., EMMCVPR 2011.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from .multicut import Graph, Solution, number_clusters

#: Violations below this are rounding of the solver, whose own tolerance is 1e-6.
_VIOLATION = 1e-5
#: Rounds of cuts on the relaxation; each makes the integer program easier, the last ones little.
_RELAXED_ROUNDS = 30
#: Keeps an edge of length 0 an edge in a sparse matrix.
_LEAST_LENGTH = 1e-9


@dataclass
class _Program:
    """The program so far.

    Attributes:
        graph: the instance; variables are its nodes, then its edges.
        columns: of the coefficients, one array for each inequality.
        values: of the coefficients.
        limits: each inequality says: sum of values x variables <= limit.
    """

    graph: Graph
    columns: list[np.ndarray] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def add(self, columns: np.ndarray, values: np.ndarray, limit: float) -> None:
        """One more inequality."""
        self.columns.append(columns)
        self.values.append(values)
        self.limits.append(limit)

    def matrix(self) -> csr_array:
        """(inequalities, variables)."""
        lengths = [len(columns) for columns in self.columns]
        rows = np.repeat(np.arange(len(lengths)), lengths)
        entries = np.concatenate(self.values), (rows, np.concatenate(self.columns))
        shape = len(lengths), len(self.graph) + len(self.graph.edges)
        return csr_array(coo_array(entries, shape=shape))

    def solve(self, integer: bool, seconds: float) -> OptimizeResult:
        """Ask HiGHS."""
        return milp(
            np.concatenate([self.graph.unary, self.graph.costs]),
            integrality=int(integer),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(self.matrix(), ub=np.array(self.limits)),
            options={"time_limit": seconds, "mip_rel_gap": 0.0},
        )


def prove(graph: Graph, start: Solution, time_limit_s: float) -> Solution:
    """The best solution, or the best of `start` and all that was found in time.

    Args:
        graph: the instance.
        start: any solution.
        time_limit_s: above 0.

    Returns:
        A solution whose `bound` equals its objective where it is `complete`; elsewhere the bound is
        what was proven in time.

    Raises:
        ValueError: the time limit is not positive.
    """
    if not time_limit_s > 0:
        raise ValueError(f"time_limit_s must be above 0. Received {time_limit_s}.")
    if not len(graph.edges):
        active = graph.unary < 0
        objective = graph.objective(active, np.arange(len(graph)))
        return Solution(active, np.arange(len(graph)), objective, True, objective)
    deadline = time.monotonic() + time_limit_s
    program, bound, rounds, best = _make_program(graph), -np.inf, 0, start
    while (left := deadline - time.monotonic()) > 0:
        integer = rounds >= _RELAXED_ROUNDS
        result = program.solve(integer, left)
        if integer and result.x is not None:
            best = _better(graph, best, result.x)
        found = result.mip_dual_bound if integer else result.fun
        if result.status != 0 or result.x is None:
            if integer and found is not None:
                bound = max(bound, float(found))
            break
        bound = max(bound, float(found if found is not None else result.fun))
        broken = _add_broken_cycles(program, result.x[len(graph) :])
        if integer and not broken:
            return replace(best, complete=True, bound=min(bound, best.objective))
        rounds = rounds + 1 if broken else _RELAXED_ROUNDS
    return replace(best, complete=False, bound=bound)


def _make_program(graph: Graph) -> _Program:
    """An edge joins only nodes that are kept."""
    program = _Program(graph)
    for number, pair in enumerate(graph.edges):
        for node in pair:
            columns = np.array([len(graph) + number, node])
            program.add(columns, np.array([1.0, -1.0]), 0.0)
    return program


def _add_broken_cycles(program: _Program, joined: np.ndarray) -> int:
    """Add the inequality of the shortest broken cycle through each edge; how many there were.

    Args:
        program: grows.
        joined: (edges,) 0..1, as it was solved.
    """
    graph = program.graph
    length = np.maximum(1 - joined, _LEAST_LENGTH)
    first, second = graph.edges.T
    shape = (len(graph),) * 2
    paths = csr_array(coo_array((length, (first, second)), shape=shape))
    distance, before = dijkstra(paths, directed=False, return_predecessors=True)
    broken = np.flatnonzero(distance[first, second] < length - _VIOLATION)
    row_of = {pair: row for row, pair in enumerate(map(tuple, graph.edges.tolist()))}
    seen: set[tuple[int, ...]] = set()
    for row in broken.tolist():
        path, node = [], int(second[row])
        while node != first[row]:
            previous = int(before[first[row], node])
            path.append(row_of[min(node, previous), max(node, previous)])
            node = previous
        key = (row, *sorted(path))
        if key not in seen:
            seen.add(key)
            columns = np.array([*path, row]) + len(graph)
            program.add(columns, np.array([1.0] * len(path) + [-1.0]), len(path) - 1.0)
    return len(seen)


def _better(graph: Graph, best: Solution, variables: np.ndarray) -> Solution:
    """The clusters that the variables join, or `best` where that is as good.

    They are a solution even where the variables break cycles: whatever is linked is joined.
    """
    active = variables[: len(graph)] > 0.5
    joined = variables[len(graph) :] > 0.5
    first, second = graph.edges[joined].T
    entries = np.ones(len(first), np.int8)
    parts = coo_array((entries, (first, second)), shape=(len(graph),) * 2)
    cluster = number_clusters(connected_components(parts, directed=False)[1])
    objective = graph.objective(active, cluster)
    if best.objective <= objective + 1e-9:
        return best
    return Solution(active, cluster, objective, False)
