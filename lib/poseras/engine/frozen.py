"""Parts of a network that a run leaves as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

import keras


def freeze(model: keras.Model, patterns: Sequence[str]) -> list[str]:
    """Take the variables whose path matches out of the training.

    A layer all of whose variables match stands still altogether: a batch normalisation then also
    computes with its moving statistics and keeps them.

    Args:
        model: with its weights; its paths look like `basenet.pre.0.conv/kernel`.
        patterns: regular expressions, found anywhere in a path.

    Returns:
        The paths of the frozen variables.

    Raises:
        ValueError: a pattern is no regular expression or matches nothing, or nothing is left to be
            trained.
    """
    frozen: list[str] = []
    for pattern in patterns:
        matching = [v for v in model.weights if _compile(pattern).search(v.path)]
        if not matching:
            raise ValueError(
                f"train.frozen must match the path of a variable. {pattern!r} matches none of "
                f"{len(model.weights)}, the first of which are "
                f"{', '.join(v.path for v in model.weights[:3])}."
            )
        frozen += [variable.path for variable in matching if variable.path not in frozen]
    known = set(frozen)
    for layer in model.layers:
        paths = {variable.path for variable in layer.weights}
        if paths and paths <= known:
            layer.trainable = False
        for variable in layer.trainable_variables:
            if variable.path in known:
                variable.trainable = False
    if frozen and not model.trainable_variables:
        raise ValueError(
            "train.frozen must leave something to be trained. "
            f"Received {list(patterns)}, which match all."
        )
    return frozen


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"train.frozen holds regular expressions. Received {pattern!r}: {error}."
        ) from None
