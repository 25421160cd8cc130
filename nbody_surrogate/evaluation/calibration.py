"""What the factors of an error model have to be: quantiles over held-out starts.

This is split conformal prediction, Lei et al., "Distribution-free predictive inference for
regression", J. Am. Stat. Assoc. 113 (2018) 1094: the score of a run at some age is

    s = (true error - size of the finer estimate) / doubt

and the factor there is the quantile of s at the coverage, of n + 1 in place of n scores. It is
taken of the starts inside the domain and of those outside, and the larger one holds, so that the
one half is not covered at the cost of the other. Nor is a system or a number of particles: in none
of these groups are less than `LEAST` covered. The factor never falls with the age: what is trusted
less after ten frames is not trusted more after a hundred.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.error_model import ErrorModel
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.evaluation.calibration_starts import (
    CalibrationStarts,
    Sizes,
    calibration_starts,
)
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator
from nbody_surrogate.simulation.error_estimate.frame_errors import frame_errors
from nbody_surrogate.simulation.error_estimate.frame_solver import FrameSolver, PhaseSpace
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["calibrate"]

AGES = (1, 2, 3, 5, 10, 20, 30, 50, 100)
"""Frames since the start at which the factors are fitted, beyond a run's length none."""

LEAST = 0.9
"""Coverage of each group."""

TIGHT = {"rtol": 1e-13, "atol": 1e-14}
"""Of the reference: errors of one frame are a few roundings of single precision, 1e-9."""

FEWEST = 20
"""Scores of each half, below which the 95 % quantile would be the largest."""


class _Group(NamedTuple):
    """Starts of one kind."""

    inside: bool
    system: int
    particles: int


@dataclass
class _Scores:
    """Scores of a group of starts: of runs by their age, and of single frames."""

    runs: dict[int, list[np.ndarray]] = field(default_factory=lambda: {age: [] for age in AGES})
    frames: list[np.ndarray] = field(default_factory=list)


def calibrate(
    method: AbstractIntegrator,
    systems: Sequence[AbstractSystem],
    particles: Sequence[int],
    *,
    sizes: Sizes | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ErrorModel:
    """Fit the factors of an error model to a method, on held-out starts.

    Parameters
    ----------
    method : AbstractIntegrator
        A surrogate.
    systems : sequence of AbstractSystem
        That it is for.
    particles : sequence of int
        Numbers of particles.
    sizes : Sizes, optional
    seed : int
        Of the starts, which are none of a data set's.
    progress : callable, optional
        Told the batches of starts done and all there are.

    Returns
    -------
    ErrorModel

    Raises
    ------
    InputError
        If a system has hidden variables, the method does not take one, or the starts are too few.
    """
    sizes = Sizes() if sizes is None else sizes
    scores: dict[_Group, _Scores] = {}
    batches = list(calibration_starts(list(systems), list(particles), sizes, seed))
    for number, batch in enumerate(batches):
        with warnings.catch_warnings():
            # that half of these starts are outside of what the method is for is meant
            warnings.simplefilter("ignore", NBodyWarning)
            group = _Group(batch.inside, systems.index(batch.system), batch.particles.n)
            _score(method, batch, sizes.frames, scores.setdefault(group, _Scores()))
        if progress is not None:
            progress(number + 1, len(batches))
    return _fitted(scores, sum(batch.particles.batch for batch in batches), seed)


def _score(
    method: AbstractIntegrator, batch: CalibrationStarts, frames: int, scores: _Scores
) -> None:
    """Run a batch, and add its scores."""
    system, state, particles, _ = batch
    name = default_reference(system, particles.batch)
    solver = make_integrator(name, **TIGHT)
    run = simulate(system, state, particles, frames, method, error_estimate=False)
    truth = simulate(system, state, particles, frames, solver)
    valid = run.valid & truth.valid
    problem = Problem(system, particles, float(run.t[0]), system.spec.frame_dt)
    _score_runs(problem, run, rmse(truth.x, run.x), valid, scores)
    _score_frames(problem, run, valid, scores)


def _score_runs(
    problem: Problem, run: Ensemble, true: np.ndarray, valid: np.ndarray, scores: _Scores
) -> None:
    # bounds with a factor of 0 and of 1 differ by the doubt
    bare, cautious = (
        ErrorEstimator(problem, run.x.shape[3], ErrorModel(factors=(factor,))).extend(
            0, run.x, run.v
        )
        for factor in (0.0, 1.0)
    )
    for age in scores.runs:
        if age < len(run.t):
            good = valid[:, age]
            doubt = (cautious - bare)[good, age - 1]
            scores.runs[age].append((true[good, age] - bare[good, age - 1]) / _positive(doubt))


def _score_frames(problem: Problem, run: Ensemble, valid: np.ndarray, scores: _Scores) -> None:
    """Hold frames after some ages against the reference, started from the frame before each."""
    system, batch = problem.system, problem.particles.batch
    at = [age - 1 for age in AGES if age < len(run.t)]
    starts = State(0.0, *(y[:, at].reshape(-1, *y.shape[2:]) for y in (run.x, run.v)))
    each = problem.particles[np.repeat(np.arange(batch), len(at))]
    solver = make_integrator(default_reference(system, len(starts.x)), **TIGHT)
    truth = simulate(system, starts, each, 1, solver)
    shape = (batch, len(at), *run.x.shape[2:])
    true = rmse(truth.x[:, 1].reshape(shape), run.x[:, [f + 1 for f in at]])
    held = FrameSolver(system, problem.dt)
    for column, f in enumerate(at):
        pair = PhaseSpace(run.x[:, f : f + 2], run.v[:, f : f + 2])
        errors = frame_errors(held, problem.particles, pair, ErrorModel().substeps)
        good = valid[:, f + 1]
        size, doubt = errors.size[good, 0], errors.doubt[good, 0]
        scores.frames.append((true[good, column] - size) / _positive(doubt))


def _positive(doubt: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(doubt, np.finfo(np.float64).tiny))


def _fitted(scores: dict[_Group, _Scores], starts: int, seed: int) -> ErrorModel:
    """Take the quantiles."""
    coverage = ErrorModel().coverage
    factors, ages, largest = [], [], 0.0
    for age in AGES:
        told = {group: np.concatenate(each.runs[age])
                for group, each in scores.items() if each.runs[age]}  # fmt: skip
        if told:
            largest = max(largest, _largest_quantile(told, coverage))
            ages.append(age)
            factors.append(round(largest, 4))
    of_frames = {group: np.concatenate(each.frames) for group, each in scores.items()}
    return ErrorModel(
        frame_factor=round(max(0.0, _largest_quantile(of_frames, coverage)), 4),
        ages=tuple(ages),
        factors=tuple(factors),
        starts=starts,
        seed=seed,
    )


def _largest_quantile(scores: dict[_Group, np.ndarray], coverage: float) -> float:
    """Return what covers both halves as it should, and each group at least by `LEAST`."""
    found = []
    for inside in {group.inside for group in scores}:
        its = [values for group, values in scores.items() if group.inside is inside]
        found.append(_quantile(np.concatenate(its), coverage))
    found += [_quantile(values, LEAST) for values in scores.values() if len(values) >= FEWEST]
    return max(found)


def _quantile(values: np.ndarray, coverage: float) -> float:
    """Return the smallest score that the coverage of n + 1 scores is not above.

    Raises
    ------
    InputError
        If there are too few.
    """
    count = len(values)
    if count < FEWEST:
        raise InputError(f"`sizes` must give at least {FEWEST} starts that last, got {count}")
    place = min(math.ceil((count + 1) * coverage), count) - 1
    return float(np.sort(values)[place])
