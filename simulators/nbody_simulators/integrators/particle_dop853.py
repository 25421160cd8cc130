"""DOP853 with the error of the worst particle, compiled, ready for any trajectory of a batch."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from nbody_simulators.integrators.encounters import CLOSER, LOOKS, SHARE, STEEPER
from nbody_simulators.integrators.outcome import PATIENCE, SPECK, TOO_SHORT, Outcome
from nbody_simulators.kernels.dormand_prince import ENDLESS, NOT_FINITE, TOO_SMALL, solve

__all__ = ["ParticleSolver"]

FAILURES = {
    TOO_SMALL: "required step size is less than spacing between numbers",
    NOT_FINITE: "the force is not finite",
    ENDLESS: TOO_SHORT,
}
LOOK = (SHARE, STEEPER, CLOSER, LOOKS)


@final
class ParticleSolver:
    """DOP853 with dense output, on any thread.

    Parameters
    ----------
    force, pair : int
        Addresses of the functions of `right_hand_side`; 0 where there are no pairs.
    span : tuple of float
        The steps depend on it, not on `times`.
    times : ndarray, shape (F,)
    y : ndarray, shape (B, M)
    arguments : ndarray, shape (B, K)
        Copied for each run, since the functions write to them.
    masses : ndarray, shape (B, N)
    tolerances : tuple of float
        rtol, atol and the longest step.
    """

    def __init__(
        self,
        force: int,
        pair: int,
        span: tuple[float, float],
        times: np.ndarray,
        y: np.ndarray,
        arguments: np.ndarray,
        masses: np.ndarray,
        tolerances: tuple[float, float, float],
    ) -> None:
        self.frames = np.empty((len(y), len(times), y.shape[1]))
        self._addresses, self._span, self._times = (force, pair), span, times
        self._y, self._arguments = np.ascontiguousarray(y), arguments
        # a copy always, as numba compiles anew for arrays that may not be written to
        self._masses, self._tolerances = np.array(masses, order="C"), tolerances
        self._solve: Any = solve

    def run(self, b: int) -> Outcome:
        """Fill in ``frames[b]``, as far as trajectory `b` gets, and NaN beyond."""
        arguments = self._arguments[b].copy()
        dimensions = self._y.shape[1] // (2 * self._masses.shape[1])
        given = arguments, self._masses[b], self._y[b], dimensions
        frames, status, steps = self._solve(
            *self._addresses,
            *given,
            *self._span,
            self._times,
            self._tolerances,
            LOOK,
            (SPECK, PATIENCE),
            self.frames[b],
        )
        self.frames[b, frames:] = np.nan
        failure = None if frames == len(self._times) else FAILURES[status]
        return Outcome(frames, failure, steps, float(arguments[0]))
