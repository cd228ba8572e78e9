"""The multicut by local search: greedy joins, then sequences of moves between clusters.

A sequence moves one node after the other from one cluster to its neighbour, changing labels on the
way, the best next one first even where it makes things worse; the best prefix of it is kept. So
single moves that only pay together are found.

Source: Keuper et al., "Efficient Decomposition of Image and Mesh Graphs by Lifted Multicuts",
ICCV 2015; with labels Levinkov et al., CVPR 2017.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .multicut import MIXED_COST, Graph, Solution, number_clusters

#: Gains below this are rounding.
_EPSILON = 1e-6
_KEPT, _SUPPRESSED = 0, 1


class _LimitReached(Exception):
    """The search has used up its work."""


@dataclass
class _Search:
    """The graph as matrices, and the state of the search.

    Attributes:
        graph: the instance.
        costs: (nodes, nodes) cost of joining, 0 where there is no edge.
        linked: (nodes, nodes) bool, is there an edge?
        label: (nodes,) 0 kept, 1 suppressed.
        cluster: (nodes,) id.
        work: gains that may still be looked at; None for any number.
    """

    graph: Graph
    costs: np.ndarray
    linked: np.ndarray
    label: np.ndarray
    cluster: np.ndarray
    work: int | None
    members: list[np.ndarray] = field(default_factory=list)

    def spend(self, amount: int) -> None:
        """Count work, or stop the search."""
        if self.work is not None:
            self.work -= amount
            if self.work < 0:
                raise _LimitReached

    def objective(self) -> float:
        """The energy of the state."""
        return self.graph.objective(self.label == _KEPT, self.cluster)

    def settle(self) -> None:
        """Split clusters into connected parts and number them by their first nodes."""
        joined = np.empty(len(self.graph), np.int64)
        for number, nodes in enumerate(self.members):
            joined[nodes] = number
        first, second = self.graph.edges.T
        inside = joined[first] == joined[second]
        entries = np.ones(int(inside.sum()), np.int8)
        shape = (len(self.graph),) * 2
        parts = coo_array((entries, (first[inside], second[inside])), shape=shape)
        self.cluster = number_clusters(connected_components(parts, directed=False)[1])
        self.collect()

    def collect(self) -> None:
        """List the members of the clusters, in the order of the nodes."""
        order = np.argsort(self.cluster, kind="stable")
        count = int(self.cluster.max(initial=-1)) + 1
        starts = np.searchsorted(self.cluster[order], np.arange(1, count))
        self.members = np.split(order, starts) if count else []


def improve(graph: Graph, max_work: int | None) -> Solution:
    """A good solution, found by the same steps each time.

    Args:
        graph: the instance.
        max_work: gains to look at before it stops; None for no limit.
    """
    search = _Search(graph, *_fill_matrices(graph), *_start(graph), max_work)
    best, value, complete = (search.label, search.cluster), search.objective(), True
    search.label = np.full(len(graph), _KEPT)
    known: set[bytes] = set()
    try:
        _join_greedily(search)
        improved = True
        while improved and len(graph):
            after = search.objective()
            improved = not known or after < value - _EPSILON
            if after < value:
                best, value = (search.label.copy(), search.cluster.copy()), after
            if improved:
                known = _improve_once(search, known)
    except _LimitReached:
        search.settle()  # what was done before the limit stands
        complete = False
    if search.objective() < value:
        best = search.label, search.cluster
    active, cluster = best[0] == _KEPT, best[1]
    return Solution(active, cluster, graph.objective(active, cluster), complete)


def _fill_matrices(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Costs (nodes, nodes) and whether there is an edge."""
    costs = np.zeros((len(graph),) * 2)
    linked = np.zeros(costs.shape, bool)
    first, second = graph.edges.T
    costs[first, second] = costs[second, first] = graph.costs
    linked[first, second] = linked[second, first] = True
    return costs, linked


