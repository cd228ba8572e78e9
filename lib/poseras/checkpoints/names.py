"""Parameters by their names in foreign checkpoints.

Layers are named as there, "/" written as ".", so that a name follows from a variable's path
(`layer/leaf`) by rule, and nothing is listed:

    resnet_v1_50.conv1.BatchNorm/gamma  <->  resnet_v1_50/conv1/BatchNorm/gamma   (TensorFlow 1)
    layer1.0.bn1/gamma                  <->  layer1.0.bn1.weight                  (PyTorch)

The rules go from path to name, because the way back is ambiguous: `x.weight` of a state dict is a
kernel or a gamma. NumPy alone: arrays come from any reader of checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

Form = Literal["tensorflow", "pytorch"]
Shape = tuple[int, ...]

_TENSORFLOW_LEAVES = {
    "kernel": "weights",
    "bias": "biases",
    "gamma": "gamma",
    "beta": "beta",
    "moving_mean": "moving_mean",
    "moving_variance": "moving_variance",
}
_PYTORCH_LEAVES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
#: Entries that belong to training, not to the network. `Variable` is the learning rate.
_TENSORFLOW_TRAINING = ("Variable", "beta1_power", "beta2_power", "global_step")
_TENSORFLOW_SLOTS = ("/Adam", "/Adam_1", "/Momentum")
_PYTORCH_COUNTER = "num_batches_tracked"
_SHOWN = 3


class Source(NamedTuple):
    """Where a variable lies in a checkpoint.

    Attributes:
        name: of the checkpoint's entry.
        axes: the permutation that brings the entry to Keras' axis order; empty for none.
    """

    name: str
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Recognised:
    """What a system's `weights.recognise` says of a foreign checkpoint.

    Attributes:
        kind: for people.
        preprocessing: what its pictures went through, for people.
        options: settings of `Options` that the checkpoint fixes, in values of JSON.
        view: the same of `View`.
        joint_count: joints of the network; None for a backbone without a head, 0 where the file
            does not tell.
    """

    kind: str
    preprocessing: str
    options: dict[str, Any]
    view: dict[str, Any] = field(default_factory=dict)
    joint_count: int | None = None


#: From the path of a variable and its number of axes to its place in a checkpoint.
Locate = Callable[[str, int], Source]


@dataclass(frozen=True)
class Conversion:
    """A checkpoint in our names, and what did not fit.

    Attributes:
        arrays: variable path to array, in Keras' axis order.
        used: names of the entries that became arrays.
        unused: names of entries that no variable of the network asks for.
        training: names of entries that only training needs: counters, optimizer slots.
        missing: variable paths without an entry.
        mismatched: variable path to (shape of the variable, shape of the entry in our order).
        placed: variable path to the name of its entry.
        foreign: entries that no variable holds and that an export shall write again.
    """

    arrays: dict[str, np.ndarray]
    used: tuple[str, ...]
    unused: tuple[str, ...]
    training: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: dict[str, tuple[Shape, Shape]]
    placed: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def misfit(self) -> str:
        """The first differences between checkpoint and network, both sides named, or ""."""
        parts = []
        for side, names in (
            ("the checkpoint has no", self.missing),
            ("the network has no place for", self.unused),
        ):
            if names:
                parts.append(f"{side} {', '.join(names[:_SHOWN])}{_and_more(len(names))}")
        for path, (wanted, found) in list(self.mismatched.items())[:_SHOWN]:
            parts.append(f"{path} is {wanted} in the network and {found} in the checkpoint")
        return "; ".join(parts)


def _and_more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""


def locate_variable(path: str, rank: int, form: Form) -> Source:
    """The entry of an original checkpoint that holds a variable.

    Convolutions are (height, width, in, out) in Keras and TensorFlow and (out, in, height, width)
    in PyTorch; transposed ones (height, width, out, in) and (in, out, height, width). One
    permutation serves both.

    Args:
        path: of the Keras variable, `layer/leaf`.
        rank: its number of axes.
        form: `tensorflow` for TensorFlow 1 checkpoints, `pytorch` for state dicts.

    Raises:
        ValueError: the leaf is none that the two forms know.
    """
    layer, _, leaf = path.rpartition("/")
    leaves = _TENSORFLOW_LEAVES if form == "tensorflow" else _PYTORCH_LEAVES
    if leaf not in leaves:
        raise ValueError(
            f"A variable must end in one of {', '.join(leaves)} to have a name in a {form} "
            f"checkpoint. Received {path}."
        )
    if form == "tensorflow":
        return Source(f"{layer.replace('.', '/')}/{leaves[leaf]}", ())
    axes = {2: (1, 0), 4: (2, 3, 1, 0)}.get(rank, ()) if leaf == "kernel" else ()
    return Source(f"{layer}.{leaves[leaf]}", axes)


def convert_entries(
    shapes: Mapping[str, Shape],
    entries: Mapping[str, np.ndarray],
    locate: Locate,
    belongs_to_training: Callable[[str], bool] = lambda name: False,
) -> Conversion:
    """Rename and transpose the entries of a checkpoint by any rule.

    Args:
        shapes: the network's variables, path to shape.
        entries: the checkpoint, name to array in its own axis order.
        locate: the rule.
        belongs_to_training: whether an entry is a counter or an optimizer slot.

    Returns:
        Everything that fits, and a report of what does not; nothing is raised for that, since an
        ImageNet checkpoint lacks the head and another data set has other joints.
    """
    arrays, placed, missing = {}, {}, []
    mismatched, consumed = {}, set()
    for path, shape in shapes.items():
        name, axes = locate(path, len(shape))
        if name not in entries:
            missing.append(path)
            continue
        consumed.add(name)
        array = np.asarray(entries[name])
        if axes and array.ndim == len(axes):
            array = array.transpose(axes)
        if array.shape != tuple(shape):
            mismatched[path] = (tuple(shape), array.shape)
            continue
        arrays[path] = array
        placed[path] = name
    rest = [name for name in entries if name not in consumed]
    training = tuple(name for name in rest if belongs_to_training(name))
    return Conversion(
        arrays=arrays,
        used=tuple(placed.values()),
        unused=tuple(name for name in rest if name not in set(training)),
        training=training,
        missing=tuple(missing),
        mismatched=mismatched,
        placed=placed,
    )


def convert_checkpoint(
    shapes: Mapping[str, Shape], entries: Mapping[str, np.ndarray], form: Form
) -> Conversion:
    """Rename and transpose the entries of an original checkpoint.

    Args:
        shapes: the network's variables, path to shape.
        entries: the checkpoint, name to array in its own axis order. A leading `module.`, which
            torch's DataParallel adds, is no part of a name.
        form: whose checkpoint it is.

    Returns:
        As `convert_entries`.
    """
    names = {name.removeprefix("module."): name for name in entries}

    def locate(path: str, rank: int) -> Source:
        name, axes = locate_variable(path, rank, form)
        return Source(names.get(name, name), axes)

    return convert_entries(shapes, entries, locate, partial(belongs_to_training, form=form))


def assign_checkpoint(model: Any, entries: Mapping[str, np.ndarray], form: Form) -> Conversion:
    """Put an original checkpoint into a model, as far as it fits.

    Args:
        model: a Keras model with flat variable paths.
        entries: the checkpoint, see `convert_checkpoint`.
        form: whose checkpoint it is.

    Returns:
        The report; variables that it calls missing or mismatched keep their values.
    """
    variables = {variable.path: variable for variable in model.variables}
    shapes = {path: tuple(variable.shape) for path, variable in variables.items()}
    conversion = convert_checkpoint(shapes, entries, form)
    for path, array in conversion.arrays.items():
        variables[path].assign(array)
    return conversion


def export_checkpoint(arrays: Mapping[str, np.ndarray], form: Form) -> dict[str, np.ndarray]:
    """Our arrays under the names and in the axis order of an original checkpoint.

    Args:
        arrays: variable path to array, in Keras' axis order.
        form: whose checkpoint it will be. A PyTorch BatchNorm also has a counter,
            `num_batches_tracked`, which nothing reads; it is written as 0, so that a strict load
            finds every name.
    """
    entries: dict[str, np.ndarray] = {}
    for path, array in arrays.items():
        name, axes = locate_variable(path, array.ndim, form)
        back = np.argsort(axes) if axes else range(array.ndim)
        entries[name] = np.ascontiguousarray(array.transpose(tuple(back))).reshape(
            [array.shape[axis] for axis in back]
        )
        if form == "pytorch" and path.endswith("/moving_variance"):
            entries[name.replace("running_var", _PYTORCH_COUNTER)] = np.zeros((), np.int64)
    return entries


def belongs_to_training(name: str, form: Form) -> bool:
    """Whether an entry is a counter or an optimizer slot."""
    if form == "tensorflow":
        return name in _TENSORFLOW_TRAINING or name.endswith(_TENSORFLOW_SLOTS)
    return name.endswith(_PYTORCH_COUNTER)
