"""How good and how dear one-shot models are at the task of a data set, side by side.

Errors are mean squared errors of the target row per coordinate, one number for each trajectory.
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
from typing import Any, NamedTuple

import numpy as np
import torch

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.task_rows import task_rows, velocities_in_step
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.results.statistics import Interval, bootstrap_mean, bootstrap_median
from nbody_surrogate.simulation.observers import WarmUp
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["Task", "TaskRow", "read_task", "score_model", "score_references"]

JUMP = 0.05
"""Change of a label's energy from which on it is not in the clean subset."""

TOLERANCE = 1e-9
TIMED = 9  # single predictions that are timed
FITTED = ("training-mean", "linear")
"""Surrogates that training data settle in closed form."""

PAIRS = 1 << 18  # of particles and frames, that a model sees at a time


class Task(NamedTuple):
    """Windows and their targets.

    Attributes
    ----------
    system : AbstractSystem
        The physics that the data stand for.
    x, v : ndarray, shape (B, L, N, D)
    particles : Particles
    end_x, end_v : ndarray, shape (B, N, D)
        The target.
    spacing : float
        Time from one frame to the next; of a single frame, to the target.
    horizon : float
        Time from the last frame to the target.
    lag : float
        How far in time velocities are behind positions.
    """

    system: AbstractSystem
    x: np.ndarray
    v: np.ndarray
    particles: Particles
    end_x: np.ndarray
    end_v: np.ndarray
    spacing: float
    horizon: float
    lag: float

    def turned(self, matrices: np.ndarray) -> Task:
        """Return the task with trajectory b turned by the b-th of matrices (B, D, D)."""
        x, v = (np.einsum("btnd,bde->btne", y, matrices) for y in (self.x, self.v))
        end_x, end_v = (np.einsum("bnd,bde->bne", y, matrices) for y in (self.end_x, self.end_v))
        return self._replace(x=x, v=v, end_x=end_x, end_v=end_v)


def read_task(dataset: Dataset, split: str | None, history: int, most: int | None = None) -> Task:
    """Read the task of a data set, or of one split, for a model of a given history.

    Raises
    ------
    InputError
        If there is no task or no such split, or its rows do not fit the history.
    FileFormatError
        If the data set is damaged.
    """
    rows = task_rows(dataset.spec, history)
    part = dataset.part(split)
    stop = part.stop if most is None else min(part.start + most, part.stop)
    block = dataset.read(part.start, stop)
    system = dataset.system()
    picked = list(rows.rows)
    x, v = block.x[:, picked], block.v[:, picked]
    return Task(
        system.ideal(),
        x[:, :-1],
        v[:, :-1],
        block.particles,
        x[:, -1],
        v[:, -1],
        rows.spacing * system.spec.frame_dt,
        rows.horizon * system.spec.frame_dt,
        dataset.spec.velocity_lag,
    )


@dataclass(frozen=True)
class TaskRow:
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

    def to_dict(self) -> dict[str, Any]:
        """Everything but the errors as plain types, fit for JSON."""
        found = asdict(self)
        del found["errors"]
        return found


def score_model(label: str, model: AbstractSurrogate, task: Task) -> TaskRow:
    """Score a surrogate on a task."""
    model.eval()
    dx, dv = _answers(model, task)
    ends = task.x[:, -1] + dx, task.v[:, -1] + dv
    one = _some(task, slice(0, 1))
    spent = [_seconds(lambda: _answers(model, one)) for _ in range(TIMED + 1)][1:]
    parameters = sum(p.numel() for p in model.parameters())
    return _row(label, task, ends, statistics.median(spent), parameters)


