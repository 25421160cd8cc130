"""Motion in an external field alone, solved exactly where the field is linear.

With a field A x + C v + g a particle obeys y' = L y for y = (x, v, 1): over a time h it goes
from y to exp(h L) y. A and C depend on its charge over its mass. Kicks of the other particles are
not in it. Higham, "Functions of Matrices" (2008), 10.3, for exponentials by scaling and squaring.
"""

from __future__ import annotations

import numpy as np

from nbody_surrogate.contracts import FieldLaw

__all__ = ["is_linear", "linear_flows"]

TERMS = 18
"""Of the Taylor series, for matrices of norm up to 1: 1 / 19! is below the rounding of float64."""

MOST_HALVINGS = 60
"""Longer times are of no use, and double precision has no digits left then."""

SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)
"""Sizes of positions and of velocities, all pairs of them, at which a field is held against its
linear part: a pendulum is linear where it swings little, a wall has no field far from it."""

LINEAR = 1e-9
"""Relative to the sizes of the terms, which cancel in part: far above rounding, and far below what
is not linear at one of the scales."""


def is_linear(law: FieldLaw, charges: np.ndarray, masses: np.ndarray) -> bool:
    """Say whether a field is linear in positions and velocities, with an offset or without.

    Parameters
    ----------
    law : FieldLaw
    charges, masses : ndarray, of one shape

    Returns
    -------
    bool
        Whether it is at positions and velocities of many sizes; what it is between, only its author
        knows.
    """
    charges, masses, _ = _distinct(charges, masses)
    direction = np.array([0.6, -0.7, 0.5, -0.4, 0.9, 0.8])  # along no axis and no diagonal
    sizes = np.stack(np.meshgrid(SCALES, SCALES), axis=2).reshape(-1, 2).repeat(3, axis=1)
    points = np.concatenate([direction * sizes, -direction * sizes])  # (P, 6)
    ones = np.ones((len(points), 1))
    with np.errstate(all="ignore"):
        terms = _field(law, charges, masses) * np.hstack([points, ones])[:, None, None]
        wrong = np.abs(_accelerations(law, points, charges, masses) - terms.sum(3))
        # nor is what is no number
        return bool((wrong <= LINEAR * np.abs(terms).sum(3)).all())


def linear_flows(
    law: FieldLaw | None,
    charges: np.ndarray,
    masses: np.ndarray,
    times: tuple[float, ...],
    dimensions: int,
) -> np.ndarray:
    """Return what takes (x, v, 1) of each particle over each time.

    Parameters
    ----------
    law : FieldLaw or None
        None is free motion.
    charges, masses : ndarray, of one shape (...)
    times : tuple of float
        S of them, of either sign, in reduced units.
    dimensions : int
        In two the third component stays as it is, whatever the field.

    Returns
    -------
    ndarray, shape (S, ..., 6, 7)
        Each is that of its charge and its mass, whatever stands beside it.
    """
    shape = np.shape(charges)
    charges, masses, places = _distinct(charges, masses)
    rates = np.zeros((len(charges), 3, 7)) if law is None else _field(law, charges, masses)
    if dimensions == 2:
        rates[:, 2] = 0.0
        rates[:, :, [2, 5]] = 0.0
    every = _flows(rates, np.array(times))
    return every[:, places].reshape(len(times), *shape, 6, 7)


def _distinct(charges: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the kinds of particles (K,), and of which kind each particle is."""
    both = np.stack([np.ravel(charges), np.ravel(masses)], 1)
    kinds, places = np.unique(both, axis=0, return_inverse=True)
    return kinds[:, 0], kinds[:, 1], places.ravel()


def _accelerations(
    law: FieldLaw, points: np.ndarray, charges: np.ndarray, masses: np.ndarray
) -> np.ndarray:
    """Accelerations (P, K, 3) of all kinds at points y = (x, v), shape (P, 6)."""
    shape = len(points), len(charges)
    y = np.broadcast_to(points.T[:, :, None], (6, *shape))
    charges, masses = np.broadcast_to(charges, shape), np.broadcast_to(masses, shape)
    a, _ = law.factory(np.sqrt, np.where)(
        law.parameters, tuple(y[:3]), tuple(y[3:]), charges, masses
    )
    out = np.empty((*shape, 3))
    for axis, part in enumerate(a):  # which may be a plain number, such as 0
        out[:, :, axis] = part
    return out


def _field(law: FieldLaw, charges: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Return A, C and g of all kinds, side by side, shape (K, 3, 7)."""
    *columns, offset = _accelerations(law, np.eye(7, 6), charges, masses)
    return np.stack([*(column - offset for column in columns), offset], axis=2)


def _flows(rates: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the flows (S, K, 6, 7) over S times."""
    # In (x, h v, 1) all is without units: a norm of numbers of which some are large by their unit
    # would ask for halvings, and each squaring doubles the rounding.
    h = times[:, None, None, None]
    whole = np.zeros((len(times), len(rates), 7, 7))
    whole[:, :, :3, 3:6] = np.eye(3)
    whole[:, :, 3:6] = rates * h
    whole[:, :, 3:6, [0, 1, 2, 6]] *= h
    pull = np.abs(whole[:, :, 3:6, 6]).max(2)[:, :, None]
    pull = np.where(pull > 0, pull, 1.0)
    whole[:, :, 3:6, 6] /= pull
    flows = _exponentials(whole.reshape(-1, 7, 7)).reshape(whole.shape)[:, :, :6]
    flows[:, :, :3, 3:6] *= h
    flows[:, :, 3:, :3] /= h
    flows[:, :, :, 6] *= pull
    flows[:, :, 3:, 6] /= h[..., 0]
    return flows


def _exponentials(matrices: np.ndarray) -> np.ndarray:
    """Exponentials of matrices (K, M, M), each in its own number of steps."""
    norms = np.abs(matrices).sum(2).max(1)
    halvings = np.clip(np.ceil(np.log2(norms)), 0, MOST_HALVINGS)
    small, one = matrices / 2.0 ** halvings[:, None, None], np.eye(matrices.shape[1])
    found = np.broadcast_to(one, matrices.shape)
    for term in range(TERMS, 0, -1):  # Horner's order: the small terms first
        found = one + small @ found / term
    for squaring in range(int(halvings.max(initial=0.0))):
        found = np.where((squaring < halvings)[:, None, None], found @ found, found)
    return np.array(found)
