"""The hidden variables of a run, frame by frame: what they must be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.errors import InputError

__all__ = ["demand_hidden_frames", "demand_hidden_name"]


def demand_hidden_name(name: object) -> str:
    """Demand a name that a hidden variable may have.

    Raises
    ------
    InputError
        If it is none.
    """
    if not isinstance(name, str) or not name.isidentifier() or name in ("x", "v"):
        raise InputError(
            f"`hidden` must have words for names, and neither x nor v, got {str(name)[:64]!r}"
        )
    return name


def demand_hidden_frames(found: Mapping[str, np.ndarray], leading: tuple[int, ...]) -> None:
    """Demand arrays of float64 whose first axes are (T, N), or (B, T, N).

    Raises
    ------
    InputError
        If one is not, naming it.
    """
    axes = "(T, N, ...)" if len(leading) == 2 else "(B, T, N, ...)"
    demand_kind("hidden", found, Mapping, "a mapping of names to arrays")
    for name, values in found.items():
        demand_hidden_name(name)
        if not isinstance(values, np.ndarray) or values.dtype != np.float64:
            kind = getattr(values, "dtype", type(values).__name__)
            raise InputError(f"`hidden` {name!r} must be an array of float64, got {kind}")
        if values.shape[: len(leading)] != leading:
            raise InputError(
                f"`hidden` {name!r} must have shape {axes} with the first {leading}, "
                f"got {values.shape}"
            )
