"""`sparse_graph` of pose-tensorflow's `pose_cfg.yaml`: which pairs of joints are compared."""

from __future__ import annotations

from typing import Any

from .options import COCO_GRAPH

#: Values of dataset_type whose joints may be COCO's.
_COCO_KINDS = ("coco", "default")

Pairs = list[list[int]]


def translate_graph(listed: Any, kind: str) -> str | Pairs:
    """Our setting of a file's `sparse_graph`.

    Args:
        listed: the pairs, none for all.
        kind: `dataset_type`.

    Returns:
        `all`, `coco_40` for the pairs of the published COCO demo in any order, or the pairs.

    Raises:
        ValueError: as `list_graph`, or the original would compare no pair of them.
    """
    pairs, ignored = list_graph(listed)
    if ignored and not pairs:
        raise ValueError(
            "sparse_graph must be empty or hold a pair of joints, the smaller number first. "
            f"Received {listed!r}, of which the original compares nothing."
        )
    if kind in _COCO_KINDS and {(a, b) for a, b in pairs} == {*COCO_GRAPH}:
        return "coco_40"
    return pairs or "all"


def list_graph(listed: Any) -> tuple[Pairs, Pairs]:
    """The pairs that the original compares, and those that it ignores: not the smaller one first.

    Raises:
        ValueError: it is no list of pairs of joints.
    """
    pairs = listed if isinstance(listed, list) else [listed] if listed else []
    strange = [pair for pair in pairs if not _is_pair(pair)]
    if strange:
        raise ValueError(
            "sparse_graph must be a list of pairs of joints [0, 1], numbered from 0. "
            f"Received among them {strange[0]!r}."
        )
    return [pair for pair in pairs if pair[0] < pair[1]], [p for p in pairs if p[0] >= p[1]]


def _is_pair(pair: Any) -> bool:
    listed = isinstance(pair, list) and len(pair) == 2
    return listed and all(type(joint) is int and joint >= 0 for joint in pair)
