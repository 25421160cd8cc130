"""Trajectories of `SETSymplectic`, block by block, to the compiled code and back."""

from __future__ import annotations

from typing import final

import numpy as np

from nbody_set.symplectic_kernel import Block, Splitting, compiled_frames
from nbody_surrogate.contracts import AbstractFusedSteps, FieldLaw, Particles
from nbody_surrogate.layers.fused import over_trajectories

__all__ = ["SymplecticSteps"]

ELEMENTS = 128
"""Particles of all trajectories of a block, about: so many that the cost of a loop is shared, so
few that the block stays in the nearest cache."""


@final
class SymplecticSteps(AbstractFusedSteps):
    """Frames of some particles by a splitting.

    Parameters
    ----------
    splitting : Splitting
    gradient : ndarray, shape (K,), or None
        Of the many-body term, in units of time cubed; None where there is none.
    particles : Particles, shape (B, N)
    field : FieldLaw or None
        One that `fits`.
    """

    def __init__(
        self,
        splitting: Splitting,
        gradient: np.ndarray | None,
        particles: Particles,
        field: FieldLaw | None,
    ) -> None:
        self._splitting, self._gradient = splitting, gradient
        self._charges = np.asarray(particles.charges, dtype=np.float64)
        self._masses = np.asarray(particles.masses, dtype=np.float64)
        self._field = None if field is None else field.parameters

    def __repr__(self) -> str:
        batch, n = self._masses.shape
        return f"SymplecticSteps({self._splitting.kicks.size} kicks, {batch} x {n} particles)"

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
        batch, n = self._masses.shape
        width = max(1, min(batch, ELEMENTS // max(n, 1)))
        blocks = [slice(first, first + width) for first in range(0, batch, width)]

        def work(begin: int, end: int) -> None:
            for each in blocks[begin:end]:
                self._march(each, x[each], v[each], frames_x[each], frames_v[each])

        over_trajectories(work, len(blocks), threads)
        return {}

    def _march(
        self,
        which: slice,
        x: np.ndarray,
        v: np.ndarray,
        frames_x: np.ndarray,
        frames_v: np.ndarray,
    ) -> None:
        """Fill in the frames (W, F, N, D) of one block."""
        width, frames, n, dims = frames_x.shape
        block = self._block(x, v, which)
        made_x, made_v = np.empty((2, frames, 3, n * width))
        kernel = compiled_frames(self._field)
        kernel(block, self._splitting, self._field, self._gradient, made_x, made_v)
        for made, out in ((made_x, frames_x), (made_v, frames_v)):
            out[:] = made.reshape(frames, 3, n, width)[:, :dims].transpose(3, 0, 2, 1)

    def _block(self, x: np.ndarray, v: np.ndarray, which: slice) -> Block:
        # (N, W); copies always, as numba compiles anew for arrays that may not be written to
        charges, masses = (np.array(y[which].T, order="C") for y in (self._charges, self._masses))
        n, width = masses.shape
        rings = n // 2
        c, inverse_mass = np.zeros((2, rings, n * width))
        for ring in range(1, rings + 1):
            partner = np.roll(np.arange(n), -ring)
            c[ring - 1] = (self._splitting.coupling * charges * charges[partner]).ravel()
            inverse_mass[ring - 1] = (1.0 / masses + 1.0 / masses[partner]).ravel()
        places = (_by_element(x), _by_element(v))
        return Block(*places, charges.ravel(), masses.ravel(), c, inverse_mass, width)


def _by_element(values: np.ndarray) -> np.ndarray:
    """Bring vectors (W, N, D) to (3, N W); in two dimensions the third component is zero."""
    width, n, dims = values.shape
    out = np.zeros((3, n, width))
    out[:dims] = values.transpose(2, 1, 0)
    return out.reshape(3, n * width)
