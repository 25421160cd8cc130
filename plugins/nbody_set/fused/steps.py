"""`SET`'s frames by compiled code, under the contract of `AbstractFusedSteps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from nbody_set.fused.kernel import advance
from nbody_set.fused.weights import numbers_of, weights_of
from nbody_surrogate.contracts import AbstractFusedSteps, FieldLaw, Particles
from nbody_surrogate.layers.fused import field_address, over_trajectories

if TYPE_CHECKING:
    from nbody_set.model import SET

__all__ = ["FusedSET"]


@final
class FusedSET(AbstractFusedSteps):
    """Frames of a model whose weights stay as they are.

    Parameters
    ----------
    model : SET
        In float32 or float64.
    particles : Particles, shape (B, N)
    field : FieldLaw or None
    """

    def __init__(self, model: SET, particles: Particles, field: FieldLaw | None) -> None:
        self._numbers, self._weights = numbers_of(model), weights_of(model)
        dtype = self._weights.plain.dtype
        self._charges = np.ascontiguousarray(particles.charges, dtype)
        self._masses = np.ascontiguousarray(particles.masses, dtype)
        self._field = field_address(field)

    def advance(
        self,
        cache: dict[str, np.ndarray],
        x: np.ndarray,
        v: np.ndarray,
        frames_x: np.ndarray,
        frames_v: np.ndarray,
        threads: int,
    ) -> dict[str, np.ndarray]:
        """See `AbstractFusedSteps.advance`."""
        past = np.array(cache["past"], self._charges.dtype, order="C")
        filled = np.array(cache["filled"], np.int64, order="C")
        given = [np.ascontiguousarray(y, np.float64) for y in (x, v)]
        fixed = (self._numbers, self._weights, self._charges, self._masses, self._field)

        def work(begin: int, end: int) -> None:
            advance(*fixed, past, filled, *given, frames_x, frames_v, begin, end)

        over_trajectories(work, len(x), threads)
        return {"past": past, "filled": filled}
