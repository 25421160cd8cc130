"""How wide the error estimate of a method has to be, so that it covers what it says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from nbody_surrogate.contracts.brief import brief

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["ErrorModel"]

COVERAGE = 0.95
"""Nominal: the share of cases in which the true error is to be below the estimate."""


class ErrorModel(BaseModel):
    """What turns the two error estimates of a run into a bound of a stated coverage.

    The estimate of a run is made twice, by a finer and a coarser solver. The bound is the size of
    the finer one plus a factor times the difference of the two. The factors are quantiles: held-out
    starts say what they must be. They depend on the age of a run, in frames, since differences
    that grow are trusted less; between the ages they are interpolated in its logarithm.

    A model that was not calibrated has factors of 1, which is cautious: the difference is dominated
    by the coarser solver.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    substeps: int = Field(default=32, ge=4, multiple_of=4, description="of the finer solver")
    coverage: float = Field(default=COVERAGE, gt=0, lt=1, description="nominal")
    frame_factor: float = Field(default=1.0, ge=0, description="of a single frame's error")
    ages: tuple[int, ...] = Field(default=(1,), min_length=1, description="frames since the start")
    factors: tuple[float, ...] = Field(default=(1.0,), description="of the run's error, at `ages`")
    starts: int = Field(default=0, ge=0, description="that it was calibrated on; 0: it was not")
    seed: int = Field(default=0, ge=0, description="of those starts")

    __repr__ = brief

    @model_validator(mode="after")
    def _in_order(self) -> ErrorModel:
        ages, factors = self.ages, self.factors
        if len(ages) != len(factors) or min(factors) < 0:
            raise ValueError("`factors` must be numbers >= 0, one for each of `ages`")
        if ages[0] < 1 or any(a >= b for a, b in itertools.pairwise(ages)):
            raise ValueError("`ages` must be at least 1, and grow")
        return self

    @property
    def calibrated(self) -> bool:
        """Whether held-out starts were looked at."""
        return self.starts > 0

    def factor(self, ages: np.ndarray) -> Float64[np.ndarray, " F"]:
        """Return the factors at some ages, shape (F,); beyond the last one they stay.

        Parameters
        ----------
        ages : ndarray, shape (F,)
            Frames since the start, at least 1.

        Returns
        -------
        ndarray, shape (F,)
        """
        return np.asarray(np.interp(np.log(ages), np.log(self.ages), self.factors))
