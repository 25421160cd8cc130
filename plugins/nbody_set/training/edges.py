"""The edge half of a sub-step of `SET` on one tile of pairs.

========================  ===================================================  =============
symbol                    meaning                                              variable
========================  ===================================================  =============
r, w, a                   relative position, velocity, acceleration            ``motion``
s, c, kappa               softened distance, prior, (c + phi_x) / s^3          ``S, C, KAPPA``
f                         basis and rates of a pair                            ``f``
z1, z2                    what the activations of a message are of             ``z1, z2``
sigma(z)                  1 / (1 + exp(-z)); silu(z) = z sigma(z)              ``g1, g2``
========================  ===================================================  =============
"""

from __future__ import annotations

import math
from typing import Any

from nbody_set.training.tiles import affine, exp, log, log1p, sigmoid_rows, silu_rows, tile_loop

__all__ = ["edge_forward", "sum_products"]

# Rows of a tile that hold one value of each pair.
S, INVERSE, RADIAL, SPEED2, PULL, CHARGES, MASS, C, ENVELOPE, CORRECTION, KAPPA = range(11)
PLACE, RATIO, TO_S, TO_C, TO_CORRECTION, TO_SPEED2, TO_RADIAL, SPARE, TO_KAPPA = range(11, 20)
ROWS = 20

# Numbers of the configuration, as `consts` holds them.
SOFTENING2, TAU, COUPLING, BOUND, LARGEST, CENTRE, SIGMA, PRIOR = range(8)
COULOMB, KERNEL, NONE = range(3)
ANCHOR = 16
"""Gaussians that are made from one exponential: eight widths from it the last is still 1e-14."""


@tile_loop
def sum_products(out: Any, x: Any, y: Any, dims: int, size: int) -> None:
    """Write the scalar products of vectors x and y (D, T)."""
    first, other = x[0], y[0]
    for t in range(size):
        out[t] = first[t] * other[t]
    for d in range(1, dims):
        first, other = x[d], y[d]
        for t in range(size):
            out[t] += first[t] * other[t]


@tile_loop
def _basis(f: Any, k: Any, count: int, consts: Any, size: int) -> None:
    """Write Gaussians in log s, whose width is their spacing, from few exponentials.

    exp(-(x - m)^2 / 2) = exp(-(x - m + 1)^2 / 2) exp(x - m + 1/2): each follows from its neighbour.
    """
    real = f.dtype.type
    half, most = real(0.5), real(40)
    centre, narrow = real(consts[CENTRE]), real(1 / consts[SIGMA])
    s, place, ratio, back = k[S], k[PLACE], k[RATIO], k[SPARE]
    for t in range(size):
        place[t] = (log(s[t]) - centre) * narrow
    for begin in range(0, count, ANCHOR):
        end = min(begin + ANCHOR, count)
        middle = (begin + end) // 2
        m, row = real(middle), f[middle]
        for t in range(size):
            x = place[t] - m
            row[t] = exp(-half * x * x)
        for t in range(size):
            ratio[t] = exp(min(max(place[t] - m, -most), most))
        for t in range(size):
            back[t] = real(1) / ratio[t]
        for g in range(middle + 1, end):
            step, before, after = real(math.exp(middle - g + 0.5)), f[g - 1], f[g]
            for t in range(size):
                after[t] = before[t] * (ratio[t] * step)
        for g in range(middle - 1, begin - 1, -1):
            step, before, after = real(math.exp(g - middle + 0.5)), f[g + 1], f[g]
            for t in range(size):
                after[t] = before[t] * (back[t] * step)


@tile_loop
def _prior(f: Any, k: Any, radial: Any, far: Any, consts: Any, size: int) -> None:
    """Write the prior c."""
    real = f.dtype.type
    kind, coupling = int(consts[PRIOR]), real(consts[COUPLING])
    c, q, s, spare = k[C], k[CHARGES], k[S], k[SPARE]
    if kind == COULOMB:
        for t in range(size):
            c[t] = coupling * q[t]
        return
    first = far[0] if kind == KERNEL else real(0)
    for t in range(size):
        c[t] = first
    for t in range(size):
        spare[t] = real(0)
    for g in range(radial.shape[1]):
        charged, plain, row = radial[0, g], radial[1, g], f[g]
        for t in range(size):
            c[t] += charged * row[t]
        for t in range(size):
            spare[t] += plain * row[t]
    for t in range(size):
        c[t] = q[t] * c[t] + spare[t]
    if kind == NONE:
        for t in range(size):
            c[t] *= s[t] * s[t]


