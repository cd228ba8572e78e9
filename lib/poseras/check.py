"""Checks that several records of settings share."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints


def check_at_least(group: str, record: Any, low: int, names: str) -> None:
    """Refuse a record with a setting below a bound.

    Args:
        group: where the record stands among the settings, `train`.
        record: the settings.
        low: the bound.
        names: of the settings, separated by blanks.

    Raises:
        ValueError: the first setting that is too low, by its full name.
    """
    for name in names.split():
        if getattr(record, name) < low:
            raise ValueError(
                f"{group}.{name} must be at least {low}. Received {getattr(record, name)}."
            )


def check_choices(record: Any) -> None:
    """Refuse a record where a setting has none of the values that its `Literal` type lists.

    Raises:
        ValueError: the first such setting.
    """
    for name, kind in get_type_hints(type(record)).items():
        value = getattr(record, name)
        if get_origin(kind) is Literal and value not in get_args(kind):
            raise ValueError(f"{name} must be one of {get_args(kind)}. Received {value!r}.")


def check_positive(record: Any, names: str) -> None:
    """Refuse a record with a setting that is not above 0.

    Args:
        record: the settings.
        names: of the settings, separated by blanks.

    Raises:
        ValueError: the first setting that is too low.
    """
    for name in names.split():
        if getattr(record, name) <= 0:
            raise ValueError(f"{name} must be positive. Received {getattr(record, name)}.")
