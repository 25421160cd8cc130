"""The force of a rigid rod through the origin, and weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate.contracts import FieldLaw

__all__ = ["PendulumParameters", "pendulum_law"]


class PendulumParameters(NamedTuple):
    """What the law of the rod and the weight depends on."""

    gravity: float


def pendulum_law(sqrt: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    """Build the law a = g - x (v.v + g.x) / x.x with g = (0, -g, 0), of potential m g y."""
    del sqrt, where

    def law(p: Any, x: Any, v: Any, charge: Any, mass: Any) -> Any:
        speed2 = v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
        length2 = x[0] * x[0] + x[1] * x[1] + x[2] * x[2]
        # By the present |x|, not by a length: the law is then the same for all rods, and x.x
        # stays as it is to the accuracy of the method.
        pull = (speed2 - p.gravity * x[1]) / length2
        a = (-pull * x[0], -pull * x[1] - p.gravity, -pull * x[2])
        return a, mass * p.gravity * x[1]

    return law


register_law(FieldLaw(PendulumParameters(1.0), pendulum_law))
