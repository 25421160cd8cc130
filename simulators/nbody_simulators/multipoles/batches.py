"""Energies and forces of many configurations of spheres."""

from __future__ import annotations

import numpy as np

from nbody_simulators.multipoles.dense import energy_and_forces

__all__ = ["energies_and_forces"]


def energies_and_forces(
    x: np.ndarray,
    charges: np.ndarray,
    radii: np.ndarray,
    order: int,
    permittivity: float | None = None,
    coupling: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return energies and forces, each configuration by itself.

    Parameters
    ----------
    x : ndarray, shape (B, N, 3)
        Centres, reduced units.
    charges, radii : ndarray, shape (B, N)
    order : int
        p, the highest degree of the multipoles; 0 is point charges.
    permittivity : float or None
        Relative to the medium; None is a conductor.
    coupling : float
        k.

    Returns
    -------
    energies : ndarray, shape (B,)
    forces : ndarray, shape (B, N, 3)
    """
    energies, forces = np.empty(len(x)), np.empty(x.shape)
    for b in range(len(x)):
        energies[b], forces[b] = energy_and_forces(
            x[b], charges[b], radii[b], order, permittivity, coupling
        )
    return energies, forces
