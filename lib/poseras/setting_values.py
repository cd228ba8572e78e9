"""The values of settings: read by the type that a field declares, from that type, JSON's or text.

Text that lists several values separates them by commas, `256,192`; a list of YAML or JSON holds
them as they are. A regular expression may hold commas and parentheses of its own, so where a field
lists those, declared as `tuple[Pattern, ...]`, text is always one of them.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any, Literal, NewType, Union, get_args, get_origin

from .yaml_files import WrittenFloat, WrittenInt

#: A regular expression.
Pattern = NewType("Pattern", str)

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Mismatch(Exception):
    """A value does not fit a type; the text is the rule that it breaks."""


def coerce(value: Any, declared: Any) -> Any:
    """A value of the declared type.

    Args:
        value: of that type, of JSON's or text.
        declared: bool, int, float, str, `Pattern`, a Literal, a tuple of these, or a choice of
            these and None.

    Raises:
        Mismatch: the value does not fit.
        TypeError: no setting can be of such a type.
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
        Pattern: _coerce_text,
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
            return coerce(value, arm)
        except Mismatch as mismatch:
            rules.append(str(mismatch))
    raise Mismatch(" or ".join([*rules, "none"] if optional else rules))


def _coerce_literal(value: Any, allowed: tuple[Any, ...]) -> Any:
    for choice in allowed:
        if type(choice) is type(value) and choice == value:
            return choice
    for choice in allowed:
        if isinstance(value, str | int | float) and str(choice) == str(value):
            return choice
    raise Mismatch(f"one of {', '.join(map(str, allowed))}")


def _coerce_tuple(value: Any, members: tuple[Any, ...]) -> tuple[Any, ...]:
    variadic = len(members) == 2 and members[1] is Ellipsis
    if isinstance(value, str):
        value = _split_text(value, whole=members[0] is Pattern)
    elif variadic and isinstance(value, int | float):
        value = [value]
    if not isinstance(value, list | tuple):
        raise Mismatch("a list")
    if not variadic and len(value) != len(members):
        raise Mismatch(f"a list of {len(members)} values")
    expected = [members[0]] * len(value) if variadic else members
    try:
        return tuple(coerce(v, member) for v, member in zip(value, expected, strict=True))
    except Mismatch as mismatch:
        raise Mismatch(f"a list in which each value is {mismatch}") from None


def _split_text(text: str, *, whole: bool) -> list[str]:
    """The members of a list that is written as text, `256,192` or `(256, 192)`."""
    text = text.strip()
    if whole:
        return [text] if text else []
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return [part.strip() for part in text.split(",") if part.strip()]


def _coerce_bool(value: Any) -> bool:
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise Mismatch("true or false")
    return value


def _coerce_int(value: Any) -> int:
    try:
        if isinstance(value, str | int) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass  # text such as 1e3 is looked at as a float below
    try:
        number = _coerce_float(value)
    except Mismatch:
        raise Mismatch("a whole number") from None
    if number != int(number):
        raise Mismatch("a whole number")
    return int(number)


def _coerce_float(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise Mismatch("a number")
    return number


def _coerce_text(value: Any) -> str:
    """Text as it was written: the run `1.50` is not the run `1.5`."""
    if value is None:
        return ""
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Mismatch("text (in quotes where YAML would read something else)")
    return str(value)
