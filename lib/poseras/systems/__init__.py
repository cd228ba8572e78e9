"""Systems: one folder each; the folder's name is the value of `system` in a config."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

_HERE = Path(__file__).parent


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
    _check(name)
    module = importlib.import_module(f"{__name__}.{name}.system")
    if not hasattr(module, "load_resources"):
        return {}
    return module.load_resources(options, skeleton, earlier, root)


def _check(name: str) -> None:
    names = system_names()
    if name not in names:
        raise ValueError(f"system must be one of {', '.join(names)}. Received {name!r}.")
