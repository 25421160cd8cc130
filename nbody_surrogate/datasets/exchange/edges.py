"""Charges and the edges of a graph, which are their products q_i q_j."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.errors import InputError

__all__ = ["charges_from", "refuse_other_products"]

SAME = 1e-6  # of the largest product: files may be of float32


def charges_from(edges: np.ndarray, number: int = 0) -> np.ndarray:
    """Recover charges from their products, which leave one sign open.

    Of each trajectory, the first particle that has a charge is taken to have a positive one. No
    force between charges tells the two choices apart.

    Magnitudes are 1 and 0 where all products are 1, -1 and 0. Otherwise the diagonal must hold the
    squares.

    Parameters
    ----------
    edges : ndarray, shape (S, N, N)
        Products of charges, in reduced units; the diagonal is read only as said above.
    number : int
        Of the first trajectory, for messages.

    Returns
    -------
    ndarray, shape (S, N)

    Raises
    ------
    InputError
        If they are no products of any charges.
    """
    n = edges.shape[1]
    apart = ~np.eye(n, dtype=bool)  # else nothing is said of the diagonal
    products = np.where(apart, edges, 0.0)
    if not np.isfinite(products).all():
        raise InputError("edges must be products of charges, got NaN or infinity")
    if np.isin(products, (-1.0, 0.0, 1.0)).all():
        sizes = products.any(2).astype(float)
    else:
        sizes = _roots(edges[:, np.eye(n, dtype=bool)], products)
    charged = sizes > 0
    first = charged.argmax(1)
    rows = products[np.arange(len(edges)), first]  # those with the first charge
    signs = np.where(rows < 0, -1.0, 1.0)  # that of the first itself is open, and 1
    charges = np.where(charged, signs * sizes, 0.0)
    refuse_other_products(edges, charges, "any charges", number)
    return charges


def _roots(squares: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Return the magnitudes (S, N) of charges by the diagonals (S, N)."""
    # a particle that has a product has a charge; NaN is no square
    if ((squares > 0) | (squares == 0) & ~products.any(2)).all():
        return np.asarray(np.sqrt(squares))
    given = products[~np.isin(products, (-1.0, 0.0, 1.0))][0]
    raise InputError(
        "edges without a file of charges must be 1, -1 and 0, or hold the squares of charges on "
        f"their diagonal, got {given:g}"
    )


def refuse_other_products(edges: np.ndarray, charges: np.ndarray, whose: str, number: int) -> None:
    """Raise where edges (S, N, N) are not the products of charges (S, N).

    Raises
    ------
    InputError
        Naming the first trajectory, counted from `number`, and the pair; `whose` says which
        charges are meant.
    """
    apart = ~np.eye(edges.shape[1], dtype=bool)
    products = charges[:, :, None] * charges[:, None, :]
    # relative to the largest, so that it does not depend on the unit of charge
    allowed = SAME * np.abs(products).max((1, 2), initial=0.0, keepdims=True)
    off = ~(np.abs(edges - products) <= allowed) & apart  # NaN is off too
    if off.any():
        s, i, j = np.argwhere(off)[0].tolist()
        raise InputError(
            f"edges must be the products of {whose}, that of particles {i} and {j} of trajectory "
            f"{number + s} is {edges[s, i, j]:g}, not {products[s, i, j]:g}"
        )
