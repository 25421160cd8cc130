"""Hooke's law: springs of zero length, as strong as the pair's coupling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import PairLaw

__all__ = ["HookeParameters", "hooke"]


class HookeParameters(NamedTuple):
    """What Hooke's law depends on."""

    stiffness: float


def hooke(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law F / r = -k c_ij, U = k c_ij r^2 / 2."""
    del sqrt, where

    def law(p: Any, r2: Any, qi: Any, qj: Any, mi: Any, mj: Any, bond: Any) -> Any:
        pull = p.stiffness * bond
        return -pull, 0.5 * pull * r2

    return law


register_law(PairLaw(HookeParameters(0.1), hooke))
