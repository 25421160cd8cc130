"""A surrogate under test: a model, its card, and the integrator they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.contracts.violations import plugin_errors
from nbody_surrogate.errors import InputError, NBodyError
from nbody_surrogate.registry.registry import make_system, surrogate_class
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.surrogates.weights import load_weights
from nbody_surrogate.testing.case import DEFAULT_SYSTEM, FEW, StepperCase
from nbody_surrogate.testing.check import failed
from nbody_surrogate.testing.windows import Window, make_window

__all__ = ["SurrogateCase", "surrogate_case"]

PERTURBATIONS = (0.1, 0.03, 0.01, 0.003)
"""Of fresh weights, so that none of them is zero; the first that leaves increments `MODERATE`."""

MODERATE = 1.0  # largest increment of a window of numbers of order one


@dataclass(frozen=True)
class SurrogateCase(StepperCase):
    """A surrogate: a model in float64 and its card, and the integrator they make."""

    model: AbstractSurrogate
    card: Card

    @property
    def frames(self) -> int:
        """Frames that fill the model's history."""
        return max(self.model.config.history, self.model.min_history)

    @cached_property
    def one_shot(self) -> bool:
        """Whether the model answers for the last frame of a window only."""
        try:
            made = self.window(self.frames + 1).of(self.model)
        except InputError:  # windows longer than the history are refused
            return True
        return bool(made[0].shape[1] == 1)

    @property
    def known_failures(self) -> Mapping[str, str]:
        """See `AbstractSurrogate.known_failures`."""
        return self.model.known_failures

    def window(self, frames: int | None = None, **options: Any) -> Window:
        """Draw a window, by default as long as the history."""
        radius = self.model.fixed_radius
        given = {"n": self.n, "sized": self.system.needs_radii, "radius": radius, **options}
        return make_window(self.dt, frames or self.frames, **given)

    def long_window(self, **options: Any) -> Window:
        """Draw a window that is longer than the history."""
        return self.window(self.frames + 3, **options)


def surrogate_case(
    name: str,
    system: str | None = None,
    weights: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> SurrogateCase:
    """Return the case of a surrogate: of fresh weights, perturbed, or of those in a folder."""
    cls = surrogate_class(name)
    if weights is not None:
        model, card, _ = load_weights(find_model(weights).folder, name, cls)
    else:
        model, card = _fresh(name, cls, system, config or {})
    model = model.double().eval()
    origin = origin_of(cls, "surrogate", name)
    if not card.systems:
        raise failed(origin, "Config", "must have a card that names a system, got an open one")
    trained, (least, most) = card.systems[0], card.particles or (FEW, FEW)
    n = model.fixed_particles or min(max(FEW, least), most)

    def make(**options: Any) -> SurrogateIntegrator:
        return SurrogateIntegrator(name, model=model, card=card, device="cpu", **options)

    return SurrogateCase(origin, make, make_system(trained.system, **trained.spec), n, model, card)


def _fresh(
    name: str, cls: type[AbstractSurrogate], system: str | None, config: Mapping[str, Any]
) -> tuple[AbstractSurrogate, Card]:
    """Make a model, and the card of one that was trained on a system."""
    origin = origin_of(cls, "surrogate", name)
    required = [key for key, field in cls.Config.model_fields.items() if field.is_required()]
    if missing := ", ".join(f"`{key}`" for key in required if key not in config):
        what = f"must be complete to be checked: give `config` with {missing}, or `weights`"
        raise failed(origin, "Config", what)
    settings = validated(cls.Config, config, f"surrogate {name!r}")
    shipped = next(iter(cls.shipped_weights.values()), None)
    known = None if shipped is None else load_weights(shipped, name, cls)[1].systems[0].system
    physics = make_system(system or known or DEFAULT_SYSTEM)
    with plugin_errors(origin, "__init__"):
        model = _perturbed(cls, settings, physics.needs_radii)
    trained = CardSystem(
        system=physics.name,
        spec=physics.spec.of_forces(),
        numerical=physics.spec.numerical(),
        time_range=(0.0, 1e4),
    )
    card = Card(
        systems=(trained,),
        frame_dt=physics.spec.frame_dt,
        particles=(1, 64),
        charges=(0.0, 2.0),
        masses=(0.1, 10.0),
        radii=(0.1, 10.0) if physics.needs_radii else None,
        dtype="float64",
        symmetries=tuple(sorted(model.symmetries)),
        training_data_hash="none: weights are random",
    )
    return model, card


def _perturbed(
    cls: type[AbstractSurrogate], settings: SurrogateConfig, sized: bool
) -> AbstractSurrogate:
    """Make a model and move every weight, as far as its increments stay of order one."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for size in PERTURBATIONS:
            torch.manual_seed(0)
            model = cls(settings).double().eval()
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=size)
            if _is_moderate(model, sized):
                break
    return model


def _is_moderate(model: AbstractSurrogate, sized: bool) -> bool:
    """Whether a window of numbers of order one gives increments that are no larger."""
    frames = max(model.config.history, model.min_history)
    try:
        n, radius = model.fixed_particles or FEW, model.fixed_radius
        window = make_window(0.1, frames, n=n, sized=sized, radius=radius)
        made = window.of(model)
    except NBodyError:  # checks will tell
        return True
    return all(bool(np.isfinite(dy).all() and np.abs(dy).max() <= MODERATE) for dy in made)
