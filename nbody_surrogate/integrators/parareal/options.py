"""What parareal can be told."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.integrator_options import IntegratorOptions
from nbody_surrogate.parallel.limits import MOST_WORKERS

__all__ = ["MOST_SLICES", "PararealOptions"]

MOST_SLICES = 1024
"""As many as workers: more can only wait for each other."""


class PararealOptions(IntegratorOptions):
    """Options of parareal.

    A method is a text, such as ``leapfrog:4`` or ``set``, or the description that a method has.
    """

    segment: int = Field(default=48, ge=1, description="frames of a window, divided into slices")
    coarse: str | dict[str, Any] = Field(
        default="leapfrog:4", description="the cheap method, such as set or leapfrog:4"
    )
    fine: str | dict[str, Any] = Field(
        default="dop853", description="the method whose result it is, such as dop853:1e-9"
    )
    slices: int = Field(
        default=8,
        ge=1,
        le=MOST_SLICES,
        description="of a window, at most; as many as divide it into equal parts",
    )
    tolerance: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="largest relative change of a slice's start between iterations that counts as "
        "none; 0 for the fine method's bits; default: its relative tolerance, or 1e-9",
    )
    max_iterations: int | None = Field(
        default=None, ge=1, description="after which slices are made one after the other"
    )
    workers: int = Field(
        default=1, ge=1, le=MOST_WORKERS, description="processes that make slices side by side"
    )

    @field_validator("coarse", "fine", mode="before")
    @classmethod
    def _described(cls, method: Any) -> Any:
        if isinstance(method, AbstractIntegrator):
            return described(method)
        if not (isinstance(method, str) or (isinstance(method, dict) and "integrator" in method)):
            raise ValueError("must be a text such as leapfrog:4, or an integrator")
        return method


def described(method: AbstractIntegrator) -> dict[str, Any]:
    """Return what a method can be made from again: its name, and the options that it was given."""
    return {"integrator": method.name, **method.options.model_dump()}
