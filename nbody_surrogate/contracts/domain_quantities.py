"""Invariants of a frame by which a model knows its ground: distances, speeds, energies of pairs.

None of them depends on the choice of axes, of the origin, of the frame of reference, or of the
order of the particles. With s_ij^2 = r_ij^2 + softening^2, u_i the velocities about that of the
centre of mass, and U_ij the energy of a pair:

==================  ================================================================================
name                of each frame
==================  ================================================================================
``nearest``         smallest r_ij, over the length
``third``           smallest distance of a particle to its third neighbour, over the length
``separation``      geometric mean of s_ij over pairs, over the length
``extent``          root of the mean squared distance from the centroid, over the length
``speed``           largest speed u_i
``rms_speed``       root of the mean of u_i^2
``pair_energy``     smallest mu v_ij^2 / 2 + U_ij, over the depth, U_ij at r = 0 without its sign
``repulsion``       largest U_ij, over that depth
``eccentricity``    largest of pairs that attract, are bound, and nearest to each other
``thickness``       smallest over largest extent, of positions and velocities together
``dimensions``      number of extents above 1e-6 of the largest
==================  ================================================================================

The length is the softening, or 1 where there is none; the depth is taken at that length where the
law has no finite one. The eccentricity is that of the orbit in a force of 1/r^2 which is the pair's
own at its distance: the length of v x (r x v) / (a r^2) - r / |r|, the Laplace-Runge-Lenz vector
with a the acceleration of the one towards the other (Goldstein, "Classical Mechanics", 3.9). What
is made of energies is left out where a system has no laws, and extents in a periodic box.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.force_laws import PairLaw
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["QUANTITIES", "frame_quantities", "softening_of"]

QUANTITIES = (
    *("nearest", "third", "separation", "extent", "speed", "rms_speed"),
    *("pair_energy", "repulsion", "eccentricity", "thickness", "dimensions"),
)
FLAT = 1e-6
"""Extents below this, over the largest, are of rounding: of positions near 1e6 that is 1e-10."""

BLOCK = 1 << 15
"""Pairs times frames at a time: their arrays of 128 KiB stay in a core's cache."""

NEIGHBOUR = 3  # as the first is that of a bound pair, and the second that of a passer-by


def softening_of(system: AbstractSystem) -> float | None:
    """Return the softening of a system, or None where it has none."""
    given = system.spec.model_dump().get("softening")
    return float(given) if isinstance(given, int | float) and given > 0 else None


def frame_quantities(
    system: AbstractSystem,
    x: Float64[np.ndarray, "B F N D"],
    v: Float64[np.ndarray, "B F N D"],
    particles: Particles,
) -> dict[str, Float64[np.ndarray, "B F"]]:
    """Measure frames of some trajectories, in reduced units.

    Parameters
    ----------
    system : AbstractSystem
    x, v : ndarray, shape (B, F, N, D)
    particles : Particles, shape (B, N)

    Returns
    -------
    dict of str to ndarray, shape (B, F)
        By the names in `QUANTITIES`; NaN where there is no such thing, as of a single particle.
    """
    batch, frames, n, dimension = x.shape
    made = {name: np.full(batch * frames, np.nan) for name in QUANTITIES}
    if n > 1:
        flat = (batch * frames, n, dimension)
        place, velocity = x.reshape(flat), v.reshape(flat)
        measure = _Measure(system, n)
        which = np.repeat(np.arange(batch), frames)
        with np.errstate(all="ignore"):  # of frames that blew up, and of pairs without a charge
            for some in _blocks(len(place), n):
                found = measure(place[some], velocity[some], particles, which[some])
                for name, values in found.items():
                    made[name][some] = values
    return {name: values.reshape(batch, frames) for name, values in made.items()}


