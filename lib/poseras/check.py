"""Checks that several records of settings share."""

from __future__ import annotations

from collections.abc import Sequence
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


def check_distinct(name: str, values: Sequence[Any]) -> None:
    """Refuse a list in which a value stands twice.

    Args:
        name: of the setting in full, `data.trainset`.
        values: its members.

    Raises:
        ValueError: some stand twice; they are named.
    """
    doubled = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    if doubled:
        raise ValueError(
            f"{name} must name each value once. Received {', '.join(map(str, doubled))} more than "
            f"once in {','.join(map(str, values))}."
        )


def check_scales(scales: Sequence[float]) -> None:
    """Refuse sizes of a picture that cannot be looked at together.

    Args:
        scales: relative to the view.

    Raises:
        ValueError: 1 is not among them, one is not positive, or one stands twice.
    """
    check_distinct("test.scales", scales)
    if 1.0 not in scales or min(scales) <= 0:
        raise ValueError(
            "test.scales must be positive, and 1 among them, whose grid the others are brought "
            f"to. Received {','.join(map(str, scales))}."
        )


def check_positive(record: Any, names: str, group: str = "") -> None:
    """Refuse a record with a setting that is not above 0.

    Args:
        record: the settings.
        names: of the settings, separated by blanks.
        group: where the record stands among the settings, `view`, if the message tells it.

    Raises:
        ValueError: the first setting that is too low.
    """
    for name in names.split():
        if getattr(record, name) <= 0:
            full = f"{group}.{name}" if group else name
            raise ValueError(f"{full} must be positive. Received {getattr(record, name)}.")


def check_view_size(input_shape: tuple[int, int], size_hw: tuple[int, int]) -> None:
    """Refuse views of another size than a network asks for.

    Args:
        input_shape: height and width in pixels, the network's setting, which views follow.
        size_hw: of the views.

    Raises:
        ValueError: they differ.
    """
    if tuple(size_hw) != tuple(input_shape):
        wanted, received = (",".join(map(str, sides)) for sides in (input_shape, size_hw))
        raise ValueError(
            f"view.size_hw must be options.input_shape, here {wanted}. Received {received}; set "
            f"options.input_shape={received}, which the view follows."
        )
