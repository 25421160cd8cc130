"""A field that goes as the place does, and drag: what acts on each particle by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import FieldLaw

__all__ = ["AffineFieldParameters", "affine_field", "affine_law"]

Vector = tuple[float, float, float]


class AffineFieldParameters(NamedTuple):
    """What the law depends on: accelerations, and those of a particle with q / m = 1."""

    x: float
    y: float
    z: float
    charge_x: float
    charge_y: float
    charge_z: float
    gradient_x: float
    gradient_y: float
    gradient_z: float
    charge_gradient_x: float
    charge_gradient_y: float
    charge_gradient_z: float
    drag: float
    drag_power: float


def affine_law(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law a_d = A_d + (q/m) B_d + [G_d + (q/m) H_d] x_d - c m^e v_d.

    The energy is that of all but the drag, -x_d [m A_d + q B_d + (m G_d + q H_d) x_d / 2].
    """
    del sqrt, where

    def law(p: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
        ratio, rate = charge / mass, p.drag * mass**p.drag_power
        ux, uy = p.x + ratio * p.charge_x, p.y + ratio * p.charge_y
        uz = p.z + ratio * p.charge_z
        gx = (p.gradient_x + ratio * p.charge_gradient_x) * x[0]
        gy = (p.gradient_y + ratio * p.charge_gradient_y) * x[1]
        gz = (p.gradient_z + ratio * p.charge_gradient_z) * x[2]
        work = (ux + 0.5 * gx) * x[0] + (uy + 0.5 * gy) * x[1] + (uz + 0.5 * gz) * x[2]
        a = (ux + gx - rate * v[0], uy + gy - rate * v[1], uz + gz - rate * v[2])
        return a, -mass * work

    return law


def affine_field(
    uniform: Vector = (0.0, 0.0, 0.0),
    uniform_by_charge: Vector = (0.0, 0.0, 0.0),
    gradient: Vector = (0.0, 0.0, 0.0),
    gradient_by_charge: Vector = (0.0, 0.0, 0.0),
    drag: float = 0.0,
    drag_power: float = 0.0,
) -> FieldLaw:
    """Return the law of A, B, G, H, c and e, see `affine_law`; vectors are of three components."""
    vectors = (*uniform, *uniform_by_charge, *gradient, *gradient_by_charge)
    return FieldLaw(AffineFieldParameters(*vectors, drag, drag_power), affine_law)


register_law(affine_field())
