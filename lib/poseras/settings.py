"""Typed settings: frozen dataclasses, and flat differences such as `train.batch_size: 16`.

All defaults live in dataclasses. A YAML file or `--set a.b=c` holds differences alone, as dotted
keys. A value is read by the type that its field declares, an unknown key names the nearest one,
and a record flattens to JSON and back without loss.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import math
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

Record = TypeVar("Record")

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


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


class _Mismatch(Exception):
    """A value does not fit a type; the text is the rule that it breaks."""


def _coerce_setting(setting: Setting, value: Any) -> Any:
    try:
        return _coerce(value, setting.declared)
    except _Mismatch as mismatch:
        example = setting.value
        if isinstance(example, tuple):
            example = str(_to_json(example)).replace("'", "")
        raise ValueError(
            f"{setting.key} must be {mismatch}. Received {value!r}; "
            f"write for example {setting.key}={example}."
        ) from None


def _coerce(value: Any, declared: Any) -> Any:
    """A value of the declared type, from that type, from JSON's or from text.

    Types are bool, int, float, str, a Literal, a tuple of these, or a choice of these and None.
    """
    origin = get_origin(declared)
    if origin in (Union, types.UnionType):
        return _coerce_union(value, get_args(declared))
    if origin is Literal:
        return _coerce_literal(value, get_args(declared))
    if origin is tuple:
        return _coerce_tuple(value, get_args(declared))
    readers: dict[Any, Callable[[Any], Any]] = {
        bool: _coerce_bool,
        int: _coerce_int,
        float: _coerce_float,
        str: _coerce_text,
    }
    if declared not in readers:
        raise TypeError(f"A setting cannot be of type {declared}.")
    return readers[declared](value)


def _coerce_union(value: Any, arms: tuple[Any, ...]) -> Any:
    """A value of the first type that takes it; none only where None is one of them."""
    optional = types.NoneType in arms
    empty = value is None or (isinstance(value, str) and value.lower() in ("none", "null", "~", ""))
    if optional and empty:
        return None
    rules = []
    for arm in arms:
        if arm is types.NoneType:
            continue
        try:
            return _coerce(value, arm)
        except _Mismatch as mismatch:
            rules.append(str(mismatch))
    raise _Mismatch(" or ".join([*rules, "none"] if optional else rules))


def _coerce_literal(value: Any, allowed: tuple[Any, ...]) -> Any:
    for choice in allowed:
        if type(choice) is type(value) and choice == value:
            return choice
    for choice in allowed:
        if isinstance(value, str | int | float) and str(choice) == str(value):
            return choice
    raise _Mismatch(f"one of {', '.join(map(str, allowed))}")


def _coerce_tuple(value: Any, members: tuple[Any, ...]) -> tuple[Any, ...]:
    variadic = len(members) == 2 and members[1] is Ellipsis
    if isinstance(value, str):
        text = value.strip().removeprefix("(").removesuffix(")")
        value = [part.strip() for part in text.split(",") if part.strip()]
    elif variadic and isinstance(value, int | float):
        value = [value]
    if not isinstance(value, list | tuple):
        raise _Mismatch("a list")
    if not variadic and len(value) != len(members):
        raise _Mismatch(f"a list of {len(members)} values")
    expected = [members[0]] * len(value) if variadic else members
    try:
        return tuple(_coerce(v, member) for v, member in zip(value, expected, strict=True))
    except _Mismatch as mismatch:
        raise _Mismatch(f"a list in which each value is {mismatch}") from None


def _coerce_bool(value: Any) -> bool:
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise _Mismatch("true or false")
    return value


def _coerce_int(value: Any) -> int:
    try:
        if isinstance(value, str | int) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass  # text such as 1e3 is looked at as a float below
    try:
        number = _coerce_float(value)
    except _Mismatch:
        raise _Mismatch("a whole number") from None
    if number != int(number):
        raise _Mismatch("a whole number")
    return int(number)


def _coerce_float(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _Mismatch("a number")
    return number


def _coerce_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Mismatch("text (in quotes where YAML would read something else)")
    return str(value)


def flatten(record: Any) -> dict[str, Any]:
    """Every setting of a record by its dotted key, in values that JSON can hold (tuples as lists).

    `apply_differences(default_record, flatten(record))` gives the record back.
    """
    return {setting.key: _to_json(setting.value) for setting in list_settings(record)}


def _to_json(value: Any) -> Any:
    return [_to_json(member) for member in value] if isinstance(value, tuple) else value


class _SettingsLoader(yaml.SafeLoader):
    """Safe YAML with the scalars of YAML 1.2, without duplicate keys.

    In YAML 1.1, which PyYAML reads, `off` is False, `12:30` is 750, `012` is 10 and `5e-4` is text.
    """

    yaml_implicit_resolvers: dict[str, list[Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value} stands twice", key_node.start_mark
                )
            seen.add(str(key_node.value))
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
):
    _SettingsLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


def _load_yaml(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_SettingsLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{source}{line} is not a list of settings: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{source} is not YAML: {' '.join(str(error).split())}.") from None


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
        differences[key] = _reject_nested(key, _load_yaml(text, f"--set {assignment}"))
    return differences


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds, of any form.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not YAML, or names a key twice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No settings file at {path}.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text. It is not at byte {error.start}.") from None
    return _load_yaml(text, str(path))


def read_differences(path: str | Path) -> dict[str, Any]:
    """The differences of a YAML file: a flat list of `a.b: value`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not YAML, not flat, or names a key twice.
    """
    values = read_yaml(path)
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


@contextlib.contextmanager
def one_line_errors(program: str) -> Iterator[None]:
    """End a program with exit code 2 and one line on stderr where its input is wrong.

    `ValueError` and `OSError` (a missing file, no permission, a full disk) are what a user can
    mend; all else keeps its trace.

    Args:
        program: its name, which begins the line.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        print(f"{program}: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from error
