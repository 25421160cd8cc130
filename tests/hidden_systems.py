"""A system whose bonds take time to form: a hidden variable of each pair of particles."""

from __future__ import annotations

from typing import final

import numpy as np

from nbody_surrogate.contracts.hidden_variables import HiddenVariable
from nbody_surrogate.contracts.scenery import Bonds
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec


@final
class Bonding(AbstractSystem):
    """Particles that pull at each other: m_i a_i = sum_j s_ij (x_j - x_i), ds_ij/dt = 1 - s_ij.

    So s_ij = 1 + (s_ij(0) - 1) exp(-t), whatever the particles do.
    """

    name = "bonding"
    Spec = SystemSpec
    symmetries = frozenset({"translation", "rotation", "reflection", "permutation", "time-shift"})
    conserved = frozenset({"momentum", "angular_momentum"})
    hidden_variables = (HiddenVariable("strength", ("N",), "of the bond of each pair"),)

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def hidden_acceleration(self, x, v, particles, hidden, neighbours):
        r = x[:, None] - x[:, :, None]  # from i to j
        pull = (hidden["strength"][..., None] * r).sum(2)
        return pull / particles.masses[..., None]

    def _hidden_rate(self, x, v, particles, hidden, neighbours):
        return {"strength": 1.0 - hidden["strength"]}

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        s = rng.uniform(size=(n, n))
        return Draw(x, v, np.zeros(n), np.ones(n), hidden={"strength": (s + s.T) / 2})

    def _scenery(self, state, particles):
        """Draw a line for each bond that is more than half formed, where they are known."""
        if "strength" not in state.hidden:
            return ()
        pairs = np.argwhere(np.triu(state.hidden["strength"][0] > 0.5, 1))
        return (Bonds(pairs, "bonds that have formed"),) if len(pairs) else ()
