"""Constants of motion of some frames, read so that no boost and no shift changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["QUANTITIES", "ConservedQuantities", "InternalMotion", "departure"]

QUANTITIES = ("energy", "momentum", "angular_momentum")


class InternalMotion(NamedTuple):
    """Positions and velocities in the frame in which a system is judged.

    Where the system keeps its momentum that is the frame of the centre of mass: an observer who
    moves along with it, or stands elsewhere, sees the same. An external field has a place, and
    there it is the frame of the field.

    Attributes
    ----------
    x, v : ndarray, shape (B, F, N, D)
    """

    x: np.ndarray
    v: np.ndarray

    @classmethod
    def of(
        cls,
        system: AbstractSystem,
        x: Float64[np.ndarray, "B F N D"],
        v: Float64[np.ndarray, "B F N D"],
        particles: Particles,
    ) -> InternalMotion:
        """Take the centre's motion off, frame by frame, where it is not part of the physics."""
        if "momentum" not in system.conserved:
            return cls(x, v)
        # before any product is formed: of squares of a fast cloud few digits would be left
        weights = particles.masses / particles.masses.sum(1, keepdims=True)
        weights = weights[:, None, :, None]
        return cls(*(y - (weights * y).sum(2, keepdims=True) for y in (x, v)))

    @property
    def speeds(self) -> Float64[np.ndarray, "B F N"]:
        """Speeds of the particles."""
        return np.asarray(np.linalg.norm(self.v, axis=3))


class ConservedQuantities(NamedTuple):
    """Constants of motion at some frames.

    Attributes
    ----------
    values : dict
        For each of `QUANTITIES` an array (B, F, ...). Energy and angular momentum are those of
        `InternalMotion`: about the centre of mass, where the system keeps its momentum.
    """

    values: dict[str, np.ndarray]

    @classmethod
    def of(
        cls,
        system: AbstractSystem,
        x: Float64[np.ndarray, "B F N D"],
        v: Float64[np.ndarray, "B F N D"],
        particles: Particles,
    ) -> ConservedQuantities:
        """Read them off frames."""
        internal = InternalMotion.of(system, x, v, particles)
        # one by one, since an energy makes all pairs: those of a segment need not fit into memory
        # where forces were computed, whose calls gave the energies of these very places
        place = x if system.dear else internal.x
        frames = [
            system.invariants(place[:, f], internal.v[:, f], particles) for f in range(x.shape[1])
        ]
        momentum = np.einsum("bn,bfnd->bfd", particles.masses, v)
        return cls(
            {
                "energy": np.stack([each.energy for each in frames], axis=1),
                "momentum": momentum,
                "angular_momentum": np.stack([each.angular_momentum for each in frames], axis=1),
            }
        )

    def row(self, b: int) -> ConservedQuantities:
        """Return trajectory `b` alone."""
        return ConservedQuantities({key: y[b : b + 1] for key, y in self.values.items()})


def departure(difference: np.ndarray) -> np.ndarray:
    """Absolute values of numbers (B, F), norms of vectors (B, F, A)."""
    vectors = difference.ndim == 3
    return np.asarray(np.linalg.norm(difference, axis=-1) if vectors else np.abs(difference))
