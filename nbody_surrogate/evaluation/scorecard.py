"""How good and how dear steppers are, side by side on the same trajectories of the truth.

The protocol: 500 trajectories of at most 5 particles and 200 of more, from one seed, by the
reference at a tolerance of 1e-11. One step is the mean over trajectories and frames, and the
median over both; a roll-out is the median over trajectories at its last frame. Each has its
bootstrap interval of 95 % over trajectories. The cost is that of one trajectory, in one run for
all methods.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.times import same_times
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.errors import InputError, NBodyWarning, RunError
from nbody_surrogate.evaluation.rollouts import (
    FIRST,
    START,
    Truth,
    one_step,
    one_step_of_model,
    roll_out,
)
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.results.bootstrap import Interval, bootstrap_mean, bootstrap_median, plain
from nbody_surrogate.results.quantiles import known_median, median
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.simulation.observers import WarmUp
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

__all__ = [
    "HORIZONS",
    "Row",
    "classical_methods",
    "score_methods",
    "truth_of_dataset",
    "truth_of_system",
]

HORIZONS = (10, 20, 40)
SEED = 20_000  # plus the number of particles; no data set to train on has such a seed by default
TOLERANCE = 1e-11  # of the truth: its error is far below that of any method of the table
FEW = 5  # particles, up to which the larger sample is taken
ROUNDS, TIMED_FRAMES = 5, 50


@dataclass(frozen=True)
class Row:
    """A method on one sample.

    Attributes
    ----------
    one_step_mean, one_step_median : Interval or None
        x-MSE of the next frame; None for an adaptive solver, which has no step of one frame.
    roll_outs : dict of int to Interval
        x-MSE so many frames on.
    milliseconds : float
        Per valid frame of one trajectory; NaN, and None in JSON, where there is none.
    evaluations : float or None
        How often a frame evaluates each pair, where it is known.
    """

    method: str
    system: str
    particles: int
    trajectories: int
    one_step_mean: Interval | None
    one_step_median: Interval | None
    roll_outs: dict[int, Interval]
    milliseconds: float
    evaluations: float | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON; what is not finite becomes None."""
        return dict(plain(asdict(self)))


def truth_of_system(
    system: AbstractSystem, n: int, trajectories: int | None = None, frames: int | None = None
) -> Truth:
    """Make the fixed sample of a system, by the reference at 1e-11.

    Raises
    ------
    InputError
        If a number is out of range.
    RunError
        If the reference brings no trajectory to its end.
    """
    many, long = (500, 80) if n <= FEW else (200, 60)
    trajectories, frames = trajectories or many, frames or long
    state, particles = system.sample(SEED + n, n, trajectories)
    name = default_reference(system, trajectories)
    solver = make_integrator(name, rtol=TOLERANCE, atol=TOLERANCE)
    return _truth_of(system, simulate(system, state, particles, frames, solver))


def _truth_of(system: AbstractSystem, run: Ensemble) -> Truth:
    """Leave out trajectories that the reference did not bring to their end: there is no truth."""
    whole = run.valid.all(1)
    if whole.all():
        return Truth(system, run.x, run.v, run.particles)
    if not whole.any():
        raise RunError(f"there is no truth to judge by: {run.info.failures(run.info.label)[0]}")
    warnings.warn(
        f"{run.info.label} failed on {int((~whole).sum())} of "
        f"{counted(len(run), 'trajectory')}, which are "
        "left out: there is no truth to judge by",
        NBodyWarning,
        stacklevel=2,
    )
    kept = np.flatnonzero(whole)
    return Truth(system, run.x[kept], run.v[kept], run.particles[kept])


def truth_of_dataset(dataset: Dataset, split: str | None, most: int | None = None) -> Truth:
    """Take the trajectories of a data set, or of one split, as they are.

    Raises
    ------
    InputError
        If there is no such split, or its rows are not one frame apart.
    FileFormatError
        If it is damaged.
    """
    system = dataset.system()
    t = dataset.t
    frames = t[0] + system.spec.frame_dt * np.arange(len(t))
    if len(t) < FIRST + 2 or not same_times(frames, t):
        raise InputError(
            f"{str(dataset.folder)!r} must have {FIRST + 2} rows or more, each a frame of "
            f"{system.spec.frame_dt:g} after the other, to judge a stepper by"
        )
    part = dataset.part(split)
    stop = part.stop if most is None else min(part.start + most, part.stop)
    block = dataset.read(part.start, stop)
    return Truth(system, block.x, block.v, block.particles)


