"""The cells of a study: which model on which data with which seed, and its training recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.datasets.spec import DatasetSpec, resolve
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.study.spec import DataEntry, ModelEntry, StudySpec
from nbody_surrogate.training.recipe import Recipe

__all__ = ["VALIDATIONS", "Cell", "Place", "cells", "places", "recipe_of"]

BATCH = 100
VALIDATIONS = 20  # of a training
VALIDATION = 500  # trajectories


class Place(NamedTuple):
    """A data set of the study."""

    data: DataEntry
    particles: int
    horizon: int | None

    @property
    def name(self) -> str:
        """A name for files."""
        horizon = "" if self.horizon is None else f"-h{self.horizon}"
        return f"{self.data.name}-n{self.particles}{horizon}"

    def spec(self) -> DatasetSpec:
        """Return the spec of the data set.

        Raises
        ------
        InputError
            If it is wrong or has no task.
        """
        values = {**self.data.spec, "particles": self.particles}
        if self.horizon is not None:
            values["horizon"] = self.horizon
        spec = resolve(values, f"data {self.data.name!r}")
        if spec.task is None or not spec.splits.get("train") or not spec.splits.get("test"):
            raise InputError(
                f"`spec` of data {self.data.name!r} must have a `task` or a `window`, and the "
                "splits train and test"
            )
        return spec


class Cell(NamedTuple):
    """One training of the study."""

    model: ModelEntry
    place: Place
    seed: int

    @property
    def group(self) -> str:
        """A name for files that all seeds share."""
        return f"{self.model.name}-{self.place.name}"

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.group}-seed{self.seed}"


def places(study: StudySpec) -> list[Place]:
    """Return the data sets of a study."""
    found = []
    for data in study.data:
        horizons: list[int | None] = [*data.horizons] or [None]
        found += [Place(data, n, horizon) for n in data.particles for horizon in horizons]
    return found


def cells(study: StudySpec) -> list[Cell]:
    """Return all cells, seed by seed, so that an early end leaves whole tables."""
    return [
        Cell(model, place, seed)
        for seed in study.seeds
        for place in places(study)
        for model in study.models
    ]


def recipe_of(study: StudySpec, cell: Cell, folder: Path, steps: int) -> Recipe:
    """Return the recipe of a cell's training on the data set in a folder.

    Raises
    ------
    InputError
        If the surrogate is unknown, or a parameter is wrong.
    """
    values: dict[str, Any] = {"loss": "mse", "validation": VALIDATION, **study.training}
    values |= cell.model.training
    batch = values.pop("batch", BATCH)
    every = max(steps // VALIDATIONS, 1)
    fixed = {
        "surrogate": cell.model.surrogate,
        "model": _config(cell),
        "task": True,
        "seed": cell.seed,
        "steps": steps,
        "data": [{"batch": batch, "folder": str(folder)}],
    }
    for key in fixed.keys() & values.keys():
        raise InputError(f"`{key}` is settled by the study; leave it out of `training`")
    paced = {"validate_every": every, "checkpoint_every": every, **values}
    return validated(Recipe, {**paced, **fixed}, f"the training of model {cell.model.name!r}")


def _config(cell: Cell) -> Mapping[str, Any]:
    """Fill in what depends on the data, where the model's config has it."""
    cls = surrogate_class(cell.model.surrogate)
    known = cls.Config.model_fields
    found = {"particles": cell.place.particles, **cell.place.data.config}
    config = {key: value for key, value in found.items() if key in known} | cell.model.config
    validated(cls.Config, config, f"model {cell.model.name!r}")
    return config
