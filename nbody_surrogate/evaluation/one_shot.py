"""How good and how dear one-shot models are at the task of a data set, side by side.

Errors are mean squared errors of the target row per coordinate, one number for each trajectory;
infinite for one that a solver did not bring there, None in JSON.
A few close encounters make their mean, so the median, the 95th percentile and the mean over the
clean subset stand beside it: the trajectories whose labels keep their energy from the input to the
target. Beside the models stand predictors that know no forces, and the solution of the physics
itself from the last input, whose error is that of the labels.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import State
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors, device_of
from nbody_surrogate.contracts.wording import figure_text
from nbody_surrogate.datasets.velocity_lag import velocities_in_step
from nbody_surrogate.evaluation.one_shot_task import OneShotTask, clean_subset
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.results.bootstrap import Interval, bootstrap_mean, bootstrap_median, plain
from nbody_surrogate.results.quantiles import median, quantiles
from nbody_surrogate.simulation.observers import WarmUp
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["HEADS", "OneShotScore", "score_model", "score_references", "table_cells"]

TOLERANCE = 1e-9
"""Of the solver: at 1e-12 all digits of its errors are the same, as they are the labels'."""

TIMED = 9  # single predictions that are timed
FITTED = ("training-mean", "linear")
"""Surrogates that training data settle in closed form."""

PAIRS = 1 << 18  # of particles and frames, that a model sees at a time


