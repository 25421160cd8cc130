"""The law of a harmonic potential about the origin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import FieldLaw

__all__ = ["HarmonicParameters", "harmonic"]


class HarmonicParameters(NamedTuple):
    """Angular frequencies along the axes."""

    x: float
    y: float
    z: float


def harmonic_law(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law a_d = -w_d^2 x_d, U = m sum_d w_d^2 x_d^2 / 2."""
    del sqrt, where

    def law(p: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
        ax, ay, az = -p.x * p.x * x[0], -p.y * p.y * x[1], -p.z * p.z * x[2]
        energy = -0.5 * mass * (ax * x[0] + ay * x[1] + az * x[2])  # as a_d x_d = -w_d^2 x_d^2
        return (ax, ay, az), energy

    return law


def harmonic(frequencies: tuple[float, float, float]) -> FieldLaw:
    """Return the harmonic law with these frequencies."""
    return FieldLaw(HarmonicParameters(*frequencies), harmonic_law)


register_law(harmonic((1.0, 1.0, 1.0)))
