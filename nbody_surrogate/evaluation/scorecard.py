"""How good and how dear steppers are, side by side on the same trajectories of the truth.

The protocol: 500 trajectories of at most 5 particles and 200 of more, from one seed, by the
reference at a tolerance of 1e-11. Mean, median and 95th percentile alike of one step, over
trajectories and frames, and of a roll-out, over trajectories at its last frame; mean and median
with bootstrap intervals of 95 % over trajectories. The first method is held against each other one
on the same trajectories, by `nbody_surrogate.results.paired`. The cost is that of one trajectory,
in one run for all methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.times import same_times
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.errors import InputError, RunError, warn
from nbody_surrogate.evaluation.costs import Costs, frame_costs
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
from nbody_surrogate.results.paired import BOUND, PairedTest, check_bound, corrected
from nbody_surrogate.results.quantiles import median, quantiles
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

__all__ = [
    "HORIZONS",
    "ONE_STEP",
    "Row",
    "classical_methods",
    "score_methods",
    "truth_of_dataset",
    "truth_of_system",
]

HORIZONS = (10, 20, 40)
ONE_STEP = "one step"
"""Names the pair of one step, beside those of roll-outs, which are named by their frames."""

SEED = 20_000  # plus the number of particles; no data set to train on has such a seed by default
TOLERANCE = 1e-11  # of the truth: its error is far below that of any method of the table
FEW = 5  # particles, up to which the larger sample is taken


@dataclass(frozen=True)
class Row:
    """A method on one sample.

    Attributes
    ----------
    one_step_mean, one_step_median : Interval or None
        x-MSE of the next frame; None for an adaptive solver, which has no step of one frame.
    one_step_p95 : float or None
        Its 95th percentile.
    roll_outs, roll_outs_mean : dict of int to Interval
        x-MSE so many frames on: the median, and the mean.
    roll_outs_p95 : dict of int to float
        Its 95th percentile.
    milliseconds : float
        Per valid frame of one trajectory; NaN, and None in JSON, where there is none.
    evaluations : float or None
        How often a frame evaluates each pair, where it is known.
    pairs : dict of str to PairedTest
        The first method of the sample held against this one, on the same trajectories:
        `ONE_STEP`, of each trajectory's mean over its frames, and roll-outs by their frames; none
        of the first method itself. Corrected for all pairs of the sample.
    time_ratio : Interval or None
        The first method's time over this one's, on the same starts.
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
    one_step_p95: float | None = None
    roll_outs_mean: dict[int, Interval] = field(default_factory=dict)
    roll_outs_p95: dict[int, float] = field(default_factory=dict)
    pairs: dict[str, PairedTest] = field(default_factory=dict)
    time_ratio: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON; what is not finite becomes None."""
        pairs = {key: each.to_dict() for key, each in self.pairs.items()}
        return dict(plain({**asdict(self), "pairs": pairs}))


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
        return Truth(system, run.x, run.v, run.particles, run.hidden)
    if not whole.any():
        raise RunError(f"there is no truth to judge by: {run.info.failures(run.info.label)[0]}")
    warn(
        f"{run.info.label} failed on {int((~whole).sum())} of "
        f"{counted(len(run), 'trajectory')}, which are "
        "left out: there is no truth to judge by",
    )
    kept = np.flatnonzero(whole)
    some = run[kept]
    return Truth(system, some.x, some.v, some.particles, some.hidden)


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
    return Truth(system, *block)


def classical_methods(system: AbstractSystem) -> dict[str, AbstractIntegrator]:
    """Return the solvers that models are shown beside, as far as they fit the system."""
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        (f"leapfrog, {counted(k, 'sub-step')}", "leapfrog", {"substeps": k}) for k in (4, 8, 16, 32)
    ]
    # of as many force evaluations as a learned frame has, or a few more: 11, 12 and 22
    wanted.append(("srkn6, 1 step", "srkn6", {"substeps": 1}))
    wanted.append(("srkn4, 2 steps", "srkn4", {"substeps": 2}))
    wanted.append(("srkn6, 2 steps", "srkn6", {"substeps": 2}))
    # block time steps, which `bench` finds to be the cheapest at errors like those of models
    wanted += [(f"hermite4, eta {eta:g}", "hermite4", {"eta": eta}) for eta in (0.1, 0.03, 0.01)]
    wanted.append(("rk4, 8 steps", "rk4", {"substeps": 8}))
    wanted += [(f"{name}, 1e-9", name, {}) for name in ("dop853", default_reference(system, 2))]
    made = {label: make_integrator(name, **options) for label, name, options in wanted}
    return {label: method for label, method in made.items() if _fits(method, system)}


def _fits(method: AbstractIntegrator, system: AbstractSystem) -> bool:
    """Whether a method takes the system; any start will do."""
    try:
        method.check(system, *system.sample(0, system.fixed_particles or 2), system.spec.frame_dt)
    except InputError:
        return False
    return True


def score_methods(
    methods: Mapping[str, AbstractIntegrator],
    truth: Truth,
    horizons: tuple[int, ...] = HORIZONS,
    progress: Callable[[int, int], None] | None = None,
    bound: float = BOUND,
) -> list[Row]:
    """Score methods on trajectories.

    Parameters
    ----------
    methods : mapping of label to AbstractIntegrator
        The first is held against each other one.
    truth : Truth
    horizons : tuple of int
        Frames of roll-outs; those that the trajectories are too short for are left out.
    progress : callable, optional
        Takes the methods that are done, and their number.
    bound : float
        A factor of errors within which methods are equivalent.

    Raises
    ------
    InputError
        If a method does not fit the system, or the bound is no factor.
    """
    check_bound(bound)
    horizons = tuple(sorted(k for k in horizons if START + k < truth.x.shape[1]))
    costs = frame_costs(methods, truth)
    errors = {}
    for done, (label, method) in enumerate(methods.items()):
        if progress is not None:
            progress(done, len(methods))
        errors[label] = _Errors(_one_step(method, truth), _roll_outs(method, truth, horizons))
    pairs = _pairs(errors, bound)
    return [_row(label, truth, errors[label], pairs[label], costs) for label in methods]


class _Errors(NamedTuple):
    """x-MSE of one step, (B, F), where there is one, and of roll-outs by frames, (B, 1)."""

    one_step: np.ndarray | None
    roll_outs: dict[int, np.ndarray]

    @property
    def of_trajectories(self) -> dict[str, np.ndarray]:
        """An error of each trajectory, by the names of pairs; frames of one are not independent."""
        found = {} if self.one_step is None else {ONE_STEP: self.one_step.mean(1)}
        return found | {str(k): errors[:, 0] for k, errors in self.roll_outs.items()}


class _Figures(NamedTuple):
    mean: Interval
    median: Interval
    p95: float

    @classmethod
    def of(cls, errors: np.ndarray) -> _Figures:
        """Take them over trajectories and frames (B, F); the bootstrap draws trajectories."""
        each, values = errors.mean(1), errors.ravel()
        return cls(
            Interval(float(each.mean()), *bootstrap_mean(each)),
            Interval(float(median(values)), *bootstrap_median(errors)),
            float(quantiles(values, [0.95])[0]),
        )


def _row(
    label: str, truth: Truth, errors: _Errors, pairs: dict[str, PairedTest], costs: Costs
) -> Row:
    one = None if errors.one_step is None else _Figures.of(errors.one_step)
    later = {k: _Figures.of(each) for k, each in errors.roll_outs.items()}
    first = next(iter(costs.times))
    return Row(
        label,
        truth.system.name,
        truth.x.shape[2],
        len(truth.x),
        one_step_mean=None if one is None else one.mean,
        one_step_median=None if one is None else one.median,
        one_step_p95=None if one is None else one.p95,
        roll_outs={k: each.median for k, each in later.items()},
        roll_outs_mean={k: each.mean for k, each in later.items()},
        roll_outs_p95={k: each.p95 for k, each in later.items()},
        milliseconds=costs.milliseconds(label),
        evaluations=costs.evaluations[label],
        pairs=pairs,
        time_ratio=None if label == first else costs.ratio(first, label),
    )


def _one_step(method: AbstractIntegrator, truth: Truth) -> np.ndarray | None:
    if isinstance(method, SurrogateIntegrator):
        return one_step_of_model(method.model, truth)[0]
    return one_step(method, truth) if "substeps" in type(method.options).model_fields else None


def _roll_outs(
    method: AbstractIntegrator, truth: Truth, horizons: tuple[int, ...]
) -> dict[int, np.ndarray]:
    if not horizons:
        return {}
    errors = roll_out(method, truth, max(horizons))
    return {k: errors[:, k, None] for k in horizons}


def _pairs(errors: Mapping[str, _Errors], bound: float) -> dict[str, dict[str, PairedTest]]:
    """Hold the first method against each other one, in all that both have."""
    first, *others = errors
    mine = errors[first].of_trajectories
    tests = {
        (label, key): PairedTest.of(mine[key], its, bound)
        for label in others
        for key, its in errors[label].of_trajectories.items()
        if key in mine
    }
    tests = dict(zip(tests, corrected(list(tests.values())), strict=True))
    return {
        label: {key: each for (its, key), each in tests.items() if its == label} for label in errors
    }
