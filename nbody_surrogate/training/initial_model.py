"""What a training begins with: random parameters, or those of a trained model."""

from __future__ import annotations

from typing import NamedTuple

import torch

from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.contracts.surrogate import (
    AbstractSurrogate,
    ParticleTensors,
    SurrogateConfig,
)
from nbody_surrogate.contracts.violations import plugin_errors
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.surrogates.weights import load_weights
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.sources import Source

__all__ = ["InitialModel", "initial_model", "initialise"]


class InitialModel(NamedTuple):
    """A model to train, and what minutes of training it has behind it, where that is known."""

    model: AbstractSurrogate
    minutes: float | None


def initial_model(recipe: Recipe) -> InitialModel:
    """Draw the parameters of the recipe's surrogate, or take those that it names.

    Raises
    ------
    InputError
        If the surrogate is unknown, its config wrong, or the model to begin with is missing or
        has another config.
    FileFormatError
        If that model is damaged.
    PluginError
        If the surrogate cannot be made.
    """
    cls = surrogate_class(recipe.surrogate)
    config = validated(cls.Config, recipe.model, f"surrogate {recipe.surrogate!r}")
    torch.manual_seed(recipe.seed)
    if recipe.initial is None:
        with plugin_errors(origin_of(cls, "surrogate"), "__init__"):
            return InitialModel(cls(config), 0.0)
    return _trained(recipe, recipe.initial, cls, config)


def _trained(
    recipe: Recipe, initial: str, cls: type[AbstractSurrogate], config: SurrogateConfig
) -> InitialModel:
    folder = find_model(initial, "initial").folder
    model, card, _ = load_weights(folder, recipe.surrogate, cls)
    if model.config == config:
        return InitialModel(model.train(), card.training_minutes)
    theirs, mine = model.config.model_dump(), config.model_dump()
    for key in (key for key in mine if key not in config.free):
        if theirs[key] != mine[key]:
            raise InputError(
                f"`initial` {initial!r} has `{key}` {theirs[key]!r}, the recipe {mine[key]!r}; "
                "give the same under [model]"
            )
    with plugin_errors(origin_of(cls, "surrogate"), "__init__"):
        changed = cls(config).to(model.dtype)
        changed.load_state_dict(model.state_dict())
    return InitialModel(changed.train(), card.training_minutes)


@torch.no_grad()
def initialise(
    model: AbstractSurrogate, recipe: Recipe, source: Source, device: torch.device
) -> None:
    """Let a model on a device take what the first trajectories of a source give in closed form."""
    truth = source.beginning()
    rows = slice(None) if recipe.task else slice(recipe.chunk + 1)
    x = torch.tensor(truth.x[:, rows], device=device)
    v = torch.tensor(truth.v[:, rows], device=device)
    particles = ParticleTensors.from_particles(truth.particles, device, model.dtype, source.field)
    dx = x[:, -1] - x[:, -2]
    dv = v[:, -1] - v[:, -2]
    model.initialise(x[:, :-1], v[:, :-1], particles, dx, dv)
