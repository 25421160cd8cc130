"""A whole sub-step of `SET` on some of its samples, forwards and backwards, in compiled code.

Samples do not know each other inside a sub-step. So a block of them is followed through it with all
of their pairs, tile by tile, while what their particles have lies in the caches. Nothing on pairs
is kept for the gradient but the motion that a sub-step begins with: the rest is made again.

Arrays are (P, D, S) on pairs and (N, D, S) or (N, d, S) on particles, samples innermost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbody_set.training.edges import KAPPA, ROWS, edge_forward
from nbody_set.training.edges_backward import edge_backward
from nbody_set.training.lanes import (
    BASIS,
    BLOCK,
    DIMS,
    TILE,
    UPDATES,
    WIDTH,
    add_both,
    both,
    copy,
    edge_weights,
    gather,
    load,
    node_weights,
    scatter,
    zero,
)
from nbody_set.training.tiles import (
    add_outer,
    add_product,
    affine,
    sigmoid_rows,
    silu_rows,
    through_silu,
    tile_loop,
)

__all__ = ["substep_backward", "substep_forward"]


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
    weights = edge_weights(flat, shape)
    from_nodes, from_features, features_bias, from_messages, to_features, to_bias = node_weights(
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
        gather(h, features, start, lanes)
        affine(from_nodes, nothing, features, nodes, of_nodes)
        zero(forces, of_nodes)
        zero(messages, of_nodes)
        many = max(tile // lanes, 1)
        for first in range(0, pairs, many):
            last = min(first + many, pairs)
            size = (last - first) * lanes
            load(r, w, a, charges, mass, nodes, i, j, first, last, start, lanes, motion, k, z1)
            edge_forward(
                motion, k, f, z, z1, g1, hidden, z2, g2, message, weights, dims, consts, size
            )
            kappa = k[KAPPA]
            for e in range(dims):
                row, x = force[e], motion[e]
                for t in range(size):
                    row[t] = kappa[t] * x[t]
            add_both(force, forces, i, j, first, last, lanes, -one)
            if shape[UPDATES]:
                add_both(message, messages, i, j, first, last, lanes, one)
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
            scatter(messages, received, start, lanes)
            affine(from_features, features_bias, features, nodes, of_nodes)
            add_product(from_messages, messages, nodes, of_nodes)
            sigmoid_rows(nodes, gates, of_nodes)
            silu_rows(nodes, gates, change, of_nodes)
            affine(to_features, to_bias, change, nodes, of_nodes)
            for o in range(d):
                row, of = features[o], nodes[o]
                for t in range(of_nodes):
                    row[t] += of[t]
        scatter(features, new_h, start, lanes)


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
    weights = edge_weights(flat, shape)
    from_nodes, from_features, features_bias, from_messages, to_features, _ = node_weights(
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
        gradients = edge_weights(of_flat[number], shape)
        of_nodes_w, of_features_w, of_features_b, of_messages_w, of_to_w, of_to_b = node_weights(
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
        gather(h, features, start, lanes)
        gather(of_new_h, to_h, start, lanes)
        if shape[UPDATES]:
            gather(received, messages, start, lanes)
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
        zero(change, of_nodes)  # from here on the gradients of what nodes give to pairs
        many = max(tile // lanes, 1)
        for first in range(0, pairs, many):
            last = min(first + many, pairs)
            size = (last - first) * lanes
            load(r, w, a, charges, mass, nodes, i, j, first, last, start, lanes, motion, k, z1)
            edge_forward(
                motion, k, f, z, z1, g1, hidden, z2, g2, message, weights, dims, consts, size
            )
            both(to_force, to_forces, i, j, first, last, lanes, -one)
            if shape[UPDATES]:
                both(to_message, to_messages, i, j, first, last, lanes, one)
            else:
                zero(to_message, size)
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
            add_both(z1, change, i, j, first, last, lanes, one)
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
                    copy(of_a[p, e, start:stop], to_motion[2 * dims + e, at:to])
        add_outer(of_nodes_w, unused, change, features, of_nodes)
        add_product(back_nodes, change, to_h, of_nodes)
        scatter(to_h, of_h, start, lanes)
        of_shares[number, 0] = of_tau
        of_shares[number, 1] = of_delta