@torch.inference_mode()
def _answers(model: AbstractSurrogate, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Increments to the target, (B, N, D)."""
    device = next(model.parameters()).device
    _, frames, n, _ = task.x.shape
    size = max(PAIRS // (frames * n * n), 1)
    answers = []
    for begin in range(0, len(task.x), size):
        some = _some(task, slice(begin, begin + size))
        x, v = (torch.tensor(y, device=device) for y in (some.x, some.v))
        particles = ParticleTensors.from_particles(some.particles, device, model.dtype)
        answers.append([y[:, -1].double().cpu().numpy() for y in model(x, v, particles)])
    dx, dv = (np.concatenate(column) for column in zip(*answers, strict=True))
    return dx, dv


def score_references(task: Task, training: Task) -> list[TaskRow]:
    """Score what any table needs: predictors that know no forces, and the physics itself."""
    rows = [
        _solved(label, make_integrator(name), task, task.v[:, -1])
        for label, name in (("copy-last", "copy-last"), ("ballistic", "ballistic"))
    ]
    rows += [score_model(name, _fitted(name, training), task) for name in FITTED]
    name = default_reference(task.system, len(task.x))
    solver = make_integrator(name, rtol=TOLERANCE, atol=TOLERANCE)
    label = f"physics, {name} {TOLERANCE:g}"
    rows.append(_solved(label, solver, task, task.v[:, -1]))
    if task.lag:
        in_step = velocities_in_step(
            task.system, task.lag, task.x[:, -1], task.v[:, -1], task.particles
        )
        rows.append(_solved(f"{label}, velocities in step", solver, task, in_step))
    return rows


def _fitted(name: str, training: Task) -> AbstractSurrogate:
    """Build a surrogate that training data settle in closed form."""
    cls = surrogate_class(name)
    dims = {"dimensions": training.x.shape[-1]}
    model = cls(cls.Config(**{k: d for k, d in dims.items() if k in cls.Config.model_fields}))
    x, v, end_x, end_v = (
        torch.tensor(y) for y in (training.x, training.v, training.end_x, training.end_v)
    )
    particles = ParticleTensors.from_particles(training.particles, "cpu", torch.float64)
    model.double().initialise(x, v, particles, end_x - x[:, -1], end_v - v[:, -1])
    return model


def _solved(label: str, solver: AbstractIntegrator, task: Task, v: np.ndarray) -> TaskRow:
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
    return _row(label, task, (run.x[:, 1], run.v[:, 1]), statistics.median(spent), None)


def _row(
    label: str,
    task: Task,
    ends: tuple[np.ndarray, np.ndarray],
    seconds: float,
    parameters: int | None,
) -> TaskRow:
    errors = ((ends[0] - task.end_x) ** 2).mean((1, 2))
    clean = clean_subset(task)
    return TaskRow(
        label,
        Interval(float(errors.mean()), *bootstrap_mean(errors)),
        Interval(float(np.median(errors)), *bootstrap_median(errors[:, None])),
        float(np.quantile(errors, 0.95)),
        float(errors[clean].mean()) if clean.any() else None,
        float(((ends[1] - task.end_v) ** 2).mean()),
        1e3 * seconds,
        parameters,
        errors,
    )


def clean_subset(task: Task) -> np.ndarray:
    """Say which labels keep their energy, shape (B,): all, where the system does not."""
    if "energy" not in task.system.conserved:
        return np.ones(len(task.x), bool)
    energies = []
    with np.errstate(all="ignore"):  # a target of zeros has no energy
        for x, v in ((task.x[:, -1], task.v[:, -1]), (task.end_x, task.end_v)):
            in_step = velocities_in_step(task.system, task.lag, x, v, task.particles)
            energies.append(task.system.invariants(x, in_step, task.particles).energy)
        return np.asarray(np.abs(energies[1] - energies[0]) <= JUMP)


def _some(task: Task, some: slice) -> Task:
    """Return some trajectories of a task."""
    x, v, end_x, end_v = (y[some] for y in (task.x, task.v, task.end_x, task.end_v))
    return task._replace(x=x, v=v, particles=task.particles[some], end_x=end_x, end_v=end_v)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def table_cells(row: Mapping[str, Any]) -> list[str]:
    """Lay out a row's dict as text, in the order of `HEADS`."""

    def interval(key: str) -> str:
        return "{value:.2e} ({low:.1e}..{high:.1e})".format(**row[key])

    return [
        row["method"],
        interval("mean"),
        interval("median"),
        f"{row['p95']:.1e}",
        "" if row["clean"] is None else f"{row['clean']:.1e}",
        f"{row['velocity']:.1e}",
        f"{row['milliseconds']:.3g}",
        "" if row["parameters"] is None else str(row["parameters"]),
    ]


HEADS = ("method", "mean", "median", "p95", "clean", "v-MSE", "ms", "parameters")
