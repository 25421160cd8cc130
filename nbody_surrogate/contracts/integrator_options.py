"""What an integrator can be told: the base of all classes of options, and what all refuse."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from nbody_surrogate.contracts.threads import MOST_THREADS

__all__ = ["IntegratorOptions"]

NUMBERS = (int, float, int | None, float | None)


class IntegratorOptions(BaseModel):
    """Base of every integrator's options: unknown keys are refused.

    So are True and text where a number must stand, and in a field `threads` more of them than
    any machine has.

    Where an option is added later whose default gives other bits than before, `of_before` says
    which value stands for those: files that do not hold the option go on with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of_before: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Values of options by which files are read that were written before these options were."""

    segment: int = Field(default=50, ge=1, description="frames between two boundaries")

    @field_validator("*", mode="before")
    @classmethod
    def _number(cls, value: Any, info: Any) -> Any:
        """Refuse what pydantic would make a number of; its strict mode refuses NumPy's too."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if kind in NUMBERS and isinstance(value, bool | str | bytes):
            raise ValueError("must be a number")
        return value

    @field_validator("threads", check_fields=False)
    @classmethod
    def _threads(cls, threads: int | None) -> int | None:
        if threads is not None and threads > MOST_THREADS:
            raise ValueError(f"must be <= {MOST_THREADS}")
        return threads
