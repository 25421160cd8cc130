"""What errors of the constants of motion are measured by: scales of the start of a run.

With K the kinetic energy in the frame of `InternalMotion`, U_ij the potential energy of a pair and
U_i that of a particle in an external field, M the total mass and x' places in that frame:

====================  ============================================================
quantity              scale
====================  ============================================================
energy                S = K + sqrt(sum over pairs of U_ij^2) + sum over i of |U_i|
momentum              M u, with the speed u = sqrt(2 S / M)
angular momentum      sum over i of m_i |x'_i| u
====================  ============================================================

A boost changes none of them, nor does a shift where there is no field. A crystal at rest has pair
energies, so that no scale vanishes with the motion. Pair energies of charges of either sign are
summed as independent numbers are: the plain sum grows as N^2, which no change of the energy does.
They are of the start alone: by a scale that grows with an explosion, the explosion would be small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import NBodyError
from nbody_surrogate.simulation.guard.conserved_quantities import InternalMotion

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["StartScales"]

MOST_PAIRS = 1 << 16
"""Of a trajectory, all pairs of 362 particles; of more, so many of them stand for all."""

BLOCK = 1 << 18  # pairs whose energies are computed at a time

ROUNDING = 1e-12
"""Some thousand roundings of float64, which a long run gathers in the laboratory's frame."""


class StartScales(NamedTuple):
    """Scales of B trajectories, for each of `QUANTITIES`.

    Attributes
    ----------
    scales : dict of str to ndarray, shape (B,)
    rounding : dict of str to ndarray, shape (B,)
        What rounding may do to each quantity, in its units: of a cloud that moves fast, or is far
        from the origin, digits are lost, and of a single free particle nothing else is there.
    """

    scales: dict[str, np.ndarray]
    rounding: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        system: AbstractSystem,
        x: Float64[np.ndarray, "B N D"],
        v: Float64[np.ndarray, "B N D"],
        particles: Particles,
    ) -> StartScales:
        """Read them off a start."""
        internal = InternalMotion.of(system, x[:, None], v[:, None], particles)
        masses, total = particles.masses, particles.masses.sum(1)
        kinetic = 0.5 * (masses * internal.speeds[:, 0] ** 2).sum(1)
        # a dear force is known where the run begins, and is the same about any origin
        place = x if system.dear else internal.x[:, 0]
        energy = kinetic + _potential(system, place, v, particles, internal.x[:, 0])
        speed = np.sqrt(2.0 * energy / total)
        distances = np.linalg.norm(internal.x[:, 0], axis=2)
        lever = (masses * distances).sum(1)
        # of a number of the laboratory, such as the place of a cloud that is far from the origin
        lost_v = ROUNDING * np.linalg.norm(v, axis=2).max(1)
        lost_x = ROUNDING * np.linalg.norm(x, axis=2).max(1)
        return cls(
            {"energy": energy, "momentum": total * speed, "angular_momentum": lever * speed},
            {
                "energy": total * lost_v * (speed + lost_v),
                "momentum": total * lost_v,
                "angular_momentum": lever * lost_v + total * lost_x * (speed + lost_v),
            },
        )


def _potential(
    system: AbstractSystem, x: np.ndarray, v: np.ndarray, particles: Particles, way: np.ndarray
) -> Float64[np.ndarray, " B"]:
    """Size of the potential energy; without one, of the work that forces could do on a `way`."""
    if system.hidden_variables:  # which forces and energies may depend on, and are not at hand
        return np.zeros(len(x))
    # a dear energy is of all particles alone, and may count from anywhere, as that of electrons
    if system.dear or not system.has_potential:
        force = particles.masses[..., None] * system.acceleration(x, v, particles)
        return np.asarray((np.linalg.norm(force, axis=2) * np.linalg.norm(way, axis=2)).sum(1))
    try:
        return _sizes(system, x, particles)
    except NBodyError:  # of a system that knows no energy of a part of its particles
        whole = system.invariants(x, np.zeros_like(x), particles).energy
        return np.asarray(np.abs(whole))


def _sizes(
    system: AbstractSystem, x: np.ndarray, particles: Particles
) -> Float64[np.ndarray, " B"]:
    """Add the sizes of the energies of particles alone, and of pairs."""
    every = np.arange(particles.n)[:, None]
    alone = np.concatenate([*_energies(system, x, particles, every)])
    i, j, share = _pairs(particles.n)
    squares = np.zeros(len(x))
    if len(i):
        row = 0
        for together in _energies(system, x, particles, np.stack([i, j], axis=1)):
            some = slice(row, row + len(together))
            pairs = together - alone[some][:, i] - alone[some][:, j]
            squares[some] = share * (pairs * pairs).sum(1)
            row = some.stop
    return np.asarray(np.sqrt(squares) + np.abs(alone).sum(1))


def _energies(
    system: AbstractSystem, x: np.ndarray, particles: Particles, groups: Int64[np.ndarray, "G K"]
) -> Iterator[Float64[np.ndarray, "b G"]]:
    """Yield potential energies of groups of particles, as if there were no others, in blocks."""
    step = max(BLOCK // len(groups), 1)
    for first in range(0, len(x), step):
        some = np.arange(first, min(first + step, len(x)))[:, None, None]
        few = _few(particles, some, groups)
        place = x[some, groups].reshape(-1, groups.shape[1], x.shape[2])
        found = system.invariants(place, np.zeros_like(place), few).energy
        yield found.reshape(-1, len(groups))


def _few(particles: Particles, some: np.ndarray, groups: np.ndarray) -> Particles:
    """Return the particles of each group of each trajectory as those of one trajectory."""
    count, size = groups.shape
    shape = (len(some) * count, size)
    couplings = None
    if particles.couplings is not None:
        places = (some[..., None], groups[:, :, None], groups[:, None, :])
        couplings = particles.couplings[places].reshape(*shape, size)
    charges, masses = (
        y[some, groups].reshape(shape) for y in (particles.charges, particles.masses)
    )
    radii = None if particles.radii is None else particles.radii[some, groups].reshape(shape)
    return Particles(charges, masses, couplings, radii)


def _pairs(n: int) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"], float]:
    """Return pairs, and how many of all each of them stands for."""
    count = n * (n - 1) // 2
    if count <= MOST_PAIRS:
        i, j = np.triu_indices(n, 1)
        return i, j, 1.0
    # each particle with as many others, at even distances along the list
    kept = max(MOST_PAIRS // n, 1)
    offsets = np.unique(np.linspace(1, (n - 1) // 2, kept).astype(np.int64))
    i = np.repeat(np.arange(n), len(offsets))
    j = (i + np.tile(offsets, n)) % n
    return i, j, count / len(i)
