"""By how much an iteration changed the start of a slice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.integrators.parareal.slices import SliceStart

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["relative_change"]


def relative_change(new: SliceStart, old: SliceStart, first: SliceStart) -> float:
    """Return the change of a start, relative to how far apart the particles are.

    The larger of two: the root mean square change of a position over that of the distances from
    the mean position, and the same of velocities. The scale is that of `new` or of the window's
    first start, whichever is larger, so that a run may begin at rest. Each hidden variable counts
    too, relative to its own root mean square.

    Parameters
    ----------
    new, old : SliceStart
    first : SliceStart
        Of the window.

    Returns
    -------
    float
        Infinite where something is not finite, or changes although there is no scale.
    """
    shares = [
        _share(new.x - old.x, max(_spread(new.x, first.x), _spread(first.x, first.x))),
        # of a single particle there is no mean to move against
        _share(new.v - old.v, max(_spread(new.v, 0 * new.v), _spread(first.v, 0 * first.v))),
    ]
    for name, values in new.hidden.items():
        scale = max(_size(values), _size(first.hidden[name]))
        shares.append(_share(values - old.hidden[name], scale))
    return max(shares)


def _size(values: Float64[np.ndarray, "1 N *axes"]) -> float:
    """Root mean square; infinite where something is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.sqrt(np.mean(values**2)) if np.isfinite(values).all() else math.inf


def _share(difference: Float64[np.ndarray, "1 N *axes"], scale: float) -> float:
    size = _size(difference)
    if size == 0:
        return 0.0
    return size / scale if scale > 0 and math.isfinite(size) else math.inf


def _spread(values: Float64[np.ndarray, "1 N D"], alone: Float64[np.ndarray, "1 N D"]) -> float:
    """Root mean square distance from the mean; of a single particle, from what is given."""
    centre = values.mean(axis=1, keepdims=True) if values.shape[1] > 1 else alone
    with np.errstate(over="ignore", invalid="ignore"):
        return math.sqrt(np.mean((values - centre) ** 2))
