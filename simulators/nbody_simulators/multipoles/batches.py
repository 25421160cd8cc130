"""Energies and forces of many configurations of spheres, one after the other."""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np

from nbody_simulators.multipoles.kernel import Workspace, solver, workspace

__all__ = ["energies_and_forces", "energy_and_forces", "iterations"]

MOST_WORK = 2 * 10**8
"""Products of a single call of compiled code, some tenths of a second: Python hears of Ctrl-C
between two calls only."""

_own = threading.local()
"""Workspaces: each thread has its own, since compiled code runs without the interpreter's lock."""


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
        Without that of each sphere alone. NaN where there is no solution, as where spheres overlap.
    forces : ndarray, shape (B, N, 3)
    """
    energies, forces, _ = _solved(x, charges, radii, order, permittivity)
    return coupling * energies, coupling * forces


def iterations(
    x: np.ndarray,
    charges: np.ndarray,
    radii: np.ndarray,
    order: int,
    permittivity: float | None = None,
) -> np.ndarray:
    """Return the iterations of conjugate gradients of each configuration, shape (B,).

    Parameters are those of `energies_and_forces`.

    Returns
    -------
    ndarray of int64, shape (B,)
    """
    return _solved(x, charges, radii, order, permittivity)[2]


def energy_and_forces(
    x: np.ndarray,
    charges: np.ndarray,
    radii: np.ndarray,
    order: int,
    permittivity: float | None = None,
    coupling: float = 1.0,
) -> tuple[float, np.ndarray]:
    """Return the energy of charged spheres and the forces on them.

    Parameters
    ----------
    x : ndarray, shape (N, 3)
    charges, radii : ndarray, shape (N,)
    order : int
    permittivity : float or None
    coupling : float
        These as for `energies_and_forces`.

    Returns
    -------
    energy : float
    forces : ndarray, shape (N, 3)
    """
    places, all_charges, sizes = (np.asarray(each, float)[None] for each in (x, charges, radii))
    given = (places, all_charges, sizes, order, permittivity, coupling)
    energies, forces = energies_and_forces(*given)
    return float(energies[0]), forces[0]


def _solved(
    x: np.ndarray, charges: np.ndarray, radii: np.ndarray, order: int, permittivity: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    batch, n = charges.shape
    # lengths of about 1, so that none of their powers is out of float64's range
    unit = radii.max(1)
    place, sizes = x / unit[:, None, None], radii / unit[:, None]
    # numba would compile all of it once more for an array that must not be written to
    charges = np.array(charges)
    energies, forces, counts = np.empty(batch), np.empty(x.shape), np.empty(batch, np.int64)
    room, solve = _room(n, order), solver(order)
    arrays = room[:-1]
    together = max(MOST_WORK // (20 * n * n * (order + 1) ** 3), 1)
    for begun in range(0, batch, together):
        some = slice(begun, begun + together)
        made = (energies[some], forces[some], counts[some])
        solve(
            place[some], charges[some], sizes[some], _response(order, permittivity), *arrays, *made
        )
    return energies / unit, forces / (unit * unit)[:, None, None], counts


def _room(n: int, order: int) -> Workspace:
    rooms: dict[tuple[int, int], Workspace] = _own.__dict__.setdefault("rooms", {})
    if (n, order) not in rooms:
        if len(rooms) == 8:  # a program of many sizes need not keep them all
            del rooms[next(iter(rooms))]
        rooms[n, order] = workspace(n, order)
    return rooms[n, order]


@lru_cache(maxsize=64)
def _response(order: int, permittivity: float | None) -> np.ndarray:
    """Return sqrt(alpha_l / R^(2l+1)) of l = 0 to p, which at 0 stands for the charge itself."""
    degrees = np.arange(order + 1)
    if permittivity is None:
        return np.ones(order + 1)
    made = np.sqrt(degrees * (permittivity - 1) / (degrees * (permittivity + 1) + 1))
    made[0] = 1.0
    return made
