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
    with np.errstate(all="ignore"):
        rates = _field(law, charges, masses)
        direction = np.array([0.6, -0.7, 0.5, -0.4, 0.9, 0.8])  # along no axis and no diagonal
        sizes = [
            np.repeat(pair, 3) for pair in np.stack(np.meshgrid(SCALES, SCALES), 2).reshape(-1, 2)
        ]
        for y in (sign * direction * size for size in sizes for sign in (1.0, -1.0)):
            terms = rates * np.append(y, 1.0)
            wrong = np.abs(_accelerations(law, y, charges, masses) - terms.sum(2))
            if not (wrong <= LINEAR * np.abs(terms).sum(2)).all():  # nor where it is no number
                return False
    return True


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
    every = np.stack([_flow(rates, time) for time in times])
    return every[:, places].reshape(len(times), *shape, 6, 7)


def _distinct(charges: np.ndarray, masses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the kinds of particles (K,), and of which kind each particle is."""
    both = np.stack([np.ravel(charges), np.ravel(masses)], 1)
    kinds, places = np.unique(both, axis=0, return_inverse=True)
    return kinds[:, 0], kinds[:, 1], places.ravel()


def _accelerations(
    law: FieldLaw, y: np.ndarray, charges: np.ndarray, masses: np.ndarray
) -> np.ndarray:
    """Accelerations (K, 3) of all kinds at one y = (x, v), shape (6,)."""
    given = np.broadcast_to(y[:, None], (6, len(charges)))
    a, _ = law.factory(np.sqrt, np.where)(
        law.parameters, tuple(given[:3]), tuple(given[3:]), charges, masses
    )
    # a component may be a plain number, such as the 0 of a field along one axis
    return np.stack([np.broadcast_to(part, charges.shape) for part in a], axis=1).astype(float)


def _field(law: FieldLaw, charges: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Return A, C and g of all kinds, side by side, shape (K, 3, 7)."""
    offset = _accelerations(law, np.zeros(6), charges, masses)
    columns = [_accelerations(law, unit, charges, masses) - offset for unit in np.eye(6)]
    return np.stack([*columns, offset], axis=2)


def _flow(rates: np.ndarray, time: float) -> np.ndarray:
    """Return the flows (K, 6, 7) over a time."""
    # In (x, h v, 1) all is without units: a norm of numbers of which some are large by their unit
    # would ask for halvings, and each squaring doubles the rounding.
    accelerations = rates * np.repeat([time * time, time, time * time], [3, 3, 1])
    pull = np.abs(accelerations[:, :, 6]).max(1)[:, None]
    pull = np.where(pull > 0, pull, 1.0)
    whole = np.zeros((len(rates), 7, 7))
    whole[:, :3, 3:6] = np.eye(3)
    whole[:, 3:6] = accelerations
    whole[:, 3:6, 6] /= pull
    flow = _exponentials(whole)[:, :6]
    flow[:, :3, 3:6] *= time
    flow[:, 3:, :3] /= time
    flow[:, :, 6] *= pull
    flow[:, 3:, 6] /= time
    return flow


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
    return np.asarray(found)
