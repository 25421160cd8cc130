"""Arrays that are handed in: one line that says which shape would do, as for other arguments."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nbody_surrogate.errors import InputError

__all__ = ["demand_vectors", "read_only", "real_array"]


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


def read_only(values: np.ndarray) -> np.ndarray:
    """Return a view into which a plugin cannot write, whoever the array belongs to."""
    seen = values.view()
    seen.flags.writeable = False
    return seen
