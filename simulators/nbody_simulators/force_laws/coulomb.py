"""Coulomb's law, softened after Plummer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import PairLaw

__all__ = ["CoulombParameters", "coulomb", "softened_coulomb"]


class CoulombParameters(NamedTuple):
    """What the softened Coulomb law depends on."""

    coupling: float
    softening: float


def softened_coulomb(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law F / r = k q_i q_j / s^3, U = k q_i q_j / s with s^2 = r^2 + softening^2."""
    del where

    def law(p: Any, r2: Any, qi: Any, qj: Any, mi: Any, mj: Any, bond: Any) -> Any:
        # One division and one root: U = k q q / s, and F / r = U / s^2.
        inverse = 1.0 / (r2 + p.softening * p.softening)
        energy = p.coupling * (qi * qj) * sqrt(inverse)
        return energy * inverse, energy

    return law


def coulomb(coupling: float, softening: float) -> PairLaw:
    """Return the softened Coulomb law with these parameters."""
    return PairLaw(CoulombParameters(coupling, softening), softened_coulomb)


register_law(coulomb(1.0, 0.1))  # with any parameters: kernels know a law by their class
