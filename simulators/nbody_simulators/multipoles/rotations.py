r"""Rotations of real multipole moments, as they turn a pair onto the z axis.

Moments of degree l stand as c_0, c_1, ..., c_l, s_1, ..., s_l: those of cosines and of sines of
m phi. A rotation of the body by phi about z turns each (c_m, s_m); one by beta about y leaves
cosines among themselves, and sines. Its matrix is exp(beta G) with G antisymmetric,

    G[m, m+1] = -G[m+1, m] = -1/2 sqrt(l (l + 1) - m (m + 1)), times sqrt(2) for m = 0,

whose eigenvalues are multiples of i, so each of its elements is a sum of cos(k beta) if m + m' is
even, and of sin(k beta) if it is odd, k = 0 to l.

References
----------
Stone, "The Theory of Intermolecular Forces", 2nd ed. (2013), appendix B, for real harmonics.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["generator", "ladder", "series"]


def ladder(degree: int, m: int) -> float:
    """Return sqrt(l (l + 1) - m (m + 1)), by which L+ takes m to m + 1."""
    return math.sqrt(degree * (degree + 1) - m * (m + 1))


def generator(degree: int, sine: bool) -> np.ndarray:
    """Return G of the cosines, shape (l + 1, l + 1), or of the sines, shape (l, l).

    Parameters
    ----------
    degree : int
    sine : bool

    Returns
    -------
    ndarray
    """
    first = int(sine)
    made = np.zeros((degree + 1 - first,) * 2)
    for m in range(first, degree):
        up = 0.5 * ladder(degree, m) * (math.sqrt(2.0) if m == 0 else 1.0)
        made[m - first, m + 1 - first], made[m + 1 - first, m - first] = -up, up
    return made


def series(degree: int, sine: bool) -> np.ndarray:
    """Return the coefficients of exp(-beta G), shape (size, size, l + 1).

    Element (m, m') is sum_k of them times cos(k beta), or times sin(k beta) where m + m' is odd.

    Parameters
    ----------
    degree : int
    sine : bool

    Returns
    -------
    ndarray
    """
    values, vectors = np.linalg.eigh(1j * generator(degree, sine))
    made = np.zeros((len(values), len(values), degree + 1))
    odd = np.add.outer(np.arange(len(values)), np.arange(len(values))) % 2 == 1
    for value, vector in zip(values, vectors.T, strict=True):
        k = round(value)  # eigenvalues are whole numbers
        projector = np.outer(vector, vector.conj())
        # exp(-beta G) = exp(i beta (iG)) = sum exp(i beta k) P_k, whose sum is real
        made[..., abs(k)] += np.where(odd, -np.sign(k) * projector.imag, projector.real)
    return made
