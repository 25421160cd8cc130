r"""The coupled multipoles of charged spheres by one dense matrix: the plain form.

It is what the compiled solver of `kernel` is tested against, and serves any order.

Sphere i has real multipole moments q_ilm about its centre, l = 0 to p, of harmonics in Racah's
normalisation, so that its potential is sum_lm q_ilm C_lm(r) / r^(l+1). Of two spheres with
r = x_i - x_j, the energy is sum q_i,lm T_lm,l'm'(r) q_j,l'm', where T is made of irregular solid
harmonics of degree l + l' and of orders m + m' and m - m', without sums:

.. math:: 1/|r + s - t| = \sum (-1)^l \hat R_{lm}(s)^* \hat R_{l'm'}(t)^* \hat I_{l+l',m+m'}(r)

with R = r^l P_lm e^(im phi) / (l + m)! and I = (l - m)! P_lm e^(im phi) / r^(l+1).

References
----------
Wang and LeSar, J. Chem. Phys. 104 (1996) 4173, for harmonics that are translated without
coefficients; Stone, "The Theory of Intermolecular Forces", 2nd ed. (2013), for real multipoles.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

__all__ = ["energy_and_forces", "inverse_polarisabilities", "moments"]


def inverse_polarisabilities(
    radii: np.ndarray, order: int, permittivity: float | None
) -> np.ndarray:
    """Return 1 / alpha_l of each sphere, shape (N, order + 1), 0 at l = 0.

    alpha_l = R^(2l+1) l (kappa - 1) / (l (kappa + 1) + 1), and R^(2l+1) of a conductor.

    Parameters
    ----------
    radii : ndarray, shape (N,)
    order : int
    permittivity : float or None
        Relative to the medium; None is a conductor.

    Returns
    -------
    ndarray, shape (N, order + 1)
        Infinite at l >= 1 where the permittivity is 1.
    """
    l = np.arange(1, order + 1)  # noqa: E741
    out = np.zeros((len(radii), order + 1))
    out[:, 1:] = radii[:, None] ** -(2.0 * l + 1)
    if permittivity is not None:
        with np.errstate(divide="ignore"):
            out[:, 1:] *= (l * (permittivity + 1) + 1) / np.asarray(l * (permittivity - 1.0))
    return out


@numba.njit(cache=True, error_model="numpy")
def irregular(x: float, y: float, z: float, degree: int) -> Any:
    """Return I_lm of degrees up to `degree` for m from -degree to degree, real and imaginary."""
    r2 = x * x + y * y + z * z
    re = np.zeros((degree + 1, 2 * degree + 1))
    im = np.zeros((degree + 1, 2 * degree + 1))
    c = degree  # the column of m = 0
    re[0, c] = 1.0 / math.sqrt(r2)
    for m in range(degree + 1):
        if m > 0:
            f = -(2 * m - 1) / r2
            re[m, c + m] = f * (x * re[m - 1, c + m - 1] - y * im[m - 1, c + m - 1])
            im[m, c + m] = f * (y * re[m - 1, c + m - 1] + x * im[m - 1, c + m - 1])
        for l in range(m + 1, degree + 1):  # noqa: E741
            a = (2 * l - 1) * z / r2
            re[l, c + m] = a * re[l - 1, c + m]
            im[l, c + m] = a * im[l - 1, c + m]
            if l >= m + 2:
                b = ((l - 1) * (l - 1) - m * m) / r2
                re[l, c + m] -= b * re[l - 2, c + m]
                im[l, c + m] -= b * im[l - 2, c + m]
        if m > 0:
            sign = -1.0 if m % 2 else 1.0
            for l in range(m, degree + 1):  # noqa: E741
                re[l, c - m] = sign * re[l, c + m]
                im[l, c - m] = -sign * im[l, c + m]
    return re, im


@numba.njit(cache=True, error_model="numpy")
def _gradients(re: np.ndarray, im: np.ndarray, degree: int, axis: int) -> Any:
    """Return the derivative of I_lm by x, y or z, up to `degree`."""
    c = degree + 1
    dre = np.zeros((degree + 1, 2 * degree + 1))
    dim = np.zeros((degree + 1, 2 * degree + 1))
    for l in range(degree + 1):  # noqa: E741
        for m in range(-l, l + 1):
            k = degree + m
            if axis == 2:
                dre[l, k] = -re[l + 1, c + m]
                dim[l, k] = -im[l + 1, c + m]
            elif axis == 0:
                dre[l, k] = 0.5 * (re[l + 1, c + m + 1] - re[l + 1, c + m - 1])
                dim[l, k] = 0.5 * (im[l + 1, c + m + 1] - im[l + 1, c + m - 1])
            else:
                dre[l, k] = 0.5 * (im[l + 1, c + m + 1] + im[l + 1, c + m - 1])
                dim[l, k] = -0.5 * (re[l + 1, c + m + 1] + re[l + 1, c + m - 1])
    return dre, dim


@numba.njit(cache=True, error_model="numpy")
def _block(re: np.ndarray, im: np.ndarray, order: int, norms: np.ndarray, out: np.ndarray) -> None:
    """Write T of a pair; moments stand as l^2 + (0 for m = 0, 2m - 1 cosine, 2m sine)."""
    c = 2 * order
    for l1 in range(order + 1):
        sign1 = -1.0 if l1 % 2 else 1.0
        for m1 in range(l1 + 1):
            s1 = -1.0 if m1 % 2 else 1.0
            for l2 in range(order + 1):
                for m2 in range(l2 + 1):
                    s2 = -1.0 if m2 % 2 else 1.0
                    f = sign1 * s2 / (norms[l1, m1] * norms[l2, m2])
                    pr, pi = re[l1 + l2, c + m2 + m1], im[l1 + l2, c + m2 + m1]
                    nr, ni = re[l1 + l2, c + m2 - m1], im[l1 + l2, c + m2 - m1]
                    a, b = l1 * l1, l2 * l2
                    if m1 == 0 and m2 == 0:
                        out[a, b] = f * pr
                    elif m1 == 0:
                        out[a, b + 2 * m2 - 1] = math.sqrt(2.0) * f * pr
                        out[a, b + 2 * m2] = math.sqrt(2.0) * f * pi
                    elif m2 == 0:
                        out[a + 2 * m1 - 1, b] = math.sqrt(2.0) * f * s1 * pr
                        out[a + 2 * m1, b] = math.sqrt(2.0) * f * s1 * pi
                    else:
                        out[a + 2 * m1 - 1, b + 2 * m2 - 1] = f * (s1 * pr + nr)
                        out[a + 2 * m1, b + 2 * m2 - 1] = f * (s1 * pi - ni)
                        out[a + 2 * m1 - 1, b + 2 * m2] = f * (s1 * pi + ni)
                        out[a + 2 * m1, b + 2 * m2] = f * (-s1 * pr + nr)


def _norms(order: int) -> np.ndarray:
    return np.array(
        [
            [
                math.sqrt(math.factorial(max(l - m, 0)) * math.factorial(l + m))
                for m in range(order + 1)
            ]
            for l in range(order + 1)  # noqa: E741
        ]
    )


@numba.njit(cache=True, error_model="numpy")
def _matrix(x: np.ndarray, order: int, norms: np.ndarray) -> Any:
    n, k = len(x), (order + 1) ** 2
    out = np.zeros((n * k, n * k))
    for i in range(n):
        for j in range(n):
            if i != j:
                r = x[i] - x[j]
                re, im = irregular(r[0], r[1], r[2], 2 * order)
                _block(re, im, order, norms, out[i * k : (i + 1) * k, j * k : (j + 1) * k])
    return out


@numba.njit(cache=True, error_model="numpy")
def _forces(x: np.ndarray, q: np.ndarray, order: int, norms: np.ndarray) -> Any:
    n, k = len(x), (order + 1) ** 2
    out, block = np.zeros((n, 3)), np.zeros((k, k))
    for i in range(n):
        for j in range(i):
            r = x[i] - x[j]
            re, im = irregular(r[0], r[1], r[2], 2 * order + 1)
            for axis in range(3):
                dre, dim = _gradients(re, im, 2 * order, axis)
                _block(dre, dim, order, norms, block)
                f = -np.dot(q[i], np.dot(block, q[j]))
                out[i, axis] += f
                out[j, axis] -= f
    return out


def moments(
    x: np.ndarray,
    charges: np.ndarray,
    radii: np.ndarray,
    order: int,
    permittivity: float | None = None,
) -> tuple[np.ndarray, float]:
    """Return the moments (N, (order + 1)^2) and the energy over k.

    Parameters
    ----------
    x : ndarray, shape (N, 3)
    charges, radii : ndarray, shape (N,)
    order : int
    permittivity : float or None

    Returns
    -------
    q : ndarray, shape (N, (order + 1)^2)
    energy : float
        In reduced units, at k = 1.
    """
    n, k = len(x), (order + 1) ** 2
    t = _matrix(np.ascontiguousarray(x, dtype=float), order, _norms(order))
    degrees = np.repeat(np.arange(order + 1), 2 * np.arange(order + 1) + 1)
    inverse = inverse_polarisabilities(radii, order, permittivity)[:, degrees].ravel()
    free = np.tile(degrees > 0, n) & np.isfinite(inverse)
    q = np.zeros(n * k)
    q[::k] = charges
    scale = 1.0 / np.sqrt(inverse[free])
    matrix = scale[:, None] * t[np.ix_(free, free)] * scale + np.eye(free.sum())
    q[free] = scale * np.linalg.solve(matrix, -scale * (t @ q)[free])
    # the field of the charges is half of it: E = 1/2 (Q T Q + Q T q) where q is at rest
    energy = 0.5 * q[::k] @ (t @ q)[::k]
    return q.reshape(n, k), float(energy)


def energy_and_forces(
    x: np.ndarray,
    charges: np.ndarray,
    radii: np.ndarray,
    order: int,
    permittivity: float | None = None,
    coupling: float = 1.0,
) -> tuple[float, np.ndarray]:
    """Return the energy of charged spheres and the forces on them.

    Parameters
    ----------
    x : ndarray, shape (N, 3)
        Centres, reduced units.
    charges, radii : ndarray, shape (N,)
    order : int
        p, the highest degree of the multipoles; 0 is point charges.
    permittivity : float or None
        Relative to the medium; None is a conductor.
    coupling : float
        k.

    Returns
    -------
    energy : float
        Without that of each sphere alone.
    forces : ndarray, shape (N, 3)
    """
    q, energy = moments(x, charges, radii, order, permittivity)
    forces = _forces(np.ascontiguousarray(x, dtype=float), q, order, _norms(order))
    return coupling * energy, coupling * forces
