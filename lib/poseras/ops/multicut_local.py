"""The multicut by local search: greedy joins, sequences of moves between clusters, then kicks.

A sequence moves one node after the other from one cluster to its neighbour, changing labels on the
way, the best next one first even where it makes things worse; the best prefix of it is kept. So
single moves that only pay together are found. A kick dissolves two neighbouring clusters of the
best solution, or a node and those that attract it, and descends again.

This is the reference of kernels/multicut.cc, which takes the same steps in the same order.

Source: Keuper et al., "Efficient Decomposition of Image and Mesh Graphs by Lifted Multicuts",
ICCV 2015; with labels Levinkov et al., CVPR 2017. Kicks: Lourenço et al., "Iterated local search",
2003.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .multicut import MIXED_COST, Graph, Solution, number_clusters
from .multicut_exchange import EPSILON, KEPT, SUPPRESSED, Clusters, exchange

Print = bytes


class LimitReached(Exception):
    """The search has used up its work."""


class Search:
    """The graph as matrices, the state of the search and the best state so far.

    Attributes:
        graph: the instance.
        costs: (nodes, nodes) cost of joining, 0 where there is no edge.
        linked: (nodes, nodes) bool, is there an edge?
        label: (nodes,) 0 kept, 1 suppressed.
        cluster: (nodes,) id.
        members: the nodes of each cluster; of a joined one in the order in which they came.
        best: the labels and clusters of the best state.
        best_value: its energy.
    """

    def __init__(self, graph: Graph, max_work: int | None = None):
        self.graph = graph
        self.costs = np.zeros((len(graph),) * 2)
        self.linked = np.zeros(self.costs.shape, bool)
        first, second = graph.edges.T
        self.costs[first, second] = self.costs[second, first] = graph.costs
        self.linked[first, second] = self.linked[second, first] = True
        # Each edge in both directions, ordered by its nodes.
        self._first, self._second = np.nonzero(self.linked)
        self._cost = self.costs[self._first, self._second]
        self.label = np.where(graph.unary < 0, KEPT, SUPPRESSED)
        self.cluster = np.arange(len(graph))
        self.members: list[np.ndarray] = []
        self._work = max_work
        self.best, self.best_value = (self.label.copy(), self.cluster), self.objective()

    def spend(self, amount: int) -> None:
        """Count work, or stop the search."""
        if self._work is not None:
            self._work -= amount
            if self._work < 0:
                raise LimitReached

    def objective(self) -> float:
        """The energy of the state."""
        return self.graph.objective(self.label == KEPT, self.cluster)

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

    def keep_better(self) -> None:
        """Remember the state where it is better than the best so far."""
        value = self.objective()
        if value < self.best_value - EPSILON:
            self.best, self.best_value = (self.label.copy(), self.cluster.copy()), value

    def fingerprint(self, nodes: np.ndarray) -> Print:
        """Tells clusters of other nodes or labels apart."""
        ordered = np.sort(nodes)
        return (2 * ordered + self.label[ordered]).tobytes()

    def directed_edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and second node and cost of each edge, both directions, ordered by the nodes."""
        return self._first, self._second, self._cost


def improve(graph: Graph, max_work: int | None, kicks: int) -> Solution:
    """A good solution, found by the same steps each time.

    Args:
        graph: the instance.
        max_work: gains to look at before it stops; None for no limit.
        kicks: how many are tried.
    """
    search, complete = Search(graph, max_work), True
    search.label[:] = KEPT
    search.collect()
    try:
        _start(search)
        _kick(search, kicks)
    except LimitReached:
        search.settle()  # what was done before the limit stands
        search.keep_better()
        complete = False
    label, cluster = search.best
    active = label == KEPT
    return Solution(active, cluster, graph.objective(active, cluster), complete)


