"""YAML as every file of this project is read: YAML 1.2, no key twice, numbers as they were written.

Of YAML 1.1 the merge key `<<` stays, which is widely used.

PyYAML's own reader follows YAML 1.1, in which `off` is False, `12:30` is 750, `012` is 10 and
`5e-4` is text, and of two equal keys it drops the first without a word.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml


class WrittenInt(int):
    """A whole number of a file or a command line.

    Attributes:
        text: as it was written, `+5`.
    """

    text: str


class WrittenFloat(float):
    """A number of a file or a command line.

    Attributes:
        text: as it was written, `1.50`, which the number itself no longer tells.
    """

    text: str


class _Loader(yaml.SafeLoader):
    """Safe YAML with the scalars of YAML 1.2, without duplicate keys."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # not hashable, which the construction itself says
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value} stands twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


class _WrittenLoader(_Loader):
    """The same, with numbers that remember how they were written."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> WrittenInt:
        number = WrittenInt(super().construct_yaml_int(node))
        number.text = node.value
        return number

    def construct_yaml_float(self, node: yaml.ScalarNode) -> WrittenFloat:
        number = WrittenFloat(super().construct_yaml_float(node))
        number.text = node.value
        return number


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )
_WrittenLoader.add_constructor("tag:yaml.org,2002:int", _WrittenLoader.construct_yaml_int)
_WrittenLoader.add_constructor("tag:yaml.org,2002:float", _WrittenLoader.construct_yaml_float)


def parse_yaml(text: str, source: str, *, as_written: bool = False) -> Any:
    """What a piece of YAML holds.

    Args:
        text: the YAML.
        source: where it stands; begins the message of an error.
        as_written: give numbers as `WrittenInt` and `WrittenFloat`.

    Raises:
        ValueError: it is not YAML, or names a key twice.
    """
    try:
        return yaml.load(text, Loader=_WrittenLoader if as_written else _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{source}{line} is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{source} is not YAML: {' '.join(str(error).split())}.") from None


def read_yaml(path: str | Path, *, as_written: bool = False) -> Any:
    """What a YAML file holds, of any form.

    Args:
        path: of the file.
        as_written: see `parse_yaml`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not YAML, or names a key twice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No YAML file at {path}.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text. It is not at byte {error.start}.") from None
    return parse_yaml(text, str(path), as_written=as_written)
