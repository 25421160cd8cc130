"""Velocity Verlet, in NumPy."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from pydantic import Field

from nbody_surrogate.contracts import (
    AbstractIntegrator,
    Carry,
    Frames,
    InputError,
    IntegratorOptions,
    Problem,
    State,
    Tick,
)


class VerletOptions(IntegratorOptions):
    """Options of `Verlet`."""

    substeps: int = Field(default=16, ge=1, description="steps per frame")


@final
class Verlet(AbstractIntegrator[VerletOptions]):
    """v += h a(x) / 2, x += h v, v += h a(x) / 2, with h the frame spacing over the sub-steps."""

    api_version = 1
    name = "verlet"
    Options = VerletOptions

    def _check(self, problem: Problem, state: State) -> None:
        """Refuse forces that depend on velocity."""
        if problem.system.velocity_dependent:
            raise InputError(
                f"`integrator` {self.name} needs forces that do not depend on velocity, "
                f"system {problem.system.name!r} has; use dop853"
            )

    def _start(self, problem: Problem, state: State) -> dict[str, Any]:
        """Carry nothing beyond x and v."""
        return {}

    def _advance(self, carry: Carry, frames: int, tick: Tick) -> Frames:
        """Fill in the frames, all trajectories at once."""
        problem, substeps = carry.problem, self.options.substeps
        h = problem.dt / substeps
        x, v = carry.arrays["x"], carry.arrays["v"]
        a = problem.system.acceleration(x, v, problem.particles)
        xs, vs = [], []
        for frame in range(frames):
            for _ in range(substeps):
                half = v + h / 2 * a
                x = x + h * half
                a = problem.system.acceleration(x, half, problem.particles)
                v = half + h / 2 * a
            xs.append(x)
            vs.append(v)
            tick(frame + 1)
        nfev = len(x) * (frames * substeps + 1)
        return Frames(np.stack(xs, axis=1), np.stack(vs, axis=1), counters={"nfev": nfev})
