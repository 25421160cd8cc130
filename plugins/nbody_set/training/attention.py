"""Attention of each particle over its own last frames, forwards and backwards, in compiled code.

Samples are innermost, and those of a trajectory follow one another: a frame earlier is one column
before, but for the first frames of a window, which a mask tells.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbody_set.training.tiles import exp, tile_loop

__all__ = ["attention_backward", "attention_forward", "masks_of"]


def masks_of(lags: int, batch: int, frames: int, dtype: Any) -> np.ndarray:
    """Return what is added to the score of each lag and sample (L, S): 0, or -inf."""
    seen = np.arange(frames)[None, :] >= np.arange(lags)[:, None]
    return np.tile(np.where(seen, 0.0, -np.inf), batch).astype(dtype)


@tile_loop
def _weights(query: Any, key: Any, bias: Any, mask: Any, scale: Any, weights: Any) -> None:
    """Write the softmax (L, S) over lags of the scores of one head of a particle."""
    lags, samples = weights.shape
    real = weights.dtype.type
    for lag in range(lags):
        row, of = weights[lag, lag:], mask[lag, lag:]
        weights[lag, :lag] = -math.inf
        for t in range(samples - lag):
            row[t] = real(0)
        for c in range(len(query)):
            q, k = query[c, lag:], key[c, : samples - lag]
            for t in range(samples - lag):
                row[t] += q[t] * k[t]
        b = bias[lag]
        for t in range(samples - lag):
            row[t] = row[t] * scale + b + of[t]
    largest, total = np.empty_like(weights[0]), np.zeros_like(weights[0])
    first = weights[0]
    for t in range(samples):
        largest[t] = first[t]
    for lag in range(1, lags):
        row = weights[lag]
        for t in range(samples):
            largest[t] = max(largest[t], row[t])
    for lag in range(lags):
        row = weights[lag]
        for t in range(samples):
            row[t] = exp(row[t] - largest[t])
        for t in range(samples):
            total[t] += row[t]
    for lag in range(lags):
        row = weights[lag]
        for t in range(samples):
            row[t] /= total[t]


@tile_loop
def attention_forward(
    query: Any, key: Any, value: Any, bias: Any, mask: Any, mixed: Any, weights: Any
) -> None:
    """Mix the values (N, d, S) of the last frames; `weights` (N, H, L, S) are kept."""
    heads, lags = bias.shape
    samples, size = mask.shape[1], query.shape[1] // heads
    scale = mixed.dtype.type(1 / math.sqrt(size))
    for n in range(len(query)):
        for head in range(heads):
            some = slice(head * size, head * size + size)
            w = weights[n, head]
            _weights(query[n, some], key[n, some], bias[head], mask, scale, w)
            for c in range(head * size, head * size + size):
                out = mixed[n, c]
                for t in range(samples):
                    out[t] = mixed.dtype.type(0)
                for lag in range(lags):
                    row, of, y = w[lag, lag:], value[n, c, : samples - lag], mixed[n, c, lag:]
                    for t in range(samples - lag):
                        y[t] += row[t] * of[t]


@tile_loop
def attention_backward(
    query: Any,
    key: Any,
    value: Any,
    weights: Any,
    given: Any,
    of_query: Any,
    of_key: Any,
    of_value: Any,
    of_bias: Any,
) -> None:
    """Add the gradients to arrays of zeros, given that of what was mixed."""
    heads, lags = of_bias.shape
    samples, size = query.shape[2], query.shape[1] // heads
    real = given.dtype.type
    scale = real(1 / math.sqrt(size))
    to = np.empty((lags, samples), given.dtype)
    mean = np.empty(samples, given.dtype)
    for n in range(len(query)):
        for head in range(heads):
            w = weights[n, head]
            begin, end = head * size, head * size + size
            for lag in range(lags):
                full, row = to[lag], to[lag, lag:]
                for t in range(samples):
                    full[t] = real(0)
                of = w[lag, lag:]
                for c in range(begin, end):
                    g, v = given[n, c, lag:], value[n, c, : samples - lag]
                    back = of_value[n, c, : samples - lag]
                    for t in range(samples - lag):
                        row[t] += g[t] * v[t]
                    for t in range(samples - lag):
                        back[t] += of[t] * g[t]
            for t in range(samples):
                mean[t] = real(0)
            for lag in range(lags):
                row, of = to[lag], w[lag]
                for t in range(samples):
                    mean[t] += row[t] * of[t]
            for lag in range(lags):
                row, of = to[lag], w[lag]
                for t in range(samples):
                    row[t] = of[t] * (row[t] - mean[t])
                total = real(0)
                for t in range(samples):
                    total += row[t]
                of_bias[head, lag] += total
                slope = to[lag, lag:]
                for c in range(begin, end):
                    q, k = query[n, c, lag:], key[n, c, : samples - lag]
                    out_q, out_k = of_query[n, c, lag:], of_key[n, c, : samples - lag]
                    for t in range(samples - lag):
                        out_q[t] += scale * slope[t] * k[t]
                    for t in range(samples - lag):
                        out_k[t] += scale * slope[t] * q[t]
