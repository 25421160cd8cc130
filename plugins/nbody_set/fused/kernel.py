"""Frames of `SET` in compiled code: the sub-steps, the features of particles, attention.

One trajectory after the other, each in the same order whatever the batch, so that its bits depend
on nothing else. The order of operations is that of `nbody_set.model`; the state is summed in
float64, relative motion is carried beside absolute motion as there.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba.extending import register_jitable

from nbody_set.fused.gate import gate
from nbody_set.fused.pairs import (
    RATES,
    TILE,
    arrange,
    features,
    forces,
    messages,
    plain_forces,
)
from nbody_surrogate.layers.fused import affine_rows, call_field, load, silu, store

__all__ = ["advance"]


@register_jitable(error_model="numpy")
def _first_layers(numbers: Any, weights: Any, groups: int, products: Any) -> Any:
    """Return the first layer of each sub-step, for each group or with charges among its inputs."""
    inputs, padded = numbers.basis + RATES, numbers.padded
    size = (inputs + 1) * padded
    if groups > 0:
        made = np.empty(numbers.substeps * groups * size, weights.plain.dtype)
        for k in range(numbers.substeps):
            for g in range(groups):
                at = (k * groups + g) * size
                for m in range(size):
                    made[at + m] = (
                        weights.plain[k * size + m] + products[g] * weights.charged[k * size + m]
                    )
        return made
    made = np.empty(numbers.substeps * 2 * size, weights.plain.dtype)
    for k in range(numbers.substeps):
        for m in range(size):
            # inputs, inputs times q_i q_j, that itself; and the bias
            to = 2 * k * size + m + (0 if m < size - padded else size)
            made[to] = weights.plain[k * size + m]
            made[2 * k * size + m + size - padded] = weights.charged[k * size + m]
    return made


@register_jitable(error_model="numpy")
def _update(numbers: Any, weights: Any, k: int, h: Any, received: Any, made: Any, other: Any) -> None:
    """h + phi_h(h, sum_j m_ij), in place."""
    lanes, padded, width = numbers.lanes, numbers.padded, numbers.width
    rows, at = h.size // padded, k * (width + 1) * padded
    affine_rows(h, width, padded, weights.from_features, at, padded, lanes, rows, made)
    affine_rows(received, width, padded, weights.from_messages, at, padded, lanes, rows, other)
    for m in range(0, h.size, lanes):
        store(made, m, silu(load(made, m) + load(other, m)))
    affine_rows(made, width, padded, weights.to_features, at, padded, lanes, rows, other)
    for m in range(0, h.size, lanes):
        store(h, m, load(h, m) + load(other, m))


@register_jitable(error_model="numpy")
def _attend(
    numbers: Any, weights: Any, n: int, h: Any, past: Any, filled: int, rows: Any, scores: Any
) -> None:
    """Let each particle attend to its last frames, h in place, and put this one among them."""
    lanes, padded, width, history = numbers.lanes, numbers.padded, numbers.width, numbers.history
    size, count = (width + 1) * padded, h.size // padded
    query, key, value, mixed = rows
    affine_rows(h, width, padded, weights.attention, 0, padded, lanes, count, query)
    affine_rows(h, width, padded, weights.attention, size, padded, lanes, count, key)
    affine_rows(h, width, padded, weights.attention, 2 * size, padded, lanes, count, value)
    deep = width // numbers.heads
    scale = 1.0 / math.sqrt(float(deep))
    for i in range(n):
        for head in range(numbers.heads):
            at = i * padded + head * deep
            largest = -np.inf
            for t in range(history):
                lag = history - 1 - t
                if lag > filled:
                    continue
                score = 0.0
                for m in range(deep):
                    known = key[at + m] if lag == 0 else past[i, t, head * deep + m]
                    score += float(query[at + m]) * float(known)
                score = score * scale + weights.lag_bias[head * history + lag]
                scores[t] = score
                largest = max(largest, score)
            together = 0.0
            for t in range(history - 1 - min(filled, history - 1), history):
                scores[t] = math.exp(scores[t] - largest)
                together += scores[t]
            for m in range(deep):
                found = 0.0
                for t in range(history - 1 - min(filled, history - 1), history):
                    lag = history - 1 - t
                    known = value[at + m] if lag == 0 else past[i, t, width + head * deep + m]
                    found += scores[t] * known
                mixed[at + m] = found / together
    affine_rows(mixed, width, padded, weights.attention, 3 * size, padded, lanes, count, query)
    for m in range(0, n * padded, lanes):
        store(h, m, load(h, m) + load(query, m))
    for i in range(n):
        for t in range(history - 2):
            for m in range(2 * width):
                past[i, t, m] = past[i, t + 1, m]
        if history > 1:
            for m in range(width):
                past[i, history - 2, m] = key[i * padded + m]
                past[i, history - 2, width + m] = value[i * padded + m]


@register_jitable(error_model="numpy")
def _drift(time: float, n: int, v: Any, dx: Any, dv: Any, pairs: int, lanes: int, motion: Any) -> None:
    rx, ry, rz, wx, wy, wz, _, _, _ = motion
    for c in range(3):
        for i in range(n):
            dx[c, i] += time * (v[c, i] + dv[c, i])
    for p in range(0, pairs, lanes):
        store(rx, p, load(rx, p) + load(wx, p) * time)
        store(ry, p, load(ry, p) + load(wy, p) * time)
        store(rz, p, load(rz, p) + load(wz, p) * time)


@register_jitable(error_model="numpy")
def _accelerate(
    n: int, pairs: int, first: Any, second: Any, force: Any, masses: Any, a: Any
) -> None:
    """Sum forces of pairs on both of their ends, and divide by masses."""
    a[:] = 0.0
    fx, fy, fz = force
    for p in range(pairs):
        i, j = first[p], second[p]
        a[0, i] += fx[p]
        a[0, j] -= fx[p]
        a[1, i] += fy[p]
        a[1, j] -= fy[p]
        a[2, i] += fz[p]
        a[2, j] -= fz[p]
    for i in range(n):
        a[0, i], a[1, i], a[2, i] = a[0, i] / masses[i], a[1, i] / masses[i], a[2, i] / masses[i]
    a[0, n], a[1, n], a[2, n] = 0.0, 0.0, 0.0


@register_jitable(error_model="numpy")
def _kick(
    time: float,
    n: int,
    pairs: int,
    lanes: int,
    first: Any,
    second: Any,
    a: Any,
    dv: Any,
    motion: Any,
    keep: bool,
    field: int,
    given: Any,
    made: Any,
    x: Any,
    v: Any,
    dx: Any,
    charges: Any,
    masses: Any,
    kicks: Any,
    pair_kick: Any,
) -> None:
    """Change velocities by accelerations and by the field."""
    _, _, _, wx, wy, wz, ax, ay, az = motion
    for c in range(3):
        for i in range(n):
            kicks[c, i] = time * a[c, i]
    if field != 0:
        for i in range(n):
            for c in range(3):
                given[c] = x[c, i] + dx[c, i]
                given[3 + c] = v[c, i] + dv[c, i]
            given[6], given[7] = charges[i], masses[i]
            call_field(field, given.ctypes.data, made.ctypes.data)
            for c in range(3):
                kicks[c, i] += time * made[c]
    for c in range(3):
        for i in range(n):
            dv[c, i] += kicks[c, i]
    if keep:
        for p in range(pairs):
            i, j = first[p], second[p]
            ax[p] = a[0, i] - a[0, j]
            ay[p] = a[1, i] - a[1, j]
            az[p] = a[2, i] - a[2, j]
    if keep and field == 0:
        for p in range(0, pairs, lanes):
            store(wx, p, load(wx, p) + load(ax, p) * time)
            store(wy, p, load(wy, p) + load(ay, p) * time)
            store(wz, p, load(wz, p) + load(az, p) * time)
    else:
        for p in range(pairs):
            i, j = first[p], second[p]
            wx[p] += kicks[0, i] - kicks[0, j]
            wy[p] += kicks[1, i] - kicks[1, j]
            wz[p] += kicks[2, i] - kicks[2, j]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def advance(
    numbers: Any,
    weights: Any,
    charges_of: Any,
    masses_of: Any,
    field: int,
    past_of: Any,
    filled_of: Any,
    x_of: Any,
    v_of: Any,
    frames_x: Any,
    frames_v: Any,
    begin: int,
    end: int,
) -> None:
    """Write frames of the trajectories from `begin` to `end`, and the cache after them in place.

    Parameters
    ----------
    numbers, weights : Numbers, Weights
    charges_of, masses_of : ndarray, shape (B, N)
    field : int
        Address of the external field, or 0.
    past_of : ndarray, shape (N, B, L - 1, 2 d)
    filled_of : ndarray, shape (B,)
    x_of, v_of : ndarray, float64, shape (B, N, D)
    frames_x, frames_v : ndarray, float64, shape (B, F, N, D)
    begin, end : int
    """
    batch, frames, n, dimensions = frames_x.shape
    dtype = charges_of.dtype
    lanes, padded, width, substeps = (
        numbers.lanes,
        numbers.padded,
        numbers.width,
        numbers.substeps,
    )
    inputs = numbers.basis + RATES
    room = (n * (n - 1) // 2 + 4 * 8 + TILE) // TILE * TILE + TILE
    rows = (n + 4) // 4 * 4
    first, second = np.zeros(room, np.int64), np.zeros(room, np.int64)
    group = np.zeros(room // 4, np.int64)
    lines = np.zeros((18, room), dtype)
    motion = (
        lines[0],
        lines[1],
        lines[2],
        lines[3],
        lines[4],
        lines[5],
        lines[6],
        lines[7],
        lines[8],
    )
    force = (lines[9], lines[10], lines[11])
    charges, inverse = lines[12], lines[13]
    tile = np.zeros((2 * inputs + 4) * TILE, dtype)
    pieces = np.zeros((4, TILE), dtype)
    s_in, c_in, envelope, correction = pieces[0], pieces[1], pieces[2], pieces[3]
    hidden = np.zeros(4 * padded, dtype)
    features_of = np.zeros((8, rows * padded), dtype)
    h, nodes, received, other = features_of[0], features_of[1], features_of[2], features_of[3]
    attention = (features_of[4], features_of[5], features_of[6], features_of[7])
    scores = np.zeros(numbers.history)
    a, dx, dv, kicks = (
        np.zeros((3, n + 1), dtype),
        np.zeros((3, n + 1), dtype),
        np.zeros((3, n + 1), dtype),
        np.zeros((3, n + 1), dtype),
    )
    x, v = np.zeros((3, n + 1)), np.zeros((3, n + 1))
    v_here = np.zeros((3, n + 1), dtype)
    given, made = np.zeros(8), np.zeros(3)
    sums = np.zeros(3 * (n + 1), dtype)
    past = np.zeros((n, numbers.history - 1, 2 * width), dtype)
    bounds = np.zeros(4)
    tau = numbers.frame_dt / substeps

    for b in range(begin, end):
        q, m = charges_of[b], masses_of[b]
        pairs, groups, products = arrange(q, inputs, width, first, second, group)
        layer = _first_layers(numbers, weights, groups, products)
        doubled = groups == 0
        layer_inputs = 2 * inputs + 1 if doubled else inputs
        layer_size = 0 if doubled else (inputs + 1) * padded
        layers_size = (2 * (inputs + 1) if doubled else groups * (inputs + 1)) * padded
        whole = pairs  # rounded up to vectors
        while whole % 8 != 0:
            first[whole], second[whole] = n, n
            group[whole // 4] = group[max(whole // 4 - 1, 0)] if whole > 0 else 0
            whole += 1
        bounds[0], bounds[1], bounds[2], bounds[3] = np.inf, 0.0, np.inf, 0.0
        charges[:], inverse[:] = 0.0, 0.0
        for p in range(pairs):
            i, j = first[p], second[p]
            if i != n:
                charges[p] = q[i] * q[j]
                inverse[p] = dtype.type(1.0) / m[i] + dtype.type(1.0) / m[j]
                bounds[0], bounds[1] = min(bounds[0], abs(charges[p])), max(bounds[1], abs(charges[p]))
                bounds[2], bounds[3] = min(bounds[2], inverse[p]), max(bounds[3], inverse[p])
        filled = filled_of[b]
        for i in range(n):
            for t in range(numbers.history - 1):
                for f in range(2 * width):
                    past[i, t, f] = past_of[i, b, t, f]
            for c in range(dimensions):
                x[c, i], v[c, i] = x_of[b, i, c], v_of[b, i, c]

        for frame in range(frames):
            for c in range(3):
                for p in range(pairs):
                    i, j = first[p], second[p]
                    lines[c, p] = x[c, i] - x[c, j]
                    lines[3 + c, p] = v[c, i] - v[c, j]
                    lines[6 + c, p] = 0.0
                for i in range(n):
                    v_here[c, i] = v[c, i]
            dx[:], dv[:] = 0.0, 0.0
            for r in range(0, h.size, lanes):
                store(h, r, load(weights.initial, r % padded))
            opened, halved = 1.0, False
            if numbers.gated and n > 1:
                opened, halved = gate(
                    numbers,
                    whole,
                    first,
                    second,
                    motion,
                    charges,
                    inverse,
                    bounds,
                    lines[14],
                    lines[15],
                    lines[16],
                    lines[17],
                    sums,
                )
            shut = opened <= 0.0
            share = 0.5 if halved else 1.0
            time = float(weights.drift[0]) if not shut else 0.5 * share * tau
            _drift(time, n, v_here, dx, dv, whole, lanes, motion)
            for k in range(substeps):
                received[:] = 0.0
                if shut:
                    plain_forces(numbers, whole, motion, charges, force)
                else:
                    at = k * (width + 1) * padded
                    affine_rows(h, width, padded, weights.nodes, at, padded, lanes, rows, nodes)
                    for start in range(0, whole, TILE):
                        count = min(TILE, whole - start)
                        features(
                            numbers,
                            weights,
                            k,
                            start,
                            count,
                            motion,
                            charges,
                            inverse,
                            opened,
                            doubled,
                            tile,
                            s_in,
                            c_in,
                            envelope,
                        )
                        messages(
                            numbers,
                            weights,
                            k,
                            start,
                            count,
                            first,
                            second,
                            layer,
                            k * layers_size,
                            layer_size,
                            group,
                            layer_inputs,
                            tile,
                            nodes,
                            hidden,
                            envelope,
                            received,
                            correction,
                        )
                        forces(
                            numbers, start, count, motion, tile, s_in, c_in, correction, force
                        )
                _accelerate(n, whole, first, second, force, m, a)
                if k < substeps - 1:
                    _update(numbers, weights, k, h, received, nodes, other)
                if k == 0:
                    _attend(numbers, weights, n, h, past, filled, attention, scores)
                time = float(weights.kick[k]) if not shut else share * tau
                _kick(
                    time,
                    n,
                    whole,
                    lanes,
                    first,
                    second,
                    a,
                    dv,
                    motion,
                    True,
                    field,
                    given,
                    made,
                    x,
                    v,
                    dx,
                    q,
                    m,
                    kicks,
                    force,
                )
                time = float(weights.drift[k + 1])
                ends = 0.5 if k == substeps - 1 else 1.0
                if shut:
                    time = 0.5 * tau if halved else ends * tau
                _drift(time, n, v_here, dx, dv, whole, lanes, motion)
                if halved:
                    plain_forces(numbers, whole, motion, charges, force)
                    _accelerate(n, whole, first, second, force, m, a)
                    _kick(
                        0.5 * tau,
                        n,
                        whole,
                        lanes,
                        first,
                        second,
                        a,
                        dv,
                        motion,
                        False,
                        field,
                        given,
                        made,
                        x,
                        v,
                        dx,
                        q,
                        m,
                        kicks,
                        force,
                    )
                    _drift(0.5 * ends * tau, n, v_here, dx, dv, whole, lanes, motion)
            filled = min(filled + 1, numbers.history - 1)
            for c in range(dimensions):
                for i in range(n):
                    x[c, i] += dx[c, i]
                    v[c, i] += dv[c, i]
                    frames_x[b, frame, i, c] = x[c, i]
                    frames_v[b, frame, i, c] = v[c, i]

        filled_of[b] = filled
        for i in range(n):
            for t in range(numbers.history - 1):
                for f in range(2 * width):
                    past_of[i, b, t, f] = past[i, t, f]
