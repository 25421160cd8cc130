"""Velocities that lag behind positions, as those of leapfrog and symplectic Euler do."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["velocities_in_step"]


def velocities_in_step(
    system: AbstractSystem,
    lag: float,
    x: np.ndarray,
    v: np.ndarray,
    particles: Particles,
    hidden: Hidden = NOTHING_HIDDEN,
) -> np.ndarray:
    """Bring velocities to the time of the positions, by the force at these.

    This is exact to second order in the lag. Published data sets are half a step of 0.001 behind:
    what is left over is some 1e-7 of an acceleration.

    Parameters
    ----------
    system : AbstractSystem
    lag : float
        How far in time velocities are behind; 0 leaves them as they are, to the bit.
    x, v : ndarray, shape (B, N, D)
    particles : Particles, shape (B, N)
    hidden : mapping of str to ndarray, shape (B, N, ...)
        The hidden variables, where the system has some.

    Returns
    -------
    ndarray, shape (B, N, D)
    """
    if lag == 0:
        return v
    return v + lag * system.acceleration(x, v, particles, hidden)
