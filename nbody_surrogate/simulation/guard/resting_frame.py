"""The frame in which a run is recomputed: at rest with the start's centre of mass, and about it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["RestingFrame", "checking_solver", "started"]


class RestingFrame(NamedTuple):
    """Where the centre of mass would be, as it moves without forces from outside.

    A solver's relative tolerance is one of positions and velocities: of a cloud that is far off,
    or flies past, it would see to little else. Where an external field has a place, nothing is
    taken off.

    Attributes
    ----------
    x, v : ndarray, shape (B, 1, D)
        Of the centre at the start; zeros where a field holds the origin.
    """

    x: np.ndarray
    v: np.ndarray

    @classmethod
    def of(
        cls,
        system: AbstractSystem,
        x: Float64[np.ndarray, "B N D"],
        v: Float64[np.ndarray, "B N D"],
        particles: Particles,
    ) -> RestingFrame:
        """Return that of a state."""
        weights = (particles.masses / particles.masses.sum(1, keepdims=True))[..., None]
        if "momentum" not in system.conserved:
            weights = np.zeros_like(weights)
        return cls(*((weights * y).sum(1, keepdims=True) for y in (x, v)))

    def at(self, elapsed: np.ndarray) -> Float64[np.ndarray, "B F 1 D"]:
        """Return places of the centre at some times (F,) since the start."""
        return np.asarray(self.x[:, None] + elapsed[:, None, None] * self.v[:, None])

    def state(self, x: np.ndarray, v: np.ndarray, hidden: Hidden = NOTHING_HIDDEN) -> State:
        """Return a state of this frame, of one of the laboratory's at the start."""
        return State(0.0, x - self.x, v - self.v, hidden=hidden)


def checking_solver(system: AbstractSystem, rtol: float, segment: int) -> AbstractIntegrator:
    """Build the solver that is the ground truth for a system, with a tolerance of checks.

    Raises
    ------
    InputError
        If there is none.
    """
    # two trajectories, so that it is the compiled one where there is one, whatever the batch:
    # checks are to cost little in every frame of a run, and to be the same in batches of any size
    return make_integrator(default_reference(system, 2), rtol=rtol, segment=segment)


def started(
    solver: AbstractIntegrator,
    system: AbstractSystem,
    state: State,
    particles: Particles,
    dt: float,
) -> Carry | None:
    """Start a solver; None where it cannot, as of two particles at one place."""
    with warnings.catch_warnings():
        # such as of its tolerances, which nobody chose and which are no part of the run
        warnings.simplefilter("ignore", NBodyWarning)
        try:
            return solver.start(system, state, particles, dt)
        except InputError:
            return None
