"""A whole sub-step of `SET` on some of its samples, forwards and backwards, in compiled code.

Samples do not know each other inside a sub-step. So a block of them is followed through it with all
of their pairs, tile by tile, while what their particles have lies in the caches. Nothing on pairs is
kept for the gradient but the motion that a sub-step begins with: the rest is made again.

Arrays are (P, D, S) on pairs and (N, D, S) or (N, d, S) on particles, samples innermost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbody_set.training_edges import CHARGES, KAPPA, MASS, ROWS, edge_backward, edge_forward
from nbody_set.training_tiles import (
    add_outer,
    add_product,
    affine,
    sigmoid_rows,
    silu_rows,
    through_silu,
    tile_loop,
)

__all__ = ["substep_backward", "substep_forward"]

# What `shape` holds.
DIMS, WIDTH, BASIS, UPDATES, RADIAL, FAR, BLOCK, TILE = range(8)


@tile_loop
def _take(flat: Any, at: int, rows: int, columns: int) -> Any:
    """Return a matrix of the flat weights."""
    return flat[at : at + rows * columns].reshape(rows, columns)


@tile_loop
def _edge_weights(flat: Any, shape: Any) -> Any:
    """Return views of the weights of messages and prior, in the order of `SubstepWeights`."""
    d, features = shape[WIDTH], shape[BASIS] + 6
    at = 0
    from_pair = _take(flat, at, 2 * d, features)
    at += 2 * d * features
    pair_bias = flat[at : at + 2 * d]
    at += 2 * d
    to_message = _take(flat, at, d, d)
    at += d * d
    message_bias = flat[at : at + d]
    at += d
    to_force = flat[at : at + d]
    at += d
    log_range = flat[at : at + 1]
    at += 1
    radial = _take(flat, at, 2, shape[RADIAL])
    at += 2 * shape[RADIAL]
    far = flat[at : at + shape[FAR]]
    return (from_pair, pair_bias, to_message, message_bias, to_force, log_range, radial, far)


@tile_loop
def _node_weights(flat: Any, shape: Any) -> Any:
    """Return views of the weights of particles: of messages, and of the update of features."""
    d, features = shape[WIDTH], shape[BASIS] + 6
    at = 2 * d * (features + 1) + d * (d + 2) + 1 + 2 * shape[RADIAL] + shape[FAR]
    from_nodes = _take(flat, at, d, d)
    at += d * d
    u = d if shape[UPDATES] else 0
    from_features = _take(flat, at, u, u)
    at += u * u
    features_bias = flat[at : at + u]
    at += u
    from_messages = _take(flat, at, u, u)
    at += u * u
    to_features = _take(flat, at, u, u)
    at += u * u
    to_bias = flat[at : at + u]
    return (from_nodes, from_features, features_bias, from_messages, to_features, to_bias)


@tile_loop
def _gather(y: Any, out: Any, begin: int, lanes: int) -> None:
    """Copy samples of (N, d, S) to (d, N lanes)."""
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            row, of = out[o, n * lanes : n * lanes + lanes], y[n, o, begin : begin + lanes]
            for t in range(lanes):
                row[t] = of[t]


@tile_loop
def _scatter(out: Any, y: Any, begin: int, lanes: int) -> None:
    """Copy (d, N lanes) to samples of (N, d, S)."""
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            row, of = out[o, n * lanes : n * lanes + lanes], y[n, o, begin : begin + lanes]
            for t in range(lanes):
                of[t] = row[t]


@tile_loop
def _copy(out: Any, y: Any) -> None:
    for t in range(len(out)):
        out[t] = y[t]


@tile_loop
def _zero(y: Any, size: int) -> None:
    for o in range(len(y)):
        row = y[o]
        for t in range(size):
            row[t] = y.dtype.type(0)


@tile_loop
def _load(
    r: Any,
    w: Any,
    a: Any,
    charges: Any,
    mass: Any,
    nodes: Any,
    i: Any,
    j: Any,
    first: int,
    last: int,
    begin: int,
    lanes: int,
    motion: Any,
    k: Any,
    z1: Any,
) -> None:
    """Copy pairs first to last of some samples into a tile, and what their particles give."""
    dims, end = r.shape[1], begin + lanes
    for p in range(first, last):
        at = (p - first) * lanes
        to = at + lanes
        for d in range(dims):
            _copy(motion[d, at:to], r[p, d, begin:end])
            _copy(motion[dims + d, at:to], w[p, d, begin:end])
            _copy(motion[2 * dims + d, at:to], a[p, d, begin:end])
        _copy(k[CHARGES, at:to], charges[p, begin:end])
        _copy(k[MASS, at:to], mass[p, begin:end])
        at_i, at_j = i[p] * lanes, j[p] * lanes
        for o in range(len(z1)):
            row = z1[o, at:to]
            of_i, of_j = nodes[o, at_i : at_i + lanes], nodes[o, at_j : at_j + lanes]
            for t in range(lanes):
                row[t] = of_i[t] + of_j[t]


@tile_loop
def _add_both(
    rows: Any, nodes: Any, i: Any, j: Any, first: int, last: int, lanes: int, sign: Any
) -> None:
    """Add rows of pairs to their particles i, and times `sign` to their particles j."""
    for p in range(first, last):
        at, at_i, at_j = (p - first) * lanes, i[p] * lanes, j[p] * lanes
        for o in range(len(rows)):
            row = rows[o, at : at + lanes]
            of_i, of_j = nodes[o, at_i : at_i + lanes], nodes[o, at_j : at_j + lanes]
            for t in range(lanes):
                of_i[t] += row[t]
            for t in range(lanes):
                of_j[t] += sign * row[t]


@tile_loop
def _both(
    rows: Any, nodes: Any, i: Any, j: Any, first: int, last: int, lanes: int, sign: Any
) -> None:
    """Write y_i + sign y_j of the particles of pairs."""
    for p in range(first, last):
        at, at_i, at_j = (p - first) * lanes, i[p] * lanes, j[p] * lanes
        for o in range(len(rows)):
            row = rows[o, at : at + lanes]
            of_i, of_j = nodes[o, at_i : at_i + lanes], nodes[o, at_j : at_j + lanes]
            for t in range(lanes):
                row[t] = of_i[t] + sign * of_j[t]


@tile_loop
def substep_forward(
    state: Any,
    of_pairs: Any,
    of_particles: Any,
    flat: Any,
    shares: Any,
    shape: Any,
    consts: Any,
    out: Any,
    kept: Any,
    first_block: int,
    last_block: int,
) -> None:
    """Make one sub-step of the samples of some blocks.

    `state` and `out` are r, w, a, dx, dv and h; `kept` gets accelerations and messages of
    particles.
    """
    r, w, a, dx, dv, h = state
    i, j, charges, mass = of_pairs
    v, field, masses = of_particles
    new_r, new_w, new_a, new_dx, new_dv, new_h = out
    acc, received = kept
    dims, d, tile, block = shape[DIMS], shape[WIDTH], shape[TILE], shape[BLOCK]
    n, pairs, samples = h.shape[0], r.shape[0], h.shape[2]
    weights = _edge_weights(flat, shape)
    from_nodes, from_features, features_bias, from_messages, to_features, to_bias = _node_weights(
        flat, shape
    )
    like = r.dtype
    one = like.type(1)
    nothing = np.zeros(d, like)
    size = tile
    motion, k = np.empty((3 * dims, size), like), np.empty((ROWS, size), like)
    f, z = np.empty((shape[BASIS] + 6, size), like), np.empty((2 * d, size), like)
    z1, g1, hidden = np.empty((d, size), like), np.empty((d, size), like), np.empty((d, size), like)
    z2, g2, message = (
        np.empty((d, size), like),
        np.empty((d, size), like),
        np.empty((d, size), like),
    )
    force = np.empty((dims, size), like)
    features, nodes = np.empty((d, n * block), like), np.empty((d, n * block), like)
    forces, messages = np.empty((dims, n * block), like), np.empty((d, n * block), like)
    gates, change = np.empty((d, n * block), like), np.empty((d, n * block), like)
    tau, delta = shares[0], shares[1]
    for number in range(first_block, last_block):
        start = number * block
        lanes = min(block, samples - start)
        of_nodes = n * lanes
        _gather(h, features, start, lanes)
        affine(from_nodes, nothing, features, nodes, of_nodes)
        _zero(forces, of_nodes)
        _zero(messages, of_nodes)
        many = max(tile // lanes, 1)
        for first in range(0, pairs, many):
            last = min(first + many, pairs)
            size = (last - first) * lanes
            _load(
                r, w, a, charges, mass, nodes, i, j, first, last, start, lanes, motion, k, z1
            )
            edge_forward(
                motion, k, f, z, z1, g1, hidden, z2, g2, message, weights, dims, consts, size
            )
            kappa = k[KAPPA]
            for e in range(dims):
                row, x = force[e], motion[e]
                for t in range(size):
                    row[t] = kappa[t] * x[t]
            _add_both(force, forces, i, j, first, last, lanes, -one)
            if shape[UPDATES]:
                _add_both(message, messages, i, j, first, last, lanes, one)
        stop = start + lanes
        for b in range(n):
            at, m = b * lanes, masses[b, start:stop]
            for e in range(dims):
                row, of = acc[b, e, start:stop], forces[e, at : at + lanes]
                kick, speed = field[b, e, start:stop], v[b, e, start:stop]
                old, new = dv[b, e, start:stop], new_dv[b, e, start:stop]
                dx_old, dx_new = dx[b, e, start:stop], new_dx[b, e, start:stop]
                for t in range(lanes):
                    row[t] = of[t] / m[t]
                for t in range(lanes):
                    new[t] = old[t] + tau * (row[t] + kick[t])
                for t in range(lanes):
                    dx_new[t] = dx_old[t] + delta * (speed[t] + new[t])
        for p in range(pairs):
            for e in range(dims):
                of_i, of_j = acc[i[p], e, start:stop], acc[j[p], e, start:stop]
                kick_i, kick_j = field[i[p], e, start:stop], field[j[p], e, start:stop]
                x, y = new_a[p, e, start:stop], new_w[p, e, start:stop]
                z_, old_w = new_r[p, e, start:stop], w[p, e, start:stop]
                old_r = r[p, e, start:stop]
                for t in range(lanes):
                    x[t] = of_i[t] - of_j[t]
                for t in range(lanes):
                    y[t] = old_w[t] + tau * (x[t] + (kick_i[t] - kick_j[t]))
                for t in range(lanes):
                    z_[t] = old_r[t] + delta * y[t]
        if shape[UPDATES]:
            _scatter(messages, received, start, lanes)
            affine(from_features, features_bias, features, nodes, of_nodes)
            add_product(from_messages, messages, nodes, of_nodes)
            sigmoid_rows(nodes, gates, of_nodes)
            silu_rows(nodes, gates, change, of_nodes)
            affine(to_features, to_bias, change, nodes, of_nodes)
            for o in range(d):
                row, of = features[o], nodes[o]
                for t in range(of_nodes):
                    row[t] += of[t]
        _scatter(features, new_h, start, lanes)


@tile_loop
def substep_backward(
    state: Any,
    of_pairs: Any,
    of_particles: Any,
    flat: Any,
    shares: Any,
    shape: Any,
    consts: Any,
    after: Any,
    kept: Any,
    given: Any,
    wanted: Any,
    to_field: Any,
    to_v: Any,
    of_flat: Any,
    of_shares: Any,
    first_block: int,
    last_block: int,
) -> None:
    """Go back through a sub-step of the samples of some blocks.

    `after` are w and dv after it, `given` the gradients of its results, `wanted` get those of
    r, w, a, dv and h (of dx it is the given one). Each block has a row of its own in `of_flat` and
    `of_shares`, so that their sums do not depend on how blocks are shared out.
    """
    r, w, a, h = state
    i, j, charges, mass = of_pairs
    v, field, masses = of_particles
    new_w, new_dv = after
    acc, received = kept
    of_new_r, of_new_w, of_new_a, of_new_dx, of_new_dv, of_new_h = given
    of_r, of_w, of_a, of_dv, of_h = wanted
    dims, d, tile, block = shape[DIMS], shape[WIDTH], shape[TILE], shape[BLOCK]
    n, pairs, samples = h.shape[0], r.shape[0], h.shape[2]
    weights = _edge_weights(flat, shape)
    from_nodes, from_features, features_bias, from_messages, to_features, to_bias = _node_weights(
        flat, shape
    )
    transposed = weights[0].T.copy(), weights[2].T.copy()
    back_nodes, back_features = from_nodes.T.copy(), from_features.T.copy()
    back_messages, back_to = from_messages.T.copy(), to_features.T.copy()
    like = r.dtype
    one = like.type(1)
    nothing, unused = np.zeros(d, like), np.zeros(d, like)
    size = tile
    motion, k = np.empty((3 * dims, size), like), np.empty((ROWS, size), like)
    to_motion, to_force = np.empty((3 * dims, size), like), np.empty((dims, size), like)
    f, z = np.empty((shape[BASIS] + 6, size), like), np.empty((2 * d, size), like)
    to_f = np.empty((shape[BASIS] + 6, size), like)
    z1, g1, hidden = np.empty((d, size), like), np.empty((d, size), like), np.empty((d, size), like)
    z2, g2, message = (
        np.empty((d, size), like),
        np.empty((d, size), like),
        np.empty((d, size), like),
    )
    to_message = np.empty((d, size), like)
    features, nodes = np.empty((d, n * block), like), np.empty((d, n * block), like)
    to_forces, to_messages = np.empty((dims, n * block), like), np.empty((d, n * block), like)
    before, gates = np.empty((d, n * block), like), np.empty((d, n * block), like)
    change, to_h, messages = (
        np.empty((d, n * block), like),
        np.empty((d, n * block), like),
        np.empty((d, n * block), like),
    )
    tau, delta = shares[0], shares[1]
    for number in range(first_block, last_block):
        start = number * block
        lanes = min(block, samples - start)
        gradients = _edge_weights(of_flat[number], shape)
        of_nodes_w, of_features_w, of_features_b, of_messages_w, of_to_w, of_to_b = _node_weights(
            of_flat[number], shape
        )
        of_tau, of_delta = 0.0, 0.0
        of_nodes, stop = n * lanes, start + lanes
        # Kick and drift of particles, then of pairs, whose parts particles get back.
        for b in range(n):
            at = b * lanes
            for e in range(dims):
                y, x = of_new_dv[b, e, start:stop], of_dv[b, e, start:stop]
                dx_, kick = of_new_dx[b, e, start:stop], to_field[b, e, start:stop]
                out, to_speed = to_forces[e, at : at + lanes], to_v[b, e, start:stop]
                for t in range(lanes):
                    to_speed[t] = delta * dx_[t]
                for t in range(lanes):
                    x[t] = y[t] + to_speed[t]
                for t in range(lanes):
                    kick[t] = tau * x[t]
                for t in range(lanes):
                    out[t] = kick[t]
                row, f_ = acc[b, e, start:stop], field[b, e, start:stop]
                speed, after_ = v[b, e, start:stop], new_dv[b, e, start:stop]
                first_sum, second_sum = like.type(0), like.type(0)
                for t in range(lanes):
                    first_sum += x[t] * (row[t] + f_[t])
                    second_sum += dx_[t] * (speed[t] + after_[t])
                of_tau += first_sum
                of_delta += second_sum
        for p in range(pairs):
            at_i, at_j = i[p] * lanes, j[p] * lanes
            for e in range(dims):
                y, x = of_new_w[p, e, start:stop], of_w[p, e, start:stop]
                z_, through = of_new_r[p, e, start:stop], of_new_a[p, e, start:stop]
                kick_i, kick_j = to_field[i[p], e, start:stop], to_field[j[p], e, start:stop]
                out_i, out_j = to_forces[e, at_i : at_i + lanes], to_forces[e, at_j : at_j + lanes]
                for t in range(lanes):
                    x[t] = y[t] + delta * z_[t]
                for t in range(lanes):
                    kick_i[t] += tau * x[t]
                for t in range(lanes):
                    kick_j[t] -= tau * x[t]
                for t in range(lanes):
                    out_i[t] += through[t] + tau * x[t]
                for t in range(lanes):
                    out_j[t] -= through[t] + tau * x[t]
                acc_i, acc_j = acc[i[p], e, start:stop], acc[j[p], e, start:stop]
                f_i, f_j = field[i[p], e, start:stop], field[j[p], e, start:stop]
                after_ = new_w[p, e, start:stop]
                first_sum, second_sum = like.type(0), like.type(0)
                for t in range(lanes):
                    first_sum += x[t] * ((acc_i[t] - acc_j[t]) + (f_i[t] - f_j[t]))
                    second_sum += z_[t] * after_[t]
                of_tau += first_sum
                of_delta += second_sum
        for b in range(n):
            at, m = b * lanes, masses[b, start:stop]
            for e in range(dims):
                out = to_forces[e, at : at + lanes]
                for t in range(lanes):
                    out[t] /= m[t]
        # The update of features.
        _gather(h, features, start, lanes)
        _gather(of_new_h, to_h, start, lanes)
        if shape[UPDATES]:
            _gather(received, messages, start, lanes)
            affine(from_features, features_bias, features, before, of_nodes)
            add_product(from_messages, messages, before, of_nodes)
            sigmoid_rows(before, gates, of_nodes)
            silu_rows(before, gates, change, of_nodes)
            add_outer(of_to_w, of_to_b, to_h, change, of_nodes)
            affine(back_to, nothing, to_h, change, of_nodes)
            through_silu(change, before, gates, of_nodes)
            add_outer(of_features_w, of_features_b, change, features, of_nodes)
            add_outer(of_messages_w, unused, change, messages, of_nodes)
            add_product(back_features, change, to_h, of_nodes)
            affine(back_messages, nothing, change, to_messages, of_nodes)
        affine(from_nodes, nothing, features, nodes, of_nodes)
        _zero(change, of_nodes)  # from here on the gradients of what nodes give to pairs
        many = max(tile // lanes, 1)
        for first in range(0, pairs, many):
            last = min(first + many, pairs)
            size = (last - first) * lanes
            _load(
                r, w, a, charges, mass, nodes, i, j, first, last, start, lanes, motion, k, z1
            )
            edge_forward(
                motion, k, f, z, z1, g1, hidden, z2, g2, message, weights, dims, consts, size
            )
            _both(to_force, to_forces, i, j, first, last, lanes, -one)
            if shape[UPDATES]:
                _both(to_message, to_messages, i, j, first, last, lanes, one)
            else:
                _zero(to_message, size)
            edge_backward(
                motion,
                to_motion,
                to_force,
                to_message,
                k,
                f,
                to_f,
                z,
                z1,
                g1,
                hidden,
                z2,
                g2,
                message,
                weights,
                transposed,
                gradients,
                dims,
                consts,
                size,
            )
            _add_both(z1, change, i, j, first, last, lanes, one)
            for p in range(first, last):
                at = (p - first) * lanes
                to = at + lanes
                for e in range(dims):
                    out_r, given_r = of_r[p, e, start:stop], of_new_r[p, e, start:stop]
                    out_w = of_w[p, e, start:stop]
                    x, y = to_motion[e, at:to], to_motion[dims + e, at:to]
                    for t in range(lanes):
                        out_r[t] = given_r[t] + x[t]
                    for t in range(lanes):
                        out_w[t] += y[t]
                    _copy(of_a[p, e, start:stop], to_motion[2 * dims + e, at:to])
        add_outer(of_nodes_w, unused, change, features, of_nodes)
        add_product(back_nodes, change, to_h, of_nodes)
        _scatter(to_h, of_h, start, lanes)
        of_shares[number, 0] = of_tau
        of_shares[number, 1] = of_delta
