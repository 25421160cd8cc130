"""Compiled loops over tiles: rows of values, one lane per sample and pair, for training `SET`.

A tile is some rows of T values that stay in the first caches. A loop writes one row at a time:
only then the compiler can see that no row it reads is changed, and vectorise it.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

__all__ = [
    "add_outer",
    "add_product",
    "affine",
    "dot",
    "exp",
    "log",
    "log1p",
    "sigmoid_rows",
    "silu_rows",
    "through_silu",
    "tile_loop",
]

FAST = {"contract", "reassoc", "nsz", "arcp"}
"""Freedom of the compiler to sum in vectors. Values that are no numbers stay what they are."""


def exp(x: float) -> float:
    """Return exp(x); of float32 by a polynomial, 0 below -87."""
    return math.exp(x)


@overload(exp, jit_options={"fastmath": {"contract"}})
def _exp(x: Any) -> Any:
    def library(x: Any) -> Any:
        return math.exp(x)

    def polynomial(x: Any) -> Any:
        # x = n ln 2 + f with |f| <= ln 2 / 2, where the rest of the series is below 6e-9
        cut = min(max(x, np.float32(-87.0)), np.float32(88.0))
        n = np.floor(cut * np.float32(1.4426950408889634) + np.float32(0.5))
        f = cut - n * np.float32(0.693359375)  # few digits, so that the product is exact
        f = f - n * np.float32(-2.12194440054690583e-4)
        y = np.float32(1 / 5040)
        y = y * f + np.float32(1 / 720)
        y = y * f + np.float32(1 / 120)
        y = y * f + np.float32(1 / 24)
        y = y * f + np.float32(1 / 6)
        y = y * f + np.float32(0.5)
        y = y * f + np.float32(1.0)
        y = y * f + np.float32(1.0)
        power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
        return y * power if x >= np.float32(-87.0) else np.float32(0.0)

    return polynomial if x == types.float32 else library


def log(x: float) -> float:
    """Return log(x) of a positive number; of float32 by a series."""
    return math.log(x)


@overload(log, jit_options={"fastmath": {"contract"}})
def _log(x: Any) -> Any:
    def library(x: Any) -> Any:
        return math.log(x)

    def series(x: Any) -> Any:
        # x = 2^e m with m from 2/3 to 4/3; log m = 2 artanh y with |y| <= 1/5
        bits = np.float32(x).view(np.int32)
        e = np.int32(np.int32(bits - np.int32(0x3F2AAAAB)) >> np.int32(23))
        m = np.int32(bits - np.int32(e << np.int32(23))).view(np.float32)
        y = (m - np.float32(1.0)) / (m + np.float32(1.0))
        y2 = y * y
        p = np.float32(2 / 9)
        p = p * y2 + np.float32(2 / 7)
        p = p * y2 + np.float32(2 / 5)
        p = p * y2 + np.float32(2 / 3)
        p = p * y2 + np.float32(2.0)
        return y * p + np.float32(e) * np.float32(0.6931471805599453)

    return series if x == types.float32 else library


def log1p(x: float) -> float:
    """Return log(1 + x) of a number that is not negative."""
    return math.log1p(x)


@overload(log1p, jit_options={"fastmath": {"contract"}})
def _log1p(x: Any) -> Any:
    def library(x: Any) -> Any:
        return math.log1p(x)

    def corrected(x: Any) -> Any:
        one = np.float32(1.0)
        u = one + x
        return log(u) + (x - (u - one)) / u  # what the rounding of 1 + x has lost

    return corrected if x == types.float32 else library


def tile_loop(function: Any) -> Any:
    """Compile a loop over a tile."""
    return numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")(function)


@tile_loop
def affine(weight: Any, bias: Any, x: Any, y: Any, size: int) -> None:
    """Write y = weight x + bias, for columns 0 to size."""
    for o in range(len(weight)):
        row, b = y[o], bias[o]
        for t in range(size):
            row[t] = b
    add_product(weight, x, y, size)


@tile_loop
def add_product(weight: Any, x: Any, y: Any, size: int) -> None:
    """Add weight x to y, for columns 0 to size."""
    outputs, inputs = weight.shape
    for o in range(outputs):
        row, k = y[o], weight[o]
        i = 0
        while i + 8 <= inputs:
            k0, k1, k2, k3 = k[i], k[i + 1], k[i + 2], k[i + 3]
            k4, k5, k6, k7 = k[i + 4], k[i + 5], k[i + 6], k[i + 7]
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            x4, x5, x6, x7 = x[i + 4], x[i + 5], x[i + 6], x[i + 7]
            for t in range(size):
                y0 = row[t] + k0 * x0[t] + k1 * x1[t] + k2 * x2[t] + k3 * x3[t]
                row[t] = y0 + k4 * x4[t] + k5 * x5[t] + k6 * x6[t] + k7 * x7[t]
            i += 8
        if i + 6 <= inputs:
            k0, k1, k2, k3 = k[i], k[i + 1], k[i + 2], k[i + 3]
            k4, k5, x0, x1 = k[i + 4], k[i + 5], x[i], x[i + 1]
            x2, x3, x4, x5 = x[i + 2], x[i + 3], x[i + 4], x[i + 5]
            for t in range(size):
                y0 = row[t] + k0 * x0[t] + k1 * x1[t] + k2 * x2[t]
                row[t] = y0 + k3 * x3[t] + k4 * x4[t] + k5 * x5[t]
            i += 6
        while i < inputs:
            k0, x0 = k[i], x[i]
            for t in range(size):
                row[t] += k0 * x0[t]
            i += 1


@tile_loop
def add_outer(total: Any, of_bias: Any, y: Any, x: Any, size: int) -> None:
    """Add y x^T to `total` and the sums of y to `of_bias`: the gradients of an affine map."""
    outputs, inputs = total.shape
    zero = y.dtype.type(0)
    for o in range(outputs):
        row, b = y[o], zero
        for t in range(size):
            b += row[t]
        of_bias[o] += b
    o = 0
    while o + 4 <= outputs:
        y0, y1, y2, y3 = y[o], y[o + 1], y[o + 2], y[o + 3]
        i = 0
        while i + 2 <= inputs:
            x0, x1 = x[i], x[i + 1]
            a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
            for t in range(size):
                a += y0[t] * x0[t]
                b += y1[t] * x0[t]
                c += y2[t] * x0[t]
                d += y3[t] * x0[t]
                e += y0[t] * x1[t]
                f += y1[t] * x1[t]
                g += y2[t] * x1[t]
                h += y3[t] * x1[t]
            total[o, i] += a
            total[o + 1, i] += b
            total[o + 2, i] += c
            total[o + 3, i] += d
            total[o, i + 1] += e
            total[o + 1, i + 1] += f
            total[o + 2, i + 1] += g
            total[o + 3, i + 1] += h
            i += 2
        for rest in range(i, inputs):
            for each in range(o, o + 4):
                total[each, rest] += dot(y[each], x[rest], size)
        o += 4
    for each in range(o, outputs):
        for i in range(inputs):
            total[each, i] += dot(y[each], x[i], size)


@tile_loop
def dot(y: Any, x: Any, size: int) -> Any:
    """Return the product of two rows."""
    total = y.dtype.type(0)
    for t in range(size):
        total += y[t] * x[t]
    return total


@tile_loop
def sigmoid_rows(z: Any, g: Any, size: int) -> None:
    """Write g = sigma(z)."""
    one = z.dtype.type(1)
    for o in range(len(z)):
        row, out = z[o], g[o]
        for t in range(size):
            out[t] = one / (one + exp(-row[t]))


@tile_loop
def silu_rows(z: Any, g: Any, out: Any, size: int) -> None:
    """Write silu(z) = z sigma(z)."""
    for o in range(len(z)):
        row, gate, y = z[o], g[o], out[o]
        for t in range(size):
            y[t] = row[t] * gate[t]


@tile_loop
def through_silu(to_z: Any, z: Any, g: Any, size: int) -> None:
    """Turn the gradient of silu(z) into that of z."""
    one = z.dtype.type(1)
    for o in range(len(z)):
        y, row, gate = to_z[o], z[o], g[o]
        for t in range(size):
            y[t] *= gate[t] * (one + row[t] * (one - gate[t]))
