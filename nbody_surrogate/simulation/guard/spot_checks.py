"""Spot checks: single frames of a run, recomputed by a solver from the run's own frame before."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import OK, Problem
from nbody_surrogate.contracts.state import State
from nbody_surrogate.errors import NBodyError
from nbody_surrogate.results.metrics import closest_pair, spread_at_start
from nbody_surrogate.simulation.guard.resting_frame import RestingFrame, checking_solver, started

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

__all__ = ["CheckPlan", "Checked", "SpotChecks", "spot_checks_of"]

RTOL = 1e-7
"""Far below the local errors that are of interest, which begin at some 1e-4 of the spread."""

RANDOM_EVERY = 4
"""Of segments with a single check, the one in so many whose frame is drawn: what looks harmless is
looked at, too."""

LARGEST = 1e50  # of a coordinate, whose squares are still numbers

SLACK = 1e-9  # of a number of checks: 0.02 * 350 is 7.000000000000001


def spot_checks_of(
    problem: Problem, start: State, share: float, frames: int, length: int, keeps_hidden: bool
) -> SpotChecks | None:
    """Make the spot checks of a run; None where there are none, or no solver for them.

    Parameters
    ----------
    problem : Problem
    start : State, shape (B, N, D)
    share : float
        Of all frames.
    frames, length : int
        Of the whole run, and of a segment.
    keeps_hidden : bool
        Whether its frames hold the system's hidden variables, without which no solver starts.
    """
    if not share or (problem.system.hidden_variables and not keeps_hidden):
        return None
    try:
        solver = checking_solver(problem.system, RTOL, 1)
    except NBodyError:
        return None
    plan = CheckPlan(share, frames, length, start.seed or 0)
    return SpotChecks(solver, problem, plan, spread_at_start(start.x[:, None]))


class CheckPlan(NamedTuple):
    """Which frames are checked.

    The first n frames of a trajectory have ``ceil(share * n)`` checks: one at least, and never
    more than that. Those of a segment go to the frames with the closest pairs, and to random ones.
    The choice depends on the trajectory's number, its frames, the seed of the start and the
    segment: a run that is resumed, or is part of a larger batch, is checked at the same places.

    Attributes
    ----------
    share : float
    frames, length : int
        Of the whole run, and of a segment.
    seed : int
    """

    share: float
    frames: int
    length: int
    seed: int

    def places(
        self, frame: int, closest: Float64[np.ndarray, "B F"], alive: np.ndarray
    ) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"]]:
        """Choose trajectories and frames of a segment that begins after `frame`.

        Parameters
        ----------
        frame : int
        closest : ndarray, shape (B, F)
            Distance of the closest pair, at the beginning or the end of each frame.
        alive : ndarray of bool, shape (B,)
            Trajectories that are still computed.
        """
        batch, count = closest.shape
        number = self._due(frame + count) - self._due(frame)
        drawn = self._drawn(number, frame)
        by_rank = np.argsort(np.nan_to_num(closest, nan=0.0), axis=1, kind="stable")
        chosen = by_rank[:, :number].copy()
        for b in range(batch if drawn else 0):
            stream = np.random.default_rng([self.seed, b, frame])
            # of the others, so that no frame is checked twice
            rest = by_rank[b, number - drawn :]
            chosen[b, number - drawn :] = stream.choice(rest, drawn, replace=False)
        return np.repeat(np.flatnonzero(alive), number), chosen[alive].ravel()

    def _due(self, frame: int) -> int:
        return math.ceil(self.share * frame - SLACK)

    def _drawn(self, number: int, frame: int) -> int:
        """Return how many of some checks are of random frames."""
        single = (frame // self.length) % RANDOM_EVERY == RANDOM_EVERY - 1
        return number // 2 if number > 1 else number * int(single)


class Checked(NamedTuple):
    """What spot checks of a segment found.

    Attributes
    ----------
    errors : ndarray, shape (B, F)
        NaN where nothing was checked.
    checked : int
        Frames that were.
    """

    errors: np.ndarray
    checked: int


@final
class SpotChecks:
    """Recomputes frames that a plan chooses.

    Parameters
    ----------
    solver : AbstractIntegrator
        With segments of one frame.
    problem : Problem
    plan : CheckPlan
    spread : ndarray, shape (B,)
        By which errors are measured.
    """

    def __init__(
        self, solver: AbstractIntegrator, problem: Problem, plan: CheckPlan, spread: np.ndarray
    ) -> None:
        self.solver, self.problem, self.plan, self.spread = solver, problem, plan, spread

    def check(
        self,
        frame: int,
        x: Float64[np.ndarray, "B M N D"],
        v: Float64[np.ndarray, "B M N D"],
        alive: Bool[np.ndarray, " B"],
        hidden: Hidden = NOTHING_HIDDEN,
    ) -> Checked:
        """Recompute some frames of a segment; the arrays begin with the one before, M = F + 1.

        Hidden variables, of shape (B, M, N, ...), are where a check starts, and are not compared.

        Returns
        -------
        Checked
            Errors as they would be at the end of the run if nothing made them grow: of positions,
            and those of velocities times the time that is left, root-mean-squares per coordinate
            over the spread at the start.
        """
        with np.errstate(all="ignore"):  # of frames that blew up
            closest = closest_pair(x, self.problem.system.box)
        near = np.minimum(closest[:, 1:], closest[:, :-1])
        rows, places = self.plan.places(frame, near, alive)
        errors = np.full(near.shape, np.nan)
        with np.errstate(all="ignore"):
            size = abs(x).max((2, 3)) + abs(v).max((2, 3))
        # what is far beyond all numbers of the start is another trigger's business, and no solver's
        whole = np.nan_to_num(size[rows, places], nan=np.inf) < LARGEST
        rows, places = rows[whole], places[whole]
        if len(rows):
            errors[rows, places] = self._errors(frame, x, v, hidden, rows, places)
        return Checked(errors, len(rows))

    def _errors(
        self,
        frame: int,
        x: np.ndarray,
        v: np.ndarray,
        hidden: Hidden,
        rows: np.ndarray,
        places: np.ndarray,
    ) -> Float64[np.ndarray, " K"]:
        system, dt = self.problem.system, self.problem.dt
        particles = self.problem.particles[rows]
        begin_x, begin_v = x[rows, places], v[rows, places]
        # each about its own centre: neither a shift nor a boost of the run changes what is found
        rest = RestingFrame.of(system, begin_x, begin_v, particles)
        kept = {name: values[rows, places] for name, values in hidden.items()}
        begin = rest.state(begin_x, begin_v, kept)
        carry = started(self.solver, system, begin, particles, dt)
        if carry is None and len(rows) > 1:  # one of them, as of two particles at one place
            each = zip(np.split(rows, len(rows)), np.split(places, len(rows)), strict=True)
            return np.concatenate([self._errors(frame, x, v, hidden, *one) for one in each])
        if carry is None:
            return np.full(1, np.nan)
        made = self.solver.advance(carry, 1)
        with np.errstate(all="ignore"):
            gap_x = x[rows, places + 1] - rest.at(np.array([dt]))[:, 0] - made.x[:, 0]
            gap_v = v[rows, places + 1] - rest.v - made.v[:, 0]
            left = (self.plan.frames - frame - places - 1) * dt
            found = _root_mean_square(gap_x) + left * _root_mean_square(gap_v)
        return np.where(made.status == OK, found / self.spread[rows], np.nan)


def _root_mean_square(gap: np.ndarray) -> Float64[np.ndarray, " K"]:
    return np.asarray(np.sqrt((gap**2).mean((1, 2))))
