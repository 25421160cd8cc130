"""Sums of pair terms that break symmetries, compiled; see `breaking` for what they are."""

from __future__ import annotations

import math

import numba
import numpy as np

from nbody_surrogate.discovery.kernels import envelope_of, spline_piece

__all__ = ["COARSE", "pair_moments"]

COARSE = 2
"""Shapes of a pair term that is a straight line in u."""


@numba.njit(cache=True, error_model="numpy")
def pair_moments(
    x: np.ndarray,
    there: np.ndarray,
    i: int,
    others: np.ndarray,
    strengths: np.ndarray,
    own: float,
    envelope: tuple[float, float, float],
    knots: tuple[float, float, float],
    count: int,
    fitted: tuple[float, float],
    coefficients: np.ndarray,
    forms: np.ndarray,
    orders: np.ndarray,
    starts: np.ndarray,
    clock: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add the pair terms of all kinds on particle `i`.

    Shapes: x (T, N, D); coefficients (K,), of the pair force so far under the same envelope, whose
    knots are `fitted`; forms (F, D, D); orders, starts (5,), of the kinds in the order of
    `KINDS`: shapes of each (2, or `count`), and its first column, -1 of one that is left out; clock
    (T,); out (D, T, E).
    """
    frames, _, dimensions = x.shape
    power, core, rate = envelope
    scale, first, spacing = knots
    four, n = np.empty(4), np.empty(dimensions)
    weights, places = np.empty((2, 4)), np.empty((2, 4), np.int64)
    for t in range(frames):
        if not there[t, i]:
            continue
        for o in range(others.size):
            j = others[o]
            if not there[t, j]:
                continue
            r2 = 0.0
            for d in range(dimensions):
                n[d] = x[t, i, d] - x[t, j, d]
                r2 += n[d] * n[d]
            if r2 == 0.0:
                continue
            r = math.sqrt(r2)
            for d in range(dimensions):
                n[d] /= r
            u = r / (r + scale)
            size = envelope_of(r2, power, core, rate) * strengths[o]
            start = spline_piece((u - first) / spacing, count, four)
            # row 0: a straight line in u; row 1: four splines
            for k in range(4):
                weights[0, k], places[0, k] = (size if k == 0 else size * u), min(k, 1)
                weights[1, k], places[1, k] = size * four[k], start + k
            start = spline_piece((u - fitted[0]) / fitted[1], coefficients.size, four)
            force = 0.0
            for k in range(4):
                force += coefficients[start + k] * four[k]
            for kind in range(5):
                if starts[kind] < 0:
                    continue
                fine = 0 if orders[kind] == COARSE else 1
                # what changes with time is the force itself
                shape = force if kind == 3 and not fine else 1.0
                for k in range(4 if fine else 2):
                    _add(
                        kind,
                        shape * weights[fine, k],
                        starts[kind],
                        places[fine, k],
                        orders[kind],
                        n,
                        forms,
                        own,
                        strengths[o],
                        clock[t],
                        t,
                        out,
                    )


@numba.njit(cache=True, error_model="numpy", inline="always")
def _add(
    kind: int,
    w: float,
    start: int,
    place: int,
    order: int,
    n: np.ndarray,
    forms: np.ndarray,
    own: float,
    strength: float,
    clock: float,
    t: int,
    out: np.ndarray,
) -> None:
    """Add one shape of one pair to the columns of a kind; those of one term lie side by side."""
    dimensions = n.size
    if kind == 0:  # reciprocity
        for a in range(dimensions):
            out[a, t, start + 2 * a * order + place] += w
            for d in range(dimensions):
                out[d, t, start + (2 * a + 1) * order + place] += w * n[a] * n[d]
    elif kind == 1:  # isotropy
        for f in range(len(forms)):
            stretch = 0.0
            for a in range(dimensions):
                pull = 0.0
                for b in range(dimensions):
                    pull += forms[f, a, b] * n[b]
                stretch += n[a] * pull
                out[a, t, start + 2 * f * order + place] += w * pull
            for d in range(dimensions):
                out[d, t, start + (2 * f + 1) * order + place] += w * stretch * n[d]
    elif kind == 2:  # reflection
        if dimensions == 2:
            out[0, t, start + place] -= w * n[1]
            out[1, t, start + place] += w * n[0]
        else:
            for a in range(3):
                b, c = (a + 1) % 3, (a + 2) % 3
                out[b, t, start + a * order + place] -= w * n[c]
                out[c, t, start + a * order + place] += w * n[b]
    elif kind == 3:  # time shift
        for d in range(dimensions):
            out[d, t, start + place] += clock * w * n[d]
    else:  # charge conjugation
        for d in range(dimensions):
            push = w * n[d]
            out[d, t, start + place] += own * push
            out[d, t, start + order + place] += strength * push
            out[d, t, start + 2 * order + place] += math.copysign(1.0, own) * push
            out[d, t, start + 3 * order + place] += math.copysign(1.0, strength) * push
