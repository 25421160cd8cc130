"""Geometry of all pairs for forces of hidden variables, in NumPy and of whole batches."""

from __future__ import annotations

import numpy as np

__all__ = ["differences", "distances"]


def differences(x: np.ndarray) -> np.ndarray:
    """Return x_i - x_j, (B, N, N, D), of positions (B, N, D)."""
    return np.asarray(x[:, :, None] - x[:, None])


def distances(r: np.ndarray, softening: float) -> np.ndarray:
    """Return sqrt(r^2 + softening^2), (B, N, N), of differences (B, N, N, D).

    Of a particle from itself it is infinite, so that what falls with distance is zero there.
    """
    s = np.sqrt((r * r).sum(3) + softening * softening)
    n = s.shape[1]
    s[:, range(n), range(n)] = np.inf
    return np.asarray(s)
