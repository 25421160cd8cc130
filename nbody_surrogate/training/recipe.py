"""A training run's recipe: one validated TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.datasets.spec import DatasetSpec, resolve
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.json_file import read_json, write_json
from nbody_surrogate.files.toml import read_toml

__all__ = ["DataRecipe", "Recipe", "checked_recipe", "claim_folder", "read_recipe", "recipe_of_run"]

NAME = "recipe.json"  # in a run folder
LONG = 1000
"""Steps from which on compiling kernels is worth the minute that it takes."""
OF_BEFORE = "torch"
"""The engine of trainings whose recipe does not know of engines."""

Quantile = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataRecipe(_Section):
    """One source of trajectories: a data set that is there, or the spec of one to make.

    With `live`, the trajectories of the spec are made while the model trains, without end.
    """

    batch: PositiveInt = Field(description="windows per step")
    folder: str | None = Field(default=None, description="of a data set")
    spec: dict[str, Any] | None = Field(default=None, description="of the data set to make")
    live: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> DataRecipe:
        if (self.folder is None) == (self.spec is None):
            raise ValueError("give either a `folder` or a `spec`")
        if self.live and self.spec is None:
            raise ValueError("`live` needs a `spec`")
        return self

    def dataset_spec(self) -> DatasetSpec | None:
        """Return the spec of the data set to make, or None where it is there.

        Raises
        ------
        InputError
            If it is wrong.
        """
        return None if self.spec is None else resolve(self.spec, "`data.spec`")


class Recipe(_Section):
    """Everything a training run depends on.

    The loss is a weighted sum over quantiles of the mean of log(1 + e^2 / s^2) over frames, for
    positions and for velocities. Here e^2 is the frame's mean squared error, in units of dt^2 / 2
    for positions and dt for velocities, and s^2 follows the quantile of e^2 over the batch, for
    each source of data by itself. A median looks after ordinary frames, a high quantile after
    close encounters, which make the mean error. Steps cycle through the sources.

    With `task` the model predicts, in one shot, the target row of the data sets' task from the last
    rows that are given, as many as its `history`, in place of frame after frame. Errors then count
    as they are, and `chunk` does not matter.

    In the last `unroll_steps` steps the model also predicts from its own predictions: `unroll`
    passes over a window, the frames of each being what the pass before predicted. With
    `pushforward` no gradient flows from one pass to the one before (Brandstetter, Worrall and
    Welling, ICLR 2022). The weights that are kept are those of the best validation, or, with a
    last stage, those of its end.

    With the engine "fused" the model is trained by compiled code where it has some, and the
    optimiser by torch's fused one; results differ from those of "torch" by rounding. "auto" is
    "fused" from 1000 steps on.
    """

    surrogate: str
    model: dict[str, Any] = Field(default_factory=dict, description="the surrogate's config")
    initial: str | None = Field(default=None, description="model whose weights to start from")
    data: list[DataRecipe] = Field(min_length=1)
    steps: int = Field(ge=1)
    chunk: int = Field(default=12, ge=1, description="supervised frames of a window")
    task: bool = Field(default=False, description="predict the task of the data sets, in one shot")
    velocity_weight: float = Field(default=1.0, ge=0, description="of velocities in the loss")
    loss: str = Field(default="log", pattern="^(log|mse)$")
    learning_rate: float = Field(default=2e-3, gt=0)
    final_learning_rate: float = Field(default=2e-5, ge=0)
    rise: int = Field(default=200, ge=1, description="steps of linear warm-up")
    weight_decay: float = Field(default=1e-6, ge=0)
    clip: float = Field(default=1.0, gt=0)
    quantiles: dict[Quantile, Weight] = Field(
        default={0.5: 1.0, 0.98: 8.0}, description="quantile to weight", min_length=1
    )
    ema: float = Field(default=0.998, ge=0, lt=1)
    unroll: int = Field(default=1, ge=1, description="passes of the last stage")
    unroll_steps: int = Field(default=0, ge=0, description="steps of the last stage")
    pushforward: bool = True
    engine: Literal["auto", "fused", "torch"] = Field(
        default="auto",
        description="compiled code for what has it, plain torch, or by the number of steps",
    )
    seed: int = Field(default=0, ge=0, lt=2**32)
    checkpoint_every: int = Field(default=250, ge=1)
    validate_every: int = Field(default=1000, ge=1)
    validation: int = Field(default=64, ge=1, description="trajectories of each source, at most")
    patience: int = Field(default=0, ge=0, description="validations without gain; 0 for no end")

    __repr__ = brief

    @property
    def engine_used(self) -> Literal["fused", "torch"]:
        """The engine that "auto" stands for, or the one that is named."""
        if self.engine != "auto":
            return self.engine
        return "fused" if self.steps >= LONG else "torch"

    @model_validator(mode="after")
    def _stages_fit(self) -> Recipe:
        if self.unroll_steps > self.steps:
            raise ValueError(
                f"`unroll_steps` must be at most `steps` {self.steps}, got {self.unroll_steps}"
            )
        if self.task and self.unroll > 1:
            raise ValueError(f"`unroll` must be 1 with `task`, got {self.unroll}")
        if self.unroll > self.chunk:
            raise ValueError(f"`unroll` must be at most `chunk` {self.chunk}, got {self.unroll}")
        return self


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe.

    Raises
    ------
    InputError
        If the file cannot be read, is no TOML, or a key or value is wrong.
    """
    return checked_recipe(read_toml(path, "config"), path)


