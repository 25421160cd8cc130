"""Integrals over the hats and whitening in one pass over time, compiled."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["whitened_columns"]


@numba.njit(cache=True, error_model="numpy")
def whitened_columns(
    values: np.ndarray,
    factor: float,
    first: int,
    nodes: np.ndarray,
    weights: np.ndarray,
    band: np.ndarray,
    start: int,
    out: np.ndarray,
) -> None:
    """Write the innovations of accelerations `values` (T, C) into columns of `out` (R, P).

    Row r is the integral over the hat that ends at frame `first` + r, times `factor`, less what the
    rows before it tell of it: forward substitution by the Cholesky factor `band` (3, R). Time is
    the outer loop, so that columns fill the processor's vectors.
    """
    rows, count = out.shape[0], values.shape[1]
    for r in range(rows):
        for c in range(count):
            out[r, start + c] = 0.0
        for k in range(nodes.size):
            t, w = first + r + nodes[k], factor * weights[k]
            for c in range(count):
                out[r, start + c] += w * values[t, c]
        if r > 0:
            b = band[1, r - 1]
            for c in range(count):
                out[r, start + c] -= b * out[r - 1, start + c]
        if r > 1:
            b = band[2, r - 2]
            for c in range(count):
                out[r, start + c] -= b * out[r - 2, start + c]
        scale = 1.0 / band[0, r]
        for c in range(count):
            out[r, start + c] *= scale
