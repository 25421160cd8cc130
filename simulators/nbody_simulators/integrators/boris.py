"""The Boris method for charges in a uniform magnetic field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from nbody_simulators.integrators.fixed_step import AbstractFixedStep
from nbody_simulators.kernels.compiled_laws import compiled
from nbody_simulators.kernels.lanes import Lanes, lane_accelerations
from nbody_surrogate.contracts import AbstractSystem, Problem

if TYPE_CHECKING:
    from nbody_simulators.integrators.plain_steps import PlainProblem
    from nbody_simulators.integrators.torch_steps import TorchProblem

__all__ = ["Boris"]


@compiled
def _boris(
    lanes: Lanes,
    step: float,
    substeps: int,
    magnetic: tuple[float, float, float],
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    x, v = lanes.x, lanes.v
    scratch, e = np.empty((3, x.shape[2])), np.empty_like(x)
    rest = np.zeros_like(x)  # of particles at rest, the law gives q E / m alone: no v x B
    flat_x, flat_v = x.ravel(), v.ravel()  # views: one long loop for vectors, over all components
    n, width = lanes.charges.shape
    size = frames_x.shape[1]  # in two dimensions without the third component
    half = 0.5 * step
    for f in range(frames_x.shape[0]):
        for _ in range(substeps):
            for k in range(size):
                flat_x[k] += half * flat_v[k]
            lane_accelerations(lanes, x, rest, lanes.pair, lanes.field, lanes.directed, scratch, e)
            for i in range(n):
                for w in range(width):
                    turn = half * lanes.charges[i, w] / lanes.masses[i, w]
                    tx, ty, tz = turn * magnetic[0], turn * magnetic[1], turn * magnetic[2]
                    # This share makes of two cross products a rotation that keeps |v| exactly.
                    share = 2.0 / (1.0 + (tx * tx + ty * ty + tz * tz))
                    vx = v[0, i, w] + half * e[0, i, w]
                    vy = v[1, i, w] + half * e[1, i, w]
                    vz = v[2, i, w] + half * e[2, i, w]
                    ux = vx + (vy * tz - vz * ty)
                    uy = vy + (vz * tx - vx * tz)
                    uz = vz + (vx * ty - vy * tx)
                    v[0, i, w] = vx + share * (uy * tz - uz * ty) + half * e[0, i, w]
                    v[1, i, w] = vy + share * (uz * tx - ux * tz) + half * e[1, i, w]
                    v[2, i, w] = vz + share * (ux * ty - uy * tx) + half * e[2, i, w]
            for k in range(size):
                flat_x[k] += half * flat_v[k]
        for k in range(size):
            frames_x[f, k], frames_v[f, k] = flat_x[k], flat_v[k]


@final
class Boris(AbstractFixedStep):
    """Half a drift, half a kick, a rotation, half a kick, half a drift: order 2.

    The rotation by the magnetic field is that of Boris: u = v + v x t and v += s u x t with
    t = (q B / m) h / 2 and s = 2 / (1 + t^2), which keeps |v| exactly. Time-reversible and
    volume-preserving.

    References
    ----------
    J. P. Boris, Proc. 4th Conf. Num. Sim. Plasmas (1970) 3; Qin et al., Phys. Plasmas 20 (2013)
    084503.
    """

    name = "boris"
    evaluations = 1
    opening = 0  # a step begins with a drift, so that it needs no force before it

    def _refuse(self, problem: Problem) -> str | None:
        system = problem.system
        if system.magnetic_field() is not None:
            return None
        fitting = "rk4" if system.velocity_dependent else "leapfrog"
        return (
            f"needs a uniform magnetic field, system {system.name!r} has none; "
            f"use {fitting} or dop853"
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
        magnetic = _magnetic_field(problem.system, flat=x.shape[1] < lanes.x.size)
        _boris(lanes.pair, lanes.field, lanes.directed)(lanes, step, steps, magnetic, x, v)

    def _array_step(
        self, problem: TorchProblem | PlainProblem, x: Any, v: Any, a: Any, step: float
    ) -> Any:
        array = problem.array_module
        x = x + (0.5 * step) * v
        kick = (0.5 * step) * problem.acceleration(x, array.zeros_like(v))
        turn = (0.5 * step) * problem.charges / problem.masses
        bx, by, bz = _magnetic_field(problem.system, flat=v.shape[2] == 2)
        # A cross product has three components; in two dimensions B along z keeps v in the plane.
        t = array.stack([turn * bx, turn * by, turn * bz], -1)
        missing = array.zeros_like(t)[..., v.shape[2] :]
        before = array.concatenate([v + kick, missing], -1)
        share = 2.0 / (1.0 + (t * t).sum(2)[..., None])
        around = before + _cross(array, before, t)
        v = (before + share * _cross(array, around, t))[..., : v.shape[2]] + kick
        return x + (0.5 * step) * v, v, a


def _cross(array: Any, u: Any, t: Any) -> Any:
    """Return u x t along the last axis."""
    ux, uy, uz, tx, ty, tz = *(u[..., d] for d in range(3)), *(t[..., d] for d in range(3))
    return array.stack([uy * tz - uz * ty, uz * tx - ux * tz, ux * ty - uy * tx], -1)


def _magnetic_field(system: AbstractSystem, flat: bool) -> tuple[float, float, float]:
    """Return the field, in two dimensions without what would turn velocities out of the plane."""
    field = system.magnetic_field()
    assert field is not None
    return (0.0, 0.0, field[2]) if flat else field
