"""The label error of a data set: how wrong its rows may be.

Some trajectories are made again from the same starts by a sharper solver, with 100 times smaller
tolerances or 4 times as many steps. The difference of the two is the error of the coarser one but
for the much smaller error of the sharper one (as in step doubling; Hairer, Norsett, Wanner 1993,
II.4). Shards keep it for each of these trajectories, the manifest as median and maximum. From an
encounter on that the sharper run has stepped over it is infinite: what the rows lack is not known.

That is the error of steps in time. Where the system's own model is truncated, its finer version is
solved too, by the sharper solver: the difference of the two sharper runs is the error of the
truncation, which is kept and summarised beside the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system_versions import finer_version
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.manifest import LabelError
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.missed_encounters import Frames, missed_encounters, usual_step
from nbody_surrogate.integrators.refine import SMALLEST_RTOL, sharper
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.results.quantiles import median
from nbody_surrogate.simulation.simulate import simulate

__all__ = [
    "SampleErrors",
    "label_error_rows",
    "label_error_sample",
    "label_errors",
    "sharper_solver",
    "solver_text",
    "summarised",
]

ROWS = 12  # of a trajectory
SAMPLE = 32  # trajectories of a large data set
SAMPLED = 50  # one in so many, in a small one
FEWEST = 4
AT_ONCE = 1000  # frames between rows that are held in memory
LEAST_GAIN = 10.0
"""In tolerance: closer to the smallest one that there is, a run is no sharper than the data, and
their difference is rounding."""


class SampleErrors(NamedTuple):
    """Errors of K trajectories at F rows, in position RMSE.

    Attributes
    ----------
    label : ndarray, shape (K, F)
        Of steps in time; (0, 0) where there is no sharper solver or no sample.
    system : ndarray, shape (K, F), or None
        Of the system's own truncation; None where it has no finer version, or there is no sample.
    """

    label: np.ndarray
    system: np.ndarray | None


def label_error_sample(spec: DatasetSpec) -> list[int]:
    """Numbers of the trajectories that are made again, evenly spread over the data set.

    They depend on the spec alone, so that every worker knows those of its shard.
    """
    count = min(max(FEWEST, spec.trajectories // SAMPLED), SAMPLE, spec.trajectories)
    return [int((k + 0.5) * spec.trajectories / count) for k in range(count)]


def label_error_rows(spec: DatasetSpec) -> np.ndarray:
    """Rows for which the error is kept, the last one among them; a zero target is none of them."""
    last = spec.rows - 1 - int(spec.has_zero_target)
    return np.unique(np.linspace(0, last, ROWS).round().astype(int))


def sharper_solver(integrator: AbstractIntegrator) -> AbstractIntegrator | None:
    """Return the integrator that measures the error of another, or None where there is none."""
    rtol = dict(integrator.options).get("rtol")
    if rtol is not None and rtol < LEAST_GAIN * SMALLEST_RTOL:
        return None
    try:
        return sharper(integrator, clip=True)
    except InputError:
        return None


def label_errors(
    maker: TrajectoryMaker,
    block: TrajectoryBlock,
    state: State,
    particles: Particles,
    first: int,
    sample: list[int],
) -> SampleErrors:
    """Position RMSE between some trajectories and sharper runs of the same starts.

    Parameters
    ----------
    maker : TrajectoryMaker
    block : TrajectoryBlock
        What it made of the starts `state` and `particles`, the first of number `first`.
    sample : list of int
        Numbers of K trajectories.

    Returns
    -------
    SampleErrors
        At the rows of `label_error_rows`. Infinite after an encounter that the sharper run has
        stepped over.

    Raises
    ------
    RunError
        If a sharper run fails.
    """
    tight, finer = sharper_solver(maker.integrator), finer_version(maker.system)
    if not sample:
        return SampleErrors(np.empty((0, 0)), None)
    rows = label_error_rows(maker.spec)
    errors, of_system = np.zeros((2, len(sample), len(rows)))
    for k, number in enumerate(sample):
        b = number - first
        start, known, truth = state[b], particles[b], block.x[b][None]
        if tight is not None:
            truth, v, _ = maker.rows(tight, start, known, number)
            errors[k] = rmse(truth, block.x[b][None])[0, rows]
        if finer is not None:
            better = maker.rows(tight or maker.integrator, start, known, number, finer)
            of_system[k] = rmse(better.x, truth)[0, rows]
        if tight is not None:
            path = Frames(_problem(maker, known, 0), truth, v, np.array([truth.shape[1]]))
            doubtful = rows >= _trusted(maker, tight, path, start)
            errors[k, doubtful] = of_system[k, doubtful] = np.inf
    label = np.empty((0, 0)) if tight is None else errors
    return SampleErrors(label, None if finer is None else of_system)


def _problem(maker: TrajectoryMaker, particles: Particles, frame: int) -> Problem:
    """Return the problem of frames from a numbered one on."""
    dt = maker.system.spec.frame_dt
    return Problem(maker.system, particles, frame * dt, dt)


def _trusted(maker: TrajectoryMaker, tight: AbstractIntegrator, path: Frames, start: State) -> int:
    """Count the rows of one trajectory before an encounter that their solver has stepped over.

    Parameters
    ----------
    path : Frames
        Its rows, which are all frames unless there is a window, or a first row after the start.
    start : State
    """
    rows, dt = maker.spec.numbers, maker.system.spec.frame_dt
    if maker.system.dear:  # of which no encounter can be told
        return len(rows)
    if maker.spec.window is None and not maker.spec.first:
        # the mean step is not kept: a frame is the longest that it may be
        missed = missed_encounters(path, tight, usual_step(tight, dt, dt, 1))
        return missed[0].frame + 1 if missed else len(rows)
    last = int(rows[-1 - int(maker.spec.has_zero_target)])
    frame = _missed_from(maker, tight, path.problem.particles, start, last)
    return len(rows) if frame is None else int((rows <= frame).sum())


def _missed_from(
    maker: TrajectoryMaker,
    tight: AbstractIntegrator,
    particles: Particles,
    start: State,
    last: int,
) -> int | None:
    """Return the last frame before an encounter that a solver steps over on its way to a frame.

    Between the rows that are kept a pair may meet any number of times, so all frames are made
    again, some at a time.
    """
    dt, done, state = maker.system.spec.frame_dt, 0, start
    while done < last:
        count = min(AT_ONCE, last - done)
        made = simulate(maker.system, state, particles, count, tight, dt=dt)
        step = usual_step(tight, dt, count * dt, made.info.counters.get("steps", 0))
        frames = Frames(_problem(maker, particles, done), made.x, made.v, made.valid_frames)
        if missed := missed_encounters(frames, tight, step):
            return done + missed[0].frame
        if int(made.valid_frames[0]) <= count:  # it goes no further, of which its rows tell
            return None
        state, done = made.state(count), done + count
    return None


def summarised(method: str, rows: np.ndarray, errors: np.ndarray) -> LabelError:
    """Summarise the errors (K, F) of a sample at some rows (F,); what is not finite becomes None.

    `method` names the sharper solver, as `solver_text` does.
    """
    middle, largest = median(errors, axis=0), errors.max(axis=0)
    return LabelError(
        method=method,
        sample=len(errors),
        rows=tuple(int(row) for row in rows),
        median=tuple(float(v) if np.isfinite(v) else None for v in middle),
        largest=tuple(float(v) if np.isfinite(v) else None for v in largest),
    )


def solver_text(description: Mapping[str, object]) -> str:
    """Name an integrator with the option that makes it sharper."""
    for key in ("rtol", "step", "substeps", "eta"):
        if description.get(key) is not None:
            return f"{description['integrator']}, {key} {description[key]:g}"
    return str(description["integrator"])
