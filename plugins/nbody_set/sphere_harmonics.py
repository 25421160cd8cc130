"""Real spherical harmonics as vectors: how they turn, and how one degree makes the next.

The harmonics are Racah's, C_l0, C_l1 cos, C_l1 sin, ...: components of degree 1 are z, x, y. A
moment q of degree l stands for the function sum_a q_a C_a(s) of directions s.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

__all__ = ["TURNED", "generators", "raised", "raising"]

LAST = 8  # degree that `raising` is made up to
TURNED = (2, 0, 1)
"""The axes z, x, y of the components of degree 1."""


def _values(s: np.ndarray, degree: int) -> np.ndarray:
    """Return C_l of one degree at points on the sphere, (P, 2 l + 1)."""
    x, y, z = s.T
    columns = []
    for m in range(degree + 1):
        factor = math.sqrt(math.factorial(2 * m)) / (2**m * math.factorial(m))
        before, now = np.zeros(len(s), complex), factor * (x + 1j * y) ** m
        for l in range(m, degree):
            after = (2 * l + 1) * z * now - math.sqrt(l * l - m * m) * before
            before, now = now, after / math.sqrt((l + 1) ** 2 - m * m)
        columns += [now.real] if m == 0 else [math.sqrt(2) * now.real, math.sqrt(2) * now.imag]
    return np.stack(columns, axis=1)


@cache
def raising(degree: int) -> np.ndarray:
    """Return what of x, y, z times a harmonic is of the next degree, (3, 2 l + 3, 2 l + 1)."""
    if degree > LAST:
        raise ValueError(degree)
    s = np.random.default_rng(0).normal(size=(200, 3))
    s /= np.linalg.norm(s, axis=1, keepdims=True)
    now, above = _values(s, degree), _values(s, degree + 1)
    basis = above if degree == 0 else np.concatenate([above, _values(s, degree - 1)], axis=1)
    made = [np.linalg.lstsq(basis, axis[:, None] * now, rcond=None)[0] for axis in s.T]
    out = np.stack(made)[:, : 2 * degree + 3]
    out[np.abs(out) < 1e-12] = 0.0
    return out


@cache
def generators(degree: int) -> np.ndarray:
    """Return how components change as a moment turns about x, y, z, (3, 2 l + 1, 2 l + 1)."""
    if degree == 0:
        return np.zeros((3, 1, 1))
    up, below = raising(degree - 1), generators(degree - 1)
    turned = np.zeros((3, 3, 3))  # e_k x e_a
    for k, a, b, sign in (
        (0, 1, 2, 1),
        (1, 2, 0, 1),
        (2, 0, 1, 1),
        (0, 2, 1, -1),
        (1, 0, 2, -1),
        (2, 1, 0, -1),
    ):
        turned[k, a, b] = sign
    # (s_a q) turns as the product that it is
    made = np.einsum("acd,kde->kace", up, below) + np.einsum("kab,bce->kace", turned, up)
    flat = np.concatenate(list(up), axis=1)
    out = np.stack([np.concatenate(list(each), axis=1) @ np.linalg.pinv(flat) for each in made])
    out[np.abs(out) < 1e-12] = 0.0
    return out


def raised(degree: int, m: int) -> float:
    """Return the factor of the next degree in z times a harmonic of order m."""
    return math.sqrt((degree + 1) ** 2 - m * m) / (2 * degree + 1)
