"""The memoryless floor: how much the next frame varies given positions and velocities alone.

A model that is shown the present only can do no better than the mean of what may come, and its mean
squared error is then the variance about it. For each state some twins are made, which share x and v
and differ in what is hidden; a solver takes each one frame on; the variance over twins is the floor
of that state, see `hidden_twins`. A model with no memory that was trained well is another estimate,
from above, and the two must agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbody_surrogate.contracts.hidden_variables import Hidden
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.floor.hidden_twins import Donors
from nbody_surrogate.evaluation.rollouts import FIRST, Truth
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.results.bootstrap import Interval, bootstrap_mean, plain
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["Floor", "memoryless_floor"]

TWINS = 6
STATES = 16
"""Frames of each trajectory that twins are made of, evenly spaced."""

SOLVER, OPTIONS = "rk4", {"substeps": 16}
"""Takes all twins at a time. Its error is far below what twins differ by."""

LEAST = 8
"""Trajectories: half of them give the donors of the others, which may ask for more."""

SHOWN = 1e-9
"""Relative to how far particles move in a frame: below it twins differ by rounding alone."""


@dataclass(frozen=True)
class Floor:
    """What no model without memory gets below.

    Attributes
    ----------
    x, v : Interval
        Mean over states of the variance of the next frame, per coordinate, with its bootstrap
        interval of 95 % over trajectories.
    each : ndarray, shape (B,)
        That of x, of each trajectory.
    first : int
        The first frame of which twins were made.
    twins : int
        Of each state.
    """

    x: Interval
    v: Interval
    each: np.ndarray
    first: int
    twins: int

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single trajectories, as plain types."""
        return {
            "x": plain(vars(self.x)),
            "v": plain(vars(self.v)),
            "first": self.first,
            "twins": self.twins,
        }


def memoryless_floor(truth: Truth, first: int = FIRST, twins: int = TWINS, seed: int = 0) -> Floor:
    """Estimate the floor on trajectories of the truth, whose hidden variables are known.

    Parameters
    ----------
    truth : Truth
        Of at least 8 trajectories.
    first : int
        The first frame to look at: such as that from which a model's history is full.
    twins : int
        Of each state, at least 2.
    seed : int

    Raises
    ------
    InputError
        If the system has no hidden variables, or none that show in the motion; there are too few
        trajectories or frames, or fewer than 2 twins.
    """
    system, (batch, frames) = truth.system, truth.x.shape[:2]
    if not system.hidden_variables:
        raise InputError(
            f"`floor` of system {system.name!r} is zero: it hides nothing, so that positions and "
            "velocities tell what comes next"
        )
    if not truth.hidden:
        raise InputError("`floor` needs a truth with its hidden variables: draw a sample")
    if batch < LEAST:
        raise InputError(f"`trajectories` must be at least {LEAST} for a floor, got {batch}")
    if twins < 2:
        raise InputError(f"`twins` must be at least 2, got {twins}")
    if not 0 <= first < frames - 1:
        raise InputError(f"`first` must be from 0 to {frames - 2}, got {first}")
    rng = np.random.default_rng(seed)
    method = make_integrator(SOLVER, **OPTIONS)
    at = np.unique(np.linspace(first, frames - 2, min(STATES, frames - 1 - first)).astype(int))
    every = np.arange(first, frames - 1)
    made = np.empty((2, batch))
    for half in (0, 1):
        mine, others = np.arange(half, batch, 2), np.arange(1 - half, batch, 2)
        known = _states(truth, others, every)
        donors = Donors(system.hidden_variables, *known, system.box, frames=len(every))
        x, v, particles, _ = _states(truth, mine, at)
        drawn = donors.twins(x, v, particles, twins, rng)
        found = _variances(method, truth, x, v, particles, drawn)
        made[:, mine] = found.reshape(2, len(mine), -1).mean(2)
    moved = np.sqrt((np.diff(truth.x[:, first:], axis=1) ** 2).mean())
    if not np.sqrt(made[0].mean()) > SHOWN * moved:
        raise InputError(
            f"`floor` of system {system.name!r} is zero here: what it hides does not show in the "
            f"motion of {counted(truth.x.shape[2], 'particle')} with these parameters"
        )
    intervals = [Interval(float(each.mean()), *bootstrap_mean(each)) for each in made]
    return Floor(intervals[0], intervals[1], made[0], first, twins)


def _states(
    truth: Truth, trajectories: np.ndarray, frames: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Particles, Hidden]:
    """Take frames of trajectories as states (S, N, D)."""

    def some(y: np.ndarray) -> np.ndarray:
        picked = y[trajectories[:, None], frames]
        return np.asarray(picked.reshape(-1, *picked.shape[2:]))

    particles = truth.particles[np.repeat(trajectories, len(frames))]
    return some(truth.x), some(truth.v), particles, {k: some(y) for k, y in truth.hidden.items()}


def _variances(
    method: AbstractIntegrator,
    truth: Truth,
    x: np.ndarray,
    v: np.ndarray,
    particles: Particles,
    drawn: Hidden,
) -> np.ndarray:
    """Return the variances of x and v after a frame over twins, (2, S), per coordinate."""
    ends = []
    for twin in range(len(next(iter(drawn.values())))):
        state = State(0.0, x, v, hidden={name: y[twin] for name, y in drawn.items()})
        run = simulate(
            truth.system, state, particles, 1, method, outside=None, error_estimate=False
        )
        ends.append(np.stack([run.x[:, 1], run.v[:, 1]]))
    return np.asarray(np.stack(ends).var(0, ddof=1).mean((2, 3)))
