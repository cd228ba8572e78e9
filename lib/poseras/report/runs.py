"""Result folders: where a run lies and what its `metrics.json` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..data.coco_format import pause_collector


@dataclass(frozen=True)
class Run:
    """One test of one network.

    Attributes:
        folder: that `main/test.py` wrote.
        name: `<dataset>/<run>`.
        metrics: the numbers by name; empty where there were no annotations. None: nothing counted.
        protocol: how they came about.
    """

    folder: Path
    name: str
    metrics: Mapping[str, float | None]
    protocol: Mapping[str, Any]


def find_run(root: Path, given: str) -> Path:
    """The folder of a run.

    Args:
        root: of the project.
        given: a folder, or `<dataset>/<run>` of `output/result/`.

    Raises:
        FileNotFoundError: there is neither; the line names the runs that there are.
    """
    results = root / "output" / "result"
    for folder in (Path(given).expanduser(), results / given):
        if folder.is_dir():
            return folder.resolve()
    known = sorted(
        f"{path.parent.parent.name}/{path.parent.name}" for path in results.glob("*/*/metrics.json")
    )
    raise FileNotFoundError(
        f"No run {given}: it is neither a folder nor in {results}. "
        f"There: {', '.join(known) or 'no run; main/test.py makes one'}."
    )


def read_run(folder: Path) -> Run:
    """What `metrics.json` of a run says.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not what `main/test.py` writes.
    """
    path = folder / "metrics.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"No result at {path}. Run main/test.py for this run first, or name another folder."
        )
    content = read_json(path)
    content = content if isinstance(content, dict) else {}
    metrics, protocol = content.get("metrics"), content.get("protocol")
    if not (isinstance(metrics, dict) and isinstance(protocol, dict)):
        raise ValueError(
            f"{path} must hold the objects metrics and protocol, as main/test.py writes them. "
            "Test the run again."
        )
    evaluation = protocol.get("evaluation", {})
    if not isinstance(evaluation, dict):
        raise ValueError(
            f"evaluation of {path} must be an object. Received {evaluation!r}. Test the run again."
        )
    _check_numbers(metrics, 1, "metrics", path)
    _check_numbers(evaluation.get("per_action_mm", {}), 2, "per_action_mm", path)
    _check_numbers(evaluation.get("per_axis_mm") or {}, 1, "per_axis_mm", path)
    return Run(folder, f"{folder.parent.name}/{folder.name}", metrics, protocol)


def _check_numbers(values: Any, levels: int, where: str, path: Path) -> None:
    """See that something is a number or None, or a table of such on so many levels."""
    if levels and isinstance(values, dict):
        for name, value in values.items():
            _check_numbers(value, levels - 1, f"{where}.{name}", path)
    elif levels or isinstance(values, bool) or not isinstance(values, int | float | None):
        wanted = "an object of numbers" if levels else "a number or null"
        raise ValueError(
            f"{where} of {path} must be {wanted}. Received {values!r}. Test the run again."
        )


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"No result at {path}. Run main/test.py for this run first, or name another folder."
        )
    try:
        with pause_collector():
            return msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}. Test the run again.") from None
