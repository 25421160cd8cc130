"""What the ion wake of one grain does to the others: a directed law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.force_laws.yukawa import LOG2_E
from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import DirectedLaw

__all__ = ["WakeParameters", "ion_wake", "point_charge_wake"]


class WakeParameters(NamedTuple):
    """What the law of the wake depends on."""

    coupling: float
    screening_length: float
    charge: float
    distance: float
    softening: float


def point_charge_wake(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law of a charge -w q_j that follows grain j, a distance below it.

    Screened as the grains are: F = -k w q_i q_j exp(-s / l) (1 / s + 1 / l) u / s^2, where u goes
    from the wake to grain i and s^2 = u^2 + softening^2.
    """
    del where

    def law(p: Any, dx: Any, dy: Any, dz: Any, qi: Any, qj: Any, mi: Any, mj: Any) -> Any:
        uz = dz + p.distance
        s = sqrt(dx * dx + dy * dy + uz * uz + p.softening * p.softening)
        inverse = 1.0 / s
        screened = 2.0 ** (-(LOG2_E / p.screening_length) * s)
        pull = -p.coupling * p.charge * (qi * qj) * screened
        pull = pull * (inverse + 1.0 / p.screening_length) * inverse * inverse
        return pull * dx, pull * dy, pull * uz

    return law


def ion_wake(
    coupling: float, screening_length: float, charge: float, distance: float, softening: float
) -> DirectedLaw:
    """Return the law of the wake with these parameters."""
    parameters = WakeParameters(coupling, screening_length, charge, distance, softening)
    return DirectedLaw(parameters, point_charge_wake)


register_law(ion_wake(1.0, 1.0, 0.3, 0.3, 0.1))
