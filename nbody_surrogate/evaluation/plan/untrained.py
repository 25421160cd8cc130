"""A surrogate that was not trained: as large as asked, and what a frame of it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.violations import plugin_errors
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.plan.meter import Meter
from nbody_surrogate.evaluation.plan.trial import rolled
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

__all__ = ["first_frame", "untrained", "untrained_model"]

SIZE = "particles"  # what a model that takes one number of particles only calls it


def untrained_model(
    surrogate: str, config: Mapping[str, Any], system: AbstractSystem, particles: int
) -> AbstractSurrogate:
    """Make a surrogate whose parameters are drawn.

    Parameters
    ----------
    surrogate : str
        Its registered name.
    config : mapping
        What its `Config` is given. What it shares with the parameters of the system, such as
        ``softening``, is the system's.
    system : AbstractSystem
    particles : int

    Raises
    ------
    InputError
        If the surrogate is unknown, or a value is wrong or another than the system's.
    PluginError
        If it cannot be made.
    """
    cls = surrogate_class(surrogate)
    known, spec = cls.Config.model_fields, system.spec.model_dump()
    for key, value in config.items():
        if key in known and key in spec and value != spec[key]:
            raise InputError(
                f"`model.{key}` is {value!r}, but {spec[key]!r} in system {system.name!r}; leave "
                "it out, or give the system the same"
            )
    settled = {key: spec[key] for key in spec.keys() & known.keys()}
    if SIZE in known:
        settled[SIZE] = particles
    wanted = validated(cls.Config, {**settled, **config}, f"surrogate {surrogate!r}")
    with torch.random.fork_rng(devices=[]), plugin_errors(origin_of(cls, "surrogate"), "__init__"):
        torch.manual_seed(0)  # the caller's draws are left as they are
        return cls(wanted)


def untrained(
    surrogate: str, model: AbstractSurrogate, system: AbstractSystem, segment: int
) -> SurrogateIntegrator:
    """Return an untrained model as an integrator, by the engine that a run would use."""
    card = Card.of(model, system)
    return SurrogateIntegrator(
        surrogate, model=model, card=card, segment=segment, threads=1, device="cpu"
    )


def first_frame(
    method: SurrogateIntegrator,
    system: AbstractSystem,
    state: State,
    particles: Particles,
    meter: Meter,
) -> float:
    """Return the seconds of the first frame, for which code is compiled."""
    return rolled(method, system, state[0], particles[0], 1, meter, None).seconds
