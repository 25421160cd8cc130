"""The pairs of a sub-step of `SET` in compiled code: features, messages and forces.

Pairs are worked on in tiles that stay in the first-level cache. Geometry takes one pair in each
lane of a vector, the network one feature in each lane and `ROWS` pairs at a time: both ends of a
pair are then rows of features, and nothing is turned around.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from nbody_set.fused.weights import COULOMB, KERNEL
from nbody_surrogate.layers.fused import (
    absolute,
    exp,
    load,
    log,
    log1p,
    maximum,
    minimum,
    silu,
    spread,
    sqrt,
    store,
    total,
)

__all__ = ["LARGEST", "RATES", "TILE", "arrange", "features", "forces", "messages", "plain_forces"]

TILE = 64
"""Pairs that are worked on together."""
RATES = 6
"""Features of a pair beside its Gaussians."""
LARGEST = 0.3
"""Of a pair's force, the most that a bounded correction is."""
MOST_PRODUCTS = 8
"""Different values of q_i q_j for which the first layer is made once, and not for each pair."""
FAR = 14.0
"""Spacings from a Gaussian's centre, from where on it and the next three are 0 to rounding."""
STEP1, STEP2, STEP3 = math.exp(-0.5), math.exp(-2.0), math.exp(-4.5)


@register_jitable(error_model="numpy")
def arrange(charges: Any, inputs: int, width: int, first: Any, second: Any, group: Any) -> Any:
    """Put pairs in an order in which each four in turn have the same q_i q_j, if that pays.

    Where it does, the first layer takes half as many products. What fills up a four is a pair of
    row N with itself, which nobody reads.

    Returns
    -------
    pairs, groups : int
        Groups are 0 where the order is the usual one.
    products : ndarray
        The values of q_i q_j of the groups.
    """
    n = charges.size
    products, counts, groups = np.zeros(MOST_PRODUCTS, charges.dtype), np.zeros(MOST_PRODUCTS), 0
    for i in range(n):
        for j in range(i + 1, n):
            q, g = charges[i] * charges[j], 0
            while g < groups and products[g] != q:
                g += 1
            if g == groups:
                if groups < MOST_PRODUCTS:
                    products[groups] = q
                groups += 1
            if g < MOST_PRODUCTS:
                counts[g] += 1
            if groups > MOST_PRODUCTS:
                break
        if groups > MOST_PRODUCTS:
            break
    together, alone = 0.0, np.ceil(n * (n - 1) / 8) * (2 * inputs + width)
    for g in range(min(groups, MOST_PRODUCTS)):
        together += np.ceil(counts[g] / 4) * (inputs + width)
    if groups > MOST_PRODUCTS or not together < alone:
        groups = 0
    pairs = 0
    for g in range(max(groups, 1)):
        for i in range(n):
            for j in range(i + 1, n):
                if groups == 0 or charges[i] * charges[j] == products[g]:
                    first[pairs], second[pairs] = i, j
                    if pairs % 4 == 0:
                        group[pairs // 4] = g
                    pairs += 1
        while pairs % 4 != 0:
            first[pairs], second[pairs] = n, n
            pairs += 1
    return pairs, groups, products


@register_jitable(error_model="numpy")
def features(
    numbers: Any,
    weights: Any,
    k: int,
    start: int,
    count: int,
    motion: Any,
    charges: Any,
    inverse: Any,
    opened: float,
    doubled: bool,
    tile: Any,
    s_out: Any,
    c_out: Any,
    envelope_out: Any,
) -> None:
    """Write the features of `count` pairs from `start` on, and s, c and the envelope."""
    lanes, basis = numbers.lanes, numbers.basis
    rx, ry, rz, wx, wy, wz, ax, ay, az = motion
    tau = numbers.frame_dt / numbers.substeps
    for p in range(0, count, lanes):
        at = start + p
        x, y, z = load(rx, at), load(ry, at), load(rz, at)
        u, v, w = load(wx, at), load(wy, at), load(wz, at)
        q = load(charges, at)
        s2 = x * x + y * y + z * z + numbers.softening * numbers.softening
        s = sqrt(s2)
        place = (log(s) - numbers.first_centre) / numbers.sigma
        plain, charged = s * 0.0, s * 0.0
        for g in range(0, basis, 4):
            # e^(-(u - g)^2 / 2) of four centres in turn by two exponentials
            apart = minimum(place - float(g), s * 0.0 + FAR)
            e0 = exp(apart * apart * -0.5)
            ratio = exp(apart)
            e1 = e0 * ratio
            e2 = e1 * ratio
            e3 = e2 * ratio * STEP3
            e1, e2 = e1 * STEP1, e2 * STEP2
            row = g * TILE + p  # of rows beyond the basis, the rates take their places after this
            store(tile, row, e0)
            store(tile, row + TILE, e1)
            store(tile, row + 2 * TILE, e2)
            store(tile, row + 3 * TILE, e3)
        if numbers.prior != COULOMB:
            for g in range(basis):
                e = load(tile, g * TILE + p)
                charged = charged + e * spread(weights.radial, g)
                plain = plain + e * spread(weights.radial, basis + g)
        if numbers.prior == COULOMB:
            c = q * numbers.coupling
        elif numbers.prior == KERNEL:
            c = q * (charged + numbers.far) + plain
        else:
            c = (q * charged + plain) * s2
        one_over = 1.0 / s
        radial = (x * u + y * v + z * w) * one_over
        speed2 = u * u + v * v + w * w
        rate = one_over * tau
        rate2 = rate * rate
        row = basis * TILE + p
        store(tile, row, radial)
        store(tile, row + TILE, log1p(speed2))
        store(tile, row + 2 * TILE, rate * radial)
        store(tile, row + 3 * TILE, rate2 * speed2)
        store(tile, row + 4 * TILE, rate2 * c * load(inverse, at) * one_over)
        a = x * load(ax, at) + y * load(ay, at) + z * load(az, at)
        store(tile, row + 5 * TILE, rate2 * a)
        reach = s * spread(weights.inverse_range, k)
        reach = reach * reach
        store(envelope_out, p, opened / (reach * reach + 1.0))
        store(s_out, p, s)
        store(c_out, p, c)
        if doubled:  # each also times q_i q_j, and that by itself
            inputs = basis + RATES
            for f in range(inputs):
                store(tile, (inputs + f) * TILE + p, q * load(tile, f * TILE + p))
            store(tile, 2 * inputs * TILE + p, q)


@register_jitable(error_model="numpy")
def messages(
    numbers: Any,
    weights: Any,
    k: int,
    start: int,
    count: int,
    first: Any,
    second: Any,
    layer: Any,
    layers_at: int,
    layer_size: int,
    group: Any,
    inputs: int,
    tile: Any,
    nodes: Any,
    hidden: Any,
    envelope: Any,
    received: Any,
    correction: Any,
) -> None:
    """Write the corrections of pairs, and add their messages to what both ends received.

    `layer` holds the first layer for each group of pairs, `inputs` rows and one of the bias.
    """
    lanes, padded, width = numbers.lanes, numbers.padded, numbers.width
    wide = 2 * lanes
    last = k == numbers.substeps - 1
    for b in range(0, count, 4):
        at = layers_at + layer_size * group[(start + b) // 4]
        i0, j0 = first[start + b] * padded, second[start + b] * padded
        i1, j1 = first[start + b + 1] * padded, second[start + b + 1] * padded
        i2, j2 = first[start + b + 2] * padded, second[start + b + 2] * padded
        i3, j3 = first[start + b + 3] * padded, second[start + b + 3] * padded
        for f in range(0, padded, wide):
            bias, g = at + inputs * padded + f, f + lanes
            u, w = load(layer, bias), load(layer, bias + lanes)
            a0, b0 = u + (load(nodes, i0 + f) + load(nodes, j0 + f)), w + (
                load(nodes, i0 + g) + load(nodes, j0 + g)
            )
            a1, b1 = u + (load(nodes, i1 + f) + load(nodes, j1 + f)), w + (
                load(nodes, i1 + g) + load(nodes, j1 + g)
            )
            a2, b2 = u + (load(nodes, i2 + f) + load(nodes, j2 + f)), w + (
                load(nodes, i2 + g) + load(nodes, j2 + g)
            )
            a3, b3 = u + (load(nodes, i3 + f) + load(nodes, j3 + f)), w + (
                load(nodes, i3 + g) + load(nodes, j3 + g)
            )
            place, x = at + f, b
            for _ in range(inputs):
                u, w = load(layer, place), load(layer, place + lanes)
                y = spread(tile, x)
                a0, b0 = a0 + y * u, b0 + y * w
                y = spread(tile, x + 1)
                a1, b1 = a1 + y * u, b1 + y * w
                y = spread(tile, x + 2)
                a2, b2 = a2 + y * u, b2 + y * w
                y = spread(tile, x + 3)
                a3, b3 = a3 + y * u, b3 + y * w
                place, x = place + padded, x + TILE
            store(hidden, f, silu(a0))
            store(hidden, g, silu(b0))
            store(hidden, padded + f, silu(a1))
            store(hidden, padded + g, silu(b1))
            store(hidden, 2 * padded + f, silu(a2))
            store(hidden, 2 * padded + g, silu(b2))
            store(hidden, 3 * padded + f, silu(a3))
            store(hidden, 3 * padded + g, silu(b3))
        at = k * (width + 1) * padded
        c0 = load(nodes, 0) * 0.0
        c1, c2, c3 = c0, c0, c0
        for f in range(0, padded, wide):
            bias, g = at + width * padded + f, f + lanes
            a0, b0 = load(weights.message, bias), load(weights.message, bias + lanes)
            a1, a2, a3, b1, b2, b3 = a0, a0, a0, b0, b0, b0
            place = at + f
            for x in range(width):
                u, w = load(weights.message, place), load(weights.message, place + lanes)
                y = spread(hidden, x)
                a0, b0 = a0 + y * u, b0 + y * w
                y = spread(hidden, x + padded)
                a1, b1 = a1 + y * u, b1 + y * w
                y = spread(hidden, x + 2 * padded)
                a2, b2 = a2 + y * u, b2 + y * w
                y = spread(hidden, x + 3 * padded)
                a3, b3 = a3 + y * u, b3 + y * w
                place += padded
            e = spread(envelope, b)
            a0, b0 = silu(a0) * e, silu(b0) * e
            e = spread(envelope, b + 1)
            a1, b1 = silu(a1) * e, silu(b1) * e
            e = spread(envelope, b + 2)
            a2, b2 = silu(a2) * e, silu(b2) * e
            e = spread(envelope, b + 3)
            a3, b3 = silu(a3) * e, silu(b3) * e
            u, w = load(weights.force, k * padded + f), load(weights.force, k * padded + g)
            c0, c1 = c0 + (a0 * u + b0 * w), c1 + (a1 * u + b1 * w)
            c2, c3 = c2 + (a2 * u + b2 * w), c3 + (a3 * u + b3 * w)
            if not last:  # after the last kick nobody reads features
                store(received, i0 + f, load(received, i0 + f) + a0)
                store(received, i0 + g, load(received, i0 + g) + b0)
                store(received, j0 + f, load(received, j0 + f) + a0)
                store(received, j0 + g, load(received, j0 + g) + b0)
                store(received, i1 + f, load(received, i1 + f) + a1)
                store(received, i1 + g, load(received, i1 + g) + b1)
                store(received, j1 + f, load(received, j1 + f) + a1)
                store(received, j1 + g, load(received, j1 + g) + b1)
                store(received, i2 + f, load(received, i2 + f) + a2)
                store(received, i2 + g, load(received, i2 + g) + b2)
                store(received, j2 + f, load(received, j2 + f) + a2)
                store(received, j2 + g, load(received, j2 + g) + b2)
                store(received, i3 + f, load(received, i3 + f) + a3)
                store(received, i3 + g, load(received, i3 + g) + b3)
                store(received, j3 + f, load(received, j3 + f) + a3)
                store(received, j3 + g, load(received, j3 + g) + b3)
        correction[b], correction[b + 1] = total(c0), total(c1)
        correction[b + 2], correction[b + 3] = total(c2), total(c3)


@register_jitable(error_model="numpy")
def forces(
    numbers: Any,
    start: int,
    count: int,
    motion: Any,
    tile: Any,
    s_in: Any,
    c_in: Any,
    correction: Any,
    force: Any,
) -> None:
    """Write (c + phi) r / s^3 of pairs, with phi bounded where it is."""
    lanes, row = numbers.lanes, (numbers.basis + RATES - 3) * TILE
    fx, fy, fz = force
    for p in range(0, count, lanes):
        c, s, phi = load(c_in, p), load(s_in, p), load(correction, p)
        if numbers.bound >= 0.0:
            wrong = absolute(load(tile, row + p)) + absolute(load(tile, row + TILE + p))
            wrong = wrong + absolute(load(tile, row + 2 * TILE + p))
            most = minimum(wrong * numbers.bound, s * 0.0 + LARGEST) * absolute(c)
            phi = maximum(0.0 - most, minimum(most, phi))
        strength = (c + phi) / (s * s * s)
        store(fx, start + p, strength * load(motion[0], start + p))
        store(fy, start + p, strength * load(motion[1], start + p))
        store(fz, start + p, strength * load(motion[2], start + p))


@register_jitable(error_model="numpy")
def plain_forces(numbers: Any, pairs: int, motion: Any, charges: Any, force: Any) -> None:
    """Write the forces of pairs by the given law alone."""
    fx, fy, fz = force
    for p in range(0, pairs, numbers.lanes):
        x, y, z = load(motion[0], p), load(motion[1], p), load(motion[2], p)
        s2 = x * x + y * y + z * z + numbers.softening * numbers.softening
        strength = load(charges, p) * numbers.coupling / (s2 * sqrt(s2))
        store(fx, p, strength * x)
        store(fy, p, strength * y)
        store(fz, p, strength * z)
