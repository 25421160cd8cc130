"""`train`: a surrogate by its recipe, in one call."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.device import resolve_device
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.errors import InputError
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.files.json_file import read_json
from nbody_surrogate.parallel.limits import check_workers
from nbody_surrogate.surrogates.trained_models import find_model
from nbody_surrogate.training.log import read_log
from nbody_surrogate.training.recipe import Recipe, checked_recipe, read_recipe
from nbody_surrogate.training.summary import WEIGHTS
from nbody_surrogate.training.trainer import Progress, Trainer

__all__ = ["TrainedModel", "train"]


@dataclass(frozen=True)
class TrainedModel(os.PathLike[str]):
    """A training that is finished, in its folder; it stands for that wherever a path is taken.

    Attributes
    ----------
    folder : Path
    recipe : Recipe
    """

    folder: Path
    recipe: Recipe

    @property
    def model(self) -> AbstractSurrogate:
        """The model with the weights that were kept, those of the best validation."""
        return find_model(str(self.weights)).load()[0]

    @property
    def card(self) -> Card:
        """What the weights are for, and how they came about."""
        return find_model(str(self.weights)).load()[1]

    @property
    def weights(self) -> Path:
        """The folder that ``make_integrator(name, weights=...)`` takes."""
        return self.folder / WEIGHTS

    @property
    def history(self) -> list[dict[str, Any]]:
        """The log, an entry for each checkpoint and validation: ``step``, ``loss``, ..."""
        return read_log(self.folder)

    @property
    def summary(self) -> dict[str, Any]:
        """Scores of the kept weights, and under ``diagnosis`` what went wrong, in words."""
        return dict(read_json(self.folder / "summary.json"))

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"<TrainedModel: {self.recipe.surrogate} in {str(self.folder)!r}>"


@guided(
    epochs="`steps` of the recipe",
    lr="`learning_rate` of the recipe",
    folder="`output`",
    config="`recipe`",
    output="the folder that gets weights and log, such as output='runs/mine'",
    recipe="the path of a TOML file, or a mapping of its keys",
)
def train(
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe,
    output: str | os.PathLike[str],
    *,
    workers: int = 2,
    device: str = "auto",
    report: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train a surrogate, as `nbody-sim train` does.

    A folder with a part of the same training is gone on with, and ends with the bits of one that
    was not stopped.

    Parameters
    ----------
    recipe : path_like, mapping or Recipe
        A TOML file, or its keys.
    output : path_like
        The folder that gets the recipe, the data that are made, checkpoints, the log, a figure,
        and in ``weights`` the model.
    workers : int
        Trajectories that are made at a time.
    device : {"auto", "cpu", "cuda"}
    report : callable, optional
        Takes a line of text now and then, such as `print`.
    progress : callable, optional
        Takes the step, its typical residual, and the latest validation error or None.

    Returns
    -------
    TrainedModel

    Raises
    ------
    InputError
        If the recipe is wrong, or the folder belongs to another one.
    RunError
        If the loss is no number any more, memory runs out, or nothing can be written.
    """
    check_workers(workers)
    folder, wanted = demand_path("output", output), _recipe(recipe)
    say = report if report is not None else _silent
    name = os.fspath(recipe) if isinstance(recipe, str | os.PathLike) else "a recipe of its own"
    command = f"nbody_surrogate.train({json.dumps(str(name))}, {json.dumps(str(folder))})"
    with sole_writer(folder):
        trainer = Trainer(wanted, folder, workers, say, str(resolve_device(device)), command)
        for line in trainer.run(progress):
            say(line)
    # whole, since the working folder may change before its log is read
    return TrainedModel(folder.absolute(), wanted)


def _recipe(given: str | os.PathLike[str] | Mapping[str, Any] | Recipe) -> Recipe:
    if isinstance(given, Recipe):
        return given
    if isinstance(given, Mapping):
        return checked_recipe(dict(given), "given")
    if isinstance(given, str | os.PathLike):
        return read_recipe(demand_path("recipe", given))
    raise InputError(
        f"`recipe` must be the path of a TOML file or a mapping, got {type(given).__name__}"
    )


def _silent(line: str) -> None:
    return
