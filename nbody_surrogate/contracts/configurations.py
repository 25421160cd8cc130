"""One set of particles for many configurations: shapes are brought together before forces see them.

Forces are written for one set of particles per configuration, x (B, N, D) beside charges (B, N),
and compiled ones trust that: a second set that is not there would be read from whatever lies behind
the first. So whoever hands in the frames of a run, x (T, N, D), gets them paired here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.arrays import real_array
from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError

__all__ = ["Configurations", "fits", "paired"]

LARGEST = 2**22
"""Numbers in one block of repeated particles, 32 MiB: springs hold N^2 couplings for each frame."""

Force = Callable[[np.ndarray, np.ndarray, Particles], np.ndarray]
"""From x, v (B, N, D) and B sets of particles to an array (B, ...)."""


def fits(particles: Particles, x: object, v: object) -> bool:
    """Whether x and v are float64 arrays (B, N, D) beside particles (B, N), as forces want them.

    In reduced units, as everywhere.

    Parameters
    ----------
    particles : Particles
    x, v : object

    Returns
    -------
    bool
        Cheap enough for a right-hand side.
    """
    return (
        isinstance(particles, Particles)
        and isinstance(x, np.ndarray)
        and isinstance(v, np.ndarray)
        and x.dtype == np.float64 == v.dtype
        and x.shape == v.shape
        and x.shape[:-1] == particles.charges.shape
        and x.shape[-1] in (2, 3)
    )


def demand_fit(particles: Particles, x: Any, v: Any) -> None:
    """Refuse x and v, in reduced units, that do not fit the particles as `fits` has it.

    Raises
    ------
    InputError
    """
    if not fits(particles, x, v):
        raise InputError(
            f"`x` and `v` must be float64 arrays of shape (B, N, D) with (B, N) = "
            f"{particles.charges.shape}, got {np.shape(x)} and {np.shape(v)}"
        )


@final
@dataclass(frozen=True)
class Configurations:
    """Configurations one after the other, each with the number of its set of particles.

    All quantities are in reduced units.

    Attributes
    ----------
    lead : tuple of int
        The axes in front of particles and space, as they were handed in.
    x, v : ndarray, shape (C, N, D)
    particles : Particles
    which : ndarray of int, shape (C,)
        The trajectory that each configuration belongs to.
    """

    lead: tuple[int, ...]
    x: np.ndarray
    v: np.ndarray
    particles: Particles
    which: np.ndarray

    __repr__ = brief

    def evaluate(self, force: Force) -> np.ndarray:
        """Evaluate a force block by block.

        Parameters
        ----------
        force : callable
            From x, v (B, N, D) and B sets of particles to an array (B, ...).

        Returns
        -------
        ndarray, shape (..., *)
            With the axes `lead` in front.
        """
        found = np.concatenate([force(*block) for block in self._blocks()])
        return found.reshape(self.lead + found.shape[1:])

    def _blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, Particles]]:
        if self.particles.batch == len(self.which):  # each has its own: nothing to repeat
            yield self.x, self.v, self.particles
            return
        n = self.particles.n
        each = n * n if self.particles.couplings is not None else n
        step = max(LARGEST // max(each, 1), 1)
        for first in range(0, len(self.which), step):
            some = slice(first, first + step)
            yield self.x[some], self.v[some], self.particles[self.which[some]]


def paired(particles: Particles, x: ArrayLike, v: ArrayLike) -> Configurations:
    """Pair configurations with particles, all in reduced units.

    Parameters
    ----------
    particles : Particles
        One set, which goes with all configurations, or one for each along the first axis.
    x, v : array_like, shape (..., N, D)
        Such as the frames (T, N, D) of a run, or (B, T, N, D) of several.

    Returns
    -------
    Configurations

    Raises
    ------
    InputError
        If `x` or `v` hold no real numbers, are of another shape, or do not fit the particles.
    """
    demand_kind("particles", particles, Particles, "Particles")
    place, velocity = real_array("x", x), real_array("v", v)
    if place.ndim < 2 or place.shape[-2] != particles.n or place.shape[-1] not in (2, 3):
        raise InputError(
            f"`x` must have shape (..., {particles.n}, D), D of 2 or 3, beside "
            f"{particles.n} particles, got {place.shape}"
        )
    if velocity.shape != place.shape:
        raise InputError(f"`v` must have the shape of `x` {place.shape}, got {velocity.shape}")
    lead = place.shape[:-2]
    which = _sets(particles.batch, lead)
    flat = (len(which), *place.shape[-2:])
    return Configurations(lead, place.reshape(flat), velocity.reshape(flat), particles, which)


def _sets(batch: int, lead: tuple[int, ...]) -> np.ndarray:
    """Return the set of particles of each configuration, of `lead` axes in C order."""
    count = int(np.prod(lead, dtype=np.int64))
    if count == 0:
        raise InputError(f"`x` must hold at least one configuration, got axes {lead} in front")
    if batch == 1:
        return np.zeros(count, dtype=np.int64)
    if not lead or lead[0] != batch:
        raise InputError(
            f"`particles` must be one set, or one for each of the {lead[0] if lead else 1} "
            f"configurations along the first axis of `x`, got {batch} sets"
        )
    return np.repeat(np.arange(batch), count // batch)
