"""Typed settings: frozen dataclasses, and flat differences such as `train.batch_size: 16`.

All defaults live in dataclasses. A YAML file or `--set a.b=c` holds differences alone, as dotted
keys. A value is read by the type that its field declares, an unknown key names the nearest one,
and a record flattens to JSON and back without loss.
"""

from __future__ import annotations

import difflib
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from .setting_values import Mismatch, coerce
from .yaml_files import parse_yaml, read_yaml

Record = TypeVar("Record")


@dataclass(frozen=True)
class Setting:
    """One leaf of a record.

    Attributes:
        key: dotted path, for example `train.batch_size`.
        value: what the record holds.
        declared: the type its field declares.
        meaning: from the `Attributes` of its class' docstring, on one line; may be empty.
    """

    key: str
    value: Any
    declared: Any
    meaning: str


def list_settings(record: Any) -> list[Setting]:
    """Every leaf of a (nested) dataclass, in the order of the fields."""
    return list(_walk(record, ""))


def _walk(record: Any, prefix: str) -> Iterator[Setting]:
    declared = get_type_hints(type(record))
    meanings = read_attribute_docs(type(record))
    for field in fields(record):
        key, value = prefix + field.name, getattr(record, field.name)
        if is_dataclass(value):
            yield from _walk(value, key + ".")
        else:
            yield Setting(key, value, declared[field.name], meanings.get(field.name, ""))


def describe_settings(record: Any) -> str:
    """Every setting with its value, the values it may take and its meaning, for the terminal."""
    lines, values = [], flatten(record)
    for setting in list_settings(record):
        choices = get_args(setting.declared) if get_origin(setting.declared) is Literal else ()
        allowed = f"[{' | '.join(map(str, choices))}] " if choices else ""
        indent = {"initial_indent": "    ", "subsequent_indent": "    "}
        meaning = textwrap.fill(allowed + setting.meaning, 96, **indent)  # type: ignore[arg-type]
        lines.append(f"{setting.key} = {values[setting.key]!r}\n{meaning}")
    return "\n".join(lines)


def read_attribute_docs(record_type: type) -> dict[str, str]:
    """The `Attributes` section of a class docstring: field name -> text on one line."""
    _, found, section = inspect.cleandoc(record_type.__doc__ or "").partition("Attributes:\n")
    section = re.split(r"\n(?=\S)", section)[0] if found else ""
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def apply_differences(record: Record, differences: Mapping[str, Any]) -> Record:
    """A record with some settings changed.

    Args:
        record: a frozen dataclass, whose fields may be dataclasses.
        differences: dotted key -> value. Text is read by the declared type of the field: "5e-4"
            for a float, "256,192" or [256, 192] for a tuple, "none" for None.

    Returns:
        A new record of the same type. Its `__post_init__` sees all changes at once.

    Raises:
        ValueError: an unknown key, or a value that its field cannot take.
    """
    settings = {setting.key: setting for setting in list_settings(record)}
    for key in differences:
        if key not in settings:
            raise ValueError(_explain_unknown(key, list(settings)))
    coerced = {key: _coerce_setting(settings[key], value) for key, value in differences.items()}
    return _replace_nested(record, coerced)


def take_settings(kind: type[Record], source: Any, **others: Any) -> Record:
    """A record whose fields come from those of the same names of another one, or are given."""
    names = {field.name for field in fields(kind)} - others.keys()  # type: ignore[arg-type]
    return kind(**{n: getattr(source, n) for n in names if hasattr(source, n)}, **others)


def _replace_nested(record: Any, values: Mapping[str, Any]) -> Any:
    changes = {key: value for key, value in values.items() if "." not in key}
    groups: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        if "." in key:
            group, rest = key.split(".", 1)
            groups.setdefault(group, {})[rest] = value
    for group, inner in groups.items():
        changes[group] = _replace_nested(getattr(record, group), inner)
    return replace(record, **changes) if changes else record


def _explain_unknown(key: str, known: Sequence[str]) -> str:
    inside = [name for name in known if name.startswith(key + ".")]
    if inside:
        return f"{key} is a group of settings, not one. Set one of {', '.join(inside)}."
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    nearest += [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    if nearest:
        return f"Unknown setting {key}. Did you mean {' or '.join(dict.fromkeys(nearest))}?"
    group = key.rpartition(".")[0]
    inside = [name for name in known if name.rpartition(".")[0] == group]
    if group and inside:
        nearest = difflib.get_close_matches(key, inside, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        return f"Unknown setting {key}.{hint} {group} has {', '.join(inside)}."
    nearest = difflib.get_close_matches(key, known, n=1)
    if nearest:
        return f"Unknown setting {key}. Did you mean {nearest[0]}?"
    heads = dict.fromkeys(name.partition(".")[0] for name in known)
    return f"Unknown setting {key}. Settings begin with {', '.join(heads)}."


def _coerce_setting(setting: Setting, value: Any) -> Any:
    try:
        return coerce(value, setting.declared)
    except Mismatch as mismatch:
        example = setting.value
        if isinstance(example, tuple):
            example = str(_to_json(example)).replace("'", "")
        raise ValueError(
            f"{setting.key} must be {mismatch}. Received {value!r}; "
            f"write for example {setting.key}={example}."
        ) from None


def flatten(record: Any) -> dict[str, Any]:
    """Every setting of a record by its dotted key, in values that JSON can hold (tuples as lists).

    `apply_differences(default_record, flatten(record))` gives the record back.
    """
    return {setting.key: _to_json(setting.value) for setting in list_settings(record)}


def _to_json(value: Any) -> Any:
    return [_to_json(member) for member in value] if isinstance(value, tuple) else value


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """The differences of `--set a.b=c d=e`, each value read as YAML.

    Raises:
        ValueError: no `=`, a value that is not YAML, a nested value, or a key given twice.
    """
    differences: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ValueError(
                f"--set takes NAME=VALUE, for example train.batch_size=16. Received {assignment!r}."
            )
        if key in differences:
            raise ValueError(f"--set {key} is given twice. Keep one of them.")
        differences[key] = _reject_nested(
            key, parse_yaml(text, f"--set {assignment}", as_written=True)
        )
    return differences


def read_differences(path: str | Path) -> dict[str, Any]:
    """The differences of a YAML file: a flat list of `a.b: value`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not YAML, not flat, or names a key twice.
    """
    values = read_yaml(path, as_written=True)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ValueError(
            f"{path} must be a list of settings such as `train.batch_size: 16`. "
            f"Received a {type(values).__name__}."
        )
    return {str(key): _reject_nested(str(key), value) for key, value in values.items()}


def _reject_nested(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        inner = next(iter(value), "name")
        raise ValueError(
            f"Settings are flat. Received a mapping under {key}; write `{key}.{inner}: ...`."
        )
    return value
