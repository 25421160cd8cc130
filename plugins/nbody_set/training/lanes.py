"""What moves in and out of tiles: weights by name, samples of particles, and of pairs.

Arrays are (P, D, S) on pairs and (N, D, S) or (N, d, S) on particles, samples innermost. A block of
samples has (d, N lanes) on its particles.
"""

from __future__ import annotations

from typing import Any

from nbody_set.training.edges import CHARGES, MASS
from nbody_set.training.tiles import tile_loop

__all__ = [
    "add_both",
    "both",
    "copy",
    "edge_weights",
    "gather",
    "load",
    "node_weights",
    "scatter",
    "zero",
]

# What `shape` holds.
DIMS, WIDTH, BASIS, UPDATES, RADIAL, FAR, BLOCK, TILE = range(8)


@tile_loop
def _take(flat: Any, at: int, rows: int, columns: int) -> Any:
    """Return a matrix of the flat weights."""
    return flat[at : at + rows * columns].reshape(rows, columns)


@tile_loop
def edge_weights(flat: Any, shape: Any) -> Any:
    """Return views of the weights of messages and prior, in the order of `kernel._weights`."""
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
def node_weights(flat: Any, shape: Any) -> Any:
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
def copy(out: Any, y: Any) -> None:
    """Copy a row."""
    for t in range(len(out)):
        out[t] = y[t]


@tile_loop
def gather(y: Any, out: Any, begin: int, lanes: int) -> None:
    """Copy samples of (N, d, S) to (d, N lanes)."""
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            copy(out[o, n * lanes : n * lanes + lanes], y[n, o, begin : begin + lanes])


@tile_loop
def scatter(out: Any, y: Any, begin: int, lanes: int) -> None:
    """Copy (d, N lanes) to samples of (N, d, S)."""
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            copy(y[n, o, begin : begin + lanes], out[o, n * lanes : n * lanes + lanes])


@tile_loop
def zero(y: Any, size: int) -> None:
    """Write zeros into columns 0 to size."""
    for o in range(len(y)):
        row = y[o]
        for t in range(size):
            row[t] = y.dtype.type(0)


@tile_loop
def load(
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
            copy(motion[d, at:to], r[p, d, begin:end])
            copy(motion[dims + d, at:to], w[p, d, begin:end])
            copy(motion[2 * dims + d, at:to], a[p, d, begin:end])
        copy(k[CHARGES, at:to], charges[p, begin:end])
        copy(k[MASS, at:to], mass[p, begin:end])
        at_i, at_j = i[p] * lanes, j[p] * lanes
        for o in range(len(z1)):
            row = z1[o, at:to]
            of_i, of_j = nodes[o, at_i : at_i + lanes], nodes[o, at_j : at_j + lanes]
            for t in range(lanes):
                row[t] = of_i[t] + of_j[t]


@tile_loop
def add_both(
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
def both(
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