@dataclass(frozen=True)
class OneShotScore:
    """A method on a task.

    Attributes
    ----------
    mean, median : Interval
        x-MSE over trajectories.
    p95 : float
        Its 95th percentile.
    clean : float or None
        Its mean over the clean subset, None where that is empty.
    velocity : float
        Mean v-MSE.
    milliseconds : float
        Of a prediction for one trajectory.
    parameters : int or None
        None for what has no weights.
    errors : ndarray, shape (B,)
        x-MSE of each trajectory; not part of the dict.
    """

    method: str
    mean: Interval
    median: Interval
    p95: float
    clean: float | None
    velocity: float
    milliseconds: float
    parameters: int | None
    errors: np.ndarray = field(repr=False)

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Everything but the errors as plain types, fit for JSON; infinity becomes None."""
        found = asdict(self)
        del found["errors"]
        return dict(plain(found))


def score_model(label: str, model: AbstractSurrogate, task: OneShotTask) -> OneShotScore:
    """Score a surrogate on a task."""
    model.eval()
    dx, dv = _answers(model, task)
    ends = task.x[:, -1] + dx, task.v[:, -1] + dv
    one = task.subset(0)
    spent = [_seconds(lambda: _answers(model, one)) for _ in range(TIMED + 1)][1:]  # one warms up
    parameters = sum(p.numel() for p in model.parameters())
    return _score(label, task, ends, statistics.median(spent), parameters)


@torch.inference_mode()
def _answers(model: AbstractSurrogate, task: OneShotTask) -> tuple[np.ndarray, np.ndarray]:
    """Increments to the target, (B, N, D)."""
    device = device_of(model)
    _, frames, n, _ = task.x.shape
    size = max(PAIRS // (frames * n * n), 1)
    answers_x, answers_v = [], []
    for begin in range(0, len(task.x), size):
        some = task.subset(slice(begin, begin + size))
        x = torch.tensor(some.x, device=device)
        v = torch.tensor(some.v, device=device)
        particles = ParticleTensors.from_particles(some.particles, device, model.dtype)
        dx, dv = model(x, v, particles)
        answers_x.append(dx[:, -1].double().cpu().numpy())
        answers_v.append(dv[:, -1].double().cpu().numpy())
    return np.concatenate(answers_x), np.concatenate(answers_v)


def score_references(task: OneShotTask, training: OneShotTask) -> list[OneShotScore]:
    """Score what any table needs: predictors that know no forces, and the physics itself.

    Parameters
    ----------
    task : OneShotTask
    training : OneShotTask
        What those predictors are fitted by that have something to fit.
    """
    scores = [
        _solved(label, make_integrator(name), task, task.v[:, -1])
        for label, name in (("copy-last", "copy-last"), ("ballistic", "ballistic"))
    ]
    scores += [score_model(name, _fitted(name, training), task) for name in FITTED]
    name = default_reference(task.system, len(task.x))
    solver = make_integrator(name, rtol=TOLERANCE, atol=TOLERANCE)
    label = f"physics, {name} {TOLERANCE:g}"
    scores.append(_solved(label, solver, task, task.v[:, -1]))
    if task.lag:
        in_step = velocities_in_step(
            task.system, task.lag, task.x[:, -1], task.v[:, -1], task.particles
        )
        scores.append(_solved(f"{label}, velocities in step", solver, task, in_step))
    return scores


def _fitted(name: str, training: OneShotTask) -> AbstractSurrogate:
    """Build a surrogate that training data settle in closed form."""
    cls = surrogate_class(name)
    dims = {"dimensions": training.x.shape[-1]}
    model = cls(cls.Config(**{k: d for k, d in dims.items() if k in cls.Config.model_fields}))
    x = torch.tensor(training.x)
    v = torch.tensor(training.v)
    dx = torch.tensor(training.end_x) - x[:, -1]
    dv = torch.tensor(training.end_v) - v[:, -1]
    particles = ParticleTensors.from_particles(training.particles, "cpu", torch.float64)
    model.double().initialise(x, v, particles, dx, dv)
    return model


def _solved(
    label: str, solver: AbstractIntegrator, task: OneShotTask, v: np.ndarray
) -> OneShotScore:
    """Score a solver that goes on from the last frame with velocities v (B, N, D)."""
    state = State(0.0, task.x[:, -1], v)
    run = simulate(task.system, state, task.particles, 1, solver, dt=task.horizon)
    spent = []
    for b in range(min(TIMED, len(task.x))):
        first = [WarmUp()] if b == 0 else []
        alone = simulate(
            task.system,
            state[b],
            task.particles[b],
            1,
            solver,
            dt=task.horizon,
            observers=first,
        )
        spent.append(alone.info.wall_time)
    # a trajectory that stopped has no answer: it is infinitely wrong, and not where it was
    ends = (np.where(run.valid[:, 1, None, None], y[:, 1], np.inf) for y in (run.x, run.v))
    return _score(label, task, (next(ends), next(ends)), statistics.median(spent), None)


def _score(
    label: str,
    task: OneShotTask,
    ends: tuple[np.ndarray, np.ndarray],
    seconds: float,
    parameters: int | None,
) -> OneShotScore:
    errors = ((ends[0] - task.end_x) ** 2).mean((1, 2))
    clean = clean_subset(task)
    return OneShotScore(
        label,
        Interval(float(errors.mean()), *bootstrap_mean(errors)),
        Interval(float(median(errors)), *bootstrap_median(errors[:, None])),
        float(quantiles(errors, [0.95])[0]),
        float(errors[clean].mean()) if clean.any() else None,
        float(((ends[1] - task.end_v) ** 2).mean()),
        1e3 * seconds,
        parameters,
        errors,
    )


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


HEADS = ("method", "mean", "median", "p95", "clean", "v-MSE", "ms", "parameters")


def table_cells(score: Mapping[str, Any]) -> list[str]:
    """Lay out the dict of a score as text, in the order of `HEADS`."""

    def number(value: float | None, digits: str = ".1e") -> str:
        return format(float("inf") if value is None else value, digits)

    def interval(key: str) -> str:
        value, low, high = (score[key][part] for part in ("value", "low", "high"))
        return f"{number(value, '.2e')} ({number(low)}..{number(high)})"

    return [
        score["method"],
        interval("mean"),
        interval("median"),
        number(score["p95"]),
        "" if score["clean"] is None else f"{score['clean']:.1e}",
        number(score["velocity"]),
        figure_text(score["milliseconds"]),
        "" if score["parameters"] is None else str(score["parameters"]),
    ]
