"""Maps that take solutions to solutions, for systems and for surrogates alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nbody_surrogate.contracts.state import Particles

__all__ = ["IMPLIED", "SYMMETRIES", "Map", "maps"]

SYMMETRIES = (
    "translation",
    "boost",
    "rotation",
    "reflection",
    "permutation",
    "charge-conjugation",
    "time-reversal",
    "time-shift",
)
"""Whoever has one of these must declare it, and the other way round."""

IMPLIED = {
    "axial-rotation": "rotation",
    "axial-reflection": "reflection",
    "midplane-reflection": "reflection",
}
"""What may be declared in place of a stronger symmetry."""

TIME = 0.7  # when a boosted state is looked at


@dataclass(frozen=True)
class Map:
    """A map of states: positions turn by a matrix and move, velocities as well."""

    turn: np.ndarray
    shift: np.ndarray | float = 0.0
    boost: np.ndarray | float = 0.0
    time: float = 1.0
    charge: float = 1.0
    order: np.ndarray | None = None

    def states(
        self, x: np.ndarray, v: np.ndarray, particles: Particles
    ) -> tuple[np.ndarray, np.ndarray, Particles]:
        """Map x, v (..., N, D) and their particles."""
        order = np.arange(x.shape[-2]) if self.order is None else self.order
        bonds, radii = particles.couplings, particles.radii
        return (
            self.vectors(x) + self.shift,
            self.time * self.vectors(v) + self.boost,
            Particles(
                self.charge * particles.charges[:, order],
                particles.masses[:, order],
                None if bonds is None else bonds[:, order][:, :, order],
                None if radii is None else radii[:, order],
            ),
        )

    def vectors(self, values: np.ndarray) -> np.ndarray:
        """Map accelerations or increments (..., N, D)."""
        turned: np.ndarray = values @ self.turn.T
        return turned if self.order is None else turned[..., self.order, :]


def maps(
    symmetry: str, rng: np.random.Generator, dimensions: int, n: int, axis: int = 2
) -> Iterator[Map]:
    """Yield the maps to try of a symmetry; `axis` is that of the axial ones."""
    one = np.eye(dimensions)
    if symmetry == "translation":
        yield Map(one, shift=rng.normal(size=dimensions))
    elif symmetry == "boost":
        u = rng.normal(size=dimensions)
        yield Map(one, shift=TIME * u, boost=u)
    elif symmetry == "permutation":
        yield Map(one, order=np.roll(rng.permutation(n), 1))
        yield Map(one, order=np.arange(n)[::-1])
    elif symmetry == "time-reversal":
        yield Map(one, time=-1.0)
    elif symmetry == "charge-conjugation":
        yield Map(one, charge=-1.0)
    else:
        yield from map(Map, _turns(symmetry, rng, dimensions, axis))


def _turns(
    symmetry: str, rng: np.random.Generator, dimensions: int, axis: int
) -> Iterator[np.ndarray]:
    if symmetry == "rotation":
        yield _rotation(rng, dimensions)
    if symmetry == "axial-rotation":
        plane = [d for d in range(dimensions) if d != axis]
        if len(plane) == 2:  # in two dimensions an axis within the plane leaves nothing to turn
            matrix = np.eye(dimensions)
            matrix[np.ix_(plane, plane)] = _rotation(rng, 2)
            yield matrix
    mirrored = {
        "reflection": range(dimensions),
        "axial-reflection": [d for d in range(dimensions) if d != axis],
        "midplane-reflection": [axis] if axis < dimensions else [],
    }
    for across in mirrored.get(symmetry, []):
        yield np.diag([-1.0 if d == across else 1.0 for d in range(dimensions)])


def _rotation(rng: np.random.Generator, dimensions: int) -> np.ndarray:
    """Draw a rotation, never a reflection."""
    matrix = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    matrix[0] *= np.sign(np.linalg.det(matrix))
    return matrix
