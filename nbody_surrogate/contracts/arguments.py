"""Arguments of a wrong type: one line that names the parameter, as for a wrong value."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nbody_surrogate.errors import InputError

__all__ = [
    "demand_kind",
    "demand_number",
    "demand_path",
    "demand_vectors",
    "demand_whole",
    "real_array",
]

LONGEST = 60  # characters of a value that a message shows


def demand_kind(name: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Refuse what is of another type; `wanted` says what would do.

    Raises
    ------
    InputError
    """
    if not isinstance(value, kinds):
        raise InputError(f"`{name}` must be {wanted}, got {_shown(value)}")


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
        raise InputError(f"`{name}` must be a whole number, got {_shown(value)}") from None
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
        raise InputError(f"`{name}` must be a number, got {_shown(value)}") from None


def demand_path(name: str, value: Any) -> Path:
    """Return the path of a file.

    Raises
    ------
    InputError
    """
    try:
        return Path(os.fspath(value))
    except (TypeError, ValueError):
        raise InputError(f"`{name}` must be the path of a file, got {_shown(value)}") from None


def real_array(name: str, values: ArrayLike) -> np.ndarray:
    """Return real numbers as a C-contiguous float64 array; what is one already is not copied.

    Raises
    ------
    InputError
        If they are none: text, complex numbers, ragged lists, tensors with gradients.
    """
    try:
        # same_kind takes integers and single precision, and refuses text and complex numbers
        return np.asarray(values).astype(np.float64, order="C", casting="same_kind", copy=False)
    except (TypeError, ValueError, RuntimeError) as error:  # the last of a tensor with gradients
        raise InputError(f"`{name}` must hold real numbers: {error}") from None


def demand_vectors(name: str, x: ArrayLike, axes: str, dimensions: tuple[int, ...]) -> np.ndarray:
    """Return vectors as a float64 array, with an axis of space last.

    Parameters
    ----------
    name : str
    x : array_like
    axes : str
        Such as ``B N D``; with ``...`` in front any number of axes will do there.
    dimensions : tuple of int
        That D may be.

    Raises
    ------
    InputError
        If they are of another shape, hold nothing, or no real numbers.
    """
    values = real_array(name, x)
    named = axes.replace("... ", "").split()
    right = values.ndim >= len(named) if axes.startswith("...") else values.ndim == len(named)
    if not right or values.shape[-1] not in dimensions or not values.size:
        wanted = axes.replace(" ", ", ")
        least = "" if axes.startswith("...") else ", none of them 0"
        raise InputError(
            f"`{name}` must have shape ({wanted}) with D = {' or '.join(map(str, dimensions))}"
            f"{least}, got {values.shape}"
        )
    return values


def _shown(value: object) -> str:
    """Show plain values, and of all else the type: an array would take many lines."""
    if value is None or isinstance(value, int | float | str | bytes):
        text = repr(value)
        return text if len(text) <= LONGEST else text[:LONGEST] + "..."
    return type(value).__name__
