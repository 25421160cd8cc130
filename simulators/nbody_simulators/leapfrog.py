"""The leapfrog: fixed steps, symplectic, second order."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from pydantic import Field

from nbody_simulators.pair_forces import compiled, pair_acceleration
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrator import (
    AbstractIntegrator,
    Carry,
    Frames,
    IntegratorOptions,
    Problem,
    Tick,
)
from nbody_surrogate.state import State

__all__ = ["Leapfrog", "SubstepOptions"]


class SubstepOptions(IntegratorOptions):
    """Options of the fixed-step methods."""

    substeps: int = Field(default=16, ge=1, description="steps per frame")


@compiled
def _leapfrog(
    x: np.ndarray,
    v: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    parameters: Any,
    dt: float,
    substeps: int,
    frames_x: np.ndarray,
    frames_v: np.ndarray,
) -> None:
    """Fill in the frames (F, N, D) that follow x, v (N, D), which are overwritten."""
    tau = dt / substeps
    a = np.empty_like(x)
    pair_acceleration(x, charges, masses, parameters, a)
    for f in range(frames_x.shape[0]):
        for _ in range(substeps):
            v += 0.5 * tau * a
            x += tau * v
            pair_acceleration(x, charges, masses, parameters, a)
            v += 0.5 * tau * a
        frames_x[f] = x
        frames_v[f] = v


@final
class Leapfrog(AbstractIntegrator):
    """Kick-drift-kick leapfrog (velocity Verlet), order 2, with equal sub-steps.

    v += (tau / 2) a(x); x += tau v; v += (tau / 2) a(x). Verlet, Phys. Rev. 159 (1967) 98;
    Hairer, Lubich and Wanner, "Geometric Numerical Integration", I.1.4.
    """

    name = "leapfrog"
    Options = SubstepOptions

    def _check(self, problem: Problem, state: State) -> None:
        system = problem.system
        if system.velocity_dependent:
            raise InputError(
                f"`integrator` leapfrog needs forces that do not depend on velocity, "
                f"system {system.name!r} has; use dop853"
            )
        if system.one_body_acceleration(state.x, state.v, problem.particles) is not None:
            raise InputError(
                f"`integrator` leapfrog knows pair forces only, "
                f"system {system.name!r} has an external one; use dop853"
            )
        if system.pair_law() is None:
            raise InputError(
                f"`integrator` leapfrog needs a compiled pair law, "
                f"system {system.name!r} has none; use dop853"
            )

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        return {}

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        options, problem = self.options, carry.problem
        assert isinstance(options, SubstepOptions)
        law = problem.system.pair_law()
        assert law is not None
        batch, n, dimensions = carry.arrays["x"].shape
        x, v = (np.empty((batch, frames, n, dimensions)) for _ in range(2))
        for b in range(batch):
            _leapfrog(law)(
                carry.arrays["x"][b].copy(),
                carry.arrays["v"][b].copy(),
                problem.particles.charges[b],
                problem.particles.masses[b],
                law.parameters,
                problem.dt,
                options.substeps,
                x[b],
                v[b],
            )
            tick((b + 1) * frames / batch)
        return Frames(x, v, counters={"nfev": batch * (frames * options.substeps + 1)})
