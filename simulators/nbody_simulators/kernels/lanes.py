"""Forces of many trajectories at once, in numba: one trajectory in each lane.

The innermost loop runs over trajectories, so that the compiler uses the full width of the
processor's vectors. Each lane goes through the same operations in the same order whatever its
neighbours and however many there are: a trajectory is the same bits in any batch. Where one
trajectory has particles enough to fill the vectors by itself, it runs alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from nbody_simulators.kernels.compiled_laws import directed_force, field_force, pair_force
from nbody_simulators.kernels.forces import add_directed, rows

__all__ = ["Lanes", "by_lane", "by_trajectory", "lane_accelerations", "narrowest", "widest"]


class Lanes(NamedTuple):
    """W trajectories side by side, one in each lane, as the kernels take them.

    Shapes: x, v (3, N, W); charges, masses (N, W); couplings (N, N, W) or None.
    """

    x: np.ndarray
    v: np.ndarray
    charges: np.ndarray
    masses: np.ndarray
    couplings: np.ndarray | None
    pair: Any
    field: Any
    clip: float
    directed: Any


WIDTH = 64
"""Most trajectories side by side: eight of the widest vectors, of 8 float64, so that the cost of a
loop is shared; few enough that its arrays stay in the cache."""

NARROW = 8
"""Below this width, that of one such vector, the lanes are taken one after the other: a loop over
them would set up vectors that it does not fill."""

MANY = 40
"""Above this number of particles a trajectory is alone, and summed row by row: its rows of pairs
fill the vectors by themselves."""


@numba.extending.register_jitable(error_model="numpy")
def _wide_pairs(
    x: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
    scratch: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the sums of pair forces into `out`.

    Each unordered pair is evaluated once, and goes to both its ends with opposite signs, so that
    forces add up to zero to rounding.
    """
    n, width = charges.shape
    out[:] = 0.0
    for i in range(n):
        for j in range(i):
            for w in range(width):
                dx = x[0, i, w] - x[0, j, w]
                dy = x[1, i, w] - x[1, j, w]
                dz = x[2, i, w] - x[2, j, w]
                r2 = dx * dx + dy * dy + dz * dz
                qi, qj, mi, mj = charges[i, w], charges[j, w], masses[i, w], masses[j, w]
                bond = 1.0 if couplings is None else couplings[i, j, w]
                force, _ = pair_force(pair, r2, qi, qj, mi, mj, bond)
                scratch[0, w], scratch[1, w], scratch[2, w] = force * dx, force * dy, force * dz
            # In loops of their own: together with the law, six sums at places which the compiler
            # cannot tell apart would keep it from using vectors.
            for d in range(3):
                for w in range(width):
                    out[d, i, w] += scratch[d, w]
            for d in range(3):
                for w in range(width):
                    out[d, j, w] -= scratch[d, w]


@numba.extending.register_jitable(error_model="numpy")
def _narrow_pairs(
    x: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
    out: np.ndarray,
) -> None:
    """Do what `_wide_pairs` does, in the same order, without vectors."""
    n, width = charges.shape
    for w in range(width):
        for i in range(n):
            fx, fy, fz = 0.0, 0.0, 0.0
            for j in range(i):
                dx = x[0, i, w] - x[0, j, w]
                dy = x[1, i, w] - x[1, j, w]
                dz = x[2, i, w] - x[2, j, w]
                r2 = dx * dx + dy * dy + dz * dz
                qi, qj, mi, mj = charges[i, w], charges[j, w], masses[i, w], masses[j, w]
                bond = 1.0 if couplings is None else couplings[i, j, w]
                force, _ = pair_force(pair, r2, qi, qj, mi, mj, bond)
                fx, fy, fz = fx + force * dx, fy + force * dy, fz + force * dz
                out[0, j, w] -= force * dx
                out[1, j, w] -= force * dy
                out[2, j, w] -= force * dz
            # Set and not added: this is the first that particle i gets. What it loses to later
            # particles is subtracted afterwards, as in `_wide_pairs`, to the same bits.
            out[0, i, w], out[1, i, w], out[2, i, w] = fx, fy, fz


@numba.extending.register_jitable(error_model="numpy")
def _one_lane(
    x: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
    clip: float,
    out: np.ndarray,
) -> None:
    """Write the pair accelerations of a single lane into `out`."""
    n = charges.size
    place = x.reshape((3, n))
    result = out.reshape((3, n))
    q, m = charges.reshape(n), masses.reshape(n)
    bonds = None if couplings is None else couplings.reshape((n, n))
    axes = (place[0], place[1], place[2])
    sums = (result[0], result[1], result[2])
    rows(axes, q, m, bonds, pair, clip, 0, n, sums)


