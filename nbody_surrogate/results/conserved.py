"""Energy, momentum and angular momentum of the frames of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Invariants, motion_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

__all__ = ["energies", "motions"]

AT_ONCE = 2**20
"""Pairs that a system's energy is asked for at a time, some tens of megabytes."""


def motions(
    x: Float64[np.ndarray, "B T N D"],
    v: Float64[np.ndarray, "B T N D"],
    particles: Particles,
    valid: Bool[np.ndarray, "B T"],
) -> Invariants:
    """Return what needs no forces: kinetic energy, momentum and angular momentum.

    Parameters
    ----------
    x, v : ndarray, shape (B, T, N, D)
        In reduced units.
    particles : Particles, shape (B, N)
    valid : ndarray of bool, shape (B, T)

    Returns
    -------
    Invariants
        With axes (B, T) in front, NaN in frames that are not valid. Energies are NaN.
    """
    found = motion_of(np.nan, x, v, particles.masses[:, None])
    return Invariants(*(_where(valid, values) for values in found))


def energies(
    system: AbstractSystem,
    x: Float64[np.ndarray, "B T N D"],
    v: Float64[np.ndarray, "B T N D"],
    particles: Particles,
    valid: Bool[np.ndarray, "B T"],
) -> Float64[np.ndarray, "B T"]:
    """Return total energies, NaN in frames that are not valid; parameters are as of `motions`."""
    known = valid & np.isfinite(x).all((2, 3)) & np.isfinite(v).all((2, 3))
    # no system is asked for the energy of what is not there
    x = np.where(known[..., None, None], x, x[:, :1])
    v = np.where(known[..., None, None], v, v[:, :1])
    batch, frames, n, _ = x.shape
    step = max(AT_ONCE // (batch * n * n), 1)
    parts = [slice(first, first + step) for first in range(0, frames, step)]
    found = [system.invariants(x[:, some], v[:, some], particles).energy for some in parts]
    return _where(known, np.concatenate(found, axis=1))


def _where(valid: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(valid.reshape(valid.shape + (1,) * (values.ndim - 2)), values, np.nan)