@tile_loop
def _rates(f: Any, k: Any, count: int, tau: Any, size: int) -> None:
    """Write the dimensionless rates behind the basis."""
    inverse, radial, speed2, pull = k[INVERSE], k[RADIAL], k[SPEED2], k[PULL]
    c, mass = k[C], k[MASS]
    f0, f1, f2 = f[count], f[count + 1], f[count + 2]
    f3, f4, f5 = f[count + 3], f[count + 4], f[count + 5]
    for t in range(size):
        f0[t] = radial[t] * inverse[t]
    for t in range(size):
        f1[t] = log1p(speed2[t])
    for t in range(size):
        f2[t] = tau * radial[t] * inverse[t] * inverse[t]
    for t in range(size):
        rate = tau * inverse[t]
        f3[t] = rate * rate * speed2[t]
    for t in range(size):
        rate = tau * inverse[t]
        f4[t] = rate * rate * c[t] * mass[t] * inverse[t]
    for t in range(size):
        rate = tau * inverse[t]
        f5[t] = rate * rate * pull[t]


@tile_loop
def _invariants(motion: Any, k: Any, dims: int, consts: Any, size: int) -> None:
    """Write s, 1 / s, r.w, w.w and r.a."""
    softening2 = k.dtype.type(consts[SOFTENING2])
    r, w, a = motion[:dims], motion[dims : 2 * dims], motion[2 * dims :]
    s, inverse = k[S], k[INVERSE]
    sum_products(s, r, r, dims, size)
    for t in range(size):
        s[t] = math.sqrt(s[t] + softening2)
    for t in range(size):
        inverse[t] = k.dtype.type(1) / s[t]
    sum_products(k[RADIAL], r, w, dims, size)
    sum_products(k[SPEED2], w, w, dims, size)
    sum_products(k[PULL], r, a, dims, size)


@tile_loop
def _force(f: Any, k: Any, count: int, consts: Any, size: int) -> None:
    """Write kappa = (c + phi_x) / s^3, with phi_x bounded where it is to be."""
    real = f.dtype.type
    bound, most = real(consts[BOUND]), real(consts[LARGEST])
    c, correction, kappa, inverse = k[C], k[CORRECTION], k[KAPPA], k[INVERSE]
    if bound == real(0):
        for t in range(size):
            kappa[t] = (c[t] + correction[t]) * inverse[t] * inverse[t] * inverse[t]
        return
    f3, f4, f5 = f[count + 3], f[count + 4], f[count + 5]
    for t in range(size):
        truncation = abs(f3[t]) + abs(f4[t]) + abs(f5[t])
        largest = min(bound * truncation, most) * abs(c[t])
        kept = min(max(correction[t], -largest), largest)
        kappa[t] = (c[t] + kept) * inverse[t] * inverse[t] * inverse[t]


@tile_loop
def edge_forward(
    motion: Any,
    k: Any,
    f: Any,
    z: Any,
    z1: Any,
    g1: Any,
    hidden: Any,
    z2: Any,
    g2: Any,
    message: Any,
    weights: Any,
    dims: int,
    consts: Any,
    size: int,
) -> None:
    """Evaluate messages and kappa of a tile, whose `z1` holds what comes from the nodes."""
    from_pair, pair_bias, to_message, message_bias, to_force, log_range, radial, far = weights
    real = f.dtype.type
    one, width = real(1), len(z1)
    count = f.shape[0] - 6
    _invariants(motion, k, dims, consts, size)
    _basis(f, k, count, consts, size)
    _prior(f, k, radial, far, consts, size)
    _rates(f, k, count, real(consts[TAU]), size)
    affine(from_pair, pair_bias, f, z, size)
    q = k[CHARGES]
    for o in range(width):
        row, plain, charged = z1[o], z[o], z[width + o]
        for t in range(size):
            row[t] += plain[t] + q[t] * charged[t]
    sigmoid_rows(z1, g1, size)
    silu_rows(z1, g1, hidden, size)
    affine(to_message, message_bias, hidden, z2, size)
    sigmoid_rows(z2, g2, size)
    silu_rows(z2, g2, message, size)
    s, envelope, correction = k[S], k[ENVELOPE], k[CORRECTION]
    per_range = exp(-log_range[0])
    for t in range(size):
        y = s[t] * per_range
        envelope[t] = one / (one + (y * y) * (y * y))
    for t in range(size):
        correction[t] = real(0)
    for o in range(width):
        row, share = message[o], to_force[o]
        for t in range(size):
            row[t] *= envelope[t]
        for t in range(size):
            correction[t] += share * row[t]
    _force(f, k, count, consts, size)
