"""Poses sampled within anatomical limits, of bodies that do not stick in themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .activities import (
    Activity,
    bend,
    crouch,
    leap,
    lie,
    lunge,
    run,
    sit,
    sit_low,
    stand,
    stand_upright,
    walk,
)
from .anatomy import apply_pose
from .assets import BodyAssets
from .body import Posture, Shape
from .sinking import sinking_depth

Generator = np.random.Generator

_TRIES = 12

#: Activities and their shares; upright people are the most frequent in photographs.
EASY: Mapping[Callable[[Generator], Activity], float] = {stand_upright: 1.0}
EVERYDAY: Mapping[Callable[[Generator], Activity], float] = {
    stand_upright: 0.08,
    stand: 0.3,
    walk: 0.13,
    run: 0.06,
    sit: 0.16,
    sit_low: 0.04,
    crouch: 0.07,
    lunge: 0.05,
    bend: 0.05,
    leap: 0.04,
    lie: 0.02,
}


def sample_pose(
    rng: Generator,
    assets: BodyAssets,
    shape: Shape,
    shares: Mapping[Callable[[Generator], Activity], float],
) -> tuple[Activity, Posture]:
    """An activity whose arms do not stick in the body (the best of `_TRIES`), and its posture."""
    makers = list(shares)
    weights = np.array(list(shares.values()))
    maker = makers[rng.choice(len(makers), p=weights / weights.sum())]
    tries = []
    for _ in range(_TRIES):
        activity = maker(rng)
        posture = apply_pose(assets, shape, activity.pose)
        depth = sinking_depth(assets, posture)
        tries.append((depth, activity, posture))
        if depth <= 0.01:
            break
    _, activity, posture = min(tries, key=lambda found: found[0])
    return activity, posture