def _blocks(count: int, n: int) -> Iterator[slice]:
    step = max(BLOCK // (n * (n - 1) // 2), 1)
    for first in range(0, count, step):
        yield slice(first, min(first + step, count))


class _Pairs(NamedTuple):
    """Pairs of M frames: i, j (P,), and the rest (P, M) in single precision.

    Frames come last, so that sums over pairs and over neighbours go along whole rows.
    """

    i: np.ndarray
    j: np.ndarray
    r2: np.ndarray
    dot: np.ndarray
    w2: np.ndarray


class _Measure:
    """All quantities of frames of one system with N particles."""

    def __init__(self, system: AbstractSystem, n: int) -> None:
        self.n, self.box = n, system.box
        laws = system.force_laws()
        self.law: PairLaw | None = None if laws is None else laws.pair
        self.soft2 = (softening_of(system) or 0.0) ** 2
        self.length = softening_of(system) or 1.0
        self.i, self.j = np.triu_indices(n, 1)
        pair = np.zeros((n, n), dtype=np.intp)
        pair[self.i, self.j] = pair[self.j, self.i] = np.arange(len(self.i))
        self.of_particle = pair[~np.eye(n, dtype=bool)].reshape(n, n - 1)

    def __call__(
        self, x: np.ndarray, v: np.ndarray, particles: Particles, which: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Measure x, v (M, N, D) of trajectories `which` (M,)."""
        pairs = self._pairs(x, v)
        near = self._near(pairs.r2)
        u2 = _internal(v, particles.masses[which])
        return {
            "nearest": np.sqrt(near[0].min(0)) / self.length,
            "third": np.sqrt(near[-1].min(0)) / self.length,
            "separation": self._separation(pairs.r2),
            "speed": np.sqrt(u2.max(0)),
            "rms_speed": np.sqrt(u2.mean(0)),
            **self._energies(pairs, near[0], particles, which),
            **_extents(x, v, self.box, self.length),
        }

    def _pairs(self, x: np.ndarray, v: np.ndarray) -> _Pairs:
        dx, dv = self._differences(x, self.box), self._differences(v, None)
        r2, dot, w2 = (sum(a * b for a, b in zip(one, two, strict=True))
                       for one, two in ((dx, dx), (dx, dv), (dv, dv)))  # fmt: skip
        return _Pairs(self.i, self.j, r2, dot, w2)

    def _differences(self, y: np.ndarray, box: Box | None) -> list[np.ndarray]:
        """Return y_i - y_j along each axis, (P, M): rounded after, as y may be large."""
        columns = [np.ascontiguousarray(y[:, :, d].T) for d in range(y.shape[2])]
        differences = [column[self.i] - column[self.j] for column in columns]
        if box is not None:
            nearest = box.displacement(np.stack(differences, axis=-1))
            differences = [nearest[..., d] for d in range(y.shape[2])]
        return [each.astype(np.float32) for each in differences]

    def _near(self, r2: np.ndarray) -> np.ndarray:
        """Return the smallest squared distances of each particle, (up to 3, N, M)."""
        levels = min(NEIGHBOUR, self.n - 1)
        near = np.full((levels, self.n, r2.shape[1]), np.inf, dtype=r2.dtype)
        for column in range(self.n - 1):  # insertion, which is faster than to sort by so few
            new = r2[self.of_particle[:, column]]
            for level in near:
                larger = np.maximum(level, new)
                np.minimum(level, new, out=level)
                new = larger
        return near

    def _separation(self, r2: np.ndarray) -> np.ndarray:
        logarithms = np.log(r2 + np.float32(self.soft2))
        return np.asarray(np.exp(0.5 * logarithms.mean(0, dtype=np.float64)) / self.length)

    def _energies(
        self, pairs: _Pairs, nearest: np.ndarray, particles: Particles, which: np.ndarray
    ) -> dict[str, np.ndarray]:
        if self.law is None:
            return {}
        i, j, p = self.i, self.j, self.law.parameters
        law = self.law.factory(np.sqrt, np.where)
        charges, masses = _rows(particles.charges, which), _rows(particles.masses, which)
        bonds = particles.couplings
        bond = 1.0 if bonds is None else _rows(bonds[:, i, j], which)
        of_pair = charges[i], charges[j], masses[i], masses[j], bond
        push, energy = law(p, pairs.r2, *of_pair)
        depth = abs(law(p, np.float32(0.0), *of_pair)[1])
        there = np.isfinite(depth) & (depth > 0)
        if not np.all(there):
            depth = np.where(there, depth, abs(law(p, np.float32(self.length**2), *of_pair)[1]))
        reduced = masses[i] * masses[j] / (masses[i] + masses[j])
        bound = (pairs.r2 <= nearest[i]) & (pairs.r2 <= nearest[j])
        lowest = (0.5 * reduced * pairs.w2 + energy) / depth
        return {
            "pair_energy": np.fmin.reduce(np.broadcast_to(lowest, pairs.r2.shape)),
            "repulsion": np.fmax.reduce(np.broadcast_to(energy / depth, pairs.r2.shape)),
            "eccentricity": _eccentricity(pairs, push / reduced, bound),
        }


def _rows(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return values (B, K) of the trajectories of M frames, (K, M), or (K, 1) of a single one."""
    alone = len(values) == 1 or (which == which[0]).all()
    taken = values[which[:1]] if alone else values[which]
    return np.asarray(taken.T, dtype=np.float32)


def _internal(v: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Return squared speeds about the centre of mass, of v (M, N, D) and masses (M, N), (N, M)."""
    # from one of them first: that of a fast frame of reference would take the digits
    about = v - v[:, :1]
    mean = (about * masses[:, :, None]).sum(1) / masses.sum(1)[:, None]
    return np.asarray(((about - mean[:, None]) ** 2).sum(2).T)


def _eccentricity(pairs: _Pairs, push: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Return the largest of bound pairs, (M,); NaN where there is none.

    With k = a r^2 and a the attraction, the vector is (w^2 / k - 1 / r) r - (r . w / k) w.
    """
    strength = -push * pairs.r2 * np.sqrt(pairs.r2)
    along, across = pairs.w2 / strength - 1.0 / np.sqrt(pairs.r2), pairs.dot / strength
    squared = along * along * pairs.r2 - 2.0 * along * across * pairs.dot
    squared += across * across * pairs.w2
    # of single precision: 1 is the eccentricity of two particles at rest
    bound = nearest & (strength > 0) & (squared <= 1.0 + 1e-5)
    found = np.sqrt(np.maximum(np.where(bound, squared, -1.0).max(0), -1.0))
    return np.asarray(np.minimum(found, 1.0))


def _extents(x: np.ndarray, v: np.ndarray, box: Box | None, length: float) -> dict[str, np.ndarray]:
    if box is not None and any(box.periodic):
        return {}
    place, size2 = _scaled(x)
    extents = np.sqrt(np.maximum(_eigenvalues(place + _scaled(v)[0]), 0.0))
    share = extents / extents[:, -1:]
    flat = x.shape[2] < 3
    return {
        "extent": np.sqrt(size2) / length,
        "thickness": np.zeros(len(x)) if flat else np.where(share[:, 0] > FLAT, share[:, 0], 0.0),
        "dimensions": np.where(extents[:, -1] > 0, (share > FLAT).sum(1), 0).astype(np.float64),
    }


def _scaled(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return second moments about the mean, (M, D, D), of trace 1, and their mean trace, (M,).

    The moments are 0 where there is no extent.
    """
    about = y - y[:, :1]
    about = about - about.mean(1, keepdims=True)
    moments = np.swapaxes(about, 1, 2) @ about
    trace = np.trace(moments, axis1=1, axis2=2)
    return moments / np.where(trace > 0, trace, 1.0)[:, None, None], trace / y.shape[1]


def _eigenvalues(moments: np.ndarray) -> np.ndarray:
    """Return eigenvalues (M, D), the smallest first; NaN of what is not finite."""
    finite = np.isfinite(moments).all((1, 2))
    values = np.linalg.eigvalsh(np.where(finite[:, None, None], moments, 0.0))
    return np.where(finite[:, None], values, np.nan)
