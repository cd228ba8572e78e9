"""The experiment files of original code bases, as differences of our settings.

A system whose original had a file format of its own has a `published_config.py`: `recognise(raw)`
says whether a file is one, `translate(raw)` gives a `Translation`. Every system is asked.
"""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

from . import systems
from .yaml_files import read_yaml

log = logging.getLogger("poseras")


def read_published_config(path: str | Path, *, report: bool = True) -> dict[str, Any]:
    """Read an experiment file of an original.

    Args:
        path: of a YAML. The run is named after the network and the file.
        report: whether the log names the fields that have no effect here.

    Returns:
        Flat settings, `run` and `system` among them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not YAML, no system or more than one claims it, or it has a field that
            its original does not know or a value that cannot be had here.
    """
    path = Path(path)
    raw = read_yaml(path)
    translators = {name: _translator(name) for name in systems.system_names()}
    claimants = {name: m for name, m in translators.items() if m and m.recognise(raw)}
    if len(claimants) != 1:
        asked = ", ".join(name for name, module in translators.items() if module)
        claimed = f"{', '.join(claimants)} claim it" if claimants else "none claims it"
        raise ValueError(
            f"--cfg takes an experiment file that one system knows as its original's. Received "
            f"{path}: {claimed} of {asked}. Files of ours go to --config."
        )
    (name, module), *_ = claimants.items()
    try:
        translation = module.translate(raw)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for note in translation.notes if report else ():
        log.info("%s: %s", path.name, note)
    run = f"{translation.network}_{path.stem}"
    return {"system": name, "run": run, **translation.differences}


def _translator(system: str) -> ModuleType | None:
    """The `published_config.py` of a system, None where it has none."""
    folder = Path(systems.options_module(system).__file__ or "").parent
    if not (folder / "published_config.py").is_file():
        return None
    return importlib.import_module(f"{systems.__name__}.{system}.published_config")
