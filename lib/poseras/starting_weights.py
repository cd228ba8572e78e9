"""The weights that a training starts from, by what `train.initial_weights` says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from .engine.initial_weights import load_initial_weights
from .foreign import weights_module
from .shipped import shipped_weights

#: Below the project root.
_IMAGENET = Path("data/imagenet_weights")


def load_starting_weights(
    model: keras.Model, system_name: str, options: Any, *, choice: str, root: Path
) -> list[str]:
    """Give a new network its weights.

    Args:
        model: freshly built.
        system_name: of the network.
        options: of the network.
        choice: `imagenet`, `shipped`, `none` or a path.
        root: of the project.

    Returns:
        The report, one line for each kind of thing.

    Raises:
        FileNotFoundError: the file is not there; the message says where it comes from.
        ValueError: the file is damaged, or not one of its weights fits.
    """
    if choice == "none":
        return ["Initial weights: random."]

    rooms = weights_module(system_name)

    def convert(shapes: Mapping[str, Any], entries: Mapping[str, np.ndarray]) -> Any:
        return rooms.convert(shapes, entries, options)

    def adopt(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> Any:
        return rooms.adopt(arrays, metadata, options) if hasattr(rooms, "adopt") else arrays

    if choice == "imagenet":
        files = [root / _IMAGENET / name for name in rooms.imagenet_files(options)]
        path = next((path for path in files if path.exists()), files[0])
    elif choice == "shipped":
        path = shipped_weights()
    else:
        path = find_start(Path(choice), root)
    return load_initial_weights(model, path, convert, adopt)


def find_start(path: Path, root: Path) -> Path:
    """The file of a path, or of that name where the originals' READMEs and ours place such files.

    A relative path starts at the project root, or else at the working directory. The experiment
    files of one original do not agree about its folder.
    """
    folders = (Path("models/pytorch/imagenet"), Path("models/imagenet"), root / _IMAGENET)
    placed = (folder / path.name for folder in folders)
    return next((found for found in (root / path, path, *placed) if found.exists()), path)