def recipe_of_run(folder: str | Path) -> Recipe:
    """Read the recipe of a run folder.

    Raises
    ------
    InputError
        If the folder holds no run.
    FileFormatError
        If its recipe is damaged.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise InputError(f"`resume` {str(folder)!r} holds no training run")
    values = read_json(path)
    if not isinstance(values, dict):
        raise FileFormatError(f"{str(path)!r} is damaged: it is no recipe")
    return checked_recipe({"engine": OF_BEFORE, **values}, path)


def claim_folder(folder: Path, recipe: Recipe) -> Recipe:
    """Make a folder that of a run of a recipe, or find that it is.

    Returns
    -------
    Recipe
        The recipe; in a folder of a version without engines, with the engine of that time, unless
        it names another one.

    Raises
    ------
    InputError
        If it cannot be made, or holds a run of another recipe.
    FileFormatError
        If the recipe that it holds is damaged.
    RunError
        If nothing can be written to it.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"`output` {str(folder)!r}: {error.strerror}") from None
    there = read_json(path) if path.is_file() else None
    if isinstance(there, dict) and "engine" not in there:
        there["engine"] = OF_BEFORE
        if "engine" not in recipe.model_fields_set:
            recipe = recipe.model_copy(update={"engine": OF_BEFORE})
    mine = recipe.model_dump(mode="json")
    if path.is_file() and there != mine:
        raise InputError(
            f"`output` {str(folder)!r} holds a run of another recipe{_changed(there, mine)}; "
            "choose another folder"
        )
    if not path.is_file():
        write_json(path, mine)
    return recipe


def _changed(there: Any, mine: dict[str, Any]) -> str:
    """Say in brackets what of a recipe is another one."""
    if not isinstance(there, dict):
        return ""
    keys = [key for key in mine if there.get(key) != mine[key]]
    if keys == ["steps"]:
        # the learning rate follows the share of the steps that are done
        return (
            f" (`steps` {there.get('steps')}, not {mine['steps']}, which its learning rate follows:"
            " `initial` trains its weights further)"
        )
    return f" (another {', '.join(f'`{key}`' for key in keys)})" if keys else ""


def checked_recipe(values: Any, path: str | Path) -> Recipe:
    """Make a recipe of its keys; `path` is what errors call it.

    Raises
    ------
    InputError
        If a key or a value is wrong.
    """
    recipe = validated(Recipe, values, f"recipe {str(path)!r}")
    for data in recipe.data:
        data.dataset_spec()
    return recipe
