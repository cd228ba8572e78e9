"""Checks that several records of settings share."""

from __future__ import annotations

from typing import Any


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
