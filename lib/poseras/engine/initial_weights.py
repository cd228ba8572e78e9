"""Weights to start from: tf-slim's ImageNet networks, or a snapshot of ours.

Weights are found by name. What the file lacks keeps its random start, what the model lacks is
ignored, and both are reported by name, as is every weight whose shape is another one (the output
layer, when the joints are others).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from ..checkpoints.files import checkpoint_files, read_checkpoint
from .snapshot import SUFFIX, read_snapshot

Shape = tuple[int, ...]
_NAMES_SHOWN = 8


class Conversion(Protocol):
    """A foreign checkpoint in the names of our variables, as a system's `weights` makes it.

    Attributes:
        arrays: variable path to array.
        unused: entries of the file that no variable asks for.
        missing: variable paths without an entry.
        mismatched: variable path to (shape in the model, shape in the file).
    """

    @property
    def arrays(self) -> Mapping[str, np.ndarray]: ...  # noqa: D102
    @property
    def unused(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def missing(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def mismatched(self) -> Mapping[str, tuple[Shape, Shape]]: ...  # noqa: D102


Convert = Callable[[Mapping[str, Shape], Mapping[str, np.ndarray]], Conversion]
#: From (variable path to array) and the metadata of a snapshot to the same in the model's names.
Adopt = Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class _Matched:
    """The `Conversion` of a snapshot of ours."""

    arrays: Mapping[str, np.ndarray]
    unused: Sequence[str]
    missing: Sequence[str]
    mismatched: Mapping[str, tuple[Shape, Shape]]


def load_initial_weights(
    model: keras.Model, path: str | Path, convert: Convert, adopt: Adopt | None = None
) -> list[str]:
    """Give a model the weights of a file, as far as names and shapes agree.

    Args:
        model: freshly built; float16 and bfloat16 arrays are cast to its float32 weights.
        path: a snapshot of ours (`.safetensors`; its averaged weights where it has them), or a
            checkpoint of TensorFlow 1, PyTorch or Keras.
        convert: from (variable path to shape) and (checkpoint entry to array) to a `Conversion`;
            asked for foreign checkpoints only.
        adopt: renames what a snapshot of another system holds; asked for every snapshot of ours.

    Returns:
        The report, one line for each kind of thing.

    Raises:
        FileNotFoundError: the file is not there; the message says where it comes from and how to
            do without.
        ValueError: the file is damaged, or not one of its weights fits.
    """
    path = Path(path)
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    if not checkpoint_files(path):
        raise FileNotFoundError(
            f"There are no initial weights at {path}. Put the file there (tf-slim's ImageNet "
            "networks are resnet_v1_{50,101,152}.ckpt of 2016_08_28, torchvision's "
            "resnet{50,101,152}-*.pth for options.form=pytorch), or start from random "
            "weights with --set train.initial_weights=none."
        )
    conversion: Conversion
    if path.suffix == SUFFIX:
        conversion = _match_snapshot(shapes, path, adopt)
    else:
        conversion = convert(shapes, read_checkpoint(path))
    if not conversion.arrays:
        raise ValueError(
            f"Not one weight of {path} fits this network; its names begin with "
            f"{_shorten(conversion.unused)}. Choose a file of the same kind of network, or "
            "--set train.initial_weights=none."
        )
    for variable in model.weights:
        if variable.path in conversion.arrays:
            variable.assign(np.asarray(conversion.arrays[variable.path], np.float32))
    return _report(path, conversion, len(shapes))


def _match_snapshot(shapes: Mapping[str, Shape], path: Path, adopt: Adopt | None) -> _Matched:
    """Pair the weights of a snapshot with those of a model by path and shape."""
    snapshot = read_snapshot(path)
    stored: Mapping[str, np.ndarray] = snapshot.part("weights") | snapshot.part("ema")
    if adopt is not None:
        stored = adopt(stored, snapshot.metadata)
    both = [name for name in shapes if name in stored]
    return _Matched(
        arrays={name: stored[name] for name in both if stored[name].shape == shapes[name]},
        unused=[name for name in stored if name not in shapes],
        missing=[name for name in shapes if name not in stored],
        mismatched={
            name: (shapes[name], stored[name].shape)
            for name in both
            if stored[name].shape != shapes[name]
        },
    )


def _report(path: Path, conversion: Conversion, count: int) -> list[str]:
    lines = [f"Initial weights: {len(conversion.arrays)} of {count} from {path}."]
    if conversion.missing:
        lines.append(
            f"  {len(conversion.missing)} are not in the file and start anew: "
            f"{_shorten(conversion.missing)}."
        )
    if conversion.unused:
        lines.append(
            f"  {len(conversion.unused)} of the file are not in the network: "
            f"{_shorten(conversion.unused)}."
        )
    for name, (wanted, found) in conversion.mismatched.items():
        lines.append(
            f"  {name} starts anew: its shape is {wanted} in the network, {found} in the file."
        )
    return lines


def _shorten(names: Sequence[str]) -> str:
    """The first names of many, and how many more there are."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
