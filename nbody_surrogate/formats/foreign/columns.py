"""Tables of particles: which column means what, whatever the program that wrote it calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nbody_surrogate.formats.foreign.content import Content, flat, same_columns
from nbody_surrogate.formats.foreign.particle_order import sorted_rows

__all__ = ["NAMES", "content_of"]

NAMES: dict[str, tuple[str, ...]] = {
    "x": ("pos", "position", "positions", "x", "r"),
    "v": ("velo", "vel", "velocity", "velocities", "v"),
    "momenta": ("momenta", "momentum", "p"),
    "charges": ("charge", "charges", "initial_charges", "q"),
    "masses": ("mass", "masses", "m"),
    "couplings": ("couplings",),
    "radii": ("radius", "radii"),
    "species": ("species", "element", "type", "typeid"),
    "id": ("id",),
}
"""Quantities to the names of their columns, in lower case: of ASE, OVITO, LAMMPS and ourselves."""

CONSTANT = ("charges", "masses", "couplings", "radii", "species", "id")


def content_of(
    frames: Sequence[Mapping[str, np.ndarray]],
    times: Sequence[float | None],
    *,
    dimensions: int | None = None,
    periodic: bool = False,
) -> Content:
    """Put the columns of frames together.

    Parameters
    ----------
    frames : sequence of mappings
        Columns by their names in the file, each of shape (N,) or (N, K).
    times : sequence of float or None
        None where the file tells none.
    dimensions : int, optional
        2 of a file that says that its particles keep to a plane.
    periodic : bool

    Raises
    ------
    ValueError
        If there are no positions, columns disagree, or what is constant in a run changes.
    """
    read = [_quantities(frame) for frame in frames]
    if any(each.keys() != read[0].keys() or len(each["x"]) != len(read[0]["x"]) for each in read):
        raise ValueError("its frames differ in their particles or columns")
    series: dict[str, Any] = {
        name: np.stack([each[name] for each in read]) for name in read[0] if name not in CONSTANT
    }
    constant: dict[str, Any] = {name: _constant(name, read) for name in read[0] if name in CONSTANT}
    constant.pop("id", None)  # it has done its work
    if "species" in constant:
        constant["species"] = tuple(str(each)[:40] for each in constant["species"])
    if dimensions == 2:
        series = {name: flat(values) for name, values in series.items()}
    told = None if any(t is None for t in times) else np.array(times, np.float64)
    return Content(t=told, periodic=periodic, **series, **constant)


def _quantities(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Name the columns of one frame by what they mean, sorted by the particles' numbers."""
    lower = {name.lower(): values for name, values in columns.items()}
    found: dict[str, np.ndarray] = {}
    for quantity, names in NAMES.items():
        own = [_shaped(quantity, lower[name]) for name in names if name in lower]
        if (values := same_columns(quantity, own)) is not None:
            found[quantity] = values
    if "x" not in found:
        raise ValueError("it holds no positions")
    if "id" not in found:
        return found
    order = sorted_rows(found["id"])
    # couplings are between particles, so that both axes are in the order of the file
    return {
        name: values[order][:, order] if name == "couplings" else values[order]
        for name, values in found.items()
    }


def _shaped(quantity: str, values: np.ndarray) -> np.ndarray:
    if quantity in ("species", "id"):
        return values
    numbers = values.astype(np.float64)
    n = len(numbers)
    if quantity in ("x", "v", "momenta") and (numbers.ndim != 2 or numbers.shape[1] not in (2, 3)):
        raise ValueError(f"its column {quantity} must hold 2 or 3 numbers for each particle")
    if quantity == "couplings":
        return numbers.reshape(n, n)
    if quantity in ("charges", "masses", "radii") and numbers.ndim != 1:
        raise ValueError(f"its column {quantity} must hold one number for each particle")
    return numbers


def _constant(name: str, read: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    first = read[0][name]
    if any(not np.array_equal(first, each[name]) for each in read):
        named = "ids of particles" if name == "id" else name
        raise ValueError(f"its {named} change with time, which those of a run do not")
    return first