def _start(search: Search) -> None:
    """Descend from the greedy joins twice: clusters meet in the order of their numbers.

    The first time they are numbered by their first nodes, the second time by their leaders, as in
    the code of the authors.
    """
    leaders = _join_greedily(search)
    joined = search.cluster.copy()
    _descend(search, set())
    search.keep_better()
    if np.all(leaders[:-1] < leaders[1:]):
        return  # that is the same order
    order = np.argsort(np.argsort(leaders))
    search.label[:], search.cluster = KEPT, order[joined]
    search.collect()
    _descend(search, set())
    search.keep_better()


def _join_greedily(search: Search) -> np.ndarray:
    """Join the two clusters that gain most, until none gains.

    Returns:
        (clusters,) the leader of each: its first node, or where clusters were joined the leader of
        that with more neighbours, of equal ones the lower one.
    """
    first, second, cost = _crossing(search)
    gain = np.zeros((len(search.members),) * 2)
    linked = np.zeros(gain.shape, bool)
    np.add.at(gain, (first, second), -cost)
    np.add.at(gain, (second, first), -cost)
    linked[first, second] = linked[second, first] = True
    shown = np.where(linked, gain, -np.inf)  # -inf where there is nothing to join
    best = shown.max(axis=1, initial=-np.inf)
    leaders = np.array([nodes[0] for nodes in search.members], np.int64)
    while len(best):
        a = int(np.argmax(best))
        if best[a] < 0:
            break
        b = int(np.argmax(shown[a]))
        search.spend(len(search.graph))
        leaders[a] = min((-linked[c].sum(), leaders[c]) for c in (a, b))[1]
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
    left = leaders[[len(nodes) > 0 for nodes in search.members]]
    search.settle()
    leaders = np.empty_like(left)
    leaders[search.cluster[left]] = left
    return leaders


def _crossing(search: Search) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clusters, the lower first, and cost of each edge between kept nodes of different clusters."""
    first, second, cost = search.directed_edges()
    kept = search.label == KEPT
    a, b = search.cluster[first], search.cluster[second]
    chosen = (a < b) & kept[first] & kept[second]
    return a[chosen], b[chosen], cost[chosen]


def _descend(search: Search, known: set[Print]) -> None:
    """Rounds, until one gains nothing; `known` as in `_improve_once`."""
    before, after = np.inf, search.objective()
    while after < before - EPSILON:
        before = after
        known = _improve_once(search, known)
        after = search.objective()


def _improve_once(search: Search, known: set[Print]) -> set[Print]:
    """One round over neighbouring clusters, splits and labels.

    Args:
        search: its state is changed, never for the worse.
        known: fingerprints of clusters whose pairs, and whose splits, are not tried again.

    Returns:
        Fingerprints of the clusters as they were at the start.
    """
    before = [search.fingerprint(nodes) for nodes in search.members]
    fresh = [print_ not in known for print_ in before]
    first, second = (search.cluster[nodes] for nodes in search.graph.edges.T)
    pairs = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
    for a, b in np.unique(pairs[first != second], axis=0).tolist():
        if len(search.members[a]) and len(search.members[b]) and (fresh[a] or fresh[b]):
            search.members[a], search.members[b] = _exchange(
                search, search.members[a], search.members[b]
            )
    search.settle()
    nobody = np.zeros(0, np.int64)
    for number in range(len(search.members)):
        if search.fingerprint(search.members[number]) in known:
            continue
        while len(search.members[number]):
            search.members[number], leave = _exchange(search, search.members[number], nobody)
            if not len(leave):
                break
            search.members.append(leave)
    search.settle()
    _relabel(search)
    return set(before)


def _exchange(
    search: Search, nodes_a: np.ndarray, nodes_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nodes of two clusters after moves between them; their labels are changed in place."""
    nodes = np.concatenate([nodes_a, nodes_b])
    matrix = np.ix_(nodes, nodes)
    clusters = Clusters(
        unary=search.graph.unary[nodes],
        costs=search.costs[matrix],
        linked=search.linked[matrix],
        label=search.label[nodes],
        first=len(nodes_a),
    )
    side, search.label[nodes] = exchange(clusters, search.spend)
    return nodes[side == 0], nodes[side == 1]


