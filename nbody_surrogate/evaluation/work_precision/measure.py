"""Work-precision: how wrong a method is, over what it costs, many methods on the same starts.

Error is the position RMSE per coordinate at a horizon, the median over starts with its bootstrap
95 % interval, against the reference at a tolerance of 1e-13. A start that a method does not bring
to the horizon counts as infinitely wrong; one that the reference does not is left out. The
reference's own error is bounded by its difference from itself at 1e-12. Cost is time per trajectory
and simulated time unit: set-up, compilation and a warm-up are not counted, all methods are timed in
turn on the same starts within one run, and medians are taken (Hairer, Norsett, Wanner 1993, II.10).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.capabilities import RANDOM_KICKS
from nbody_surrogate.environment.machine import accelerator, load, processor
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.evaluation.costs import quartiles, typical
from nbody_surrogate.evaluation.work_precision.benchmark import (
    Benchmark,
    check_horizons,
    segment_for,
)
from nbody_surrogate.evaluation.work_precision.clocks import CLOCKS, check_clock
from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision, with_front
from nbody_surrogate.evaluation.work_precision.settings import Settings
from nbody_surrogate.evaluation.work_precision.timing import MOST, costs
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.method_text import Contender
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.results.bootstrap import Interval, bootstrap_median
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.results.quantiles import known, known_median, median
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.simulation.observers import WarmUp
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["measure"]

TIGHT = 1e-13  # tolerance of the truth, about what float64 allows
BOUND = 1e-12
"""A run this much looser is further from the exact solution than the truth is, so the difference of
the two bounds the error of the truth."""


def measure(
    contenders: Sequence[Contender],
    benchmark: Benchmark,
    *,
    seconds: float = 1.0,
    threads: int = 1,
    clock: str = "wall",
    all_settings: bool = True,
    progress: Callable[[float, int], None] | None = None,
) -> WorkPrecision:
    """Measure errors and costs.

    Parameters
    ----------
    contenders : sequence of Contender
        Each fits the system.
    benchmark : Benchmark
    seconds : float
        About how long each method and batch is timed, on up to five groups of starts, the same for
        all methods, and by up to 15 repeats of them.
    threads : int
        What the methods were made with; it is recorded.
    clock : str
        ``wall``; or ``processor``, the processor time of this process, which on a busy machine is
        nearer to the wall time of a quiet one, for one thread.
    all_settings : bool
        Whether settings are measured that do not pay, see `settings`. Without, those of a method
        come one after the other, from coarse to fine.
    progress : callable, optional
        Takes the methods and repeats that are done, and their number.

    Raises
    ------
    InputError
        If a horizon is no whole number of frames, or a batch larger than the starts.
    """
    _check(benchmark)
    check_clock(clock, threads)
    truth, reference, own = _truth(benchmark, threads)
    tick = _Ticks(progress, len(contenders) * (1 + MOST))
    settings = Settings(own, all_settings)
    kept, errors = [], []
    for each in contenders:
        if not settings.pays(each):
            tick(1 + MOST)
            continue
        made = _errors(each, benchmark, truth, tick)
        settings.note(each, _medians(made.rmse), made.seconds)
        kept.append(each)
        errors.append(made)
    contenders = kept
    taken = costs(contenders, benchmark, seconds, CLOCKS[clock], tick)
    points = [
        _point(each, benchmark, horizon, batch, errors[number], taken[number, batch])
        for batch in benchmark.batches
        for horizon in benchmark.horizons
        for number, each in enumerate(contenders)
    ]
    devices = {point.device for point in points} - {"cpu"}
    conditions = _conditions(benchmark, threads, clock, sorted(devices))
    return WorkPrecision(with_front(points), reference, own, conditions)


class _Errors(NamedTuple):
    """Position RMSE at each horizon (S, H), failures, evaluations and time of a run of all."""

    rmse: Float64[np.ndarray, "S H"]
    failures: int
    evaluations: float | None
    seconds: float


def _medians(rmse: np.ndarray) -> list[float]:
    """Return the median error at each horizon."""
    return [float(median(known(each))) for each in rmse.T]


class _Ticks:
    """Counts what is done."""

    def __init__(self, progress: Callable[[float, int], None] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0.0

    def __call__(self, by: float = 1.0) -> None:
        self._done += by
        if self._progress is not None:
            self._progress(self._done, self._total)


def _truth(benchmark: Benchmark, threads: int) -> tuple[Ensemble, str, dict[float, float]]:
    """Return the reference's run, its label, and a bound of its error at each horizon.

    Frames that are not valid are NaN.

    Raises
    ------
    RunError
        If the reference brings no start to a horizon.
    InputError
        If a bath kicks the particles at random: there is no method with tolerances then.
    """
    if RANDOM_KICKS in benchmark.system.needs:
        raise InputError(
            f"`system` {benchmark.system.name!r} kicks its particles at random, and errors are "
            "held against a solver with tolerances; leave the kicks out with temperature=0"
        )
    name = default_reference(benchmark.system, len(benchmark.state.x))
    options = {"segment": segment_for(benchmark.frames)}
    if name.endswith("compiled"):
        options["threads"] = threads
    runs = [
        simulate(
            benchmark.system,
            benchmark.state,
            benchmark.particles,
            benchmark.frames,
            make_integrator(name, rtol=tolerance, atol=tolerance, **options),
        )
        for tolerance in (TIGHT, BOUND)
    ]
    truth, bound = (run.valid_part(len(run.t)) for run in runs)
    apart = rmse(truth.x, bound.x)[:, benchmark.at]
    if np.isnan(apart).all(0).any():
        failed = [line for run in runs for line in run.info.failures(run.info.label)]
        raise RunError(f"there is no truth to judge by: {failed[0]}")
    own = {horizon: known_median(apart[:, k]) for k, horizon in enumerate(benchmark.horizons)}
    return truth, truth.info.label, own


def _errors(each: Contender, benchmark: Benchmark, truth: Ensemble, tick: _Ticks) -> _Errors:
    system = benchmark.system_for(each)
    run = simulate(
        system,
        benchmark.state,
        benchmark.particles,
        benchmark.frames,
        each.method,
        outside=None,  # its error is measured there
        dt=benchmark.dt,
        error_estimate=False,
        observers=[WarmUp()],
    )
    tick()
    nfev = run.info.counters.get("nfev")
    span = float((run.valid_frames - 1).sum()) * benchmark.dt  # what a failing start got through
    failures = sum(code != 0 for code in run.info.status)
    error = rmse(truth.x, run.valid_part(len(run.t)).x)[:, benchmark.at]
    # infinite where the method stopped, unknown where the truth did
    judged = truth.valid[:, benchmark.at]
    error = np.where(judged, np.where(np.isnan(error), np.inf, error), np.nan)
    return _Errors(error, failures, nfev / span if nfev and span else None, run.info.wall_time)


def _point(
    each: Contender,
    benchmark: Benchmark,
    horizon: float,
    batch: int,
    made: _Errors,
    times: np.ndarray,
) -> Point:
    errors = made.rmse[:, benchmark.horizons.index(horizon)]
    error = known(errors)
    span = benchmark.frames * benchmark.dt
    per_unit = 1e3 * times / span  # infinite of a method that never gets anywhere
    middle, (lower, upper) = typical(per_unit), quartiles(per_unit)
    return Point(
        label=each.label,
        family=each.family,
        parameter=each.parameter,
        learned=each.learned,
        horizon=horizon,
        batch=batch,
        error=Interval(float(median(error)), *bootstrap_median(error[:, None])),
        milliseconds=middle,
        lower_quartile=lower,
        upper_quartile=upper,
        repeats=len(times),
        trajectory_milliseconds=middle * span,
        evaluations=made.evaluations,
        failures=made.failures,
        training_seconds=each.training_seconds,
        device=str(each.method.description.get("device", "cpu")),
        errors=errors,
        times=times,
    )


def _check(benchmark: Benchmark) -> None:
    starts = len(benchmark.state.x)
    check_horizons(benchmark.horizons, benchmark.dt)
    for batch in benchmark.batches:
        if not 1 <= batch <= starts:
            raise InputError(f"`batch` must be from 1 to the {starts} starts, got {batch}")


def _conditions(
    benchmark: Benchmark, threads: int, clock: str, devices: list[str]
) -> dict[str, Any]:
    """Say what the times were taken with."""
    return {
        "system": {
            "system": benchmark.system.name,
            **benchmark.system.spec.model_dump(mode="json"),
        },
        "particles": benchmark.particles.n,
        "trajectories": len(benchmark.state.x),
        "duration": benchmark.frames * benchmark.dt,
        "threads": threads,
        "clock": clock,
        "processor": processor(),
        "devices": {device: accelerator(device) for device in devices},
        "cores": os.cpu_count(),
        "load": load(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": versions(),
    }
