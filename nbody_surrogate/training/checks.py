"""What must hold between a model and its data, said before any data are made."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.making import Maker
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.errors import InputError
from nbody_surrogate.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.system import AbstractSystem
from nbody_surrogate.training.recipe import DataRecipe, Recipe

__all__ = ["check_data"]


def check_data(recipe: Recipe, cls: type[AbstractSurrogate], config: SurrogateConfig) -> None:
    """Demand that the sources exist or can be made, and that the model fits their systems.

    Raises
    ------
    InputError
        If a spec is wrong, a folder holds no data set, or a system does not fit.
    FileFormatError
        If a data set is damaged.
    """
    systems = []
    for number, data in enumerate(recipe.data):
        spec, system = _resolved(data)
        _check_rows(spec, recipe.chunk, number)
        _check_parameters(config, system)
        _check_symmetries(cls, system)
        systems.append(system)
    spacings = {system.spec.frame_dt for system in systems}
    if len(spacings) > 1:
        listed = " and ".join(f"{each:g}" for each in sorted(spacings))
        raise InputError(f"`frame_dt` must be the same for all `data`, got {listed}")


def _resolved(data: DataRecipe) -> tuple[DatasetSpec, AbstractSystem]:
    spec = data.dataset_spec()
    if spec is None:
        assert data.folder is not None
        dataset = Dataset(data.folder)
        return dataset.spec, dataset.system()
    maker = Maker(spec)
    maker.check()
    return spec, maker.system


def _check_rows(spec: DatasetSpec, chunk: int, number: int) -> None:
    """Demand frames that follow one another, enough of them, and some to train on."""
    if (np.diff(spec.numbers) != 1).any():
        raise InputError(f"`data.{number}` must have rows one frame apart, so no `window`")
    if spec.rows <= chunk:
        raise InputError(
            f"`chunk` must be below the {spec.rows} rows of `data.{number}`, got {chunk}"
        )
    if not spec.splits.get("train"):
        raise InputError(f"`splits` of `data.{number}` must have a `train`, got {spec.splits}")


def _check_parameters(config: SurrogateConfig, system: AbstractSystem) -> None:
    spec = system.spec.model_dump()
    for key, assumed in config.model_dump().items():
        if key in spec and spec[key] != assumed:
            raise InputError(
                f"`{key}` is {assumed} in `model` of the recipe, but {spec[key]} in its "
                f"system {system.name!r}; make them equal"
            )


def _check_symmetries(cls: type[AbstractSurrogate], system: AbstractSystem) -> None:
    if cls.applies_field and system.velocity_dependent:
        raise InputError(
            f"`surrogate` applies the external field itself, which goes without forces that "
            f"depend on velocity, as those of system {system.name!r} do"
        )
    held = system.pair_symmetries if cls.applies_field else system.symmetries
    if excess := cls.symmetries - held:
        raise InputError(
            f"`surrogate` has symmetries that system {system.name!r} lacks: "
            f"{', '.join(sorted(excess))}"
        )
