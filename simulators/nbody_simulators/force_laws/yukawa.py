"""Coulomb's law screened by a plasma: Yukawa's, or Debye and Hueckel's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import PairLaw

__all__ = ["LOG2_E", "YukawaParameters", "screened_coulomb", "yukawa"]

LOG2_E = math.log2(math.e)
"""Laws know powers and no exponential: e^x is 2^(x log2 e), and powers of 2 are cheap."""


class YukawaParameters(NamedTuple):
    """What the screened law depends on."""

    coupling: float
    screening_length: float


def screened_coulomb(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law U = k q_i q_j exp(-r / l) / r, F / r = U (1 / r + 1 / l) / r."""
    del where

    def law(p: Any, r2: Any, qi: Any, qj: Any, mi: Any, mj: Any, bond: Any) -> Any:
        r = sqrt(r2)
        inverse = 1.0 / r
        energy = p.coupling * (qi * qj) * 2.0 ** (-(LOG2_E / p.screening_length) * r) * inverse
        return energy * (inverse + 1.0 / p.screening_length) * inverse, energy

    return law


def yukawa(coupling: float, screening_length: float) -> PairLaw:
    """Return the screened law with these parameters."""
    return PairLaw(YukawaParameters(coupling, screening_length), screened_coulomb)


register_law(yukawa(1.0, 1.0))  # with any parameters: kernels know a law by their class
