"""Another program's file of the same motion as a run of ours: the same but for its digits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["AGREES", "in_agreement"]

AGREES = 1e-5
"""Relative. Single precision keeps seven digits, LAMMPS writes six, and any other start differs by
more. What agrees so far is taken for the same, of which ours has all digits."""


def in_agreement(foreign: Ensemble, system: dict[str, Any], ours: Ensemble) -> Ensemble:
    """Return another program's run with a system, and with what it shares with ours to all digits.

    Times, charges, masses and the first frame become ours where they agree to `AGREES`, and are
    left as they are where they do not. Couplings become ours where the file has none. So do radii,
    and those that ours has none of are left out: other programs keep some to draw by.

    Parameters
    ----------
    foreign : Ensemble
        Of a file that names no system.
    system : dict
        Name and parameters of the one that it is of.
    ours : Ensemble
        The run that it is held against.
    """
    found = replace(foreign, info=replace(foreign.info, system=system))
    if ours.x.shape[0] != 1 or ours.x.shape[2:] != foreign.x.shape[2:]:
        return found
    x, v = found.x.copy(), found.v.copy()
    x[:, 0] = _ours(x[:, 0], ours.x[:, 0])
    v[:, 0] = _ours(v[:, 0], ours.v[:, 0])
    t = found.t
    if t.shape == ours.t.shape and len(t) > 1:
        # of the time between frames: a late time has fewer digits left for it
        near = np.abs(t - ours.t).max() <= AGREES * np.diff(ours.t).min()
        t = ours.t if near else t
    return replace(found, t=t, x=x, v=v, particles=_particles(found.particles, ours.particles))


def _ours(theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Take our values where all agree, by the size of the largest."""
    near = np.abs(theirs - ours).max() <= AGREES * np.abs(ours).max()
    return ours if near else theirs


def _particles(theirs: Particles, ours: Particles) -> Particles:
    bonds = theirs.couplings
    if ours.couplings is not None:
        bonds = ours.couplings if bonds is None else _ours(bonds, ours.couplings)
    radii = ours.radii
    if radii is not None and theirs.radii is not None:
        radii = _ours(theirs.radii, radii)
    charges, masses = _ours(theirs.charges, ours.charges), _ours(theirs.masses, ours.masses)
    return Particles(charges, masses, bonds, radii)
