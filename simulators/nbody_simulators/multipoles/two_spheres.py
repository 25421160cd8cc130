r"""The energy of two charged spheres, to any order and to convergence.

Two spheres polarise each other about the line through their centres, so that only moments with
m = 0 are there, q_l of one and q'_l' of the other, l and l' from 1:

.. math::
    E = \frac{1}{2} \sum_l \frac{q_l^2}{\alpha_l} + \frac{1}{2} \sum_{l'} \frac{q'^2_{l'}}
    {\alpha'_{l'}} + \sum_{l l' \ge 0} \binom{l + l'}{l} \frac{(-1)^{l'} q_l q'_{l'}}{r^{l+l'+1}}

with q_0 = Q and q'_0 = Q' given. Scaled by the roots of the polarisabilities, the system at rest
is (1 - B B^T) s = ..., a matrix of one sphere's moments alone. What is left is quadratic in the
charges: E = a Q^2 + b Q Q' + c Q'^2.

The images in a sphere gather towards a point at exp(-xi) of its radius, with sinh xi = f / R and f
half the distance of the foci of bispherical coordinates. Energies converge as exp(-2 xi p).

References
----------
Smythe, "Static and Dynamic Electricity", 3rd ed. (1968), for two spheres; Lindgren, Chan, Stace and
Besley, Phys. Chem. Chem. Phys. 18 (2016) 5883, for dielectric ones.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["converged_orders", "polarisation_energy", "two_sphere_energy"]

DIGITS = 18.0
"""xi p at which orders end: exp(-36) = 2e-16."""

LEAST, MOST = 6, 600
"""Orders: near contact the most are beyond what two spheres ever need that do not touch."""


def converged_orders(r: float, first: float, second: float) -> tuple[int, int]:
    """Return the orders of two spheres from which on their energy is converged to rounding.

    Parameters
    ----------
    r : float
        Distance of the centres, more than the sum of the radii.
    first, second : float
        Radii.

    Returns
    -------
    tuple of int
    """
    apart = (r - first - second) * (r + first + second)
    focus = math.sqrt(apart * (r - first + second) * (r + first - second)) / (2 * r)
    orders = [math.ceil(DIGITS / math.asinh(focus / radius)) for radius in (first, second)]
    return min(max(orders[0], LEAST), MOST), min(max(orders[1], LEAST), MOST)


def two_sphere_energy(
    r: float,
    first: float,
    second: float,
    permittivity: float | None = None,
    order: int | None = None,
) -> np.ndarray:
    """Return a, b and c of E = a Q^2 + b Q Q' + c Q'^2, at k = 1.

    Parameters
    ----------
    r : float
        Distance of the centres, more than the sum of the radii.
    first, second : float
        Radii, the one of Q and that of Q'.
    permittivity : float or None
        Relative to the medium; None is a conductor.
    order : int, optional
        Of the multipoles; by default those from `converged_orders`.

    Returns
    -------
    ndarray, shape (3,)
        Without the energies of each sphere alone.
    """
    points = np.array([0.0, 1.0 / r, 0.0])
    whole: np.ndarray = points + polarisation_energy(r, first, second, permittivity, order)
    return whole


def polarisation_energy(
    r: float,
    first: float,
    second: float,
    permittivity: float | None = None,
    order: int | None = None,
) -> np.ndarray:
    """Return what `two_sphere_energy` has beyond point charges: far away, where it is small.

    Parameters
    ----------
    r, first, second, permittivity, order
        As of `two_sphere_energy`.

    Returns
    -------
    ndarray, shape (3,)
    """
    p, q = converged_orders(r, first, second) if order is None else (order, order)
    if min(p, q) == 0 or permittivity == 1.0:
        return np.zeros(3)
    whole = _coupling(r, first, second, p, q, permittivity)
    of_first, of_second = whole[1:, 0], whole[0, 1:]  # fields of Q' and of Q
    inner = whole[1:, 1:]
    here = np.linalg.solve(np.eye(p) - inner @ inner.T, np.stack([of_first, inner @ of_second], 1))
    there = of_second + inner.T @ here[:, 1]  # as (1 - B^T B)^-1 = 1 + B^T (1 - B B^T)^-1 B
    return np.array([-0.5 * of_second @ there, of_first @ here[:, 1], -0.5 * of_first @ here[:, 0]])


def _coupling(
    r: float, first: float, second: float, p: int, q: int, permittivity: float | None
) -> np.ndarray:
    """Return the interaction of scaled moments, shape (p + 1, q + 1)."""
    # by logarithms: binomials and powers of r go beyond what floats hold, their products do not
    factorials = np.cumsum(np.log(np.maximum(np.arange(p + q + 1), 1)))
    l, k = np.arange(p + 1), np.arange(q + 1)  # noqa: E741
    together = l[:, None] + k
    log = factorials[together] - factorials[: p + 1, None] - factorials[: q + 1]
    log = log - (together + 1) * math.log(r)
    log += _half_log_alpha(first, p, permittivity)[:, None]
    log += _half_log_alpha(second, q, permittivity)
    made: np.ndarray = np.where(k % 2, -1.0, 1.0) * np.exp(log)
    return made


def _half_log_alpha(radius: float, order: int, permittivity: float | None) -> np.ndarray:
    """Return log(alpha_l) / 2, and 0 of the charge itself."""
    l = np.arange(1, order + 1)  # noqa: E741
    half = (l + 0.5) * math.log(radius)
    if permittivity is not None:
        half += 0.5 * np.log(l * (permittivity - 1.0) / (l * (permittivity + 1.0) + 1.0))
    return np.concatenate([[0.0], half])
