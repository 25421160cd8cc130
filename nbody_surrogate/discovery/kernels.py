"""Sums of spline forces over the others, compiled: they are nearly all of an estimate's time."""

from __future__ import annotations

import math

import numba
import numpy as np

__all__ = ["central_sums", "directed_sums", "envelope_of", "spline_piece"]


@numba.njit(cache=True, error_model="numpy", inline="always")
def spline_piece(s: float, count: int, four: np.ndarray) -> int:
    """Write the four cubic B-splines that are not zero at `s`, and return the first's index."""
    s = min(max(s, 1.0), count - 2.0 - 1e-9)
    cell = int(s)
    f = s - cell
    g = 1.0 - f
    four[0] = g * g * g / 6.0
    four[1] = (3.0 * f * f * f - 6.0 * f * f + 4.0) / 6.0
    four[2] = (3.0 * g * g * g - 6.0 * g * g + 4.0) / 6.0
    four[3] = f * f * f / 6.0
    return cell - 1


@numba.njit(cache=True, error_model="numpy", inline="always")
def envelope_of(r2: float, power: float, core: float, rate: float) -> float:
    """Return the envelope at a squared distance."""
    return float((r2 + core * core) ** (0.5 * power) * math.exp(-rate * math.sqrt(r2)))


@numba.njit(cache=True, error_model="numpy")
def central_sums(
    x: np.ndarray,
    there: np.ndarray,
    i: int,
    others: np.ndarray,
    strengths: np.ndarray,
    envelope: tuple[float, float, float],
    knots: tuple[float, float, float],
    coefficients: np.ndarray,
    by_other: np.ndarray,
    by_curve: np.ndarray,
) -> None:
    """Add the central forces on particle `i`.

    Shapes: x (T, N, D); there (T, N); others, strengths (O,); coefficients (K,); by_other
    (D, T, O); by_curve (D, T, K). `envelope` is power, core and rate, `knots` scale, first and
    spacing.
    """
    frames, _, dimensions = x.shape
    power, core, rate = envelope
    scale, first, spacing = knots
    four = np.empty(4)
    for t in range(frames):
        if not there[t, i]:
            continue
        for o in range(others.size):
            j = others[o]
            if not there[t, j]:
                continue
            r2 = 0.0
            for d in range(dimensions):
                r2 += (x[t, i, d] - x[t, j, d]) ** 2
            if r2 == 0.0:
                continue  # a force without a direction
            r = math.sqrt(r2)
            start = spline_piece((r / (r + scale) - first) / spacing, coefficients.size, four)
            size = envelope_of(r2, power, core, rate) / r
            force = 0.0
            for k in range(4):
                four[k] *= size
                force += coefficients[start + k] * four[k]
            for d in range(dimensions):
                apart = x[t, i, d] - x[t, j, d]
                by_other[d, t, o] += force * apart
                for k in range(4 if by_curve.shape[2] else 0):
                    by_curve[d, t, start + k] += strengths[o] * apart * four[k]


@numba.njit(cache=True, error_model="numpy")
def directed_sums(
    x: np.ndarray,
    there: np.ndarray,
    i: int,
    others: np.ndarray,
    strengths: np.ndarray,
    envelope: tuple[float, float, float],
    across: tuple[float, float, float],
    along: tuple[float, float, float],
    axis: int,
    coefficients: np.ndarray,
    by_other: np.ndarray,
    by_curve: np.ndarray,
) -> None:
    """Add the directed forces on particle `i`.

    Shapes as of `central_sums`, but coefficients (2, K, L), across and along the axis, and by_curve
    (D, T, K L): of the component that lies along each axis of space. `along` is height, first and
    spacing.
    """
    frames, _, dimensions = x.shape
    power, core, rate = envelope
    scale, first, spacing = across
    height, low, step = along
    _, wide, deep = coefficients.shape
    a, b = np.empty(4), np.empty(4)
    for t in range(frames):
        if not there[t, i]:
            continue
        for o in range(others.size):
            j = others[o]
            if not there[t, j]:
                continue
            z = x[t, i, axis] - x[t, j, axis]
            rho2 = 0.0
            for d in range(dimensions):
                if d != axis:
                    rho2 += (x[t, i, d] - x[t, j, d]) ** 2
            if rho2 + z * z == 0.0:
                continue  # a force without a direction
            rho = math.sqrt(rho2)
            k0 = spline_piece((rho / (rho + scale) - first) / spacing, wide, a)
            l0 = spline_piece((z / math.sqrt(z * z + height * height) - low) / step, deep, b)
            size = envelope_of(rho2 + z * z, power, core, rate)
            outward, upward = 0.0, 0.0
            for k in range(4):
                for m in range(4):
                    value = size * a[k] * b[m]
                    outward += coefficients[0, k0 + k, l0 + m] * value
                    upward += coefficients[1, k0 + k, l0 + m] * value
            for d in range(dimensions):
                # on the axis itself there is no direction across it
                share = 1.0 if d == axis else (x[t, i, d] - x[t, j, d]) / max(rho, 1e-12)
                by_other[d, t, o] += share * (upward if d == axis else outward)
                weight = strengths[o] * share * size
                for k in range(4 if by_curve.shape[2] else 0):
                    for m in range(4):
                        place = (k0 + k) * deep + l0 + m
                        by_curve[d, t, place] += weight * a[k] * b[m]
