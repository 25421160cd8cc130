"""Which settings of a method are worth measuring, as the sweep goes from coarse to fine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nbody_surrogate.integrators.approximate import Approximated
from nbody_surrogate.integrators.method_text import Contender

__all__ = ["Settings"]

DEARER = 30.0
"""Times what another takes for the same accuracy: no finer setting of a method makes up for that,
as whatever makes it so dear stays with it."""

FLOOR = 10.0
"""Times the error of the truth, below which errors are not told apart."""


SAME = 0.02
"""Relative: how little two settings differ whose errors are those of the forces that they share."""


class _Measured(NamedTuple):
    """Median errors at the horizons, and the time of all starts."""

    errors: Sequence[float]
    seconds: float


class Settings:
    """What was measured so far, and which methods need no finer settings.

    Parameters
    ----------
    own : mapping of float to float
        The error of the truth at each horizon.
    every : bool
        Whether all are measured, whatever they show.
    """

    def __init__(self, own: Mapping[float, float], every: bool) -> None:
        self._floors = [FLOOR * error for error in own.values()]
        self._every = every
        self._measured: list[_Measured] = []
        self._ended: set[str] = set()
        self._latest: dict[str, Sequence[float]] = {}

    def pays(self, each: Contender) -> bool:
        """Say whether a setting is to be measured, after coarser ones of the same method."""
        return self._every or each.family not in self._ended

    def note(self, each: Contender, errors: Sequence[float], seconds: float) -> None:
        """Take down what a setting showed.

        Parameters
        ----------
        each : Contender
        errors : sequence of float
            Medians at the horizons, in order.
        seconds : float
            Of a run of all starts.
        """
        exact = all(error < floor for error, floor in zip(errors, self._floors, strict=True))
        coarse, self._latest[each.family] = self._latest.get(each.family), errors
        # steps that are twice as long give the same: what is left is the approximation
        stalled = isinstance(each.method, Approximated) and coarse is not None
        stalled = stalled and np.allclose(coarse or (), errors, rtol=SAME, atol=0.0)
        if not each.learned and (exact or stalled or self._beaten(errors, seconds)):
            self._ended.add(each.family)
        self._measured.append(_Measured(errors, seconds))

    def _beaten(self, errors: Sequence[float], seconds: float) -> bool:
        return any(
            seconds > DEARER * other.seconds
            and all(theirs <= mine for theirs, mine in zip(other.errors, errors, strict=True))
            for other in self._measured
        )
