"""What a training by a recipe would cost: its data in force calls, its steps by the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.plan.forces import PLAIN, force_cost
from nbody_surrogate.evaluation.plan.meter import Meter
from nbody_surrogate.evaluation.plan.result import TrainingCost
from nbody_surrogate.evaluation.plan.trial import rolled
from nbody_surrogate.integrators.build import find_method
from nbody_surrogate.integrators.reference import default_reference
from nbody_surrogate.training.losses import Loss
from nbody_surrogate.training.recipe import DataRecipe, Recipe
from nbody_surrogate.training.schedule import Passes, passes

__all__ = ["Data", "data_of", "label_cost", "step_cost", "training_cost"]

LABEL_FRAMES = 10  # of a start, that the making of data is timed on
LABEL_SECONDS = 1.0  # that those may take; else it is a frame, or the calls of one times a force
STEPS = 3  # of each source and stage, that are timed
LONG = 1.0  # seconds of them, after which fewer will do


class Data(NamedTuple):
    """A source of a recipe: its particles, batch, trajectories and frames, and who makes them."""

    particles: int
    batch: int
    trajectories: int
    frames: int
    integrator: str | None
    options: dict[str, Any]


class Labels(NamedTuple):
    """The solver that makes the data, and its force calls and seconds for a frame."""

    method: str
    calls: float
    seconds: float


def data_of(recipe: Recipe) -> list[Data]:
    """Return the sources of a recipe.

    Raises
    ------
    InputError
        If a folder is no data set.
    """
    return [_data(recipe, each) for each in recipe.data]


def _data(recipe: Recipe, data: DataRecipe) -> Data:
    spec = _spec(data)
    last = int(spec.numbers[-1])  # windows keep some rows, and all frames before them are computed
    trajectories = spec.trajectories
    if data.live:  # neighbouring windows share a row
        windows = -(-recipe.steps // len(recipe.data)) * data.batch
        trajectories = -(-windows // max((spec.rows - 1) // recipe.chunk, 1))
    return Data(
        spec.particles, data.batch, trajectories, trajectories * last, spec.integrator, spec.options
    )


def _spec(data: DataRecipe) -> DatasetSpec:
    spec = data.dataset_spec()
    if spec is not None:
        return spec
    assert data.folder is not None
    return Dataset(data.folder).spec


def training_cost(
    recipe: Recipe,
    name: str,
    model: AbstractSurrogate,
    system: AbstractSystem,
    meter: Meter,
    tick: Callable[[], None],
    seed: int = 0,
) -> TrainingCost:
    """Measure what a training of a model for a system would cost.

    The data are taken to be of the system, whatever system the recipe names, with the recipe's
    numbers of particles, trajectories and frames, and made by its solver where that takes the
    system. Steps are timed on windows of free motion, whose values change no operation.

    Parameters
    ----------
    recipe : Recipe
    name : str
        What it is called.
    model : AbstractSurrogate
        Is changed.
    system : AbstractSystem
    meter : Meter
    tick : callable
        Called for each source.
    seed : int

    Returns
    -------
    TrainingCost
    """
    sources = data_of(recipe)
    if recipe.initial is not None:
        meter.note(f"the training that {recipe.initial!r} had before is not counted")
    if type(model).initialise is not AbstractSurrogate.initialise:
        meter.note("what a training finds in closed form before its first step is not counted")
    calls = seconds = 0.0
    known: Labels | None = None
    for number, each in sorted(_first_of_size(sources).items()):
        known = label_cost(each, system, meter, seed, known)
        frames = sum(other.frames for other in sources if other.particles == number)
        calls, seconds = calls + frames * known.calls, seconds + frames * known.seconds
        tick()
    first, step = step_cost(recipe, sources, model, system, meter, seed)
    return TrainingCost(
        recipe=name,
        trajectories=sum(each.trajectories for each in sources),
        frames=sum(each.frames for each in sources),
        labels="" if known is None else known.method,
        force_calls=calls,
        label_seconds=seconds,
        steps=recipe.steps,
        step_seconds=step,
        compile_seconds=first,
    )


def _first_of_size(sources: list[Data]) -> dict[int, Data]:
    """Return the first source of each number of particles."""
    ordered = sorted(sources, key=lambda each: each.particles)
    return {n: next(some) for n, some in groupby(ordered, key=lambda each: each.particles)}


def label_cost(
    data: Data, system: AbstractSystem, meter: Meter, seed: int, fewer: Labels | None = None
) -> Labels:
    """Measure what a frame of the data takes, on one start.

    Where a frame of fewer particles was dear, none is made: as many calls are taken of a force that
    is timed.

    Parameters
    ----------
    data : Data
    system : AbstractSystem
    meter : Meter
    seed : int
    fewer : Labels, optional
        Of fewer particles.

    Returns
    -------
    Labels
    """
    state, particles = system.sample(seed, data.particles)
    if fewer is not None and fewer.seconds > LABEL_SECONDS / LABEL_FRAMES:
        force = force_cost(PLAIN, system, state, particles, meter).seconds.value
        return Labels(fewer.method, fewer.calls, fewer.calls * force)
    method = _labeller(data, system)
    pilot = rolled(method, system, state, particles, 1, meter, None)
    meter.forgive(pilot.seconds)
    calls = max(pilot.evaluations, 1)
    if pilot.seconds > LABEL_SECONDS:  # of which a part may be compilation
        force = force_cost(PLAIN, system, state, particles, meter).seconds.value
        if calls * force > LABEL_SECONDS / LABEL_FRAMES:
            return Labels(method.name, calls, calls * force)
    run = rolled(method, system, state, particles, LABEL_FRAMES, meter, None)
    return Labels(method.name, run.evaluations / LABEL_FRAMES, run.seconds / LABEL_FRAMES)


def _labeller(data: Data, system: AbstractSystem) -> AbstractIntegrator:
    """Make the solver of a recipe, or the default reference where that does not take the system."""
    names = [name for name in (data.integrator, default_reference(system, 2)) if name is not None]
    state, particles = system.sample(0, 2)
    for name in dict.fromkeys(names):
        method = find_method(name)
        tuned = {key: value for key, value in data.options.items() if key in method.options}
        try:
            made = method.build(**{**tuned, **method.applying({"threads": 1})})
            made.check(system, state, particles, system.spec.frame_dt)
        except InputError:
            continue
        return made
    raise InputError(f"`recipe`: no solver of its data takes system {system.name!r}")


def step_cost(
    recipe: Recipe,
    sources: list[Data],
    model: AbstractSurrogate,
    system: AbstractSystem,
    meter: Meter,
    seed: int,
) -> tuple[float, float]:
    """Time steps of a training, of each source and of both stages.

    Returns
    -------
    first : float
        Seconds that the first steps take beyond others: code is compiled.
    step : float
        Seconds of a step, the mean over the sources and stages as the recipe weighs them.
    """
    model.training_engine = recipe.engine_used
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-9, fused=recipe.engine_used == "fused" or None
    )
    loss = Loss(recipe, 1)
    last = recipe.unroll_steps / recipe.steps  # share of the last stage
    first = mean = 0.0
    # sources of one size and batch take the same
    for (n, batch), alike in Counter((each.particles, each.batch) for each in sources).items():
        for share, step in ((1 - last, 0), (last, recipe.steps - 1)):
            if share == 0:
                continue
            descend = _Step(loss, model, optimizer, passes(recipe, step), recipe.clip)
            start = system.sample(seed, n, batch)
            times = _timed_steps(descend, *start, recipe.chunk, system, meter)
            each = float(np.median(times[1:]))
            first += max(times[0] - each, 0.0)
            meter.forgive(times[0] - each)
            mean += share * each * alike / len(sources)
    return first, mean


class _Step(NamedTuple):
    """A step of a training, as `Trainer` takes it."""

    loss: Loss
    model: AbstractSurrogate
    optimizer: torch.optim.Optimizer
    passes: Passes
    clip: float

    def __call__(
        self, dt: float, window: tuple[torch.Tensor, torch.Tensor], particles: ParticleTensors
    ) -> None:
        value = self.loss(self.model, 0, dt, window, particles, self.passes)
        self.optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()


def _timed_steps(
    descend: _Step,
    state: State,
    particles: Particles,
    chunk: int,
    system: AbstractSystem,
    meter: Meter,
) -> list[float]:
    """Return the seconds of a few steps."""
    dt = system.spec.frame_dt
    times = dt * np.arange(chunk + 1)[:, None, None]
    x = torch.tensor(state.x[:, None] + state.v[:, None] * times)
    v = torch.tensor(np.repeat(state.v[:, None], chunk + 1, axis=1))
    laws = system.force_laws()
    of = ParticleTensors.from_particles(
        particles, "cpu", descend.model.dtype, None if laws is None else laws.field
    )
    spent: list[float] = []
    for _ in range(1 + STEPS):
        began = meter.clock()
        descend(dt, (x, v), of)
        spent.append(meter.clock() - began)
        if len(spent) > 1 and sum(spent[1:]) > LONG:
            break
    return spent
