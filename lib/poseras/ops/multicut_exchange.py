"""Sequences of moves between two clusters, on the matrices of their nodes.

Every sum runs over the nodes in their order, one term after the other (`np.cumsum`, never
`np.sum`, whose order is its own), so that the compiled solver adds alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .multicut import MIXED_COST

#: Gains below this are rounding.
EPSILON = 1e-6
KEPT, SUPPRESSED = 0, 1


@dataclass(frozen=True)
class Clusters:
    """The nodes of two clusters, those of the first before those of the second.

    Attributes:
        unary: (nodes,) cost of keeping.
        costs: (nodes, nodes) cost of joining, 0 without an edge.
        linked: (nodes, nodes) bool, is there an edge?
        label: (nodes,) 0 kept, 1 suppressed.
        first: how many belong to the first; all of them to split it.
    """

    unary: np.ndarray
    costs: np.ndarray
    linked: np.ndarray
    label: np.ndarray
    first: int

    @property
    def split(self) -> bool:
        """Whether there is no second cluster."""
        return self.first == len(self.unary)


def exchange(clusters: Clusters, spend: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
    """Move nodes between two clusters, or join them, where that lowers the energy.

    Args:
        clusters: both.
        spend: is told how many gains are looked at.

    Returns:
        The side (nodes,) of each node afterwards, 0 or 1, and its label (nodes,). The nodes of
        joined clusters are all on side 0.
    """
    label, linked, nodes = clusters.label, clusters.linked, len(clusters.unary)
    side = np.repeat([0, 1], [clusters.first, nodes - clusters.first])
    gains, join_gain = _first_gains(clusters, side)
    across = (linked & (side[:, None] != side)).sum(axis=1)  # neighbours on the other side
    free = np.ones(nodes, bool)
    moves: list[tuple[int, int]] = []
    total, best_gain, best_count = 0.0, 0.0, 0
    movable = free.copy() if clusters.split else across > 0
    new_label, new_side = label.copy(), side.copy()
    while movable.any():
        spend(2 * nodes)
        place = int(np.argmax(np.where(movable[:, None], gains, -np.inf)))
        node, wanted = divmod(place, 2)
        total += float(gains[node, wanted])
        moves.append((node, wanted))
        if total > best_gain:
            best_gain, best_count = total, len(moves)
        there = new_side != new_side[node]
        mixed = MIXED_COST * linked[node]
        gains += _change_of_gains(
            clusters.costs[node], mixed, new_label, there, (new_label[node], wanted)
        )
        across += np.where(there, -1, 1) * linked[node]
        new_side[node], new_label[node], free[node] = 1 - new_side[node], wanted, False
        movable = free & (across > 0)
    if not clusters.split and join_gain > max(best_gain, EPSILON):
        return np.zeros_like(side), label
    done = moves[:best_count] if best_gain > EPSILON else []
    label = label.copy()
    for node, wanted in done:
        side[node], label[node] = 1 - side[node], wanted
    return side, label


def add_up(values: np.ndarray) -> np.ndarray:
    """The sums along the last axis, one term after the other."""
    return np.cumsum(values, axis=-1)[..., -1] if values.shape[-1] else values.sum(axis=-1)


def _first_gains(clusters: Clusters, side: np.ndarray) -> tuple[np.ndarray, float]:
    """What moving each node to the other side under each label gains, and what joining gains.

    Args:
        clusters: both.
        side: (nodes,) 0 or 1.

    Returns:
        (nodes, 2), second axis kept and suppressed; and one number.
    """
    unary, linked, kept = clusters.unary, clusters.linked, clusters.label == KEPT
    if_kept = np.where(linked, np.where(kept, clusters.costs, MIXED_COST), 0.0)
    if_suppressed = np.where(linked & kept, MIXED_COST, 0.0)
    now = np.where(kept[:, None], if_kept, if_suppressed)
    other = side[:, None] != side
    leaving = np.where(kept, unary, 0.0) + add_up(np.where(other, 0.0, now))
    entering = np.stack(
        [
            unary + add_up(np.where(other, if_kept, 0.0)),
            add_up(np.where(other, if_suppressed, 0.0)),
        ],
        axis=1,
    )
    return leaving[:, None] - entering, -float(add_up(add_up(np.where(other, now, 0.0)))) / 2


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
    own_old, own_new = (np.where(label == KEPT, t[0], t[1]) for t in (old, new))
    return np.where(there, old + own_new, -(new + own_old)).T
