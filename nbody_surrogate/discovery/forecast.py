"""How long runs of the law stay with tracks that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.runs import MeasuredRun
from nbody_surrogate.discovery.states import smoothed_states
from nbody_surrogate.discovery.unknowns import Unknowns
from nbody_surrogate.errors import NBodyError
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate

if TYPE_CHECKING:
    from jaxtyping import Float64

    from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["Forecasts", "forecast"]

THRESHOLD = 0.1
"""Of the mean spacing: root mean square error over particles at which a forecast ends."""

PIECE = 40
"""Frames of a run of the law before it is looked at."""

SEGMENTS = 8
MEMORY = 400
"""Frames before a segment that its start is smoothed over; none after it."""


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of held-out segments.

    Attributes
    ----------
    valid_times : ndarray, shape (S,)
        Until the error passes the threshold, or the segment ends.
    whole : int
        How many were right to the end of their segment.
    threshold : float
        In the tracks' unit of length.
    frames : ndarray, shape (F, N, D)
        The longest forecast, for a picture.
    first : int
        Frame of its run that it starts at.
    run : int
    """

    valid_times: Float64[np.ndarray, " S"]
    whole: int
    threshold: float
    frames: Float64[np.ndarray, "F N D"]
    first: int
    run: int


def forecast(
    whole: Problem,
    tracks: Sequence[Tracks],
    unknowns: Unknowns,
    law: dict[str, Any],
    begins: list[int],
) -> Forecasts | None:
    """Run the law, without kicks, from states before held-out segments.

    Parameters
    ----------
    whole : Problem
        With all frames.
    tracks : sequence of Tracks
        Of the same runs.
    unknowns : Unknowns
    law : dict
        Parameters of the system `discovered`; of the particles of one run.
    begins : list of int
        First held-out frame of each run.

    Returns
    -------
    Forecasts, or None where no run has all its particles at the start of a segment
    """
    count = len(law["charges"])
    # that whose particles the law has: the longest of what was seen
    run = int(np.argmax(begins))
    measured = whole.runs[run]
    threshold = THRESHOLD * tracks[run].spacing
    try:
        system = make_system("discovered", **{**law, "temperature": 0.0})
        _, particles = system.sample(0, count)
    except NBodyError:
        return None
    still = system, particles
    times, best, complete = [], None, 0
    edges = np.linspace(begins[run], len(measured.x), SEGMENTS + 1).astype(int)
    for first, end in pairwise(edges):
        start = _start(whole, unknowns, run, int(first))
        if start is None or end - first < 4:
            continue
        valid, frames = _followed(still, start, measured, int(first), int(end), threshold)
        if frames is None:
            continue
        times.append(valid)
        complete += len(frames) >= end - first and valid >= (end - first - 1) * measured.dt
        if best is None or times[-1] > best[0]:
            best = times[-1], frames, int(first)
    if best is None:
        return None
    return Forecasts(np.array(times), int(complete), threshold, best[1], best[2], run)


def _start(
    whole: Problem, unknowns: Unknowns, run: int, frame: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return positions and velocities at a frame, of it and earlier ones alone."""
    measured = whole.runs[run]
    part = slice(max(0, frame - MEMORY), frame + 1)
    past = measured.cut(part, 0)
    runs = list(whole.runs)
    runs[run] = past
    x, v = smoothed_states(replace(whole, runs=tuple(runs)), unknowns, run)
    return (x[-1], v[-1]) if np.isfinite(x[-1]).all() else None


def _followed(
    law: tuple[AbstractSystem, Particles],
    start: tuple[np.ndarray, np.ndarray],
    measured: MeasuredRun,
    first: int,
    end: int,
    threshold: float,
) -> tuple[float, np.ndarray | None]:
    """Run the law until it is wrong or the segment ends; return the time, and the frames."""
    frames = [start[0][None]]
    x, v, done = *start, 0
    while first + done < end - 1:
        piece = _rolled(law, x, v, min(PIECE, end - 1 - first - done))
        if piece is None:
            break
        frames.append(piece[0])
        part = slice(first + done + 1, first + done + 1 + len(piece[0]))
        seen = measured.seen[part]
        square = np.where(seen, ((piece[0] - measured.x[part]) ** 2).sum(-1), 0.0).sum(1)
        error = np.sqrt(square / np.maximum(seen.sum(1), 1))
        wrong = np.flatnonzero(~(error <= threshold))
        if wrong.size:
            return (done + 1 + wrong[0]) * measured.dt, np.concatenate(frames)
        x, v, done = piece[0][-1], piece[1], done + len(piece[0])
    if done == 0:
        return 0.0, None
    return done * measured.dt, np.concatenate(frames)


def _rolled(
    law: tuple[AbstractSystem, Particles], x: np.ndarray, v: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return further frames of a run of the law and its last velocities, or None if it fails."""
    system, particles = law
    try:
        state = State(0.0, x[None], v[None])
        method = make_integrator("dop853", rtol=1e-6, atol=1e-8 * float(np.ptp(x)))
        run = simulate(system, state, particles, frames, method)
    except NBodyError:
        return None
    return run.x[0, 1:], run.v[0, -1]
