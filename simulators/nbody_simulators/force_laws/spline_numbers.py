"""The numbers of `spline_pair`: a curve as it was measured, with its energies at some distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nbody_simulators.force_laws.cardinal_splines import BLOCK
from nbody_simulators.force_laws.spline_pair import (
    CLASSES,
    HEAD,
    NODES,
    PANELS,
    envelope_numbers,
    spline_law,
)
from nbody_surrogate.contracts import PairLaw

__all__ = ["Curve", "spline_pair"]

X = np.array([sign * node for sign in (1.0, -1.0) for node, _ in NODES])
WEIGHTS = np.array([weight for _ in range(2) for _, weight in NODES])


@dataclass(frozen=True)
class Curve:
    """The curve env(r) S(u(r)) of `spline_pair`, in NumPy.

    Attributes
    ----------
    power, core, screening_length, scale
        p, a, lambda (None where it is infinite) and b.
    first, spacing : float
        Where the first spline stands in u, and how far the next.
    coefficients : sequence of float, length K
        At least 4. The range of S goes from the second to the last but one.
    """

    power: int
    core: float
    screening_length: float | None
    scale: float
    first: float
    spacing: float
    coefficients: Sequence[float]

    def at(self, r: np.ndarray) -> np.ndarray:
        """Return the force along the separation, of a pair of weight 1, at distances r (...)."""
        count = len(self.coefficients)
        place = np.clip((r / (r + self.scale) - self.first) / self.spacing, 1.0, count - 2.0)
        near = np.abs(place[..., None] - np.arange(count))
        outer, inner = np.maximum(2.0 - near, 0.0), np.maximum(1.0 - near, 0.0)
        splines = (outer**3 - 4.0 * inner**3) / 6.0
        envelope = np.sqrt(r * r + self.core**2) ** self.power * np.exp(-self.decay * r)
        values: np.ndarray = envelope * (splines @ np.asarray(self.coefficients, float))
        return values

    @property
    def decay(self) -> float:
        """1 / lambda."""
        return 0.0 if self.screening_length is None else 1.0 / self.screening_length

    @property
    def steep(self) -> bool:
        """Whether the force goes down so fast that the energy has a limit far away."""
        return self.power < -1

    def knots(self) -> np.ndarray:
        """Return z at the knots within the range of S, the nearest first, shape (K - 2,)."""
        u = self.first + self.spacing * np.arange(1.0, len(self.coefficients) - 1.0)
        # of distances that are negative it is none, but no pair is ever there
        r, rest = self.scale * u, 1.0 - u
        z: np.ndarray = rest / (r + np.hypot(r, self.core * rest))
        return z

    def work(self, z: float, end: float) -> float:
        """Integrate the force from one distance to another, as the law does, by their z."""
        first, last = (end, z) if self.steep else (1.0 / end, 1.0 / z)
        half, middle = 0.5 * (last - first), 0.5 * (last + first)
        node = middle + half * X
        y = 1.0 / node if self.steep else node
        s = 0.5 * (y + self.core**2 / y)
        slope = s * y if self.steep else -s / y
        return float(half * (WEIGHTS * self.at(y - s) * slope).sum())


def spline_pair(curve: Curve, by_charge: bool = True) -> PairLaw:
    """Return the law of a curve.

    Parameters
    ----------
    curve : Curve
    by_charge : bool
        Whether q_i q_j weighs a pair, or else its coupling.

    Returns
    -------
    PairLaw
    """
    count = len(curve.coefficients)
    size = -(-count // BLOCK) * BLOCK
    z = curve.knots()
    edges = z[-1] * 0.25 ** np.arange(1.0, PANELS + 1.0)
    if curve.steep:
        edges[-1] = 0.0
    at_knots, at_edges = _energies(curve, z, edges)
    head = {
        **envelope_numbers(curve.power, curve.core, curve.screening_length),
        "scale": curve.scale,
        "first": curve.first,
        "spacing": curve.spacing,
        "last": count - 2,
        "steep": curve.steep,
        "edge": z[-1],
        "far": edges[-1],
        "by_charge": by_charge,
    }
    pad = [0.0] * (size - count)
    rest = (*curve.coefficients, *pad, *at_knots, 0.0, 0.0, *pad, *at_edges)
    made = CLASSES[size // BLOCK - 1]
    return spline_law(made(*(float(head[key]) for key in HEAD), *map(float, rest)))


def _energies(curve: Curve, z: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies at the knots and at the edges of the panels beyond, by z.

    They are summed from the far end, so that each is as exact as it is small. Without a limit far
    away the energy counts from the last knot.
    """
    inner = np.array([curve.work(*each) for each in pairwise(z)])
    outer = np.array([curve.work(*each) for each in pairwise([z[-1], *edges])])
    if curve.steep:
        at_edges = np.append(np.cumsum(outer[:0:-1])[::-1], 0.0)
        last = at_edges[0] + outer[0]
    else:
        at_edges, last = -np.cumsum(outer), 0.0
    return last + np.append(np.cumsum(inner[::-1])[::-1], 0.0), at_edges
