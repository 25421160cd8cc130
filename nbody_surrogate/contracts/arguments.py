"""Arguments of a wrong type: one line that names the parameter, as for a wrong value."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

from nbody_surrogate.errors import InputError

__all__ = [
    "demand_flag",
    "demand_kind",
    "demand_number",
    "demand_path",
    "demand_whole",
    "shown",
]

LONGEST = 60  # characters of a value that a message shows


def demand_kind(name: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Refuse what is of another type; `wanted` says what would do.

    Raises
    ------
    InputError
    """
    if not isinstance(value, kinds):
        raise InputError(f"`{name}` must be {wanted}, got {shown(value)}")


def demand_flag(name: str, value: Any) -> bool:
    """Return a truth value of any library; text and numbers are none: "no" would mean yes.

    Raises
    ------
    InputError
    """
    # NumPy's, which may not be imported, is no kind of Python's
    if not isinstance(value, bool) and type(value).__name__ not in ("bool", "bool_"):
        raise InputError(f"`{name}` must be True or False, got {shown(value)}")
    return bool(value)


def demand_whole(name: str, value: Any, least: int) -> int:
    """Return a whole number of any library; a truth value is none.

    Raises
    ------
    InputError
        If it is none, or too small.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise InputError(f"`{name}` must be a whole number, got {shown(value)}") from None
    if number < least:
        raise InputError(f"`{name}` must be at least {least}, got {number}")
    return number


def demand_number(name: str, value: Any) -> float:
    """Return a number of any library; text and truth values are none.

    Raises
    ------
    InputError
    """
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"`{name}` must be a number, got {shown(value)}") from None


def demand_path(name: str, value: Any) -> Path:
    """Return the path of a file.

    Raises
    ------
    InputError
    """
    try:
        return Path(os.fspath(value))
    except (TypeError, ValueError):
        raise InputError(f"`{name}` must be the path of a file, got {shown(value)}") from None


def shown(value: object) -> str:
    """Show plain values, and of all else the type: an array would take many lines.

    A class that was not called is named, since what it makes was meant.
    """
    if value is None or isinstance(value, int | float | str | bytes):
        text = repr(value)
        return text if len(text) <= LONGEST else text[:LONGEST] + "..."
    if isinstance(value, type):
        name = value.__name__
        return f"the class {name}; hand over an instance, {name}(...)"
    return type(value).__name__
