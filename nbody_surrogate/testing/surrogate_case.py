"""A surrogate under test: a model, its card, and the integrator they make."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from nbody_surrogate.breach import held_to
from nbody_surrogate.errors import InputError
from nbody_surrogate.models import find_model
from nbody_surrogate.origin import origin_of
from nbody_surrogate.registry import make_system, surrogate_class
from nbody_surrogate.surrogate import AbstractSurrogate, Card, CardSystem
from nbody_surrogate.surrogate_integrator import SurrogateIntegrator
from nbody_surrogate.testing.case import DEFAULT_SYSTEM, FEW, StepperCase
from nbody_surrogate.testing.check import failed
from nbody_surrogate.testing.windows import Window, make_window
from nbody_surrogate.weights import load_weights

__all__ = ["SurrogateCase", "surrogate_case"]

SPARE = 3
PERTURBATION = 0.1  # of fresh weights, so that none of them is zero


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
    def longest(self) -> int:
        """Frames of a window: `SPARE` more than the history, unless the model refuses that."""
        long = make_window(self.dt, self.frames + SPARE, n=self.n)
        try:
            long.of(self.model)
        except InputError:
            return self.frames
        return self.frames + SPARE

    def window(self, frames: int | None = None, **options: Any) -> Window:
        """Draw a window; by default of the longest kind."""
        options = {"n": self.n, **options}
        return make_window(self.dt, frames or self.longest, **options)


def surrogate_case(
    name: str, system: str | None = None, weights: str | None = None
) -> SurrogateCase:
    """Return the case of a surrogate: of fresh weights, perturbed, or of those in a folder."""
    cls = surrogate_class(name)
    if weights is not None:
        model, card, _ = load_weights(find_model(weights).folder, name, cls)
    else:
        model, card = _fresh(name, cls, system)
    model = model.double().eval()
    trained = card.systems[0]
    n = min(max(FEW, card.particles[0]), card.particles[1])

    def make(**options: Any) -> SurrogateIntegrator:
        return SurrogateIntegrator(name, model=model, card=card, device="cpu", **options)

    origin = origin_of(cls, "surrogate", name)
    return SurrogateCase(origin, make, make_system(trained.system, **trained.spec), n, model, card)


def _fresh(
    name: str, cls: type[AbstractSurrogate], system: str | None
) -> tuple[AbstractSurrogate, Card]:
    """Make a model of the default config, and the card of one that was trained on a system."""
    origin = origin_of(cls, "surrogate", name)
    try:
        config = cls.Config()
    except ValueError as error:
        what = "must have a default for every field, or give `weights` to check"
        raise failed(origin, "Config", what) from error
    with torch.random.fork_rng(devices=[]), torch.no_grad(), held_to(origin, "__init__"):
        torch.manual_seed(0)
        model = cls(config).double()
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=PERTURBATION)
    shipped = next(iter(cls.shipped_weights.values()), None)
    known = None if shipped is None else load_weights(shipped, name, cls)[1].systems[0].system
    physics = make_system(system or known or DEFAULT_SYSTEM)
    trained = CardSystem(system=physics.name, spec=physics.spec.of_forces(), time_range=(0.0, 1e4))
    card = Card(
        systems=(trained,),
        frame_dt=physics.spec.frame_dt,
        particles=(1, 64),
        charges=(0.0, 2.0),
        masses=(0.1, 10.0),
        dtype="float64",
        symmetries=tuple(sorted(model.symmetries)),
        training_data_hash="none: weights are random",
    )
    return model, card
