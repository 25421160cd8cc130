"""The box that particles live in: open or periodic along each axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.contracts.arrays import real_array
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Box"]


@final
@dataclass(frozen=True)
class Box:
    """An orthorhombic box, periodic along the axes that have a length.

    Positions in a state are *unwrapped*: a particle that leaves through one face goes on beyond
    it, so that its path has no jumps. What depends on where particles are to each other takes
    differences by `displacement`.

    Parameters
    ----------
    lengths : sequence of float or None
        One for each of the D = 2 or 3 axes, in reduced units: the period, or None where the axis
        is open.

    Raises
    ------
    InputError
        If there are not 2 or 3 of them, or one is not positive and finite.
    """

    lengths: tuple[float | None, ...]

    def __post_init__(self) -> None:
        given = tuple(self.lengths)
        if len(given) not in (2, 3):
            raise InputError(f"`box` must have 2 or 3 lengths, one for each axis, got {len(given)}")
        for length in given:
            if length is not None and not (math.isfinite(length) and length > 0):
                raise InputError(
                    f"`box` must have lengths that are finite and > 0, or None for an open axis, "
                    f"got {length}"
                )
        kept = tuple(None if length is None else float(length) for length in given)
        object.__setattr__(self, "lengths", kept)

    @property
    def dimension(self) -> int:
        """Number of axes, D."""
        return len(self.lengths)

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis is periodic."""
        return tuple(length is not None for length in self.lengths)

    @property
    def volume(self) -> float:
        """Volume, or area in two dimensions; infinite where an axis is open."""
        return math.prod(math.inf if length is None else length for length in self.lengths)

    @property
    def shortest(self) -> float:
        """Shortest period; infinite where every axis is open."""
        return min((length for length in self.lengths if length is not None), default=math.inf)

    def wrap(self, x: Float64[np.ndarray, "... D"]) -> Float64[np.ndarray, "... D"]:
        """Return positions inside the box, from 0 up to, not including, the length of each axis.

        Along open axes they stay as they are.

        Parameters
        ----------
        x : ndarray, shape (..., D)

        Returns
        -------
        ndarray, shape (..., D)

        Raises
        ------
        InputError
            If the box has not D dimensions.
        """
        # a copy: positions come from states and carries, which are read-only
        inside = self._vectors("x", x)
        for axis, length in enumerate(self.lengths):
            if length is not None:
                folded = np.mod(inside[..., axis], length)
                # the remainder of -1e-20 is rounded up to the length itself
                inside[..., axis] = np.where(folded < length, folded, 0.0)
        return inside

    def displacement(self, dx: Float64[np.ndarray, "... D"]) -> Float64[np.ndarray, "... D"]:
        """Return differences of positions to the nearest image.

        The minimum image convention: dx - L rint(dx / L) along each periodic axis. It changes its
        sign with `dx`, to the bit, so that forces that depend on it are equal and opposite.

        Parameters
        ----------
        dx : ndarray, shape (..., D)

        Returns
        -------
        ndarray, shape (..., D)

        Raises
        ------
        InputError
            If the box has not D dimensions.

        References
        ----------
        Metropolis et al., J. Chem. Phys. 21 (1953) 1087; Allen and Tildesley, "Computer Simulation
        of Liquids" (2017), section 1.6.
        """
        # rint is odd, as it rounds halves to even; floor(x + 1/2) is not, and forces of two
        # particles half a period apart would not be opposite
        nearest = self._vectors("dx", dx)
        for axis, length in enumerate(self.lengths):
            if length is not None:
                nearest[..., axis] -= length * np.rint(nearest[..., axis] / length)
        return nearest

    def _vectors(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return a copy of vectors that fit the box."""
        values = real_array(name, x)
        if values.shape[-1:] != (self.dimension,):
            raise InputError(
                f"`{name}` must have shape (..., D), D = {self.dimension} as the box, "
                f"got {values.shape}"
            )
        return values.copy()
