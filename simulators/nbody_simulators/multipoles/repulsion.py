"""The soft repulsion that keeps the surfaces of spheres apart.

Of two spheres whose surfaces have the gap s = r - R_i - R_j, the energy is

    U(s) = e exp((g - s) / w),   g = least_gap (R_i + R_j) / 2,   w = 0.4 g,

as of two charged double layers or brushes of polymers: finite and smooth everywhere, e at the least
gap and 12 e at contact.
"""

from __future__ import annotations

import math

import numba
import numpy as np

__all__ = ["WIDTH", "add_repulsion"]

WIDTH = 0.4
"""The distance in which the repulsion falls by 1 / e, over the least gap: a collision then takes
some tenths of a time unit in the preset, which 4 to 8 steps a frame can follow."""


@numba.njit(cache=True, error_model="numpy", nogil=True)
def add_repulsion(
    x: np.ndarray,
    radii: np.ndarray,
    least_gap: float,
    strength: float,
    energies: np.ndarray,
    forces: np.ndarray,
) -> None:
    """Add energies and forces of all pairs.

    Parameters
    ----------
    x : ndarray, shape (B, N, 3)
        Reduced units, as all that follows.
    radii : ndarray, shape (B, N)
    least_gap : float
        Over the mean radius of the two.
    strength : float
        e, the energy of a pair at its least gap.
    energies : ndarray, shape (B,)
        Added to.
    forces : ndarray, shape (B, N, 3)
        Added to.
    """
    for b in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(i):
                dx, dy = x[b, i, 0] - x[b, j, 0], x[b, i, 1] - x[b, j, 1]
                dz = x[b, i, 2] - x[b, j, 2]
                r = math.sqrt(dx * dx + dy * dy + dz * dz)
                least = 0.5 * least_gap * (radii[b, i] + radii[b, j])
                width = WIDTH * least
                energy = strength * math.exp((least - (r - radii[b, i] - radii[b, j])) / width)
                energies[b] += energy
                over = energy / (width * r)
                for d, away in enumerate((dx, dy, dz)):
                    forces[b, i, d] += over * away
                    forces[b, j, d] -= over * away
