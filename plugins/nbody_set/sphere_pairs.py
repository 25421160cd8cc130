"""Two spheres, solved: where the learned functions of `SETSpheres` begin.

Lengths are in radii. Of two equal spheres at the distance r along z, moments with the same |m| are
all that couple: for each |m| one small matrix, here up to the degree `DEGREES`. The moments q are
divided by the roots of their polarisabilities alpha_l, so that each sphere's own energy is q^2 / 2:

    T_ll' = (-1)^(l' + m) (l + l')! / sqrt((l - m)! (l + m)! (l' - m)! (l' + m)!) / r^(l + l' + 1).

Eliminating all moments above a low degree leaves a quadratic form S in the low ones of both
spheres, and the response R of the high ones to them: functions of r alone. As in Stokesian dynamics
(Durlofsky, Brady and Bossis, J. Fluid Mech. 180 (1987) 21) such forms of pairs are added; what they
miss, is of three bodies. Of that the largest part are the products of what two neighbours
induce in the same sphere, which the responses give, see `nbody_set.spheres`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

__all__ = ["HIGH", "LOW", "TERMS", "Term", "leading", "pair_energy", "term_values"]

LOW, HIGH = 2, 5
"""Degrees of the moments that are solved for, and of those that follow from them."""
DEGREES = 48  # of two spheres; at a gap of 0.03 radii the next ones change nothing in six digits


class Term(NamedTuple):
    """One function of the distance.

    Attributes
    ----------
    kind : str
        "S" of the quadratic form of low moments, "R" of the response of high to low ones.
    mutual : bool
        Between two spheres; or of one sphere, by what it induces in the other and is induced by.
    l, k, m : int
        Degrees (of "R" l is the high one), and the order that they share.
    """

    kind: str
    mutual: bool
    l: int
    k: int
    m: int


def _terms() -> tuple[Term, ...]:
    both = (False, True)
    low = [
        Term("S", mutual, l, k, m)
        for m in range(LOW + 1)
        for l in range(m, LOW + 1)
        for k in range(l, LOW + 1)
        for mutual in both
    ]
    high = [
        Term("R", mutual, l, k, m)
        for l in range(LOW + 1, HIGH + 1)
        for m in range(LOW + 1)
        for k in range(m, LOW + 1)
        for mutual in both
    ]
    return (*low, *high)


TERMS = _terms()


def leading() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what is known of each function far away: all in powers of t = 2 / r.

    Returns
    -------
    factors, powers : ndarray, shape (F,)
        Of the bare coupling of two moments; the factor of others is 0.
    rest : ndarray, shape (F,)
        The lowest power of what is added to it.
    """
    factors, powers, rest = [], [], []
    for kind, mutual, l, k, m in TERMS:
        power = l + k + 1
        factor = _bare(l, k, m) / 2.0**power * (-1.0 if kind == "R" else 1.0)
        factors.append(factor if mutual else 0.0)
        powers.append(power)
        alone = 4 if l == k == 0 else min(l + k + 2, 10)
        rest.append(power + 2 if mutual else alone)
    return np.array(factors), np.array(powers, float), np.array(rest, float)


def _bare(l: int, k: int, m: int) -> float:
    """T_lk of moments that are not divided by polarisabilities, times r^(l + k + 1)."""
    parts = [math.factorial(each) for each in (l - m, l + m, k - m, k + m)]
    return (-1.0) ** (k + m) * math.factorial(l + k) / math.sqrt(math.prod(parts))


@cache
def _factorials() -> np.ndarray:
    return np.array([math.lgamma(n + 1.0) for n in range(2 * DEGREES + 1)])


def _form(r: np.ndarray, m: int) -> np.ndarray:
    """Return the quadratic form of moments l = m to `DEGREES` of one sphere, then of the other.

    Shape (R, 2 K, 2 K).
    """
    logs = _factorials()
    l = np.arange(m, DEGREES + 1)
    norm = 0.5 * (logs[l - m] + logs[l + m])
    total = l[:, None] + l
    size = logs[total] - norm[:, None] - norm - (total + 1) * np.log(r)[:, None, None]
    coupling = np.exp(size) * (-1.0) ** (l + m)
    own = np.ones(len(l))
    if m == 0:
        own[0] = 0.0  # charges are given; their own energies are left out
    blocks = np.zeros((len(r), 2, len(l), 2, len(l)))
    blocks[:, 0, :, 1], blocks[:, 1, :, 0] = coupling, coupling.swapaxes(1, 2)
    form: np.ndarray = blocks.reshape(len(r), 2 * len(l), 2 * len(l))
    form += np.diag(np.concatenate([own, own]))
    return form


def _eliminated(form: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the form of the kept variables, and how the others follow them."""
    gone = np.setdiff1d(np.arange(form.shape[1]), kept)
    across = form[:, gone][:, :, kept]
    response = -np.linalg.solve(form[:, gone][:, :, gone], across)
    rest = form[:, kept][:, :, kept] + across.swapaxes(1, 2) @ response
    return rest, response


def term_values(r: np.ndarray) -> np.ndarray:
    """Return the functions of two conducting spheres.

    Parameters
    ----------
    r : ndarray, shape (R,)
        Distances in radii, above 2.

    Returns
    -------
    ndarray, shape (R, F)
        As `TERMS`. The two-body energy with products of responses is that of the whole problem.
    """
    made = {}
    for m in range(LOW + 1):
        low, size = LOW + 1 - m, DEGREES + 1 - m
        kept = np.concatenate([np.arange(low), size + np.arange(low)])
        form, response = _eliminated(_form(r, m), kept)
        # of both spheres, as `gone` counts them
        high = np.arange(HIGH - LOW)
        first, second = response[:, high], response[:, size - low + high]
        # a sphere's own energy of its high moments is within the sum of products of responses
        form = form + first.swapaxes(1, 2) @ first + second.swapaxes(1, 2) @ second
        own = np.ones(low)
        if m == 0:
            own[0] = 0.0
        form -= np.diag(np.concatenate([own, own]))
        made[m] = form, first
    columns = []
    for kind, mutual, l, k, m in TERMS:
        form, response = made[m]
        column = (LOW + 1 - m if mutual else 0) + k - m
        row = l - m if kind == "S" else l - LOW - 1
        columns.append((form if kind == "S" else response)[:, row, column])
    return np.stack(columns, axis=1)


def pair_energy(r: np.ndarray) -> np.ndarray:
    """Return the two-body energy's factors of Q_i^2 / 2 + Q_j^2 / 2 and of Q_i Q_j, (R, 2)."""
    size = DEGREES + 1
    form, _ = _eliminated(_form(r, 0), np.array([0, size]))
    return np.stack([form[:, 0, 0], form[:, 0, 1]], axis=1)
