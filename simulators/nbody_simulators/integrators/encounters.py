"""Steps that do not miss an encounter.

An error estimate sees the forces at the stages of a step only. A particle that flies past another
between two stages, within a time that is short beside the step, has changed neither: the step is
accepted, and the encounter is missed. So before each step all pairs are looked at, on straight
lines from where they are. A pair at distance r that approaches with relative speed w bounds the
step by

    h <= r / (2 w)

where (1) it would pass its closest point, at a distance of b, within the step; (2) on the way from
r to b its force becomes more than twice what it is at r, so that the present force does not tell
it; and (3) it matters: at some distance p between b and r the force changes a velocity by more than
the tolerance, a(p) p / w > atol + rtol |v|. Distances p are r / 4, r / 16 and so on, and b. The
pair is then approached in steps each of which halves the distance, until the error estimate sees
it.

A softened or a linear force, or none, is no reason for a short step: (2) and (3) ask the system.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np

from nbody_surrogate.contracts import AbstractSystem, Particles

__all__ = ["CLOSER", "LOOKS", "SHARE", "STEEPER", "Encounters"]

SHARE = 0.5
"""Of distance over relative speed, the longest step: a pair keeps at least half its distance, so
that forces as steep as 1 / r^2 change by a factor of four at most between two looks."""

STEEPER = 2.0
"""How many times the present force makes a new one: stages see any lesser change."""

CLOSER, LOOKS = 4.0, 10
"""Distances on the way to the closest point at which the force is asked for: each so many times
less than the one before, and how many. A pair that comes closer yet is as good as head-on."""

MOST = 64
"""Pairs that are asked for their force before a step, those with the least time of their own
first. There are a few as a rule, and far more only in a gas that hardly interacts."""


@final
class Encounters:
    """Bounds the steps of one trajectory.

    Parameters
    ----------
    system : AbstractSystem
    particles : Particles, shape (1, N)
    dimensions : int
    rtol, atol : float
        Of the solver.
    """

    def __init__(
        self,
        system: AbstractSystem,
        particles: Particles,
        dimensions: int,
        rtol: float,
        atol: float,
    ) -> None:
        # numba with its kernels, which a run that is refused does without
        from nbody_simulators.kernels.approaches import approaching

        self._approaching: Any = approaching
        self._system, self._particles = system, particles
        self._rtol, self._atol = rtol, atol
        lengths = [0.0] * dimensions if system.box is None else system.box.lengths
        self._periods = np.array([length or 0.0 for length in lengths])

    def bound(self, x: np.ndarray, v: np.ndarray, step: float) -> float:
        """Return the longest step from here, infinite where no encounter bounds it.

        Parameters
        ----------
        x, v : ndarray, shape (N, D)
            Contiguous.
        step : float
            The one that is meant to be taken.

        Returns
        -------
        float
        """
        i, j = self._approaching(x, v, self._periods, step, SHARE)
        return self._bound_of(i, j, x, v) if len(i) else np.inf

    def _bound_of(self, i: np.ndarray, j: np.ndarray, x: np.ndarray, v: np.ndarray) -> float:
        """Return the bound by those of some pairs that matter."""
        d, u = self._separations(x[i] - x[j]), v[i] - v[j]
        speed = np.linalg.norm(u, axis=1)
        times = SHARE * np.linalg.norm(d, axis=1) / speed
        some = np.argsort(times, kind="stable")[:MOST]
        i, j, times, speed = i[some], j[some], times[some], speed[some]
        distance, place = _on_the_way(d[some], u[some])
        pull = self._accelerations(i, j, place)  # (P, H, 2), the present one first
        kick = pull * (distance / speed[:, None])[..., None]
        speeds = np.linalg.norm(np.stack([v[i], v[j]], axis=1), axis=2)
        felt = kick > (self._atol + self._rtol * speeds)[:, None]
        # what is not finite, of a collision, is steeper than anything
        new = ~(pull <= STEEPER * pull[:, :1])
        matters = (felt & new).any((1, 2))
        return float(times[matters].min()) if matters.any() else np.inf

    def _separations(self, d: np.ndarray) -> np.ndarray:
        """Take the nearest images."""
        periodic = self._periods > 0
        if not periodic.any():
            return d
        period = np.where(periodic, self._periods, 1.0)
        near: np.ndarray = d - np.where(periodic, period * np.rint(d / period), 0.0)
        return near

    def _accelerations(self, i: np.ndarray, j: np.ndarray, place: np.ndarray) -> np.ndarray:
        """Magnitudes (P, H, 2) of what pairs alone do to each other at separations (P, H, D)."""
        pairs, distances, dimensions = place.shape
        both = np.repeat(np.stack([i, j], axis=1), distances, axis=0)
        known, bonds = self._particles, None
        if known.couplings is not None:
            bonds = known.couplings[0][both[:, :, None], both[:, None, :]]
        radii = None if known.radii is None else known.radii[0][both]
        few = Particles(known.charges[0][both], known.masses[0][both], bonds, radii)
        x = np.zeros((pairs * distances, 2, dimensions))
        x[:, 0] = place.reshape(-1, dimensions)
        with np.errstate(all="ignore"):
            found = self._system.pair_acceleration(x, few)
            pull = np.linalg.norm(found, axis=2).reshape(pairs, distances, 2)
        return np.where(np.isnan(pull), np.inf, pull)


def _on_the_way(d: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (P, H) and separations (P, H, D) of pairs on lines to the closest point."""
    d2, du, u2 = ((a * b).sum(1, keepdims=True) for a, b in ((d, d), (d, u), (u, u)))
    closest2 = np.maximum(d2 - du * du / u2, 0.0)
    shares = CLOSER ** (-2.0 * np.arange(LOOKS + 1))
    distance2 = np.maximum(d2 * shares, closest2)
    # the earlier of the two times at which the pair is so far apart; now, of the first
    times = (-du - np.sqrt(np.maximum(distance2 - closest2, 0.0) * u2)) / u2
    times[:, 0] = 0.0
    return np.sqrt(distance2), d[:, None] + times[..., None] * u[:, None]
