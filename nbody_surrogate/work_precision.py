"""Work-precision: how wrong a method is, over what it costs, many methods on the same starts.

Error is the position RMSE per coordinate at a horizon, the median over starts with its bootstrap
95 % interval, against the reference at a tolerance of 1e-13. The reference's own error is bounded
by its difference from itself at 1e-12. Cost is wall time per trajectory and simulated time unit:
set-up, compilation and a warm-up are not counted, all methods are timed in turn within one run,
and the median of the repeats is taken (Hairer, Norsett, Wanner 1993, II.10).
"""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contenders import Contender
from nbody_surrogate.errors import InputError
from nbody_surrogate.metrics import rmse
from nbody_surrogate.numpy_force import with_numpy_force
from nbody_surrogate.reference import default_reference
from nbody_surrogate.registry import make_integrator
from nbody_surrogate.scorecard import Interval
from nbody_surrogate.simulation import simulate
from nbody_surrogate.state import Particles, State
from nbody_surrogate.statistics import bootstrap_median
from nbody_surrogate.system import AbstractSystem
from nbody_surrogate.trajectory import Ensemble
from nbody_surrogate.versions import versions

__all__ = ["Point", "Task", "WorkPrecision", "check_horizons", "measure", "segment_for"]

TIGHT, BOUND = 1e-13, 1e-12
SEGMENT = 50
LEAST, MOST = 3, 15  # repeats
LONGEST = 4.0  # times as long as asked, after which fewer repeats will do
SAME = 1.05  # a ratio of errors within which methods count as equally accurate
WHOLE = 1e-6


class Task(NamedTuple):
    """The starts that all methods run.

    Attributes
    ----------
    system : AbstractSystem
    state : State, shape (S, N, D)
    particles : Particles, shape (S, N)
    horizons : tuple of float
        Times since the start at which errors are taken, multiples of the frame spacing.
    batches : tuple of int
        How many of the starts run at a time where the cost is taken, at most S.
    """

    system: AbstractSystem
    state: State
    particles: Particles
    horizons: tuple[float, ...]
    batches: tuple[int, ...]

    @property
    def dt(self) -> float:
        """Time between frames."""
        return self.system.spec.frame_dt

    @property
    def frames(self) -> int:
        """Frames up to the longest horizon."""
        return max(self.at)

    @property
    def at(self) -> list[int]:
        """The frame of each horizon."""
        return [round(horizon / self.dt) for horizon in self.horizons]

    def some(self, first: int, count: int) -> tuple[State, Particles]:
        """Return some of the starts."""
        part = slice(first, first + count)
        bonds = self.particles.couplings
        return State(self.state.t, self.state.x[part], self.state.v[part]), Particles(
            self.particles.charges[part],
            self.particles.masses[part],
            None if bonds is None else bonds[part],
        )


@dataclass(frozen=True)
class Point:
    """A method at one horizon and batch.

    Attributes
    ----------
    error : Interval
        Position RMSE per coordinate, with its 95 % interval.
    milliseconds : float
        Per trajectory and simulated time unit, the median of the repeats.
    lower_quartile, upper_quartile : float
        Of the repeats.
    trajectory_milliseconds : float
        Per trajectory, up to the longest horizon.
    evaluations : float or None
        Of the force on each particle, per trajectory and time unit, where they are counted.
    failures : int
        Starts that did not reach the end; their error is that of their last good frame.
    training_seconds : float or None
        As the model's card has it, making the data not counted.
    device : str
    on_front : bool
        Whether no cheaper method of the horizon and batch is as accurate, to 5 %.
    """

    label: str
    family: str
    parameter: float | None
    learned: bool
    horizon: float
    batch: int
    error: Interval
    milliseconds: float
    lower_quartile: float
    upper_quartile: float
    repeats: int
    trajectory_milliseconds: float
    evaluations: float | None
    failures: int
    training_seconds: float | None
    device: str
    on_front: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class WorkPrecision:
    """All points of a measurement, and what they were taken with."""

    points: list[Point]
    reference: str
    reference_errors: dict[float, float]
    """Of each horizon: the median difference of the reference from itself ten times looser."""
    conditions: dict[str, Any]

    def group(self, horizon: float, batch: int) -> list[Point]:
        """Return the points of one horizon and batch."""
        return [p for p in self.points if (p.horizon, p.batch) == (horizon, batch)]

    @property
    def groups(self) -> list[tuple[float, int]]:
        """Each horizon and batch that there is."""
        return list(dict.fromkeys((point.horizon, point.batch) for point in self.points))


