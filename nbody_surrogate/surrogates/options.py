"""What every surrogate can be told; without torch, so that options are checked before it loads."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from nbody_surrogate.contracts.hardware import ENGINE_RULE, ENGINES
from nbody_surrogate.contracts.integrator import IntegratorOptions

__all__ = ["NO_WARM_UP", "SurrogateOptions"]

NO_WARM_UP = "none"
"""In place of a solver: a run begins without a past."""


class SurrogateOptions(IntegratorOptions):
    """Options of every surrogate."""

    of_before: ClassVar[Mapping[str, Any]] = MappingProxyType({"engine": "torch"})

    weights: str | None = Field(
        default=None, description="a folder, or the name of shipped weights; default: the first"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or mps")
    dtype: str | None = Field(default=None, description="default: that of the weights")
    warm_up: str = Field(
        default="dop853",
        description="solver that makes the first frames, where a model cannot do without or a "
        "system hides something; none: no past where the model can do without",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="on the CPU; default: as many as pay",
    )
    engine: str = Field(
        default="auto",
        description="what computes a step: the model's own compiled code (fused), torch as it is, "
        "or torch.compile (inductor); auto: fused on the CPU where the model has it, else torch",
    )
    compile: bool = Field(
        default=False, description="the earlier name of `engine` inductor, still understood"
    )

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, engine: str) -> str:
        if engine not in ENGINES:
            raise ValueError(ENGINE_RULE)  # which is given the option's name and value
        return engine

    @model_validator(mode="after")
    def _one_engine(self) -> Self:
        if self.compile and self.engine == "fused":
            raise ValueError("`compile` is `engine` 'inductor', got 'fused' too; leave one out")
        return self
