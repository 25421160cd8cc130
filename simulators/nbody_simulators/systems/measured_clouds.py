"""Starts that look like measured ones, for numbers of particles that were not measured."""

from __future__ import annotations

import numpy as np

__all__ = ["in_dimensions", "like_measured", "nearest"]

TRIES = 50
"""Places that are tried for a particle before the cloud grows."""

GROWTH = 1.1


def nearest(places: np.ndarray) -> float:
    """Return the smallest distance of a pair in any start (S, N, D); 0 of single particles."""
    n = places.shape[1]
    if n < 2:
        return 0.0
    first, second = np.triu_indices(n, 1)
    gaps = places[:, first] - places[:, second]
    return float(np.sqrt((gaps * gaps).sum(-1)).min())


def like_measured(rng: np.random.Generator, places: np.ndarray, n: int) -> np.ndarray:
    """Draw a cloud of n particles, as dense and of the shape of starts, with their least distance.

    Parameters
    ----------
    rng : numpy.random.Generator
    places : ndarray, shape (S, N, D)
        Measured starts.
    n : int

    Returns
    -------
    ndarray, shape (n, D)
    """
    dimensions = places.shape[2]
    centre = places.mean((0, 1))
    spread = places.std((0, 1)) * (n / places.shape[1]) ** (1.0 / dimensions)
    apart = nearest(places)
    x = np.empty((n, dimensions))
    for i in range(n):
        x[i] = _placed(rng, x[:i], centre, spread, apart)
    return x


def _placed(
    rng: np.random.Generator,
    taken: np.ndarray,
    centre: np.ndarray,
    spread: np.ndarray,
    apart: float,
) -> np.ndarray:
    """Draw a place that is not too near to those taken; the cloud grows until there is one."""
    while True:
        for place in centre + spread * rng.normal(size=(TRIES, len(centre))):
            gaps = taken - place
            if ((gaps * gaps).sum(1) >= apart * apart).all():
                return np.asarray(place)
        # a flat cloud grows in the plane; one of a single place has to begin somewhere
        spread = GROWTH * np.maximum(spread, 0.1 * max(spread.max(), apart))


def in_dimensions(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """Bring vectors (..., D) to another D: what is missing is zero, what is too much left out."""
    out = np.zeros((*vectors.shape[:-1], dimensions))
    shared = min(dimensions, vectors.shape[-1])
    out[..., :shared] = vectors[..., :shared]
    return out