def measure(
    contenders: Sequence[Contender],
    task: Task,
    *,
    seconds: float = 1.0,
    threads: int = 1,
    progress: Callable[[float, int], None] | None = None,
) -> WorkPrecision:
    """Measure errors and costs.

    Parameters
    ----------
    contenders : sequence of Contender
        Each fits the system.
    task : Task
    seconds : float
        About how long each method and batch is timed, by 3 to 15 repeats; fewer where they would
        take four times as long.
    threads : int
        What the methods were made with; it is recorded.
    progress : callable, optional
        Takes the methods and repeats that are done, and their number.

    Raises
    ------
    InputError
        If a horizon is no whole number of frames, or a batch larger than the starts.
    """
    _check(task)
    truth, reference, own = _truth(task, threads)
    tick = _Ticks(progress, len(contenders) * (1 + MOST))
    errors = [_errors(each, task, truth, tick) for each in contenders]
    costs = _costs(contenders, task, seconds, tick)
    points = [
        _point(each, task, horizon, batch, errors[number], costs[number, batch])
        for batch in task.batches
        for horizon in task.horizons
        for number, each in enumerate(contenders)
    ]
    return WorkPrecision(_with_front(points), reference, own, _conditions(task, threads))


def segment_for(frames: int) -> int:
    """Choose a segment that `frames` fill, as some methods always compute whole ones."""
    return math.ceil(frames / math.ceil(frames / SEGMENT))


class _Errors(NamedTuple):
    """Position RMSE at each horizon (S, H), failures and evaluations of a run of all starts."""

    rmse: Float64[np.ndarray, "S H"]
    failures: int
    evaluations: float | None


