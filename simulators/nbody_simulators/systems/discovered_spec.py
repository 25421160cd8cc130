"""Parameters of a law that was found in tracks: numbers, and nothing else."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from nbody_simulators.force_laws.spline_limits import BROADEST, LARGEST, LEAST, STEEPEST
from nbody_surrogate.contracts import SystemSpec

__all__ = ["DirectedCurve", "DiscoveredSpec", "PairCurve"]

Vector = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Row = tuple[FiniteFloat, ...]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Spline = Annotated[Row, Field(min_length=LEAST, max_length=LARGEST)]
Strip = Annotated[Row, Field(min_length=LEAST, max_length=BROADEST)]
Surface = Annotated[tuple[Strip, ...], Field(min_length=LEAST, max_length=BROADEST)]
NOWHERE: Vector = (0.0, 0.0, 0.0)
SAME = 1e-12  # of couplings, relative to the largest


class Envelope(BaseModel):
    """(r^2 + a^2)^(p / 2) exp(-r / lambda), and where splines stand in u = r / (r + b)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    power: int = Field(ge=-STEEPEST, le=STEEPEST, description="p, a whole number")
    core: float = Field(ge=0, allow_inf_nan=False, description="a")
    screening_length: Positive | None = Field(description="lambda; none is infinite")
    scale: Positive = Field(description="b")
    first: FiniteFloat = Field(description="where the first spline stands in u")
    spacing: Positive = Field(description="from one spline to the next, in u")

    def demand_range(self, count: int) -> None:
        """Demand that the range of `count` splines ends at a finite distance.

        Raises
        ------
        ValueError
        """
        if self.first + self.spacing * (count - 2) >= 1.0 - 1e-9:
            raise ValueError(
                "`first` + `spacing` times the number of splines less two must be below 1, where r "
                "/ (r + scale) is infinitely far"
            )


class PairCurve(Envelope):
    """The central force of a pair."""

    coefficients: Spline

    @model_validator(mode="after")
    def _finite_range(self) -> Self:
        self.demand_range(len(self.coefficients))
        if self.power < 0 and self.core == 0 and self.first + self.spacing <= 0:
            raise ValueError(
                "`first` + `spacing` must be above 0 where `power` is negative and `core` is 0: "
                "the curve would reach to where its energy has no limit"
            )
        return self


class DirectedCurve(Envelope):
    """The force of an ordered pair, along the horizontal separation and along z.

    Splines are products, of u of the horizontal distance and of z / (z^2 + c^2)^(1/2).
    """

    coefficients_rho: Surface
    coefficients_z: Surface
    height_scale: Positive = Field(description="c")
    height_first: FiniteFloat
    height_spacing: Positive

    @model_validator(mode="after")
    def _rectangles(self) -> Self:
        self.demand_range(len(self.coefficients_rho))
        shapes = {len(row) for row in (*self.coefficients_rho, *self.coefficients_z)}
        if len(shapes) > 1 or len(self.coefficients_rho) != len(self.coefficients_z):
            raise ValueError("`coefficients_rho` and `coefficients_z` must be of one shape")
        return self


class DiscoveredSpec(SystemSpec):
    """Parameters of `Discovered`, in the units of the tracks."""

    pair: PairCurve | None = Field(
        default=PairCurve(
            power=-2,
            core=0.1,
            screening_length=None,
            scale=1.0,
            first=0.0,
            spacing=0.2,
            coefficients=(1.0, 1.0, 1.0, 1.0, 1.0),
        ),
        description="the central force of a pair, as a curve; none where there is none",
    )
    directed: DirectedCurve | None = Field(
        default=None, description="forces that are neither central nor reciprocal"
    )
    uniform: Vector = Field(default=NOWHERE, description="acceleration of all particles")
    uniform_by_charge: Vector = Field(default=NOWHERE, description="the same, times q / m")
    gradient: Vector = Field(default=NOWHERE, description="acceleration over x, y and z")
    gradient_by_charge: Vector = Field(default=NOWHERE, description="the same, times q / m")
    drag: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="rate of a unit mass")
    drag_power: FiniteFloat = Field(default=0.0, description="of the mass, that the drag goes by")
    temperature: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="of what drags, and kicks at random"
    )
    dimensions: int = Field(default=3, ge=2, le=3, description="sampler: of the tracks")
    charges: Annotated[Row, Field(min_length=1)] = Field(
        default=(1.0,) * 8, description="sampler: source strengths of the measured particles"
    )
    masses: tuple[Positive, ...] = Field(
        default=(1.0,) * 8, description="sampler: their source strengths over their responses"
    )
    couplings: tuple[Row, ...] | None = Field(
        default=None, description="strengths of all pairs, in place of the products of charges"
    )
    starts_x: tuple[tuple[Row, ...], ...] = Field(
        default=(), description="sampler: measured places; one of these is a start"
    )
    starts_v: tuple[tuple[Row, ...], ...] = Field(
        default=(), description="sampler: the velocities there"
    )

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        n = len(self.charges)
        if len(self.masses) != n:
            raise ValueError(
                f"`masses` must be {n} numbers, as `charges` are, got {len(self.masses)}"
            )
        if self.couplings is not None:
            _demand_symmetric(self.couplings, n)
        shape = (len(self.starts_x), n, self.dimensions)
        for name, starts in (("starts_x", self.starts_x), ("starts_v", self.starts_v)):
            if any(
                len(one) != n or {len(row) for row in one} != {self.dimensions} for one in starts
            ):
                raise ValueError(f"`{name}` must be of shape {shape}, of every particle in each")
        if len(self.starts_v) != len(self.starts_x):
            raise ValueError("`starts_x` and `starts_v` must be of as many starts")
        return self


def _demand_symmetric(couplings: tuple[Row, ...], n: int) -> None:
    """Demand a symmetric matrix of n times n numbers."""
    if len(couplings) != n or {len(row) for row in couplings} != {n}:
        raise ValueError(f"`couplings` must be of shape ({n}, {n}), a number for each pair")
    matrix = np.array(couplings)
    if np.abs(matrix - matrix.T).max() > SAME * np.abs(matrix).max():
        raise ValueError("`couplings` must be symmetric: that of i and j is that of j and i")
