"""What pictures show of external fields."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.contracts import Ellipsoid, State

__all__ = ["turning_surface"]


def turning_surface(state: State, frequencies: tuple[float, float, float]) -> tuple[Ellipsoid, ...]:
    """Return the equipotential of a harmonic trap at which the mean energy turns back.

    By the trap alone, a particle with the mean of the energies (v^2 + sum_d w_d^2 x_d^2) / 2 per
    mass at the start never gets beyond it. There is none where the trap is open along an axis.
    """
    w = np.array(frequencies[: state.x.shape[2]])
    if not w.all():
        return ()
    twice = ((w * state.x[0]) ** 2 + state.v[0] ** 2).sum(axis=1).mean()
    return (Ellipsoid(np.zeros(len(w)), np.sqrt(twice) / w, "trap, at the particles' mean energy"),)
