"""Low-order accelerations that break one symmetry each, by moments of the directions to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.discovery.equations import Problem, View
from nbody_surrogate.discovery.splines import Knots
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["KINDS", "BreakingTerms"]

COARSE, FINE = 2, 7
"""Shapes of each pair term under the envelope: a straight line in u; for what is broken, a spline."""

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

    Attributes
    ----------
    amounts : ndarray, shape (E,)
    parts : dict of str to slice
        Which of them each kind has.
    """

    def __init__(self, problem: Problem, fine: frozenset[str] = frozenset()) -> None:
        self._problem = problem
        self._knots = Knots.over(*problem.curve.knots.ends, FINE)
        self._orders = {kind: FINE if kind in fine else COARSE for kind in KINDS}
        d = problem.dimensions
        self._forms = _forms(d)
        axes = 1 if d == 2 else 3
        counts = {
            "reciprocity": 2 * d * self._orders["reciprocity"],
            "isotropy": 2 * len(self._forms) * self._orders["isotropy"],
            "reflection": axes * self._orders["reflection"] + axes,
            "time-shift": self._orders["time-shift"] + 1,
            "charge-conjugation": 4 * self._orders["charge-conjugation"],
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
        """Return those of one particle, in unit amounts."""
        problem, measured = self._problem, self._problem.runs[run]
        response = float(unknowns.part("responses")[measured.first + i])
        strengths = unknowns.part("strengths")[problem.strengths_of(run, i, seen.others)]
        apart = measured.x[:, i, None] - measured.x[:, seen.others]
        r = np.sqrt((apart**2).sum(-1))
        there = measured.there[:, [i]] & measured.there[:, seen.others] & (r > 0)
        r = np.where(there, r, 1.0)
        n = apart / r[..., None]
        shape = np.where(there, problem.curve.envelope(r), 0.0)
        u = r / (r + problem.curve.scale)
        shapes = {order: self._shapes(u, shape, order) for order in set(self._orders.values())}
        v = np.zeros_like(measured.x[:, i])
        v[1:] = np.diff(measured.x[:, i], axis=0) / measured.dt  # by earlier frames alone
        columns = []
        for kind in KINDS:
            weights = [shape * strengths for shape in shapes[self._orders[kind]]]
            if kind == "time-shift":
                # in runs apart from each other, each has a clock of its own
                clock = (np.arange(len(r)) * measured.dt - 0.5 * self._length) / self._length
                columns += [clock * np.einsum("to,tod->dt", w, n) for w in weights]
                columns += [clock * self._field(unknowns, measured.x[:, i], response)]
            elif kind == "charge-conjugation":
                own = self._own_strength(unknowns, run, i)
                for size in (own, strengths, np.sign(own), np.sign(strengths)):
                    columns += [np.einsum("to,tod->dt", w * size, n) for w in weights]
            else:
                columns += self._columns(kind, n, weights, v)
        return response * np.stack(columns, -1)

    def _shapes(self, u: np.ndarray, shape: np.ndarray, order: int) -> list[np.ndarray]:
        """Return the shapes of pair terms at all distances, (T, O) each."""
        if order == COARSE:
            return [shape, shape * u]
        first, values = self._knots.pieces(u)
        out = np.zeros((*u.shape, order))
        np.put_along_axis(out, first[..., None] + np.arange(4), values * shape[..., None], -1)
        return list(np.moveaxis(out, -1, 0))

    def _own_strength(self, unknowns: Unknowns, run: int, i: int) -> float:
        """Return the strength by which particle `i` acts; its sign of response among couplings."""
        measured = self._problem.runs[run]
        if self._problem.couplings is not None:
            return float(np.sign(unknowns.part("responses")[measured.first + i]))
        return float(unknowns.part("strengths")[measured.first + i])

    def _columns(
        self, kind: str, n: np.ndarray, weights: list[np.ndarray], v: np.ndarray
    ) -> list[np.ndarray]:
        """Return what breaks reciprocity, isotropy or reflection, each (D, T)."""
        d = n.shape[-1]
        columns = []
        for w in weights:
            first = np.einsum("to,tod->dt", w, n)
            if kind == "reciprocity":
                for a in range(d):
                    push = np.zeros_like(first)
                    push[a] = w.sum(1)
                    columns += [push, np.einsum("to,tod->dt", w * n[..., a], n)]
            elif kind == "isotropy":
                for form in self._forms:
                    stretch = np.einsum("toa,ab,tob->to", n, form, n)
                    columns += [form @ first, np.einsum("to,tod->dt", w * stretch, n)]
            else:
                columns += [_turned(first.T, axis).T for axis in _axes(d)]
        if kind == "reflection":
            columns += [_turned(v, axis).T for axis in _axes(d)]
        return columns

    def _field(self, unknowns: Unknowns, x: np.ndarray, response: float) -> np.ndarray:
        """Return the field's acceleration over the response, (D, T)."""
        uniform = unknowns.part("uniform") / response + unknowns.part("uniform_by_charge")
        gradient = unknowns.part("gradient") / response + unknowns.part("gradient_by_charge")
        return (uniform + gradient * x).T


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
