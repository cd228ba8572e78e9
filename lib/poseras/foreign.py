"""Published checkpoints of other code bases as if they were snapshots of ours.

A system's `weights.py` tells by names and shapes what a file is and what it was trained on; here
its entries become a `Snapshot` with the metadata that every snapshot has, and a report of every
name.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import systems
from .checkpoints.files import (
    checkpoint_name,
    checkpoint_sha256,
    detect_format,
    read_checkpoint,
)
from .checkpoints.names import Conversion
from .checkpoints.tensorflow1 import read_tf1_shapes
from .engine.snapshot import SUFFIX, Snapshot, digest_arrays
from .settings import apply_differences, flatten
from .skeleton import Skeleton
from .structures import View

_NUMBER = re.compile(r"snapshot_(\d+)\.")
_BETA_2 = 0.999
#: Where beta 2 to the power of the steps has vanished, the corrections of Adam have too.
_MANY_STEPS = 100_000


@dataclass(frozen=True)
class Network:
    """What a network is, without how it is trained or tested.

    Attributes:
        system: folder of `systems/`.
        options: of the system.
        view: how a picture becomes its input.
    """

    system: str
    options: Any
    view: View


@dataclass(frozen=True)
class Imported:
    """A foreign checkpoint in the form of a snapshot.

    Attributes:
        snapshot: weights and metadata; of TensorFlow 1 also the state of Adam.
        conversion: the report of names.
        kind: what the file is, for people.
        preprocessing: what its pictures went through, for people.
    """

    snapshot: Snapshot
    conversion: Conversion
    kind: str
    preprocessing: str

    def report(self) -> list[str]:
        """One line for every name that was used, is unused or is missing."""
        conversion = self.conversion
        placed = {name: path for path, name in conversion.placed.items()}
        lines = [f"{self.snapshot.path}: {self.kind}; {self.preprocessing}."]
        lines += [f"used      {n} -> {placed.get(n, 'folded')}" for n in conversion.used]
        lines += [f"training  {n}" for n in conversion.training]
        lines += [f"unused    {n}" for n in conversion.unused]
        lines += [f"missing   {n}" for n in conversion.missing]
        counts = ", ".join(
            f"{len(names)} {group}"
            for group, names in (
                ("used", conversion.used),
                ("of training alone", conversion.training),
                ("unused", conversion.unused),
                ("missing", conversion.missing),
            )
        )
        return [*lines, f"{counts}."]


def is_foreign(path: str | Path) -> bool:
    """Whether a path is no `.safetensors` file."""
    return Path(path).suffix != SUFFIX


def weights_module(system: str) -> ModuleType:
    """The `weights.py` of a system: `recognise` and `convert`.

    Raises:
        ValueError: the system has none, or there is no such system.
    """
    folder = Path(systems.options_module(system).__file__ or "").parent
    if not (folder / "weights.py").is_file():
        raise ValueError(f"The system {system} knows no checkpoints of other code bases.")
    return importlib.import_module(f"{systems.__name__}.{system}.weights")


def recognise(path: str | Path, system: str) -> Any:
    """What a system's `weights.recognise` says of a file; only TensorFlow's names are read for it.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it is damaged, or no network of this system.
    """
    path = checkpoint_name(path)
    if detect_format(path) == "tensorflow1":
        shapes = read_tf1_shapes(path)
    else:
        shapes = {name: array.shape for name, array in read_checkpoint(path).items()}
    return _recognise_shapes(path, system, shapes)


def _recognise_shapes(path: Path, system: str, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    try:
        recognised = weights_module(system).recognise(shapes)
    except ValueError as error:
        raise ValueError(f"{path} is no network of {system}: {error}.") from error
    if recognised is None:
        raise ValueError(
            f"{path} is no network of {system}: its names begin with "
            f"{', '.join(sorted(shapes)[:3])}."
        )
    return recognised


def explain_misfit(path: str | Path, system: str) -> str:
    """Why a foreign checkpoint cannot be tested by a system, or ""."""
    try:
        recognised = recognise(path, system)
    except (ValueError, OSError) as error:
        return str(error).rstrip(".")
    if recognised.joint_count is None:
        return f"it is a {recognised.kind}, which has no head"
    return ""


def describe_network(path: str | Path, system: str, settings: Mapping[str, Any]) -> Network:
    """The network of a foreign checkpoint: the defaults, what the file shows, what is told.

    Args:
        path: of the checkpoint.
        system: that knows it.
        settings: `options.*` and `view.*`.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it is damaged or of another system, or a setting is unknown or wrong.
    """
    module = systems.options_module(system)
    recognised = recognise(path, system)
    told: dict[str, dict[str, Any]] = {"options": {}, "view": {}}
    for key, value in settings.items():
        group, _, name = key.partition(".")
        if group not in told:
            raise ValueError(f"Settings of a network begin with options. or view. Received {key}.")
        told[group][name] = value
    options = apply_differences(module.Options(), {**recognised.options, **told["options"]})
    systems.check_unread(system, options, settings)
    view = apply_differences(module.default_view(options), {**recognised.view, **told["view"]})
    return Network(system, options, view)


def import_checkpoint(
    path: str | Path, config: Any, skeleton: Skeleton, root: Path = Path()
) -> Imported:
    """Read a foreign checkpoint for the network that a config describes.

    Args:
        path: of a file, or of a bundle.
        config: a record with `system`, `options` and `view`; the options as `stored_config` has
            completed them.
        skeleton: the joints of the network, in the order of its channels.
        root: of the project, where relative paths of tables start.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it is damaged, of another system, depth or joint count, or an entry is missing.
    """
    path = checkpoint_name(path)
    entries = read_checkpoint(path)
    shapes = {name: np.shape(array) for name, array in entries.items()}
    recognised = _recognise_shapes(path, config.system, shapes)
    joints = recognised.joint_count
    if joints and joints != skeleton.joint_count:
        raise ValueError(
            f"{path} has {joints} joints. Received the skeleton {skeleton.name} with "
            f"{skeleton.joint_count} joints; choose another data.trainset or data.skeleton."
        )
    model = systems.system_class(config.system)(config.options, skeleton, {}).build_model()
    variables = {v.path: tuple(v.shape) for v in model.weights}
    conversion = weights_module(config.system).convert(variables, entries, config.options)
    if conversion.mismatched or (
        conversion.missing if joints is not None else not conversion.arrays
    ):
        raise ValueError(
            f"{path} does not fit the network: {conversion.misfit}. Set options.* as the "
            "checkpoint was trained, or leave them out, so that they are taken from it."
        )
    arrays = {f"weights/{name}": array for name, array in conversion.arrays.items()}
    arrays |= {f"foreign/{name}": array for name, array in conversion.foreign.items()}
    network = (config.system, config.options, skeleton)
    tables = systems.load_resources(*network, root=root) if joints is not None else {}
    arrays |= {f"resources/{name}": table for name, table in tables.items()}
    trainable = [v.path for v in model.trainable_weights]
    arrays |= adam_state(
        entries, {n: conversion.placed[n] for n in trainable if n in conversion.placed}
    )
    metadata = describe(config, skeleton, config.view)
    metadata |= {"counters": _counters(path), "imported": _describe_import(path, recognised)}
    metadata |= {"resources_sha256": digest_arrays(tables)} if tables else {}
    snapshot = Snapshot(path, arrays, metadata, metadata["imported"]["sha256"])
    return Imported(snapshot, conversion, recognised.kind, recognised.preprocessing)


def describe(config: Any, skeleton: Skeleton, view: View) -> dict[str, Any]:
    """The metadata that every snapshot has, but for its counters."""
    from .engine.results import library_versions  # brings the evaluators, which --help needs not

    return {
        "system": config.system,
        "options": flatten(config.options),
        "skeleton": skeleton.to_dict(),
        "view": flatten(view),
        "config": flatten(config),
        "versions": library_versions(),
    }


def _describe_import(path: Path, recognised: Any) -> dict[str, str]:
    return {
        "kind": recognised.kind,
        "preprocessing": recognised.preprocessing,
        "file": path.name,
        "sha256": checkpoint_sha256(path),
    }


def _counters(path: Path) -> dict[str, int]:
    """The epoch in the file's name; as one step an epoch, it fits every schedule."""
    match = _NUMBER.match(path.name)
    epoch = int(match[1]) if match else 0
    return {"epoch": epoch, "step": epoch, "steps_per_epoch": 1}


