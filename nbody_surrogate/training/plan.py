"""`plan`: whether a surrogate can pay, said before it is trained."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nbody_surrogate.contracts.arguments import demand_kind, demand_number, demand_whole
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.device import torch_threads
from nbody_surrogate.contracts.segment import frame_count
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.environment.machine import load, processor
from nbody_surrogate.environment.versions import versions
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.plan.cheapest import Search, families
from nbody_surrogate.evaluation.plan.forces import force_costs
from nbody_surrogate.evaluation.plan.meter import Meter
from nbody_surrogate.evaluation.plan.race import raced
from nbody_surrogate.evaluation.plan.result import Asked, Effort, Plan, SurrogateFrame
from nbody_surrogate.evaluation.plan.truth import known_starts
from nbody_surrogate.evaluation.plan.untrained import first_frame, untrained, untrained_model
from nbody_surrogate.evaluation.work_precision.benchmark import segment_for
from nbody_surrogate.evaluation.work_precision.clocks import CLOCKS, check_clock
from nbody_surrogate.integrators.method_text import Contender
from nbody_surrogate.registry.registry import make_system, surrogate_class
from nbody_surrogate.training.plan_cost import data_of, training_cost
from nbody_surrogate.training.recipe import Recipe, checked_recipe, read_recipe

__all__ = ["plan", "planned", "request_of"]

ACCURACY = 1e-3
HORIZON = 2.0  # time units, by default, or the next whole number of frames
STARTS = 8
DEAR = 0.02  # seconds of a force, from which on no frame is spent on warming up

Progress = Callable[[float, int], None]
"""Called with what is done and how much there is."""


@guided(
    n="`particles`",
    integrator="`surrogate`",
    config="`model`",
    error="`accuracy`",
    duration="`horizon`",
)
def plan(
    system: str | AbstractSystem,
    particles: int = 30,
    surrogate: str = "set",
    *,
    model: Mapping[str, Any] | None = None,
    accuracy: float = ACCURACY,
    horizon: float | None = None,
    frames: int = 100,
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe | None = None,
    seconds: float = 30.0,
    clock: str = "wall",
    seed: int = 0,
    progress: Progress | None = None,
) -> Plan:
    """Measure whether a surrogate can pay for a system on this machine, before it is trained.

    On one thread: what a force costs, how many of them the cheapest classical method needs for a
    frame at the accuracy asked, and what a frame of an untrained surrogate costs. How accurate it
    will be once it is trained nobody knows beforehand: `accuracy` is taken to be reached.

    Parameters
    ----------
    system : str or AbstractSystem
        A name stands for the system with its default parameters.
    particles : int
    surrogate : str
        Its registered name.
    model : mapping, optional
        Of the surrogate's config, such as ``{"width": 16}``; the rest is its default. What it
        shares with the parameters of the system is the system's.
    accuracy : float
        Position RMSE per coordinate at the horizon, in reduced units.
    horizon : float, optional
        In time units, a whole number of frames; one frame asks for a one-frame error. By default
        2 time units.
    frames : int
        Of a trajectory, in whose number it is told when training is paid back.
    recipe : path_like, mapping or Recipe, optional
        Of the training; by default the one that the surrogate names as its own. Its data count as
        if they were of `system`.
    seconds : float
        That forces may take, about. Where 200 of them take longer, it is the time of those.
    clock : {"wall", "processor"}
        The latter is nearer to the wall time of a quiet machine where this one is busy.
    seed : int
        Of the starts.
    progress : callable, optional
        Takes what is done and how much there is; may raise to cancel.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If an argument is wrong, the surrogate cannot be made for the system, or no classical
        method is as accurate as was asked.
    PluginError
        If a plugin breaks its contract.
    """
    request = request_of(
        system,
        particles,
        surrogate,
        model=model,
        accuracy=accuracy,
        horizon=horizon,
        frames=frames,
        recipe=recipe,
        seconds=seconds,
        seed=seed,
    )
    check_clock(clock, 1)
    made = planned(request, CLOCKS[clock], progress)
    return replace(made, conditions={**made.conditions, "clock": clock})


class _Request(NamedTuple):
    """What a plan is asked for, checked."""

    system: AbstractSystem
    particles: int
    surrogate: str
    config: dict[str, Any]
    accuracy: float
    horizon: float
    rounded: bool
    frames: int
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe | None
    seconds: float
    seed: int

    @property
    def horizon_frames(self) -> int:
        """Frames up to the horizon; the default one is no whole number of some."""
        dt = self.system.spec.frame_dt
        return (
            max(round(self.horizon / dt), 1)
            if self.rounded
            else frame_count(self.horizon, dt, "horizon")
        )


def request_of(
    system: str | AbstractSystem,
    particles: int = 30,
    surrogate: str = "set",
    *,
    model: Mapping[str, Any] | None = None,
    accuracy: float = ACCURACY,
    horizon: float | None = None,
    frames: int = 100,
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe | None = None,
    seconds: float = 30.0,
    seed: int = 0,
) -> _Request:
    """Check the arguments of `plan`, those that need nothing measured."""
    of = make_system(system) if isinstance(system, str) else system
    demand_kind("system", of, AbstractSystem, "a name, or a system")
    demand_kind("surrogate", surrogate, str, "the name of a surrogate")
    if model is not None:
        demand_kind("model", model, Mapping, "a mapping such as {'width': 16}")
    return _Request(
        of,
        demand_whole("particles", particles, 1),
        surrogate,
        dict(model or {}),
        _positive("accuracy", accuracy),
        HORIZON if horizon is None else _positive("horizon", horizon),
        horizon is None,
        demand_whole("frames", frames, 1),
        recipe,
        _positive("seconds", seconds),
        demand_whole("seed", seed, 0),
    )


def planned(
    request: _Request, clock: Callable[[], float], progress: Progress | None = None
) -> Plan:
    """Make a plan by a clock, which returns seconds."""
    system, count = request.system, request.horizon_frames
    state, particles = system.sample(request.seed, request.particles, STARTS)
    model = untrained_model(request.surrogate, request.config, system, request.particles)
    learned = untrained(request.surrogate, model, system, segment_for(count))
    learned.check(system, state[0], particles[0], system.spec.frame_dt)
    recipe, called = _recipe_of(request)
    meter = Meter(clock, request.seconds)
    ticks = _Ticks(progress)
    with torch_threads(1):
        forces = force_costs(system, state, particles, meter)
        ticks()
        force = forces[0].seconds.value
        starts, accuracy = known_starts(
            system, state, particles, count, request.accuracy, force, meter
        )
        among = families(starts, force)
        sizes = 0 if recipe is None else len({each.particles for each in data_of(recipe)})
        ticks.total = len(among) + len(forces) - 1 + sizes + 3
        ticks()
        warm = force < DEAR
        search = Search(starts, accuracy, request.accuracy, meter, warm)
        rivals = search.run(among, forces, ticks)
        if search.least_force is not None:
            forces = [forces[0], search.least_force, *forces[1:]]
        compiled = first_frame(learned, system, state, particles, meter)
        contender = Contender(request.surrogate, request.surrogate, None, learned, learned=True)
        outcome = raced(rivals, contender, starts, forces[0], meter)
        training = None
        if recipe is not None:
            training = training_cost(recipe, called, model, system, meter, ticks, request.seed)
        ticks()
    return Plan(
        asked=_asked(request, count),
        forces=tuple(forces),
        classical=outcome.classical,
        surrogate=SurrogateFrame(
            request.surrogate,
            model.config.model_dump(mode="json"),
            str(learned.description["engine"]),
            sum(each.numel() for each in model.parameters()),
            outcome.surrogate_seconds,
            compiled,
        ),
        factor=outcome.factor,
        training=training,
        effort=Effort(
            meter.own_calls,
            meter.approximate_calls,
            len(starts.state.x),
            meter.spent,
            meter.compiling,
            tuple(meter.notes),
        ),
        conditions=_conditions(),
    )


def _asked(request: _Request, count: int) -> Asked:
    system = request.system
    return Asked(
        dict(system.description),
        request.particles,
        request.accuracy,
        count * system.spec.frame_dt,
        count,
        request.frames,
    )


def _recipe_of(request: _Request) -> tuple[Recipe | None, str]:
    """Return the recipe and what it is called; None where there is none.

    Raises
    ------
    InputError
        If it is wrong, or of another surrogate.
    """
    given = request.recipe
    if given is None:
        own = surrogate_class(request.surrogate).own_recipe
        return (None, "") if own is None else (read_recipe(own), Path(own).name)
    if isinstance(given, Recipe):
        recipe, called = given, "the recipe given"
    elif isinstance(given, Mapping):
        recipe, called = checked_recipe(dict(given), "given"), "the recipe given"
    elif isinstance(given, str | os.PathLike):
        recipe, called = read_recipe(os.fspath(given)), os.fspath(given)
    else:
        raise InputError(
            f"`recipe` must be the path of a TOML file or a mapping, got {type(given).__name__}"
        )
    if recipe.surrogate != request.surrogate:
        raise InputError(
            f"`recipe` is of surrogate {recipe.surrogate!r}, and {request.surrogate!r} is planned; "
            "give the same"
        )
    return recipe, called


def _positive(name: str, value: Any) -> float:
    number = demand_number(name, value)
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"`{name}` must be finite and > 0, got {number}")
    return number


class _Ticks:
    """Counts what is done."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._done, self.total = progress, 0, 1

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, max(self.total, self._done))


def _conditions() -> dict[str, Any]:
    """Say what times were taken with."""
    return {
        "threads": 1,
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": load(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": versions(),
    }
