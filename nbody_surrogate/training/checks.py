"""What must hold between a model and its data, said before any data are made."""

from __future__ import annotations

import numpy as np
import torch

from nbody_surrogate.contracts.surrogate import (
    AbstractSurrogate,
    SurrogateConfig,
    excess_symmetries,
)
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.times import same_spacing
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.datasets.task_rows import task_rows
from nbody_surrogate.errors import InputError
from nbody_surrogate.training.recipe import DataRecipe, Recipe

__all__ = ["check_data", "check_device", "check_fit"]


def check_device(device: torch.device) -> None:
    """Demand a device that can train.

    Raises
    ------
    InputError
        If it cannot.
    """
    if device.type == "mps":
        raise InputError("`device` 'mps' has no float64, which frames come in; use cpu")


def check_data(recipe: Recipe, model: AbstractSurrogate) -> None:
    """Demand that the sources exist or can be made, and that the model fits their systems.

    Raises
    ------
    InputError
        If a spec is wrong, a folder holds no data set, or a system does not fit.
    FileFormatError
        If a data set is damaged.
    """
    spacings, horizons = [], []
    for number, data in enumerate(recipe.data):
        spec, system = _resolved(data)
        check_fit(recipe, model, spec, f"`data.{number}`")
        dt = system.spec.frame_dt
        if recipe.task:
            rows = task_rows(spec, model.config.history)
            spacings.append(rows.spacing * dt)
            horizons.append(rows.horizon * dt)
        else:
            spacings.append(dt)
    _check_same("frame_dt", spacings)
    _check_same("horizon", horizons)


def check_fit(recipe: Recipe, model: AbstractSurrogate, spec: DatasetSpec, owner: str) -> None:
    """Demand that a data set has what the recipe asks for, and that the model fits its system.

    Raises
    ------
    InputError
        If not; `owner` is what the message calls the data set.
    """
    system = spec.make_system()
    if recipe.task:
        task_rows(spec, model.config.history, owner)
    else:
        _check_rows(spec, recipe.chunk, owner)
        _check_window(model, recipe.chunk)
    _check_splits(spec, owner)
    _check_particles(model, spec, owner)
    _check_parameters(model.config, system)
    _check_symmetries(model, system)


def _check_same(name: str, values: list[float]) -> None:
    if not all(same_spacing(each, values[0]) for each in values):
        listed = " and ".join(f"{each:g}" for each in sorted(set(values)))
        raise InputError(f"`{name}` must be the same for all `data`, got {listed}")


def _resolved(data: DataRecipe) -> tuple[DatasetSpec, AbstractSystem]:
    spec = data.dataset_spec()
    if spec is None:
        assert data.folder is not None
        dataset = Dataset(data.folder)
        return dataset.spec, dataset.system()
    maker = TrajectoryMaker(spec)
    maker.check()
    return spec, maker.system


def _check_rows(spec: DatasetSpec, chunk: int, owner: str) -> None:
    """Demand frames that follow one another, and enough of them."""
    if (np.diff(spec.numbers) != 1).any():
        raise InputError(
            f"{owner} must have rows one frame apart, so no `window`, unless the recipe "
            "says `task = true`"
        )
    if spec.rows <= chunk:
        raise InputError(f"`chunk` must be below the {spec.rows} rows of {owner}, got {chunk}")


def _check_window(model: AbstractSurrogate, chunk: int) -> None:
    history = model.config.history
    if model.one_shot and chunk > history:
        raise InputError(
            f"`chunk` must be at most the `history` {history} of a one-shot model, got {chunk}; "
            f"set `chunk` to {history}, or a longer `history` in [model]"
        )


def _check_particles(model: AbstractSurrogate, spec: DatasetSpec, owner: str) -> None:
    if model.fixed_particles not in (None, spec.particles):
        raise InputError(
            f"`particles` is {model.fixed_particles} in `model` of the recipe, but "
            f"{spec.particles} in {owner}; make them equal"
        )


def _check_splits(spec: DatasetSpec, owner: str) -> None:
    if not spec.splits.get("train"):
        raise InputError(f"`splits` of {owner} must have a `train`, got {spec.splits}")


def _check_parameters(config: SurrogateConfig, system: AbstractSystem) -> None:
    spec = system.spec.model_dump()
    for key, assumed in config.model_dump().items():
        if key in spec and spec[key] != assumed:
            raise InputError(
                f"`{key}` is {assumed} in `model` of the recipe, but {spec[key]} in its "
                f"system {system.name!r}; make them equal"
            )


def _check_symmetries(model: AbstractSurrogate, system: AbstractSystem) -> None:
    if model.applies_field and system.velocity_dependent:
        raise InputError(
            f"`surrogate` applies the external field itself, which goes without forces that "
            f"depend on velocity, as those of system {system.name!r} do"
        )
    if excess := excess_symmetries(model, system):
        raise InputError(
            f"`surrogate` has symmetries that system {system.name!r} lacks: {', '.join(excess)}"
        )
