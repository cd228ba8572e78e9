"""Systems: one folder each; the folder's name is the value of `system` in a config."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

from ..settings import flatten
from ..structures import View

_HERE = Path(__file__).parent

#: Settings of views of the other kind of sample, by kind: nobody would read them.
_UNREAD = {
    "person": ("length", "factor", "stride", "picture_augmentation"),
    "image": ("margin", "box_mm", "in_space", "crop_convention", "augmentation"),
}
_LOOKS_AT = {"person": "people in boxes", "image": "whole pictures"}


def system_names() -> list[str]:
    """The folders beside this file that hold a `system.py`, sorted."""
    return sorted(path.parent.name for path in _HERE.glob("*/system.py"))


def options_module(name: str) -> ModuleType:
    """The `options.py` of a system: `Options`, `SAMPLE`, `FREE_OPTIONS`, `default_view`; no Keras.

    Raises:
        ValueError: there is no such system.
    """
    _check(name)
    return importlib.import_module(f"{__name__}.{name}.options")


def system_class(name: str) -> Any:
    """The `System` of a folder; this imports Keras.

    Raises:
        ValueError: there is no such system.
    """
    _check(name)
    return importlib.import_module(f"{__name__}.{name}.system").System


def needs_resources(name: str, options: Any) -> bool:
    """Whether a system with these options needs trained tables, as most do not.

    Where its `options.py` does not say, `needs_resources(options)`, a system that can load some
    does.
    """
    module = options_module(name)
    if hasattr(module, "needs_resources"):
        return bool(module.needs_resources(options))
    return hasattr(importlib.import_module(f"{__name__}.{name}.system"), "load_resources")


def load_resources(
    name: str, options: Any, skeleton: Any, earlier: Any = None, root: Path = Path()
) -> dict[str, Any]:
    """The trained tables of a system, its only reading of files; nothing where it needs none.

    Args:
        name: of the system.
        options: of the system; they name the files.
        skeleton: of the network.
        earlier: options and resources of a snapshot; what both options name alike is taken from
            there and not read again.
        root: of the project, where relative paths start; the working directory by default.

    Returns:
        Arrays by name, which the engine keeps in snapshots.

    Raises:
        FileNotFoundError: a file is absent.
        ValueError: a file is of another kind, or none is named.
    """
    if not needs_resources(name, options):
        return {}
    module = importlib.import_module(f"{__name__}.{name}.system")
    return module.load_resources(options, skeleton, earlier, root)


def check_view(name: str, options: Any, view: Any) -> None:
    """Refuse a view that the network of a system cannot look at, before it is built.

    Args:
        name: of the system.
        options: of the system.
        view: how pictures become network input.

    Raises:
        ValueError: a setting that only views of the other kind of sample have differs from its
            default, or the system says which one is wrong.
    """
    module = options_module(name)
    usual = flatten(View(rule=view.rule))
    for key, value in flatten(view).items():
        if key.partition(".")[0] in _UNREAD[module.SAMPLE] and value != usual[key]:
            raise ValueError(
                f"view.{key} does nothing for {name}, which looks at {_LOOKS_AT[module.SAMPLE]}; "
                f"leave it at {usual[key]}. Received {value}."
            )
    if hasattr(module, "check_view"):
        module.check_view(options, view)


def check_unread(name: str, options: Any, told: Collection[str] | None = None) -> None:
    """Refuse options that do nothing beside the other ones and are not at their defaults.

    What a snapshot holds or a foreign file stands for is nobody's mistake: only what a user chose
    is looked at.

    Args:
        name: of the system.
        options: of the system.
        told: names of the settings that a user chose, `options.sigma`; None looks at all.

    Raises:
        ValueError: the first such option.
    """
    usual, unread = flatten(options_module(name).Options()), _find_unread(name, options)
    for key, value in flatten(options).items():
        looked_at = key in unread and (told is None or f"options.{key}" in told)
        if looked_at and value != usual[key]:
            raise ValueError(
                f"options.{key} does nothing with {unread[key]}; leave it at {usual[key]}. "
                f"Received {value}."
            )


def free_settings(name: str, options: Any) -> set[str]:
    """The settings that a run may go on with other values of: its variables depend on none.

    They are `FREE_OPTIONS` of the system, and what nothing reads.
    """
    free = options_module(name).FREE_OPTIONS | _find_unread(name, options).keys()
    return {f"options.{key}" for key in free}


def _find_unread(name: str, options: Any) -> dict[str, str]:
    """Option -> what it does nothing with; nothing for a system that has no such options."""
    module = options_module(name)
    return module.find_unread(options) if hasattr(module, "find_unread") else {}


def _check(name: str) -> None:
    names = system_names()
    if name not in names:
        raise ValueError(f"system must be one of {', '.join(names)}. Received {name!r}.")