def export_entries(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """The weights of a snapshot, averaged ones where it has them, as its original names them.

    What an import kept under `foreign/`, because no variable holds it, is written as it was.

    Raises:
        ValueError: its system has no original checkpoints, or this network has no name there.
    """
    metadata = snapshot.metadata
    module = weights_module(metadata["system"])
    options = systems.options_module(metadata["system"]).Options()
    weights = snapshot.part("weights") | snapshot.part("ema")
    entries = module.export(weights, apply_differences(options, metadata["options"]))
    return {**entries, **snapshot.part("foreign")}


def adam_state(
    entries: Mapping[str, np.ndarray], placed: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """The state of Adam in a TensorFlow 1 checkpoint, as a snapshot of ours names it.

    Args:
        entries: of the checkpoint.
        placed: trainable variable path to the name of its entry.

    Returns:
        Nothing where one of the slots is missing.
    """
    slots = {"momentum": "Adam", "velocity": "Adam_1"}
    state: dict[str, np.ndarray] = {}
    for path, name in placed.items():
        for ours, theirs in slots.items():
            if f"{name}/{theirs}" not in entries:
                return {}
            state[f"optimizer/adam/{path.replace('/', '_')}_{ours}"] = entries[f"{name}/{theirs}"]
    power = float(entries.get("beta2_power", np.float32(0)))
    steps = round(math.log(power) / math.log(_BETA_2)) if 0 < power < 1 else _MANY_STEPS
    # TensorFlow 1 stores the power that the next step will use.
    return {**state, "optimizer/adam/iteration": np.array(max(steps - 1, 0))} if state else {}
