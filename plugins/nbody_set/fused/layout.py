"""The pairs of a trajectory in the order in which compiled steps of `SET` take them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbody_set.fused.weights import RATES, Weights

__all__ = ["Layout", "layout_of"]

FOUR = 4
MOST_PRODUCTS = 16
"""Different values of q_i q_j for which the first layer is made once, and not for each pair."""


class Layout(NamedTuple):
    """Pairs, filled up to whole vectors by pairs of row N with itself, which nobody reads."""

    first: np.ndarray  # (P,) of int64
    second: np.ndarray
    group: np.ndarray  # (P,) where its first layer begins, the same for each four
    layer: np.ndarray
    inputs: int
    doubled: bool
    layers_size: int
    charges: np.ndarray  # (P,) q_i q_j
    inverse: np.ndarray  # (P,) 1 / m_i + 1 / m_j
    bounds: tuple[float, float, float, float]  # of |q_i q_j| and of 1 / m_i + 1 / m_j


def layout_of(charges: np.ndarray, masses: np.ndarray, weights: Weights, basis: int) -> Layout:
    """Put pairs of the same q_i q_j together, four by four, where that pays.

    The first layer is then made for each such value, and has half as many products.
    """
    n, inputs = len(charges), basis + RATES
    padded = len(weights.initial)
    i, j = np.triu_indices(n, 1)
    products = charges[i] * charges[j]
    values, group = np.unique(products, return_inverse=True)
    fours = -(-np.bincount(group, minlength=len(values)) // FOUR)
    together = fours.sum() * (inputs + padded)
    alone = -(-len(i) // FOUR) * (2 * inputs + padded)
    doubled = len(values) > MOST_PRODUCTS or not together < alone
    if doubled:
        chosen, groups = [np.arange(len(i))], np.zeros(1)
    else:
        chosen, groups = [np.flatnonzero(group == g) for g in range(len(values))], values
    order, begins = [], []
    size = 0 if doubled else (inputs + 1) * padded
    for g, some in enumerate(chosen):
        filled = np.pad(some, (0, -len(some) % FOUR), constant_values=-1)
        order.append(filled)
        begins += [g * size] * len(filled)
    whole = np.concatenate(order)
    whole = np.pad(whole, (0, -len(whole) % 8), constant_values=-1)
    begins += [0] * (len(whole) - len(begins))
    real = whole >= 0

    def of_pairs(y: np.ndarray, other: float) -> np.ndarray:
        return np.where(real, y[whole] if len(y) else other, other).astype(y.dtype)

    inverse = (1.0 / masses[i] + 1.0 / masses[j]).astype(masses.dtype)
    sizes = np.abs(products).astype(float)
    bounds = [f(y) if len(i) else 0.0 for y in (sizes, inverse) for f in (np.min, np.max)]
    return Layout(
        of_pairs(i, n),
        of_pairs(j, n),
        np.array(begins, np.int64),
        _layers(weights, groups, doubled, inputs, padded),
        2 * inputs + 1 if doubled else inputs,
        doubled,
        (2 * (inputs + 1) if doubled else len(groups) * (inputs + 1)) * padded,
        of_pairs(products, 0.0),
        of_pairs(inverse, 0.0),
        (float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3])),
    )


def _layers(
    weights: Weights, groups: np.ndarray, doubled: bool, inputs: int, padded: int
) -> np.ndarray:
    """Return the first layer of each sub-step, for each group or with charges among its inputs."""
    plain = weights.plain.reshape(-1, inputs + 1, padded)
    charged = weights.charged.reshape(-1, inputs + 1, padded)
    if doubled:  # inputs, inputs times q_i q_j, that itself; and the bias
        made = np.concatenate([plain[:, :-1], charged, plain[:, -1:]], axis=1)
    else:
        made = plain[:, None] + groups.astype(plain.dtype)[:, None, None] * charged[:, None]
    return np.ascontiguousarray(made).ravel()
