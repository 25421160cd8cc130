"""Forces and energies of one configuration at a time, in numba.

Each particle's row of pairs is summed with the order of summation left to the compiler, so that
it uses the full width of the processor's vectors. That takes each pair twice, and is still
faster than taking it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np

from nbody_simulators.kernels.compiled_laws import (
    compiled,
    directed_force,
    field_force,
    pair_force,
    parameters_of,
)
from nbody_surrogate.contracts import ForceLaws, Particles

__all__ = [
    "add_directed",
    "add_field",
    "field_accelerations",
    "pair_accelerations",
    "pieces",
    "potential_energies",
    "rows",
]

MOST_PAIRS = 10**8
"""Of a single call of compiled code: about a tenth of a second."""

REASSOCIATE = {"reassoc", "nsz"}
"""What the compiler may do to sums: take them in any order, without regard to the sign of zeros,
which is what vectors take. Not all of ``fastmath``: NaN and infinity must stay what they are, since
a trajectory that fails is found by them."""


@numba.extending.register_jitable(error_model="numpy", fastmath=REASSOCIATE)
def rows(
    x: Any,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
    clip: float,
    first: int,
    last: int,
    out: Any,
) -> None:
    """Write the pair accelerations of particles `first` to `last` - 1 into `out`.

    Both `x` and `out` are tuples of three components, arrays of shape (N,); couplings have
    shape (N, N) or are None.
    """
    n = charges.size
    for i in range(first, last):
        xi, yi, zi, qi, mi = x[0][i], x[1][i], x[2][i], charges[i], masses[i]
        fx, fy, fz = 0.0, 0.0, 0.0
        for j in range(n):
            dx, dy, dz = xi - x[0][j], yi - x[1][j], zi - x[2][j]
            r2 = dx * dx + dy * dy + dz * dz
            if couplings is None:
                force, _ = pair_force(pair, r2, qi, charges[j], mi, masses[j], 1.0)
            else:
                force, _ = pair_force(pair, r2, qi, charges[j], mi, masses[j], couplings[i, j])
            # Itself too goes through the law, and is left out by a choice of numbers: a branch in
            # this loop would keep it from using vectors.
            force = force if i != j else 0.0
            fx, fy, fz = fx + force * dx, fy + force * dy, fz + force * dz
        # The clip holds the sum and not each pair, as the published benchmarks have it.
        out[0][i] = min(max(fx, -clip), clip) / mi
        out[1][i] = min(max(fy, -clip), clip) / mi
        out[2][i] = min(max(fz, -clip), clip) / mi


@numba.extending.register_jitable(error_model="numpy", fastmath=REASSOCIATE)
def add_directed(
    x: Any,
    charges: np.ndarray,
    masses: np.ndarray,
    directed: Any,
    first: int,
    last: int,
    out: Any,
) -> None:
    """Add the accelerations by a directed law to `out`; the layout is that of `rows`."""
    n = charges.size
    for i in range(first, last):
        xi, yi, zi, qi, mi = x[0][i], x[1][i], x[2][i], charges[i], masses[i]
        fx, fy, fz = 0.0, 0.0, 0.0
        for j in range(n):
            dx, dy, dz = xi - x[0][j], yi - x[1][j], zi - x[2][j]
            force = directed_force(directed, dx, dy, dz, qi, charges[j], mi, masses[j])
            # by a choice of numbers, as in `rows`
            gx = force[0] if i != j else 0.0
            gy = force[1] if i != j else 0.0
            gz = force[2] if i != j else 0.0
            fx, fy, fz = fx + gx, fy + gy, fz + gz
        out[0][i] += fx / mi
        out[1][i] += fy / mi
        out[2][i] += fz / mi


@numba.extending.register_jitable(error_model="numpy")
def add_field(
    x: Any, v: Any, charges: np.ndarray, masses: np.ndarray, field: Any, out: Any
) -> None:
    """Add the accelerations of the field to `out`; the layout is that of `rows`."""
    for i in range(charges.size):
        place = (x[0][i], x[1][i], x[2][i])
        velocity = (v[0][i], v[1][i], v[2][i])
        a, _ = field_force(field, place, velocity, charges[i], masses[i])
        out[0][i] += a[0]
        out[1][i] += a[1]
        out[2][i] += a[2]


@compiled
def _pair_accelerations(
    x: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
    clip: float,
    first: int,
    last: int,
    out: np.ndarray,
) -> None:
    for b in range(x.shape[0]):
        bonds = None if couplings is None else couplings[b]
        place = (x[b, 0], x[b, 1], x[b, 2])
        result = (out[b, 0], out[b, 1], out[b, 2])
        rows(place, charges[b], masses[b], bonds, pair, clip, first, last, result)


@compiled
def _directed_accelerations(
    x: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    directed: Any,
    first: int,
    last: int,
    out: np.ndarray,
) -> None:
    for b in range(x.shape[0]):
        place = (x[b, 0], x[b, 1], x[b, 2])
        result = (out[b, 0], out[b, 1], out[b, 2])
        add_directed(place, charges[b], masses[b], directed, first, last, result)


@compiled
def _field_accelerations(
    x: np.ndarray,
    v: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    field: Any,
    out: np.ndarray,
) -> None:
    for b in range(x.shape[0]):
        place = (x[b, 0], x[b, 1], x[b, 2])
        velocity = (v[b, 0], v[b, 1], v[b, 2])
        result = (out[b, 0], out[b, 1], out[b, 2])
        add_field(place, velocity, charges[b], masses[b], field, result)


@compiled
def _potential_energies(
    x: np.ndarray,
    charges: np.ndarray,
    masses: np.ndarray,
    couplings: Any,
    pair: Any,
    field: Any,
    first: int,
    last: int,
    out: np.ndarray,
) -> None:
    rest = (0.0, 0.0, 0.0)  # laws take a velocity, on which no energy depends
    for b in range(x.shape[0]):
        total = out[b]  # of the particles before these
        for i in range(first, last):
            if field is not None:
                place = (x[b, 0, i], x[b, 1, i], x[b, 2, i])
                _, energy = field_force(field, place, rest, charges[b, i], masses[b, i])
                total += energy
            if pair is not None:
                for j in range(i + 1, x.shape[2]):  # each pair has its energy once
                    r2 = 0.0
                    for d in range(3):
                        r2 += (x[b, d, i] - x[b, d, j]) ** 2
                    bond = 1.0 if couplings is None else couplings[b, i, j]
                    qi, qj, mi, mj = charges[b, i], charges[b, j], masses[b, i], masses[b, j]
                    _, energy = pair_force(pair, r2, qi, qj, mi, mj, bond)
                    total += energy
        out[b] = total


def pair_accelerations(x: np.ndarray, particles: Particles, laws: ForceLaws) -> np.ndarray:
    """Accelerations by the other particles: x (B, N, D) to (B, N, D)."""
    pair, _, directed = parameters_of(laws)
    if pair is None and directed is None:
        return np.zeros(x.shape)
    place = by_component(x)
    out = np.zeros_like(place)
    for some, first, last in pieces(*x.shape[:2]):
        charges, masses, bonds = _of(particles, some)
        if pair is not None:
            kernel = _pair_accelerations(pair)
            kernel(place[some], charges, masses, bonds, pair, laws.clip, first, last, out[some])
        if directed is not None:
            kernel = _directed_accelerations(directed)
            kernel(place[some], charges, masses, directed, first, last, out[some])
    return by_particle(out, x.shape[2])


def field_accelerations(
    x: np.ndarray, v: np.ndarray, particles: Particles, laws: ForceLaws
) -> np.ndarray:
    """Accelerations by the field of laws that have one: x, v (B, N, D) to (B, N, D)."""
    _, field, _ = parameters_of(laws)
    place, velocity = by_component(x), by_component(v)
    out = np.zeros_like(place)
    charges, masses = particles.charges, particles.masses
    _field_accelerations(field)(place, velocity, charges, masses, field, out)
    return by_particle(out, x.shape[2])


def potential_energies(x: np.ndarray, particles: Particles, laws: ForceLaws) -> np.ndarray:
    """Potential energies of pairs and field: x (B, N, D) to (B,); a directed law has none."""
    pair, field, _ = parameters_of(laws)
    place, out = by_component(x), np.zeros(len(x))
    kernel = _potential_energies(pair, field)
    for some, first, last in pieces(*x.shape[:2]):
        charges, masses, bonds = _of(particles, some)
        kernel(place[some], charges, masses, bonds, pair, field, first, last, out[some])
    return out


def pieces(batch: int, n: int) -> Iterator[tuple[slice, int, int]]:
    """Divide the pairs of a batch into calls of compiled code that take at most `MOST_PAIRS`.

    Python hears of Ctrl-C between two calls only. Sums go on where they were, so that the bits are
    those of one call.

    Yields
    ------
    some : slice
        Of the trajectories.
    first, last : int
        Particles `first` to `last` - 1, with all their pairs.
    """
    together = max(MOST_PAIRS // (n * n), 1)
    rows_at_a_time = max(MOST_PAIRS // n, 1)
    for begun in range(0, batch, together):
        for first in range(0, n, rows_at_a_time):
            last = min(first + rows_at_a_time, n)
            yield slice(begun, min(begun + together, batch)), first, last


def _of(particles: Particles, some: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    bonds = particles.couplings
    return particles.charges[some], particles.masses[some], None if bonds is None else bonds[some]


def by_component(x: np.ndarray) -> np.ndarray:
    """Bring (B, N, D) to (B, 3, N); in two dimensions the third component is zero.

    So one compiled kernel serves both, and its innermost loop reads neighbouring numbers.
    """
    out = np.zeros((x.shape[0], 3, x.shape[1]))
    out[:, : x.shape[2]] = x.transpose(0, 2, 1)
    return out


def by_particle(x: np.ndarray, dimensions: int) -> np.ndarray:
    """Bring (B, 3, N) back to (B, N, D)."""
    return np.ascontiguousarray(x[:, :dimensions].transpose(0, 2, 1))
