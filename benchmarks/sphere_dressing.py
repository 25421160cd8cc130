"""Two-body dressing of low orders: how wrong forces are whose high moments are those of pairs.

Of each pair alone the moments above order p are eliminated exactly, which leaves a stiffness of its
low ones: K_LL - K_LH K_HH^-1 K_HL. What that adds to the stiffness of order p is summed over pairs,
as Stokesian dynamics adds lubrication to a far field (Durlofsky, Brady and Bossis, J. Fluid Mech.
180 (1987) 21). For two spheres it is exact. Written to be right, not fast:

    python benchmarks/sphere_dressing.py --particles 10 --samples 8
"""

from __future__ import annotations

import argparse
import math
from functools import cache

import numpy as np

from nbody_simulators.multipoles.dense import _forces, _matrix, _norms, inverse_polarisabilities
from nbody_surrogate import make_system

HIGH = 24  # the order that pairs are solved to
STEP = 1e-5


@cache
def factorials(order: int) -> np.ndarray:
    """Logarithms of l!."""
    return np.array([math.lgamma(n + 1.0) for n in range(2 * order + 1)])


def stiffness(r: float, m: int, radii: tuple[float, float], order: int) -> np.ndarray:
    """K of order m of a pair along z, over both spheres, scaled by R^(l + 1/2); conductors."""
    log, l = factorials(order), np.arange(m, order + 1)  # noqa: E741
    norm = 0.5 * (log[l - m] + log[l + m])
    first, second = ((l + 0.5) * math.log(radius) for radius in radii)
    both = log[l[:, None] + l] - norm[:, None] - norm - (l[:, None] + l + 1) * math.log(r)
    t = np.where((l + m) % 2, -1.0, 1.0)[:, None] * np.exp(both + first[:, None] + second)
    one = np.diag((l > 0).astype(float))
    return np.block([[one, t], [t.T, one]])


@cache
def addition(r: float, radii: tuple[float, float], low: int) -> np.ndarray:
    """What the eliminated moments add to K of the low ones, in the pair's frame, unscaled."""
    size = (low + 1) ** 2
    made = np.zeros((2 * size, 2 * size))
    for m in range(low + 1):
        k = stiffness(r, m, radii, HIGH)
        degrees = np.tile(np.arange(m, HIGH + 1), 2)
        few = degrees <= low
        part = -k[np.ix_(few, ~few)] @ np.linalg.solve(k[np.ix_(~few, ~few)], k[np.ix_(~few, few)])
        owner = np.repeat([0, 1], HIGH + 1 - m)[few]
        scale = np.array(radii)[owner] ** -(degrees[few] + 0.5)
        for column in (0,) if m == 0 else (2 * m - 1, 2 * m):
            at = owner * size + degrees[few] ** 2 + column
            made[np.ix_(at, at)] += scale[:, None] * part * scale
    return made


def harmonics(u: np.ndarray) -> np.ndarray:
    """Real harmonics of degrees 0 to 2 of unit vectors (M, 3), shape (M, 9)."""
    x, y, z = u.T
    third = math.sqrt(3.0)
    one = [np.ones_like(x), z, x, y, (3 * z * z - 1) / 2, third * x * z, third * y * z]
    return np.stack([*one, third / 2 * (x * x - y * y), third * x * y], axis=1)


POINTS = np.random.default_rng(0).normal(size=(20, 3))
POINTS /= np.linalg.norm(POINTS, axis=1, keepdims=True)
KNOWN = harmonics(POINTS)


def turning(separation: np.ndarray, low: int) -> np.ndarray:
    """The matrix from moments in space to those in the frame of a pair along `separation`."""
    e = separation / np.linalg.norm(separation)
    a = np.cross(e, np.eye(3)[np.argmin(np.abs(e))])
    a /= np.linalg.norm(a)
    turned = harmonics(POINTS @ np.stack([a, np.cross(e, a), e]).T)
    made = np.zeros(((low + 1) ** 2,) * 2)
    for degree in range(low + 1):
        some = slice(degree**2, (degree + 1) ** 2)
        made[some, some] = np.linalg.lstsq(KNOWN[:, some], turned[:, some], rcond=None)[0].T
    return made


def in_space(separation: np.ndarray, radii: tuple[float, float], low: int) -> np.ndarray:
    """The addition of a pair to K, in space."""
    d = turning(separation, low)
    both = np.kron(np.eye(2), d)
    return both.T @ addition(float(np.linalg.norm(separation)), radii, low) @ both


def dressed(x: np.ndarray, q: np.ndarray, radii: np.ndarray, low: int) -> tuple[float, np.ndarray]:
    """Energy and forces (N, 3) of conductors by dressed moments up to `low`, at k = 1."""
    n, size = len(x), (low + 1) ** 2
    k = _matrix(x, low, _norms(low))
    inverse = inverse_polarisabilities(radii, low, None)
    k += np.diag(inverse[:, np.repeat(np.arange(low + 1), 2 * np.arange(low + 1) + 1)].ravel())
    for i in range(n):
        for j in range(i):
            at = np.r_[i * size : (i + 1) * size, j * size : (j + 1) * size]
            k[np.ix_(at, at)] += in_space(x[i] - x[j], (radii[i], radii[j]), low)
    moments = np.zeros(n * size)
    moments[::size] = q
    free = np.arange(n * size) % size > 0
    moments[free] = np.linalg.solve(k[np.ix_(free, free)], -(k @ moments)[free])
    forces = _forces(x, moments.reshape(n, size), low, _norms(low))
    for i in range(n):
        for j in range(i):
            mine = np.r_[moments[i * size : (i + 1) * size], moments[j * size : (j + 1) * size]]
            for d in range(3):
                step = STEP * np.eye(3)[d]
                ends = [
                    in_space(x[i] - x[j] + s * step, (radii[i], radii[j]), low) for s in (1, -1)
                ]
                pull = -0.5 * mine @ (ends[0] - ends[1]) @ mine / (2 * STEP)
                forces[i, d] += pull
                forces[j, d] -= pull
    return float(0.5 * moments @ k @ moments), forces


def main() -> None:
    """Print errors of forces."""
    from nbody_simulators.multipoles.batches import energies_and_forces
    from nbody_simulators.multipoles.pair_table import pair_corrections

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particles", type=int, default=10)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--truth", type=int, default=10)
    given = parser.parse_args()
    state, particles = make_system("spheres").sample(0, given.particles, given.samples)
    x, q, radii = state.x, particles.charges, particles.radii
    exact = energies_and_forces(x, q, radii, given.truth)[1]
    exact += pair_corrections(x, q, radii, given.truth)[1]
    made = {}
    for low in (1, 2):
        plain = energies_and_forces(x, q, radii, low)[1]
        made[f"p{low}"] = plain
        made[f"p{low}+pairs"] = plain + pair_corrections(x, q, radii, low)[1]
        made[f"p{low}+dressed"] = np.stack(
            [dressed(*each, low)[1] for each in zip(x, q, radii, strict=True)]
        )
    for name, forces in made.items():
        error = np.sqrt(((forces - exact) ** 2).mean() / (exact**2).mean())
        print(f"N = {given.particles}, {name}: {error:.2e} of the rms force")


if __name__ == "__main__":
    main()
