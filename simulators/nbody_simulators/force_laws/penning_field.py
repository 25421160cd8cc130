"""The field of a Penning trap: a uniform magnetic field and an electric quadrupole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import FieldLaw

__all__ = ["PenningParameters", "penning_law"]


class PenningParameters(NamedTuple):
    """What the law of the trap depends on."""

    magnetic_field: float
    quadrupole: float


def penning_law(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law a = (q/m) [U (x/2, y/2, -z) + v x B], of potential q U (z^2 - rho^2/2) / 2."""
    del sqrt, where

    def law(p: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
        ratio = charge / mass
        ax = ratio * (0.5 * p.quadrupole * x[0] + p.magnetic_field * v[1])
        ay = ratio * (0.5 * p.quadrupole * x[1] - p.magnetic_field * v[0])
        az = -ratio * p.quadrupole * x[2]
        height = x[2] * x[2] - 0.5 * (x[0] * x[0] + x[1] * x[1])
        return (ax, ay, az), 0.5 * charge * p.quadrupole * height

    return law


register_law(FieldLaw(PenningParameters(1.0, 1.0), penning_law))
