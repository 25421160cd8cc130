"""The hidden variables of a run, frame by frame: what they must be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nbody_surrogate.errors import InputError
from nbody_surrogate.results.observables import demand_named_frames

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
    demand_named_frames("hidden", found, leading, axes, demand_hidden_name)
