"""A study's configuration: one validated TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints, model_validator

from nbody_surrogate.contracts.parameters import validated
from nbody_surrogate.files.toml import read_toml
from nbody_surrogate.results.paired import BOUND

__all__ = ["JUDGED_BY", "DataEntry", "ModelEntry", "StudySpec", "read_study", "with_budget"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


JUDGED_BY = {"spread", "bound"}
"""Keys of a study that change no training and no score, only what is said of them."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelEntry(_Section):
    """A model of the study: a registered surrogate under a name of its own."""

    name: Name
    surrogate: str
    config: dict[str, Any] = Field(default_factory=dict)
    steps: PositiveInt | None = Field(default=None, description="its own, whatever the budget")
    training: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the recipe that differ for this model"
    )


class DataEntry(_Section):
    """Data with a task, for several particle numbers and horizons."""

    name: Name
    spec: dict[str, Any] = Field(description="of the data sets")
    particles: list[PositiveInt] = Field(default=[5], min_length=1)
    horizons: list[PositiveInt] = Field(
        default_factory=list, description="frames; by default the one of the spec"
    )
    config: dict[str, Any] = Field(
        default_factory=dict, description="for those models whose config has these keys"
    )
    rotated: Literal["none", "all", "y", "z"] = Field(
        default="none", description="also test on trajectories turned at random, about which axes"
    )


class StudySpec(_Section):
    """Everything a study depends on.

    Each model is trained on each data set with each seed, by the same recipe but for what is said
    of it, and either for `steps` or for as many steps as it makes in `minutes`, which are counted
    once for each model and data set. A model with `steps` of its own makes those.
    """

    title: str
    seeds: list[Seed] = Field(default=[0, 1, 2], min_length=1)
    steps: PositiveInt | None = None
    minutes: float | None = Field(default=None, gt=0)
    test: PositiveInt = Field(default=1000, description="test trajectories, at most")
    training: dict[str, Any] = Field(
        default_factory=dict, description="parameters of the recipe, and `batch`"
    )
    spread: float = Field(
        default=0.25, gt=0, description="of the logarithm of mean errors over seeds, assumed"
    )
    bound: float = Field(
        default=BOUND, gt=1, description="factor of mean errors within which models are equivalent"
    )
    models: list[ModelEntry] = Field(min_length=1)
    data: list[DataEntry] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> StudySpec:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either `steps` or `minutes`")
        self._all_differ("seeds", [str(seed) for seed in self.seeds])
        self._all_differ("models", [model.name for model in self.models])
        self._all_differ("data", [data.name for data in self.data])
        return self

    @staticmethod
    def _all_differ(kind: str, values: list[str]) -> None:
        if len(set(values)) < len(values):
            raise ValueError(f"`{kind}` must all be different, got {', '.join(values)}")


def read_study(path: str | Path) -> StudySpec:
    """Read and check a study.

    Raises
    ------
    InputError
        If the file cannot be read, is no TOML, or a key or value is wrong.
    """
    return validated(StudySpec, read_toml(path, "config"), f"study {str(path)!r}")


def with_budget(study: StudySpec, steps: int | None, minutes: float | None) -> StudySpec:
    """Return a study with another budget; with its own where both are None.

    Raises
    ------
    InputError
        If both are given, or one is not positive.
    """
    if steps is None and minutes is None:
        return study
    values = study.model_dump() | {"steps": steps, "minutes": minutes}
    return validated(StudySpec, values, "the study")
