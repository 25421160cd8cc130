"""Low-order accelerations that break one symmetry each, by moments of the directions to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.discovery.breaking_kernel import COARSE, pair_moments
from nbody_surrogate.discovery.equations import Problem
from nbody_surrogate.discovery.forces import View
from nbody_surrogate.discovery.splines import Knots
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["KINDS", "BreakingTerms"]

FINE = 7
"""Shapes of a pair term of what is broken: splines. Of all others, `COARSE`."""

KINDS = ("reciprocity", "isotropy", "reflection", "time-shift", "charge-conjugation")


@final
class BreakingTerms:
    """Accelerations by which pair forces would not be reciprocal, isotropic, mirrored, or steady.

    With n the direction from j to i, and weights w of every other by its strength and envelope:

    - reciprocity: e w and (e.n) n w, for each axis e, which push both of a pair the same way;
    - isotropy: Q n w and (n.Q n) n w, for each symmetric Q without trace;
    - reflection: e x n w for each axis e (n turned by a right angle in the plane), and v x e;
    - time shift: the pair forces, and the fields, in proportion to time;
    - charge conjugation: pair forces times one charge more, that of either particle, or its sign.

    Parameters
    ----------
    problem : Problem
    fine : frozenset of str
        Kinds whose pair terms are splines of the distance.
    kinds : tuple of str
        Those that there are.

    Attributes
    ----------
    amounts : ndarray, shape (E,)
    parts : dict of str to slice
        Which of them each kind has.
    """

    def __init__(
        self,
        problem: Problem,
        fine: frozenset[str] = frozenset(),
        kinds: tuple[str, ...] = KINDS,
    ) -> None:
        self._problem = problem
        self._knots = Knots.over(*problem.curve.knots.ends, FINE)
        self._orders = {kind: FINE if kind in fine else COARSE for kind in kinds}
        d = problem.dimensions
        self._forms = np.array(_forms(d))
        axes = 1 if d == 2 else 3
        counts_of: dict[str, Callable[[int], int]] = {
            "reciprocity": lambda order: 2 * d * order,
            "isotropy": lambda order: 2 * len(self._forms) * order,
            "reflection": lambda order: axes * order + axes,
            "time-shift": lambda order: order + 1,
            "charge-conjugation": lambda order: 4 * order,
        }
        counts = {
            kind: count(self._orders[kind]) for kind, count in counts_of.items() if kind in kinds
        }
        ends = np.cumsum(list(counts.values()))
        self.parts = {
            name: slice(int(end) - count, int(end))
            for (name, count), end in zip(counts.items(), ends, strict=True)
        }
        self.amounts = np.zeros(int(ends[-1]))
        self._length = max(len(run.x) * run.dt for run in problem.runs)

    def accelerations(
        self, run: int, i: int, seen: View, unknowns: Unknowns
    ) -> Float64[np.ndarray, "D T E"]:
        """Return those of one particle where it is seen, in unit amounts."""
        problem, measured = self._problem, self._problem.runs[run]
        response = float(unknowns.part("responses")[measured.first + i])
        strengths = unknowns.part("strengths")[problem.strengths_of(run, i, seen.others)]
        path = seen.path
        x = path[:, i]
        # in runs apart from each other, each has a clock of its own
        clock = (seen.times - 0.5 * self._length) / self._length
        out = np.zeros((problem.dimensions, len(x), self.amounts.size))
        pair_moments(
            path,
            seen.there,
            i,
            seen.others,
            strengths,
            self._own_strength(unknowns, run, i),
            problem.curve.envelope.numbers,
            (problem.curve.scale, self._knots.first, self._knots.spacing),
            self._knots.count,
            (problem.curve.knots.first, problem.curve.knots.spacing),
            unknowns.part("curve"),
            self._forms,
            np.array([self._orders.get(kind, 0) for kind in KINDS]),
            np.array([self.parts[kind].start if kind in self.parts else -1 for kind in KINDS]),
            clock,
            out,
        )
        if "time-shift" in self.parts:
            out[:, :, self.parts["time-shift"].stop - 1] = clock * self._field(
                unknowns, x, response
            )
        if "reflection" in self.parts:
            v = np.zeros_like(x)
            v[1:] = np.diff(x, axis=0) / np.diff(seen.times)[:, None]  # by earlier frames alone
            end = self.parts["reflection"].stop
            for k, axis in enumerate(reversed(_axes(problem.dimensions))):
                out[:, :, end - 1 - k] = _turned(v, axis).T
        out *= response
        return out

    def _own_strength(self, unknowns: Unknowns, run: int, i: int) -> float:
        """Return the strength by which particle `i` acts; its sign of response among couplings."""
        measured = self._problem.runs[run]
        if self._problem.couplings is not None:
            return float(np.sign(unknowns.part("responses")[measured.first + i]))
        return float(unknowns.part("strengths")[measured.first + i])

    def _field(self, unknowns: Unknowns, x: np.ndarray, response: float) -> np.ndarray:
        """Return the field's acceleration over the response, (D, T)."""
        uniform = unknowns.part("uniform") / response + unknowns.part("uniform_by_charge")
        gradient = unknowns.part("gradient") / response + unknowns.part("gradient_by_charge")
        return np.asarray((uniform + gradient * x).T)


def _axes(d: int) -> list[np.ndarray | None]:
    """Return the axes that vectors turn about: in the plane, the upright one."""
    return [None] if d == 2 else list(np.eye(3))


def _turned(vectors: np.ndarray, axis: np.ndarray | None) -> np.ndarray:
    """Return the axis times vectors (T, D); in the plane the axis stands upright."""
    if axis is None:
        return np.stack([-vectors[:, 1], vectors[:, 0]], -1)
    return np.cross(axis, vectors)


def _forms(d: int) -> list[np.ndarray]:
    """Return a basis of the symmetric forms without trace."""
    forms = []
    for a in range(d):
        for b in range(a):
            form = np.zeros((d, d))
            form[a, b] = form[b, a] = 1.0
            forms.append(form)
    for a in range(1, d):
        form = np.zeros((d, d))
        form[0, 0], form[a, a] = 1.0, -1.0
        forms.append(form)
    return forms