def _relabel(search: Search) -> None:
    """Change labels inside the clusters, each node's at most once, the greatest gain first."""
    label, cluster, nodes = search.label, search.cluster, len(search.graph)
    first, second, cost = search.directed_edges()
    inside, kept = cluster[first] == cluster[second], label == KEPT
    first, second, cost = first[inside], second[inside], cost[inside]
    # np.bincount adds in the order of the edges.
    if_kept = search.graph.unary + np.bincount(
        first, np.where(kept[second], cost, MIXED_COST), minlength=nodes
    )
    if_suppressed = np.bincount(first, np.where(kept[second], MIXED_COST, 0.0), minlength=nodes)
    gain = np.where(kept, if_kept - if_suppressed, if_suppressed - if_kept)
    free = np.ones(nodes, bool)
    while free.any():
        search.spend(nodes)
        node = int(np.argmax(np.where(free, gain, -np.inf)))
        if gain[node] <= EPSILON:
            return
        # Of a neighbour, going over to the other label: its own sign, and the moved node's.
        sign = np.where(label == KEPT, 1.0, -1.0) * (1.0 if label[node] == SUPPRESSED else -1.0)
        change = sign * (search.costs[node] - 2 * MIXED_COST)
        gain += np.where(search.linked[node] & (cluster == cluster[node]), change, 0.0)
        label[node], free[node] = 1 - label[node], False


def _kick(search: Search, kicks: int) -> None:
    """Dissolve a part of the best solution, another each time, and descend again."""
    tried: set[tuple[Print, Print]] = set()
    tried_nodes = np.zeros(len(search.graph), bool)
    for kick in range(kicks):
        search.spend(len(search.graph) + len(search.graph.edges))
        search.label, search.cluster = (values.copy() for values in search.best)
        search.collect()
        chosen = _choose_node(search, tried_nodes) if kick % 2 else _choose_pair(search, tried)
        if not len(chosen):
            continue
        known = {search.fingerprint(nodes) for nodes in search.members}
        search.label[chosen] = KEPT
        search.cluster[chosen] = len(search.graph) + chosen  # a number of its own
        search.collect()
        search.settle()
        _join_greedily(search)
        _descend(search, known)
        search.keep_better()


def _choose_pair(search: Search, tried: set[tuple[Print, Print]]) -> np.ndarray:
    """The nodes of the pair of clusters that joining gains most, or loses least.

    Attraction counts twice. Of equal pairs the first is taken.

    Args:
        search: at its best state.
        tried: fingerprints of pairs that are left out; grows by those of the chosen one.

    Returns:
        (nodes,), none where all were tried.
    """
    first, second, cost = _crossing(search)
    count = len(search.members)
    pairs, place = np.unique(first * count + second, return_inverse=True)
    gain = np.bincount(place.ravel(), np.where(cost < 0, -2 * cost, -cost), minlength=len(pairs))
    for pair in pairs[np.argsort(-gain, kind="stable")].tolist():
        both = [search.members[number] for number in divmod(pair, count)]
        prints = search.fingerprint(both[0]), search.fingerprint(both[1])
        if prints not in tried:
            tried.add(prints)
            return np.concatenate(both)
    return np.zeros(0, np.int64)


def _choose_node(search: Search, tried: np.ndarray) -> np.ndarray:
    """The node whose cut attraction and joined repulsion add up to most, and who attracts it.

    Of equal nodes the first is taken.

    Args:
        search: at its best state.
        tried: (nodes,) bool, nodes that are left out; grows by the chosen one.

    Returns:
        (nodes,), the chosen one first; none where all were tried.
    """
    if tried.all():
        return np.zeros(0, np.int64)
    first, second, cost = search.directed_edges()
    joined = search.cluster[first] == search.cluster[second]
    wrong = np.maximum(np.where(joined, cost, -cost), 0.0)
    sums = np.bincount(first, wrong, minlength=len(search.graph))
    node = int(np.argmax(np.where(tried, -1.0, sums)))
    tried[node] = True
    return np.append(node, second[(first == node) & (cost < 0)])
