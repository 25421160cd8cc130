"""Quantities of a run beside its positions and velocities: names, shapes and what is data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.errors import InputError

__all__ = [
    "demand_named_frames",
    "demand_observable_name",
    "demand_observables",
    "known_part",
    "taken",
]

LONGEST = 64  # letters of a name
TAKEN = frozenset(
    {"box", "charge", "couplings", "info", "label_error", "mass", "particles", "position", "step"}
    | {"t", "time", "v", "valid", "value", "velocity", "x"}
)
"""Names that mean something else in a run or in its file."""


def demand_observable_name(name: object) -> str:
    """Demand a name for a quantity: letters, digits and underscores, and none that is taken.

    Raises
    ------
    InputError
        If it is not one.
    """
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
        raise InputError(
            "the name of an observable must be of letters, digits and underscores, and begin with "
            f"a letter, got {str(name)[:LONGEST]!r}"
        )
    if name in TAKEN or name.startswith(("_", "trajectory_")) or len(name) > LONGEST:
        raise InputError(
            f"the name of an observable must not be {name[:LONGEST]!r}, which means something else "
            f"or is longer than {LONGEST}; choose another one"
        )
    return name


def demand_observables(found: Mapping[str, np.ndarray], leading: tuple[int, ...]) -> None:
    """Demand arrays of float64 whose first axes are (T,), or (B, T).

    Raises
    ------
    InputError
        If one is not, naming it.
    """
    axes = "(T, ...)" if len(leading) == 1 else "(B, T, ...)"
    demand_named_frames("observables", found, leading, axes, demand_observable_name)


def demand_named_frames(
    what: str,
    found: Mapping[str, np.ndarray],
    leading: tuple[int, ...],
    axes: str,
    demand_name: Callable[[object], str],
) -> None:
    """Demand a mapping of good names to arrays of float64, whose first axes are given.

    Parameters
    ----------
    what : str
        What messages call it.
    found : mapping of str to ndarray
    leading : tuple of int
        Lengths of the first axes.
    axes : str
        All axes, in words.
    demand_name : callable
        Raises where a name is none.

    Raises
    ------
    InputError
        If one is not, naming it.
    """
    demand_kind(what, found, Mapping, "a mapping of names to arrays")
    for name, values in found.items():
        demand_name(name)
        if not isinstance(values, np.ndarray) or values.dtype != np.float64:
            kind = getattr(values, "dtype", type(values).__name__)
            raise InputError(f"`{what}` {name!r} must be an array of float64, got {kind}")
        if values.shape[: len(leading)] != leading:
            raise InputError(
                f"`{what}` {name!r} must have shape {axes} with the first {leading}, "
                f"got {values.shape}"
            )


def known_part(found: Mapping[str, np.ndarray], data: np.ndarray) -> dict[str, np.ndarray]:
    """Return the first frames of (B, T, ...), NaN where `data` (B, F) says that there are none."""
    kept = slice(0, data.shape[1])
    return {
        name: np.where(data.reshape(*data.shape, *[1] * (y.ndim - 2)), y[:, kept], np.nan)
        for name, y in found.items()
    }


def taken(found: Mapping[str, np.ndarray], index: Any) -> dict[str, np.ndarray]:
    """Return the same part of each array."""
    return {name: values[index] for name, values in found.items()}
