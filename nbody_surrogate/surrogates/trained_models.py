"""Trained models: those that ship, by name, and those in folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.contracts.violations import plugin_errors
from nbody_surrogate.errors import PluginError, warn
from nbody_surrogate.registry.registry import surrogate_class, surrogate_classes
from nbody_surrogate.surrogates.places import (
    find_place,
    json_value,
    refuse_unknown_model,
    unknown_model,
)
from nbody_surrogate.surrogates.weights import load_weights

__all__ = [
    "CARD_FILE",
    "EVALUATION_FILE",
    "Evaluation",
    "Model",
    "find_model",
    "list_models",
    "load_model",
    "shipped_models",
]

CARD_FILE, EVALUATION_FILE = "README.md", "evaluation.json"


class Evaluation(NamedTuple):
    """A table of scores, each row as plain types, and the command that made it."""

    command: str
    rows: list[dict[str, Any]]


class Model(NamedTuple):
    """A set of weights: its name, the surrogate it is of, and its folder."""

    name: str
    surrogate: str
    folder: Path

    def load(self) -> tuple[AbstractSurrogate, Card]:
        """Load the model and its card.

        Raises
        ------
        FileFormatError
            If they cannot be read.
        PluginError
            If its surrogate cannot be loaded, or made.
        """
        cls = surrogate_class(self.surrogate)
        with plugin_errors(origin_of(cls, "surrogate", self.surrogate), "__init__"):
            model, card, _ = load_weights(self.folder, self.surrogate, cls)
        return model, card

    def evaluation(self) -> Evaluation | None:
        """Return what `nbody-sim evaluate --card` left in the folder, if it did."""
        path = self.folder / EVALUATION_FILE
        if not path.is_file():
            return None
        wrong = "it holds no evaluation"
        return Evaluation(*(json_value(path, key, wrong) for key in Evaluation._fields))


def shipped_models() -> list[Model]:
    """Return the models that ship with the registered surrogates.

    A surrogate that cannot be loaded, or does not say where its weights are, is warned about and
    left out.
    """
    found = []
    for surrogate, cls in surrogate_classes().items():
        origin = origin_of(cls, "surrogate", surrogate)
        try:
            with plugin_errors(origin, "shipped_weights"):
                found += [Model(str(name), surrogate, Path(folder))
                          for name, folder in cls.shipped_weights.items()]  # fmt: skip
        except PluginError as error:
            warn(str(error))
    return found


def list_models() -> list[str]:
    """Return the names of the models that ship, for `load_model` and ``weights=``.

    Returns
    -------
    list of str
    """
    return [model.name for model in shipped_models()]


@guided(path="`name`", model="`name`", pretrained="`name`: all models are trained")
def load_model(name: str | os.PathLike[str]) -> AbstractSurrogate:
    """Load a trained model, a `torch.nn.Module` in reduced units.

    ``make_integrator(surrogate, weights=name)`` gives it as an integrator, with its card, and
    `simulate` takes it as it is.

    Parameters
    ----------
    name : str or path_like
        Of `list_models`, the folder of its weights, or that of a training.

    Returns
    -------
    AbstractSurrogate

    Raises
    ------
    InputError
        If there is none.
    FileFormatError
        If it cannot be read.
    PluginError
        If its surrogate cannot be loaded.
    """
    return find_model(str(demand_path("name", name)), "name").load()[0]


def find_model(name: str, parameter: str = "model") -> Model:
    """Find a model by its name, by the folder of its weights, or by a training run's folder.

    Parameters
    ----------
    name : str
    parameter : str
        What errors call it.

    Raises
    ------
    InputError
        If there is none.
    FileFormatError
        If the folder's `config.json` does not say which surrogate it is of.
    """
    if (place := find_place(name)) is not None:
        return Model(*place)
    refuse_unknown_model(name, parameter)
    # of packages that keep their weights elsewhere, which are imported to be asked
    shipped = {model.name: model for model in shipped_models()}
    if name in shipped:
        return shipped[name]
    raise unknown_model(name, parameter, list(shipped))
