"""Problems that show whether a method does what it accepts to do."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem, Draw, SystemSpec
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.testing.case import StepperCase

__all__ = ["SEGMENT", "OnlyNumPy", "error_of"]

SEGMENT = 5  # frames


class OnlyNumPy(AbstractSystem):
    """Masses that are all joined by springs: a force in NumPy and nothing else."""

    name = "only-numpy"
    Spec = SystemSpec
    symmetries = frozenset({"translation", "rotation", "reflection", "permutation", "time-shift"})
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def pair_acceleration(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Return -sum_j (x_i - x_j) / m_i."""
        n = x.shape[1]
        away = x.sum(1, keepdims=True) - n * x
        return np.asarray(away / particles.masses[..., None])

    def potential_energy(self, x: np.ndarray, particles: Particles) -> np.ndarray:
        """Return sum over pairs of r^2 / 2."""
        r = x[:, :, None] - x[:, None]
        return np.asarray((r * r).sum((1, 2, 3)) / 4)

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.ones(n), np.ones(n))


def error_of(
    case: StepperCase, system: AbstractSystem, state: State, particles: Particles
) -> float:
    """Error against the truth over a few frames, over the way that particles go."""
    dt, frames = system.spec.frame_dt, SEGMENT
    made = simulate(system, state, particles, frames, case.make(segment=SEGMENT), dt=dt)
    solver = make_integrator("dop853", rtol=1e-10, atol=1e-10)
    truth = simulate(system, state, particles, frames, solver, dt=dt)
    way = max(float(np.abs(truth.x - truth.x[:, :1]).max()), 1e-300)
    return float(np.abs(made.x - truth.x).max()) / way
