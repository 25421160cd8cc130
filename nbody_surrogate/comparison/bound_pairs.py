"""Energies of pairs of particles by a system's own law, and which pairs are bound."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from nbody_surrogate.contracts.force_laws import PairLaw
from nbody_surrogate.contracts.memory import demand_pairs_memory
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["bound_pairs", "pair_law_of"]


def pair_law_of(system: AbstractSystem) -> PairLaw | None:
    """Return the pair law of a system in open space, where it is written as one."""
    laws = system.force_laws()
    return None if laws is None or system.needs else laws.pair


def bound_pairs(
    law: PairLaw,
    x: Float64[np.ndarray, "B T N D"],
    v: Float64[np.ndarray, "B T N D"],
    particles: Particles,
) -> Int64[np.ndarray, "B T"]:
    """Count the pairs whose energy relative to their centre of mass is negative.

    With u the relative velocity, m the reduced mass and U the pair's potential energy, a pair is
    bound where m u^2 / 2 + U < 0, the other particles apart.

    Raises
    ------
    InputError
        If all pairs do not fit into memory.
    """
    demand_pairs_memory(len(x), 1, particles.n)
    i, j = np.triu_indices(particles.n, 1)
    masses, charges, bonds = particles.masses, particles.charges, particles.couplings
    reduced = masses[:, i] * masses[:, j] / (masses[:, i] + masses[:, j])
    bond = 1.0 if bonds is None else bonds[:, i, j]
    evaluate = law.factory(np.sqrt, np.where)
    counts = np.empty(x.shape[:2], dtype=np.int64)
    for frame in range(x.shape[1]):  # all pairs of all frames need not fit into memory
        r2 = ((x[:, frame, i] - x[:, frame, j]) ** 2).sum(2)
        u2 = ((v[:, frame, i] - v[:, frame, j]) ** 2).sum(2)
        with np.errstate(divide="ignore", invalid="ignore"):  # pairs at the same place
            _, energy = evaluate(
                law.parameters, r2, charges[:, i], charges[:, j], masses[:, i], masses[:, j], bond
            )
        counts[:, frame] = (0.5 * reduced * u2 + energy < 0).sum(1)
    return counts
