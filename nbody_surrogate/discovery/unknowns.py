"""All that is inferred, as one vector and by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["FIELDS", "Layout", "Unknowns"]

FIELDS = ("uniform", "uniform_by_charge", "gradient", "gradient_by_charge")
"""Parts of the field on one particle: constant or linear in its place along each axis, the same for
all, or in proportion to its response (charge over mass)."""


@dataclass(frozen=True)
class Layout:
    """Where in the vector each unknown stands.

    Attributes
    ----------
    curve, directed : int
        Coefficients of the central curve, and of one component of the directed one.
    strengths : int
        One for each particle, or one for each pair where the graph of pairs is unknown.
    particles, dimensions : int
    """

    curve: int
    directed: int
    strengths: int
    particles: int
    dimensions: int

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each part, in order."""
        return {
            "curve": self.curve,
            "across": self.directed,
            "along": self.directed,
            "strengths": self.strengths,
            "responses": self.particles,
            "drag": self.particles,
            **dict.fromkeys(FIELDS, self.dimensions),
        }

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(self.sizes.values())

    def part(self, name: str) -> slice:
        """Return the place of a part."""
        start = 0
        for key, size in self.sizes.items():
            if key == name:
                return slice(start, start + size)
            start += size
        raise KeyError(name)


@dataclass
class Unknowns:
    """One value of everything.

    Attributes
    ----------
    vector : ndarray, shape (P,)
    layout : Layout
    noise : ndarray, shape (D,)
        Variance of the measured positions along each axis.
    kicks : ndarray, shape (M,)
        Intensity of the kicks of each particle, velocity squared over time.
    """

    vector: Float64[np.ndarray, " P"]
    layout: Layout
    noise: Float64[np.ndarray, " D"]
    kicks: Float64[np.ndarray, " M"]

    def part(self, name: str) -> np.ndarray:
        """Return the part of that name: a view, in which it may be changed."""
        return self.vector[self.layout.part(name)]

    def copy(self) -> Unknowns:
        """Return one that may be changed."""
        return Unknowns(self.vector.copy(), self.layout, self.noise.copy(), self.kicks.copy())

    def moved_to(self, layout: Layout) -> Unknowns:
        """Return the same under another layout; parts that it has more of begin at 0."""
        out = Unknowns(np.zeros(layout.size), layout, self.noise.copy(), self.kicks.copy())
        for name, size in self.layout.sizes.items():
            if layout.sizes[name] == size:
                out.part(name)[:] = self.part(name)
        return out

    def fix_scales(self) -> None:
        """Make the mean size of strengths and of responses 1: tracks tell their ratios alone."""
        strengths, responses = self.part("strengths"), self.part("responses")
        by = float(np.abs(strengths).mean()), float(np.abs(responses).mean())
        strengths /= by[0]
        responses /= by[1]
        for name in ("curve", "across", "along"):
            self.part(name)[:] *= by[0] * by[1]
        for name in ("uniform_by_charge", "gradient_by_charge"):
            self.part(name)[:] *= by[1]