@numba.extending.register_jitable(error_model="numpy")
def _add_directed(
    lanes: Lanes, x: np.ndarray, directed: Any, scratch: np.ndarray, out: np.ndarray
) -> None:
    """Add the accelerations by a directed law: of each particle by all others, in their order."""
    charges, masses = lanes.charges, lanes.masses
    n, width = charges.shape
    if n > MANY:  # and by `widest` the width is 1
        place, result = x.reshape((3, n)), out.reshape((3, n))
        axes, sums = (place[0], place[1], place[2]), (result[0], result[1], result[2])
        add_directed(axes, charges.reshape(n), masses.reshape(n), directed, 0, n, sums)
        return
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            for w in range(width):
                dx = x[0, i, w] - x[0, j, w]
                dy = x[1, i, w] - x[1, j, w]
                dz = x[2, i, w] - x[2, j, w]
                qi, qj, mi, mj = charges[i, w], charges[j, w], masses[i, w], masses[j, w]
                force = directed_force(directed, dx, dy, dz, qi, qj, mi, mj)
                scratch[0, w] = force[0] / mi
                scratch[1, w] = force[1] / mi
                scratch[2, w] = force[2] / mi
            for d in range(3):  # apart from the law, see `_wide_pairs`
                for w in range(width):
                    out[d, i, w] += scratch[d, w]


@numba.extending.register_jitable(error_model="numpy")
def _add_field(
    lanes: Lanes, x: np.ndarray, v: np.ndarray, field: Any, scratch: np.ndarray, out: np.ndarray
) -> None:
    n, width = lanes.charges.shape
    for i in range(n):
        for w in range(width):
            place = (x[0, i, w], x[1, i, w], x[2, i, w])
            velocity = (v[0, i, w], v[1, i, w], v[2, i, w])
            a, _ = field_force(field, place, velocity, lanes.charges[i, w], lanes.masses[i, w])
            scratch[0, w], scratch[1, w], scratch[2, w] = a  # added below, see `_wide_pairs`
        for d in range(3):
            for w in range(width):
                out[d, i, w] += scratch[d, w]


@numba.extending.register_jitable(error_model="numpy")
def lane_accelerations(
    lanes: Lanes,
    x: np.ndarray,
    v: np.ndarray,
    pair: Any,
    field: Any,
    directed: Any,
    scratch: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the accelerations of all particles at x, v into `out`.

    Shapes: x, v, out (3, N, W); scratch (3, W). Each unordered pair is taken once. `pair`, `field`
    and `directed` are those of the lanes: what is None must be an argument, as only there numba
    leaves out what depends on it. It is one function, as numba optimises anew all that each one
    calls.
    """
    if pair is None:
        out[:] = 0.0
    else:
        charges, masses, clip = lanes.charges, lanes.masses, lanes.clip
        n, width = charges.shape
        if n > MANY:  # and by `widest` the width is 1
            _one_lane(x, charges, masses, lanes.couplings, pair, clip, out)
        else:
            if width < NARROW:
                _narrow_pairs(x, charges, masses, lanes.couplings, pair, out)
            else:
                _wide_pairs(x, charges, masses, lanes.couplings, pair, scratch, out)
            for d in range(3):
                for i in range(n):
                    for w in range(width):
                        out[d, i, w] = min(max(out[d, i, w], -clip), clip) / masses[i, w]
    if directed is not None:
        _add_directed(lanes, x, directed, scratch, out)
    if field is not None:
        _add_field(lanes, x, v, field, scratch, out)


def widest(n: int) -> int:
    """Return how many trajectories of `n` particles go side by side."""
    return 1 if n > MANY else WIDTH


def narrowest(n: int) -> int:
    """Return how many trajectories of `n` particles side by side fill a vector."""
    return 1 if n > MANY else NARROW


def by_lane(values: np.ndarray) -> np.ndarray:
    """Bring vectors (B, N, D) to (3, N, B); in two dimensions the third component is zero."""
    out = np.zeros((3, values.shape[1], values.shape[0]))
    out[: values.shape[2]] = values.transpose(2, 1, 0)
    return out


def by_trajectory(frames: np.ndarray) -> np.ndarray:
    """Bring frames (F, D, N, B) to (B, F, N, D)."""
    return frames.transpose(3, 0, 2, 1)