def _start(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Every node alone; those that cost something are suppressed."""
    label = np.where(graph.unary < 0, _KEPT, _SUPPRESSED)
    return label, np.arange(len(graph))


def _join_greedily(search: _Search) -> None:
    """Join the two clusters that gain most, until none gains."""
    gain = np.where(search.linked, -search.costs, 0.0)
    linked = search.linked.copy()
    shown = np.where(linked, gain, -np.inf)  # -inf where there is nothing to join
    search.collect()
    best = shown.max(axis=1, initial=-np.inf)
    while len(best):
        a = int(np.argmax(best))
        if best[a] < 0:
            break
        b = int(np.argmax(shown[a]))
        search.spend(len(gain))
        search.members[a] = np.concatenate([search.members[a], search.members[b]])
        search.members[b] = search.members[b][:0]
        gain[a] += gain[b]
        linked[a] |= linked[b]
        linked[a, [a, b]] = False
        gain[:, a], linked[:, a] = gain[a], linked[a]
        linked[b], linked[:, b] = False, False
        stale = (shown[:, a] == best) | (shown[:, b] == best)
        stale[[a, b]] = True
        shown[a] = shown[:, a] = np.where(linked[a], gain[a], -np.inf)
        shown[b] = shown[:, b] = -np.inf
        best = np.maximum(best, shown[:, a])
        best[stale] = shown[stale].max(axis=1)
    search.settle()


def _improve_once(search: _Search, known: set[bytes]) -> set[bytes]:
    """One round over neighbouring clusters, splits and labels.

    Args:
        search: its state is changed, never for the worse.
        known: fingerprints of the clusters of the round before; pairs of them are not tried again.

    Returns:
        Fingerprints of the clusters as they were at the start.
    """
    before = [_fingerprint(search, nodes) for nodes in search.members]
    fresh = [print_ not in known for print_ in before]
    first, second = (search.cluster[nodes] for nodes in search.graph.edges.T)
    crossing = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
    for a, b in np.unique(crossing[first != second], axis=0).tolist():
        if len(search.members[a]) and len(search.members[b]) and (fresh[a] or fresh[b]):
            search.members[a], search.members[b] = _exchange(
                search, search.members[a], search.members[b]
            )
    search.settle()
    nobody = np.zeros(0, np.int64)
    for number in range(len(search.members)):
        if _fingerprint(search, search.members[number]) in known:
            continue
        while len(search.members[number]):
            stay, leave = _exchange(search, search.members[number], nobody)
            if not len(leave):
                break
            search.members[number] = stay
            search.members.append(leave)
    search.settle()
    _relabel(search)
    return set(before)


def _fingerprint(search: _Search, nodes: np.ndarray) -> bytes:
    """Tells clusters of other nodes or labels apart."""
    ordered = np.sort(nodes)
    return (2 * ordered + search.label[ordered]).tobytes()


def _exchange(
    search: _Search, nodes_a: np.ndarray, nodes_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move nodes between two clusters, or join them, where that lowers the energy.

    Args:
        search: labels are changed; its clusters are not.
        nodes_a: nodes of one cluster.
        nodes_b: nodes of another; none to split the first.

    Returns:
        The nodes of both afterwards. Joined clusters are in the first.
    """
    nodes = np.concatenate([nodes_a, nodes_b])
    costs = search.costs[np.ix_(nodes, nodes)]
    linked = search.linked[np.ix_(nodes, nodes)]
    label = search.label[nodes]
    side = np.repeat([0, 1], [len(nodes_a), len(nodes_b)])
    gains, join_gain = _first_gains(search.graph.unary[nodes], costs, linked, label, side)
    across = (linked & (side[:, None] != side)).sum(axis=1)  # neighbours on the other side
    free = np.ones(len(nodes), bool)
    moves: list[tuple[int, int]] = []
    total, best_gain, best_count = 0.0, 0.0, 0
    movable = free.copy() if not len(nodes_b) else across > 0
    new_label, new_side = label.copy(), side.copy()
    while movable.any():
        search.spend(2 * len(nodes))
        place = int(np.argmax(np.where(movable[:, None], gains, -np.inf)))
        node, wanted = divmod(place, 2)
        total += float(gains[node, wanted])
        moves.append((node, wanted))
        if total > best_gain:
            best_gain, best_count = total, len(moves)
        there = new_side != new_side[node]
        gains += _change_of_gains(
            costs[node], MIXED_COST * linked[node], new_label, there, (new_label[node], wanted)
        )
        across += np.where(there, -1, 1) * linked[node]
        new_side[node], new_label[node], free[node] = 1 - new_side[node], wanted, False
        movable = free & (across > 0)
    if len(nodes_b) and join_gain > max(best_gain, _EPSILON):
        return nodes, nodes[:0]
    if best_gain <= _EPSILON:
        return nodes_a, nodes_b
    for node, wanted in moves[:best_count]:
        side[node], label[node] = 1 - side[node], wanted
    search.label[nodes] = label
    return nodes[side == 0], nodes[side == 1]


def _first_gains(
    unary: np.ndarray, costs: np.ndarray, linked: np.ndarray, label: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, float]:
    """What moving each node to the other side under each label gains, and what joining gains.

    Args:
        unary: (nodes,).
        costs: (nodes, nodes).
        linked: (nodes, nodes) bool.
        label: (nodes,).
        side: (nodes,) 0 or 1.

    Returns:
        (nodes, 2), second axis kept and suppressed; and one number.
    """
    kept = label == _KEPT
    if_kept = np.where(linked, np.where(kept, costs, MIXED_COST), 0.0)
    if_suppressed = np.where(linked & kept, MIXED_COST, 0.0)
    now = np.where(kept[:, None], if_kept, if_suppressed)
    other = side[:, None] != side
    leaving = np.where(kept, unary, 0.0) + np.where(other, 0.0, now).sum(axis=1)
    entering = np.stack(
        [
            unary + np.where(other, if_kept, 0.0).sum(axis=1),
            np.where(other, if_suppressed, 0.0).sum(axis=1),
        ],
        axis=1,
    )
    return leaving[:, None] - entering, -float(np.where(other, now, 0.0).sum()) / 2


def _change_of_gains(
    cost: np.ndarray,
    mixed: np.ndarray,
    label: np.ndarray,
    there: np.ndarray,
    labels: tuple[int, int],
) -> np.ndarray:
    """How the gains of all nodes change when one moves.

    Args:
        cost: (nodes,) of joining each with the moved one.
        mixed: (nodes,) cost when one of both is suppressed, 0 without an edge.
        label: (nodes,).
        there: (nodes,) bool, is the node on the side that the other moves to?
        labels: of the moved node, before and after.

    Returns:
        (nodes, 2).
    """
    table = np.stack([np.stack([cost, mixed]), np.stack([mixed, np.zeros_like(cost)])])
    old, new = table[labels[0]], table[labels[1]]  # (2, nodes) each, by the label of the node
    own_old, own_new = (np.where(label == _KEPT, t[0], t[1]) for t in (old, new))
    return np.where(there, old + own_new, -(new + own_old)).T


def _relabel(search: _Search) -> None:
    """Change labels inside the clusters, each node's at most once, the greatest gain first."""
    graph, label = search.graph, search.label
    same = search.linked & (search.cluster[:, None] == search.cluster)
    kept = label == _KEPT
    if_kept = graph.unary + np.where(same, np.where(kept, search.costs, MIXED_COST), 0.0).sum(1)
    if_suppressed = np.where(same & kept, MIXED_COST, 0.0).sum(axis=1)
    gain = np.where(kept, if_kept - if_suppressed, if_suppressed - if_kept)
    free = np.ones(len(graph), bool)
    while free.any():
        search.spend(len(graph))
        node = int(np.argmax(np.where(free, gain, -np.inf)))
        if gain[node] <= _EPSILON:
            return
        # Of a neighbour, going over to the other label: its own sign, and the moved node's.
        sign = np.where(label == _KEPT, 1.0, -1.0) * (1.0 if label[node] == _SUPPRESSED else -1.0)
        change = sign * (search.costs[node] - 2 * MIXED_COST)
        gain += np.where(same[node], change, 0.0)
        label[node], free[node] = 1 - label[node], False
