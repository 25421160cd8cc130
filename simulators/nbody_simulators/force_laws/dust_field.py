"""What holds grains in the sheath of a plasma: gravity, electric fields, the drag of the gas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import FieldLaw

__all__ = ["DRAG_POWER", "DustFieldParameters", "dust_field", "sheath_law"]

DRAG_POWER = -1.0 / 3.0
"""Epstein's drag goes as the area of a grain, the deceleration as area over mass."""


class DustFieldParameters(NamedTuple):
    """What the law of the sheath depends on."""

    gravity: float
    radial: float
    vertical: float
    drag: float


def sheath_law(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law a = (q/m) [(0, 0, g) - (h x, h y, v z)] - (0, 0, g) - c m^(-1/3) u, u = dx/dt.

    The energy is that of all but the drag.
    """
    del sqrt, where

    def law(p: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
        ratio, rate = charge / mass, p.drag * mass**DRAG_POWER
        ax = -ratio * p.radial * x[0] - rate * v[0]
        ay = -ratio * p.radial * x[1] - rate * v[1]
        az = ratio * (p.gravity - p.vertical * x[2]) - p.gravity - rate * v[2]
        held = p.radial * (x[0] * x[0] + x[1] * x[1]) + p.vertical * (x[2] * x[2])
        return (ax, ay, az), 0.5 * charge * held + (mass - charge) * p.gravity * x[2]

    return law


def dust_field(gravity: float, radial: float, vertical: float, drag: float) -> FieldLaw:
    """Return the law of the sheath with these parameters."""
    return FieldLaw(DustFieldParameters(gravity, radial, vertical, drag), sheath_law)


register_law(dust_field(1.0, 1.0, 1.0, 0.0))
