"""Splitting methods: symplectic compositions of kicks and drifts with fixed steps.

Each stage s is a kick v += k_s h a(x) and a drift x += d_s h v. Hairer, Lubich and Wanner,
"Geometric Numerical Integration" (2006), II.4 and II.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from nbody_simulators.integrators.fixed_step import AbstractFixedStep
from nbody_simulators.kernels.compiled_laws import compiled
from nbody_simulators.kernels.lanes import Lanes, lane_accelerations
from nbody_surrogate.contracts import Problem

if TYPE_CHECKING:
    from nbody_simulators.integrators.torch_steps import TorchProblem

__all__ = ["Leapfrog", "SymplecticEuler", "Yoshida4"]


@compiled
def _split(
    lanes: Lanes,
    step: float,
    substeps: int,
    kicks: np.ndarray,
    drifts: np.ndarray,
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    x, v = lanes.x, lanes.v
    scratch, a = np.empty((3, x.shape[2])), np.empty_like(x)
    lane_accelerations(lanes, x, v, scratch, a)
    flat_x, flat_v, flat_a = x.ravel(), v.ravel(), a.ravel()  # views: long loops for vectors
    size = frames_x.shape[1]  # in two dimensions without the third component
    for f in range(frames_x.shape[0]):
        for _ in range(substeps):
            for s in range(kicks.size):
                kick, drift = kicks[s] * step, drifts[s] * step
                for k in range(size):
                    flat_v[k] += kick * flat_a[k]
                # No drift, no new force: a kick that ends a step and the one that begins the next
                # share one evaluation.
                if drift != 0.0:
                    for k in range(size):
                        flat_x[k] += drift * flat_v[k]
                    lane_accelerations(lanes, x, v, scratch, a)
        for k in range(size):
            frames_x[f, k], frames_v[f, k] = flat_x[k], flat_v[k]


class _Splitting(AbstractFixedStep):
    """What the methods share: everything but the coefficients."""

    kicks: ClassVar[tuple[float, ...]]
    drifts: ClassVar[tuple[float, ...]]

    def _refuse(self, problem: Problem) -> str | None:
        system = problem.system
        if not system.velocity_dependent:
            return None
        fitting = "rk4 or dop853" if system.magnetic_field() is None else "boris, rk4 or dop853"
        return (
            f"needs forces that do not depend on velocity, system {system.name!r} has; "
            f"use {fitting}"
        )

    def _march(
        self,
        problem: Problem,
        lanes: Lanes,
        step: float,
        steps: int,
        x: np.ndarray,
        v: np.ndarray,
    ) -> None:
        kicks, drifts = np.array(self.kicks), np.array(self.drifts)
        kernel = _split(lanes.pair, lanes.field)
        kernel(lanes, step, steps, kicks, drifts, x, v)

    def _torch_step(self, problem: TorchProblem, x: Any, v: Any, a: Any, step: float) -> Any:
        for kick, drift in zip(self.kicks, self.drifts, strict=True):
            v = v + (kick * step) * a
            if drift != 0.0:
                x = x + (drift * step) * v
                a = problem.acceleration(x, v)
        return x, v, a


@final
class SymplecticEuler(_Splitting):
    """Kick, then drift: order 1.

    With the system ``charged-clipped`` and a step of 0.001 it is the generator of the published
    benchmarks, which call it leapfrog.

    References
    ----------
    Hairer, Lubich and Wanner, "Geometric Numerical Integration" (2006), I.1.2; the benchmarks:
    Kipf et al., ICML 2018; Satorras et al., ICML 2021.
    """

    name = "symplectic-euler"
    kicks = (1.0,)
    drifts = (1.0,)
    evaluations = 1


@final
class Leapfrog(_Splitting):
    """Half a kick, drift, half a kick (velocity Verlet): order 2, time-reversible.

    References
    ----------
    Verlet, Phys. Rev. 159 (1967) 98.
    """

    name = "leapfrog"
    kicks = (0.5, 0.5)
    drifts = (1.0, 0.0)
    evaluations = 1


# Leapfrogs of these lengths sum to one, 2 w_1 + w_0 = 1, and their errors of third order to none,
# 2 w_1^3 + w_0^3 = 0; w_0 is negative, and has to be for that.
_OUTER = 1 / (2 - 2 ** (1 / 3))
_INNER = 1 - 2 * _OUTER


@final
class Yoshida4(_Splitting):
    """Three leapfrogs of lengths w_1, w_0, w_1: order 4, time-reversible.

    w_1 = 1 / (2 - 2^(1/3)) and w_0 = 1 - 2 w_1 < 0.

    References
    ----------
    Yoshida, Phys. Lett. A 150 (1990) 262.
    """

    name = "yoshida4"
    # Where two leapfrogs meet, their half kicks are one.
    kicks = (_OUTER / 2, (_OUTER + _INNER) / 2, (_OUTER + _INNER) / 2, _OUTER / 2)
    drifts = (_OUTER, _INNER, _OUTER, 0.0)
    evaluations = 3
