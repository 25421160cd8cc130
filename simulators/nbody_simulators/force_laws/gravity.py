"""Newton's law of gravity, softened after Plummer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import PairLaw

__all__ = ["GravityParameters", "softened_gravity"]


class GravityParameters(NamedTuple):
    """What the softened law of gravity depends on."""

    coupling: float
    softening: float


def softened_gravity(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law F / r = -G m_i m_j / s^3, U = -G m_i m_j / s with s^2 = r^2 + softening^2."""
    del where

    def law(p: Any, r2: Any, qi: Any, qj: Any, mi: Any, mj: Any, bond: Any) -> Any:
        inverse = 1.0 / (r2 + p.softening * p.softening)  # one division and one root, as `coulomb`
        energy = -p.coupling * (mi * mj) * sqrt(inverse)
        return energy * inverse, energy

    return law


register_law(PairLaw(GravityParameters(1.0, 0.1), softened_gravity))
