"""Energies of pairs of particles by a system's own law, and which pairs are bound."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.force_laws import PairLaw
from nbody_surrogate.contracts.memory import demand_pairs_memory
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["bound_pairs", "pair_law_of"]

FAR = (1e90, 1e100)
"""Distances beyond those of any unit of length, whose squares are still numbers."""


def pair_law_of(system: AbstractSystem) -> PairLaw | None:
    """Return the pair law of a system in open space, where it is written as one, with an energy."""
    laws = system.force_laws()
    if laws is None or laws.directed is not None or system.needs:
        return None
    return laws.pair


def bound_pairs(
    law: PairLaw,
    x: Float64[np.ndarray, "B T N D"],
    v: Float64[np.ndarray, "B T N D"],
    particles: Particles,
) -> Float64[np.ndarray, "B T"]:
    """Count the pairs whose energy relative to their centre of mass is negative.

    With u the relative velocity, m the reduced mass and U the pair's potential energy, a pair is
    bound where m u^2 / 2 + U < 0, the other particles apart: then it has not the energy to part.

    That takes a potential that vanishes far away, as those of charges and masses do. A spring's
    grows without end and is nowhere negative: what it joins never parts, whatever its energy. There
    the count means nothing, and is NaN.

    Raises
    ------
    InputError
        If all pairs do not fit into memory.
    """
    demand_pairs_memory(len(x), 1, particles.n)
    if not _vanishes_far_away(law, particles):
        return np.full(x.shape[:2], np.nan)
    i, j = np.triu_indices(particles.n, 1)
    masses = particles.masses
    reduced = masses[:, i] * masses[:, j] / (masses[:, i] + masses[:, j])
    counts = np.empty(x.shape[:2])
    for frame in range(x.shape[1]):  # all pairs of all frames need not fit into memory
        r2 = ((x[:, frame, i] - x[:, frame, j]) ** 2).sum(2)
        u2 = ((v[:, frame, i] - v[:, frame, j]) ** 2).sum(2)
        energy = _energies(law, r2, particles)
        counts[:, frame] = (0.5 * reduced * u2 + energy < 0).sum(1)
    return counts


def _vanishes_far_away(law: PairLaw, particles: Particles) -> bool:
    """Tell whether energies become ever smaller; those of a logarithm and a constant do not."""
    n, batch = particles.n, particles.batch
    far, farther = (
        np.abs(_energies(law, np.full((batch, n * (n - 1) // 2), r * r), particles)) for r in FAR
    )
    return bool(((farther < far) | (farther == 0)).all())


def _energies(
    law: PairLaw, r2: Float64[np.ndarray, "B P"], particles: Particles
) -> Float64[np.ndarray, "B P"]:
    """Potential energies of all pairs at squared distances."""
    i, j = np.triu_indices(particles.n, 1)
    q, m, bonds = particles.charges, particles.masses, particles.couplings
    bond = 1.0 if bonds is None else bonds[:, i, j]
    evaluate = law.factory(np.sqrt, np.where)
    with np.errstate(all="ignore"):  # pairs at the same place, or so far that numbers end
        _, energy = evaluate(law.parameters, r2, q[:, i], q[:, j], m[:, i], m[:, j], bond)
    return np.broadcast_to(energy, r2.shape)