def classical_methods(system: AbstractSystem) -> dict[str, AbstractIntegrator]:
    """Return the solvers that models are shown beside, as far as they fit the system."""
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        (f"leapfrog, {counted(k, 'sub-step')}", "leapfrog", {"substeps": k}) for k in (4, 8, 16, 32)
    ]
    wanted.append(("rk4, 8 steps", "rk4", {"substeps": 8}))
    wanted += [(f"{name}, 1e-9", name, {}) for name in ("dop853", default_reference(system, 2))]
    if system.velocity_dependent:
        wanted = [each for each in wanted if each[1] != "leapfrog"]
    return {label: make_integrator(name, **options) for label, name, options in wanted}


def score_methods(
    methods: Mapping[str, AbstractIntegrator],
    truth: Truth,
    horizons: tuple[int, ...] = HORIZONS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Score methods on trajectories.

    Parameters
    ----------
    methods : mapping of label to AbstractIntegrator
    truth : Truth
    horizons : tuple of int
        Frames of roll-outs; those that the trajectories are too short for are left out.
    progress : callable, optional
        Takes the methods that are done, and their number.

    Raises
    ------
    InputError
        If a method does not fit the system.
    """
    horizons = tuple(sorted(k for k in horizons if START + k < truth.x.shape[1]))
    costs = _costs(methods, truth)
    rows = []
    for done, (label, method) in enumerate(methods.items()):
        if progress is not None:
            progress(done, len(methods))
        mean, median = _one_step(method, truth)
        rows.append(
            Row(
                label,
                truth.system.name,
                truth.x.shape[2],
                len(truth.x),
                mean,
                median,
                _roll_outs(method, truth, horizons),
                *costs[label],
            )
        )
    return rows


def _one_step(method: AbstractIntegrator, truth: Truth) -> tuple[Interval | None, Interval | None]:
    if isinstance(method, SurrogateIntegrator):
        errors, _ = one_step_of_model(method.model, truth)
    elif "substeps" in type(method.options).model_fields:
        errors = one_step(method, truth)
    else:
        return None, None
    each = errors.mean(1)  # the bootstrap draws trajectories, whose frames are not independent
    mean = Interval(float(each.mean()), *bootstrap_mean(each))
    return mean, Interval(float(median(errors.ravel())), *bootstrap_median(errors))


def _roll_outs(
    method: AbstractIntegrator, truth: Truth, horizons: tuple[int, ...]
) -> dict[int, Interval]:
    if not horizons:
        return {}
    errors = roll_out(method, truth, max(horizons))
    return {
        k: Interval(float(median(errors[:, k])), *bootstrap_median(errors[:, k, None]))
        for k in horizons
    }


def _costs(
    methods: Mapping[str, AbstractIntegrator], truth: Truth
) -> dict[str, tuple[float, float | None]]:
    """Median milliseconds per frame, the methods in turn, and the mean of pair evaluations."""
    times: dict[str, list[float]] = {label: [] for label in methods}
    spent = dict.fromkeys(methods, 0)  # evaluations of the force
    frames = dict.fromkeys(methods, 0)
    for b in range(min(ROUNDS, len(truth.x))):
        state = State(0.0, truth.x[b : b + 1, 0], truth.v[b : b + 1, 0])
        for label, method in methods.items():
            first = [WarmUp()] if b == 0 else []
            run = simulate(
                truth.system,
                state,
                truth.particles[b],
                TIMED_FRAMES,
                method,
                outside=None,
                observers=first,
            )
            if covered := run.valid_frames.item() - 1:  # a run that stopped is not a fast one
                times[label].append(1e3 * run.info.wall_time / covered)
                spent[label] += run.info.counters.get("nfev", 0)
                frames[label] += covered
    return {
        label: (
            known_median(np.array(times[label])),
            _evaluations(method, spent[label], frames[label]),
        )
        for label, method in methods.items()
    }


def _evaluations(method: AbstractIntegrator, spent: int, frames: int) -> float | None:
    """Of a frame, the mean over the timed starts: an adaptive solver's differ by powers of ten."""
    if isinstance(method, SurrogateIntegrator):
        return method.model.evaluations_per_frame
    return spent / frames if spent and frames else None
