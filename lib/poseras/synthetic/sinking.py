"""Whether a body sticks in itself, told from points along its bones."""

from __future__ import annotations

import numpy as np

from .assets import BodyAssets
from .body import Posture, bone_indices


def sinking_depth(assets: BodyAssets, posture: Posture) -> float:
    """Metres by which forearms, hands or shins stick in trunk, head, thighs or each other."""
    bones = bone_indices(assets.bones)
    head, tail = posture.joints

    def at(name: str) -> np.ndarray:
        return head[bones[name]]

    size = float(np.linalg.norm(at("head") - at("root"))) / 0.62  # of a grown body
    hands = {
        side: _along(
            at(f"lowerarm01.{side}") * 0.6 + at(f"wrist.{side}") * 0.4,
            tail[bones[f"finger3-2.{side}"]],
        )
        for side in "LR"
    }
    both = np.concatenate(list(hands.values()))
    across = (at("upperarm01.L") - at("upperarm01.R")) * 0.22
    trunk = _along(at("root"), at("neck01") * 0.85 + at("root") * 0.15)
    skull = (at("head") * 0.45 + tail[bones["head"]] * 0.55)[None]
    depths = [
        _overlap(both, np.concatenate([trunk + across, trunk - across]), 0.15 * size),
        _overlap(both, skull, 0.125 * size),
        _overlap(hands["L"], hands["R"], 0.07 * size),
    ]
    shins = {}
    for side in "LR":
        thigh = _along(at(f"upperleg01.{side}"), at(f"lowerleg01.{side}"))
        shins[side] = _along(at(f"lowerleg01.{side}"), at(f"foot.{side}"))
        depths.append(_overlap(both, thigh, 0.105 * size))
        depths.append(_overlap(both, shins[side], 0.085 * size))
    depths.append(_overlap(shins["L"], shins["R"], 0.1 * size))
    return max(depths)


def _along(start: np.ndarray, end: np.ndarray, count: int = 6) -> np.ndarray:
    return start + np.linspace(0, 1, count)[:, None] * (end - start)


def _overlap(ones: np.ndarray, others: np.ndarray, distance: float) -> float:
    """How much nearer than `distance` two rows of points come."""
    gaps = np.linalg.norm(ones[:, None] - others[None], axis=-1)
    return float(distance - gaps.min())
