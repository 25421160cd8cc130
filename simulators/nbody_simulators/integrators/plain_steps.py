"""Fixed steps with a system's own forces, in NumPy: batches of what has no laws.

A dear force has no use for compiled steps. Each evaluation is `AbstractSystem.acceleration`, which
hands out read-only arrays and names the plugin whose forces are wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nbody_surrogate.contracts import AbstractSystem, Carry, Particles, Problem, Tick

__all__ = ["PlainProblem", "run_plainly"]


class PlainProblem(NamedTuple):
    """A problem in NumPy, as `TorchProblem` is one in torch; charges and masses (B, N)."""

    system: AbstractSystem
    particles: Particles

    @classmethod
    def of(cls, problem: Problem) -> PlainProblem:
        """Take a problem as it is."""
        return cls(problem.system, problem.particles)

    @property
    def array_module(self) -> Any:
        """What makes arrays of its kind."""
        return np

    @property
    def charges(self) -> np.ndarray:
        """Charges, shape (B, N)."""
        return self.particles.charges

    @property
    def masses(self) -> np.ndarray:
        """Masses, shape (B, N)."""
        return self.particles.masses

    def acceleration(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Accelerations at x, v (B, N, D), shape (B, N, D)."""
        # a copy: a force is used again at the next step, and a system may keep what it returned
        return np.array(self.system.acceleration(x, v, self.particles))


def run_plainly(
    step_once: Callable[..., Any],
    carry: Carry,
    substeps: int,
    opening: bool,
    at_rest: bool,
    frames: tuple[np.ndarray, np.ndarray],
    tick: Tick,
) -> None:
    """Fill in the frames of a segment.

    Parameters
    ----------
    step_once : callable
        Takes the problem, x, v, a and the step, and returns x, v and a after it.
    carry : Carry
    substeps : int
        Of a frame.
    opening : bool
        Whether a step begins with the force at the end of the one before.
    at_rest : bool
        Whether that is the force on particles at rest.
    frames : tuple of ndarray, both of shape (B, F, N, D)
        Positions and velocities, written.
    tick : callable
    """
    problem, step = PlainProblem.of(carry.problem), carry.problem.dt / substeps
    x, v = carry.arrays["x"], carry.arrays["v"]
    # a trajectory that overflows is found by its infinities, as where steps are compiled
    with np.errstate(all="ignore"):
        seen = np.zeros_like(v) if at_rest else v
        a = problem.acceleration(x, seen) if opening else None
        for frame in range(frames[0].shape[1]):
            for _ in range(substeps):
                x, v, a = step_once(problem, x, v, a, step)
            frames[0][:, frame], frames[1][:, frame] = x, v
            tick(frame + 1)
