"""TensorFlow 1 checkpoints, read into plain dicts of arrays.

TensorFlow 1 wrote two formats, and TensorFlow 2's reader opens both: the old one, a single file
(`resnet_v1_50.ckpt`, tf-slim's ImageNet weights), and the bundle `NAME.index` with
`NAME.data-00000-of-00001`, which is named without these endings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


def tf1_checkpoint_exists(path: str | Path) -> bool:
    """Whether a file or a bundle of that name is there."""
    path = Path(path)
    return path.is_file() or path.with_name(f"{path.name}.index").is_file()


def read_tf1_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """All entries of a TensorFlow 1 checkpoint, optimizer slots and counters included.

    Args:
        path: the file of the old format, or the name of a bundle with or without `.index`.

    Returns:
        Name to array, sorted by name, in the file's own axis order and dtype.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the file is damaged, incomplete or something else.
    """
    with _reader(path) as reader:
        names = sorted(reader.get_variable_to_shape_map())
        return {name: reader.get_tensor(name) for name in names}


def read_tf1_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a checkpoint, without its arrays; errors as `read_tf1_checkpoint`."""
    with _reader(path) as reader:
        shapes = reader.get_variable_to_shape_map()
        return {name: tuple(shapes[name]) for name in sorted(shapes)}


@contextmanager
def _reader(path: str | Path) -> Iterator[Any]:
    """TensorFlow's reader of a checkpoint, its errors in one line."""
    import tensorflow as tf

    path = Path(path)
    if path.name.endswith(".index"):
        path = path.with_name(path.name.removesuffix(".index"))
    if not tf1_checkpoint_exists(path):
        raise FileNotFoundError(
            f"There is no checkpoint {path}. A bundle needs {path.name}.index and "
            f"{path.name}.data-00000-of-00001 beside each other."
        )
    try:
        yield tf.train.load_checkpoint(str(path))
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} must be a TensorFlow 1 checkpoint. Received a file that is damaged, "
            f"incomplete or of another kind ({reason}); download it again."
        ) from error


def write_tf1_checkpoint(path: str | Path, entries: Mapping[str, np.ndarray]) -> None:
    """Write a bundle that TensorFlow 1's Saver restores: `path.index` and `path.data-...`.

    Args:
        path: the name of the bundle, `snapshot_140.ckpt`; its folder is there.
        entries: name to array.

    Raises:
        OSError: the files cannot be written.
    """
    import tensorflow as tf

    names = sorted(entries)
    tensors = [tf.convert_to_tensor(entries[name]) for name in names]
    try:
        tf.raw_ops.SaveV2(
            prefix=str(path),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=tensors,
        )
    except tf.errors.OpError as error:
        raise OSError(f"Cannot write {path}: {str(error).splitlines()[0]}.") from error
