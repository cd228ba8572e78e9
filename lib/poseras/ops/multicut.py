"""People as the solution of a graph problem: the node-labelled minimum cost multicut.

Detections are nodes. Each is kept or suppressed, and kept ones are joined to clusters, the people.
The energy is the sum of the unary costs of kept nodes, and of the costs of edges inside a cluster;
an edge inside a cluster with one end kept and the other suppressed costs 1000, cut edges and
suppressed nodes nothing. A negative cost speaks for a detection, or for joining two.

Source: Insafutdinov et al., "DeeperCut", ECCV 2016; Levinkov et al., "Joint Graph Decomposition and
Node Labeling", CVPR 2017.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

log = logging.getLogger("poseras")

Solver = Literal["local", "exact"]

#: Cost of an edge inside a cluster between a kept and a suppressed node.
MIXED_COST = 1000.0
#: Disturbances of a solution that are tried; more cost time, and seldom gain.
KICKS = 16
#: The solvers hold matrices of nodes x nodes: at this number 0.6 GB each.
MAX_NODES = 9_000


@dataclass(frozen=True)
class Graph:
    """A checked instance.

    Attributes:
        unary: (nodes,) float64, cost of keeping a node.
        edges: (edges, 2) int64, first < second, each pair once, no loops.
        costs: (edges,) float64, cost of joining.
    """

    unary: np.ndarray
    edges: np.ndarray
    costs: np.ndarray

    def __len__(self) -> int:
        return len(self.unary)

    def objective(self, active: np.ndarray, cluster: np.ndarray) -> float:
        """The energy of a solution: active (nodes,) bool, cluster (nodes,) ids."""
        first, second = self.edges.T
        joined = cluster[first] == cluster[second]
        kept = active[first].astype(np.int64) + active[second]
        inside = np.where(kept == 2, self.costs, np.where(kept == 1, MIXED_COST, 0.0))
        # One term after the other, as the compiled solver adds.
        sums = [np.cumsum(values)[-1:].sum() for values in (self.unary[active], inside[joined])]
        return float(sums[0] + sums[1])


@dataclass(frozen=True)
class Solution:
    """People, as clusters of detections.

    Attributes:
        active: (nodes,) bool, False for suppressed detections.
        cluster: (nodes,) int64, 0..clusters - 1 in the order of their first nodes. Suppressed nodes
            have clusters of their own.
        objective: the energy; lower is better.
        complete: False when the search was cut short by its limit.
        bound: no solution has a lower energy, as proven by the exact solver; -inf otherwise.
    """

    active: np.ndarray
    cluster: np.ndarray
    objective: float
    complete: bool
    bound: float = -np.inf


def solve_multicut(
    unary: ArrayLike,
    edges: ArrayLike,
    costs: ArrayLike,
    *,
    solver: Solver = "local",
    kicks: int = KICKS,
    max_work: int | None = None,
    time_limit_s: float = 60.0,
) -> Solution:
    """Decide which detections to keep and which to join.

    Args:
        unary: (nodes,) cost of keeping each detection, finite.
        edges: (edges, 2) pairs of nodes that may be joined. Loops are left out; the costs of a
            repeated pair add up. Without edges each node stands alone.
        costs: (edges,) cost of joining each pair, finite.
        solver: `local` joins greedily and improves by moves of nodes, joins, splits and changes of
            labels; equal input gives equal output, by the compiled solver where it is built and in
            NumPy otherwise. `exact` is an integer program, for some dozens of nodes.
        kicks: how often `local` dissolves a part of what it found and descends again.
        max_work: where `local` stops, counted in gains of moves that it looked at, so that the
            result does not depend on the machine; None never. The best solution so far is
            returned, and one log line says so.
        time_limit_s: where `exact` stops, with the same consequence.

    Raises:
        ValueError: shapes, ids or numbers are wrong, there are more than `MAX_NODES` nodes, or the
            solver is unknown.
    """
    if solver not in ("local", "exact"):
        raise ValueError(f"solver must be local or exact. Received {solver!r}.")
    if kicks < 0 or (max_work is not None and max_work < 0):
        raise ValueError(
            f"kicks and max_work must not be negative. Received {kicks} and {max_work}."
        )
    graph = make_graph(unary, edges, costs)
    from . import multicut_compiled, multicut_local

    solution = multicut_compiled.improve(graph, max_work, kicks)
    if solution is None:
        solution = multicut_local.improve(graph, max_work, kicks)
    if solver == "exact":
        from .multicut_exact import prove

        solution = prove(graph, solution, time_limit_s)
    if not solution.complete:
        limit = f"{time_limit_s} s" if solver == "exact" else f"max_work {max_work}"
        log.warning(
            "The multicut of %d detections and %d pairs stopped at its limit of %s; the best "
            "solution so far is used. A higher det_min_score leaves fewer detections.",
            len(graph),
            len(graph.edges),
            limit,
        )
    return solution


def make_graph(unary: ArrayLike, edges: ArrayLike, costs: ArrayLike) -> Graph:
    """Check an instance and add up the costs of repeated pairs; errors as `solve_multicut`."""
    keep, pairs = np.asarray(unary, np.float64), np.asarray(edges)
    join = np.asarray(costs, np.float64)
    if keep.ndim != 1 or join.ndim != 1:
        raise ValueError(
            "unary must have shape (nodes,) and costs (edges,). "
            f"Received {keep.shape} and {join.shape}."
        )
    if pairs.size == 0:
        pairs = np.zeros((0, 2), np.int64)
    if pairs.shape != (len(join), 2) or pairs.dtype.kind not in "iu":
        raise ValueError(
            f"edges must have shape ({len(join)}, 2), one pair of integers per cost. "
            f"Received {pairs.shape}, {pairs.dtype}."
        )
    pairs = pairs.astype(np.int64)
    if len(keep) > MAX_NODES:
        raise ValueError(
            f"A graph may have {MAX_NODES} detections. Received {len(keep)}; raise det_min_score."
        )
    if pairs.size and (pairs.min() < 0 or pairs.max() >= len(keep)):
        raise ValueError(
            f"edges must join nodes 0 to {len(keep) - 1}. "
            f"Received ids from {pairs.min()} to {pairs.max()}."
        )
    with np.errstate(over="ignore"):
        finite = np.isfinite(np.abs(keep).sum() + np.abs(join).sum())  # and so is every sum
    if not finite:
        raise ValueError("unary and costs must be finite. Clip probabilities before the logarithm.")
    real = pairs[:, 0] != pairs[:, 1]
    ordered = np.sort(pairs[real], axis=1)
    unique, rows = np.unique(ordered[:, 0] * len(keep) + ordered[:, 1], return_inverse=True)
    total = np.bincount(rows.ravel(), weights=join[real], minlength=len(unique))
    size = max(len(keep), 1)
    return Graph(keep, np.stack([unique // size, unique % size], axis=1), total)


def number_clusters(cluster: np.ndarray) -> np.ndarray:
    """The same clusters with ids 0, 1, ... in the order of their first nodes."""
    _, first, rows = np.unique(cluster, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[rows.ravel()]
