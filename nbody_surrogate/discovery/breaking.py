"""Low-order accelerations that break one symmetry each, by moments of the directions to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.discovery.equations import Problem, View
from nbody_surrogate.discovery.unknowns import Unknowns

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["BreakingTerms"]

ORDERS = 2
"""Shapes of each pair term: the envelope, and the envelope times u."""


@final
class BreakingTerms:
    """Accelerations by which pair forces would not be reciprocal, isotropic, mirrored, or steady.

    With n the direction from j to i, and weights w of every other by its strength and envelope:

    - reciprocity: e w and (e.n) n w, for each axis e, which push both of a pair the same way;
    - isotropy: Q n w and (n.Q n) n w, for each symmetric Q without trace;
    - reflection: e x n w for each axis e (n turned by a right angle in the plane), and v x e;
    - time shift: the pair forces, and the fields, in proportion to time;
    - charge conjugation: strengths, or responses, without their signs.

    Attributes
    ----------
    amounts : ndarray, shape (E,)
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        d = problem.dimensions
        self._forms = _forms(d)
        counts = {
            "reciprocity": 2 * d * ORDERS,
            "isotropy": 2 * len(self._forms) * ORDERS,
            "reflection": ORDERS + 1 if d == 2 else 3 * ORDERS + 3,
            "time-shift": 2,
            "charge-conjugation": 2 * ORDERS,
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
        weights = [shape * strengths * u**k for k in range(ORDERS)]
        v = np.zeros_like(measured.x[:, i])
        v[1:] = np.diff(measured.x[:, i], axis=0) / measured.dt  # by earlier frames alone
        # in runs apart from each other, each has a clock of its own
        clock = np.linspace(-0.5, 0.5, len(r)) * len(r) * measured.dt / self._length
        columns = [*self._pairs(n, weights), *_mirrored(n, weights, v)]
        columns += [clock * seen.force, clock * self._field(unknowns, measured.x[:, i], response)]
        sizes = np.abs(strengths), strengths * np.sign(response)
        for size in sizes:
            columns += [np.einsum("to,tod->dt", shape * size * u**k, n) for k in range(ORDERS)]
        return response * np.stack(columns, -1)

    def _pairs(self, n: np.ndarray, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Return what breaks reciprocity, then isotropy, each (D, T)."""
        d = n.shape[-1]
        one_way, uneven = [], []
        for w in weights:
            total = w.sum(1)
            first = np.einsum("to,tod->dt", w, n)
            for a in range(d):
                push = np.zeros_like(first)
                push[a] = total
                one_way += [push, np.einsum("to,to,tod->dt", w, n[..., a], n)]
            for form in self._forms:
                stretch = np.einsum("toa,ab,tob->to", n, form, n)
                uneven += [form @ first, np.einsum("to,to,tod->dt", w, stretch, n)]
        return [*one_way, *uneven]

    def _field(self, unknowns: Unknowns, x: np.ndarray, response: float) -> np.ndarray:
        """Return the field's acceleration over the response, (D, T)."""
        uniform = unknowns.part("uniform") / response + unknowns.part("uniform_by_charge")
        gradient = unknowns.part("gradient") / response + unknowns.part("gradient_by_charge")
        return (uniform + gradient * x).T


def _mirrored(n: np.ndarray, weights: list[np.ndarray], v: np.ndarray) -> list[np.ndarray]:
    """Return what breaks reflection: swirls about each axis, and turning velocities."""
    d = n.shape[-1]
    axes = [None] if d == 2 else list(np.eye(3))
    out = [_turned(np.einsum("to,tod->td", w, n), axis).T for w in weights for axis in axes]
    return [*out, *(_turned(v, axis).T for axis in axes)]


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
