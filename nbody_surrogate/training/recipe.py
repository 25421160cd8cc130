"""A training run's recipe: one validated TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from nbody_surrogate.errors import InputError
from nbody_surrogate.options import validated

__all__ = ["DataRecipe", "Recipe", "read_recipe"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataRecipe(_Section):
    """Trajectories of the reference solver; lists hold one entry for each particle number."""

    particles: list[PositiveInt] = Field(min_length=1)
    trajectories: list[PositiveInt] = Field(min_length=1)
    frames: int = Field(default=100, ge=2, description="frames after the start")
    seed: int = Field(default=1, ge=0)
    integrator: str = "dop853"
    tolerance: float = Field(default=1e-10, gt=0)


class Recipe(_Section):
    """Everything a training run depends on.

    The loss is a weighted sum over quantiles of the mean of log(1 + e^2 / s^2) over frames, for
    positions and for velocities. Here e^2 is the frame's mean squared error, in units of dt^2 / 2
    for positions and dt for velocities, and s^2 follows the quantile of e^2 over the batch, for
    each particle number by itself. A median looks after ordinary frames, a high quantile after
    close encounters, which make the mean error.
    """

    surrogate: str
    system: str = "charged"
    model: dict[str, Any] = Field(default_factory=dict, description="the surrogate's config")
    system_parameters: dict[str, Any] = Field(default_factory=dict)
    data: DataRecipe
    steps: int = Field(ge=1)
    batch: list[PositiveInt] = Field(min_length=1, description="chunks per step, for each number")
    chunk: int = Field(default=12, ge=1, description="supervised frames of a chunk")
    learning_rate: float = Field(default=2e-3, gt=0)
    final_learning_rate: float = Field(default=2e-5, ge=0)
    rise: int = Field(default=200, ge=1, description="steps of linear warm-up")
    weight_decay: float = Field(default=1e-6, ge=0)
    clip: float = Field(default=1.0, gt=0)
    quantiles: dict[float, float] = Field(
        default={0.5: 1.0, 0.98: 8.0}, description="quantile to weight", min_length=1
    )
    ema: float = Field(default=0.998, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    checkpoint_every: int = Field(default=250, ge=1)


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe.

    Raises
    ------
    InputError
        If the file cannot be read, is no TOML, or a key or value is wrong.
    """
    try:
        values = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise InputError(f"`config` {str(path)!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"`config` {str(path)!r} is not valid TOML: {error}") from None
    recipe = validated(Recipe, values, f"recipe {str(path)!r}")
    if not all(0 < q < 1 and weight > 0 for q, weight in recipe.quantiles.items()):
        raise InputError(
            f"`quantiles` of recipe {str(path)!r} must map numbers between 0 and 1 to weights > 0"
        )
    counts = {len(recipe.data.particles), len(recipe.data.trajectories), len(recipe.batch)}
    if len(counts) > 1:
        raise InputError(
            f"`particles`, `trajectories` and `batch` of recipe {str(path)!r} must be equally long"
        )
    if len(set(recipe.data.particles)) < len(recipe.data.particles):
        raise InputError(
            f"`particles` of recipe {str(path)!r} must differ, got {recipe.data.particles}"
        )
    if recipe.data.frames <= recipe.chunk:
        raise InputError(
            f"`frames` of recipe {str(path)!r} must be above `chunk` {recipe.chunk}, "
            f"got {recipe.data.frames}"
        )
    return recipe
