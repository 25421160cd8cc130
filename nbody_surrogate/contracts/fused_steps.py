"""Frames of a surrogate by code that is compiled for the processor, without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

__all__ = ["AbstractFusedSteps"]


class AbstractFusedSteps(ABC):
    """Many frames of a surrogate in one call, as `AbstractSurrogate.step_cache` would make them.

    To write one:

    1. return it from `AbstractSurrogate.fused_steps`, for the particles of a batch;
    2. implement `advance`. It must agree with `step_cache` to rounding, keep every symmetry that
       the model declares, and give a trajectory the same bits in a batch of any size and on any
       number of threads;
    3. keep the cache in the layout of `step_cache`: a run may go on by either.
    """

    @abstractmethod
    def advance(
        self,
        cache: dict[str, np.ndarray],
        x: np.ndarray,
        v: np.ndarray,
        frames_x: np.ndarray,
        frames_v: np.ndarray,
        threads: int,
    ) -> dict[str, np.ndarray]:
        """Fill in the frames that follow, all in reduced units.

        Parameters
        ----------
        cache : dict of ndarray
            As after the frames before the newest, never changed in place.
        x, v : ndarray, float64, shape (B, N, D)
            The newest frame, in reduced units, never changed in place; increments are added to it
            in float64.
        frames_x, frames_v : ndarray, float64, shape (B, F, N, D)
            Written.
        threads : int
            At most so many.

        Returns
        -------
        dict of ndarray
            The cache after the frames before the last one.
        """