class _Ticks:
    """Counts what is done."""

    def __init__(self, progress: Callable[[float, int], None] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0.0

    def __call__(self, by: float = 1.0) -> None:
        self._done += by
        if self._progress is not None:
            self._progress(self._done, self._total)


def _truth(task: Task, threads: int) -> tuple[Ensemble, str, dict[float, float]]:
    """Return the reference's run, its label, and a bound of its error at each horizon."""
    name = default_reference(task.system, len(task.state.x))
    options = {"segment": segment_for(task.frames)}
    if name.endswith("compiled"):
        options["threads"] = threads
    runs = [
        simulate(
            task.system,
            task.state,
            task.particles,
            task.frames,
            make_integrator(name, rtol=tolerance, atol=tolerance, **options),
        )
        for tolerance in (TIGHT, BOUND)
    ]
    apart = np.median(rmse(runs[0].x, runs[1].x)[:, task.at], axis=0)
    own = {horizon: float(value) for horizon, value in zip(task.horizons, apart, strict=True)}
    return runs[0], runs[0].info.label, own


def _errors(each: Contender, task: Task, truth: Ensemble, tick: _Ticks) -> _Errors:
    run = _run(each, task, task.state, task.particles, warm_up=True)
    tick()
    nfev = run.info.counters.get("nfev")
    span = len(run) * task.frames * task.dt
    failures = sum(code != 0 for code in run.info.status)
    error = rmse(truth.x, run.x)[:, task.at]
    return _Errors(error, failures, None if nfev is None else nfev / span)


def _costs(
    contenders: Sequence[Contender], task: Task, seconds: float, tick: _Ticks
) -> dict[tuple[int, int], list[float]]:
    """Wall times of runs, in seconds per trajectory, of each contender and batch, in turn."""
    times: dict[tuple[int, int], list[float]] = {
        (number, batch): [] for number in range(len(contenders)) for batch in task.batches
    }
    starts = len(task.state.x)
    for repeat in range(MOST):
        for number, each in enumerate(contenders):
            for batch in task.batches:
                taken = times[number, batch]
                if _enough(len(taken), sum(taken) * batch, seconds):
                    continue
                first = batch * repeat % (starts - starts % batch)
                begun = task.some(first, batch)
                run = _run(each, task, *begun, warm_up=repeat == 0)
                taken.append(run.info.wall_time / batch)
            tick()
    return times


def _enough(repeats: int, spent: float, seconds: float) -> bool:
    return spent >= LONGEST * seconds or (repeats >= LEAST and spent >= seconds)


def _run(
    each: Contender, task: Task, state: State, particles: Particles, *, warm_up: bool
) -> Ensemble:
    system = with_numpy_force(task.system) if each.numpy_force else task.system
    return simulate(system, state, particles, task.frames, each.method, dt=task.dt, warm_up=warm_up)


def _point(
    each: Contender, task: Task, horizon: float, batch: int, made: _Errors, times: list[float]
) -> Point:
    error = made.rmse[:, task.horizons.index(horizon)]
    span = task.frames * task.dt
    per_unit = 1e3 * np.array(times) / span
    return Point(
        label=each.label,
        family=each.family,
        parameter=each.parameter,
        learned=each.learned,
        horizon=horizon,
        batch=batch,
        error=Interval(float(np.median(error)), *bootstrap_median(error[:, None])),
        milliseconds=float(np.median(per_unit)),
        lower_quartile=float(np.quantile(per_unit, 0.25)),
        upper_quartile=float(np.quantile(per_unit, 0.75)),
        repeats=len(times),
        trajectory_milliseconds=float(np.median(per_unit) * span),
        evaluations=made.evaluations,
        failures=made.failures,
        training_seconds=each.training_seconds,
        device=str(each.method.description.get("device", "cpu")),
    )


def _with_front(points: list[Point]) -> list[Point]:
    """Mark those that no cheaper one of the same horizon and batch equals in accuracy."""
    return [replace(point, on_front=not _beaten(point, points)) for point in points]


def _beaten(point: Point, points: list[Point]) -> bool:
    return any(
        rival.milliseconds < point.milliseconds and rival.error.value <= SAME * point.error.value
        for rival in points
        if (rival.horizon, rival.batch) == (point.horizon, point.batch)
    )


def check_horizons(horizons: Sequence[float], dt: float) -> None:
    """Demand whole numbers of frames.

    Raises
    ------
    InputError
        If one is not.
    """
    for horizon in horizons:
        frames = round(horizon / dt)
        if frames < 1 or abs(frames * dt / horizon - 1) > WHOLE:
            raise InputError(
                f"`horizon` must be a whole number of frames of {dt:g}, got {horizon:g}; "
                f"use {max(frames, 1) * dt:g}"
            )


def _check(task: Task) -> None:
    starts = len(task.state.x)
    check_horizons(task.horizons, task.dt)
    for batch in task.batches:
        if not 1 <= batch <= starts:
            raise InputError(f"`batch` must be from 1 to the {starts} starts, got {batch}")


def _conditions(task: Task, threads: int) -> dict[str, Any]:
    """Say what the times were taken with."""
    return {
        "system": {"system": task.system.name, **task.system.spec.model_dump(mode="json")},
        "particles": task.particles.n,
        "trajectories": len(task.state.x),
        "duration": task.frames * task.dt,
        "threads": threads,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": _load(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": versions(),
    }


def _load() -> float | None:
    """Return the mean number of processes that wanted to run in the last minute, where known."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _processor() -> str:
    """Name the processor, as far as the machine says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor() or platform.machine())
