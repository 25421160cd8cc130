"""What positions and velocities say of a particle, or of a pair: numbers and vectors.

Numbers do not change when all is turned, moved, or renumbered; vectors turn along.
"""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.state import Particles

__all__ = ["Scales", "Surroundings"]

COUNT = 6
"""Distances at which pairs are looked at: Gaussians in log r, that overlap."""

NEAREST, FARTHEST = 0.005, 0.95
"""Quantiles of all distances, between which they lie."""


@final
class Scales(NamedTuple):
    """Gaussians in the logarithm of the distance, as wide as they are apart."""

    centres: np.ndarray
    width: float

    @classmethod
    def of(cls, x: np.ndarray, box: Box | None) -> Scales:
        """Take those of configurations x (S, N, D)."""
        i, j = np.triu_indices(x.shape[1], 1)
        r = np.linalg.norm(_apart(x, box)[:, i, j], axis=-1)
        if not r.size:
            return cls(np.zeros(COUNT), 1.0)
        low, high = np.log(np.maximum(np.quantile(r, [NEAREST, FARTHEST]), 1e-300))
        return cls(np.linspace(low, high, COUNT), max((high - low) / (COUNT - 1), 1e-3))

    def weights(self, r: np.ndarray) -> np.ndarray:
        """Map distances (...) to (..., COUNT)."""
        log = np.log(np.maximum(r, 1e-300))[..., None]
        return np.asarray(np.exp(-0.5 * ((log - self.centres) / self.width) ** 2))


@final
class Surroundings:
    """Of configurations.

    Parameters
    ----------
    x, v : ndarray, shape (S, N, D)
    particles : Particles, shape (S, N)
    scales : Scales
    box : Box, optional

    Attributes
    ----------
    particles : ndarray, shape (S, N, F)
        Sums over partners of Gaussians of the distance, as they are, weighted by charges and by
        how fast the partner comes or goes; squares of speed and place; charge and mass.
    pairs : ndarray, shape (S, N, N, G)
        Gaussians of the distance, alone and by powers of the radial speed; sums of those of both
        particles.
    vectors : ndarray, shape (S, N, H, D)
        Velocity and place from the mean, and sums over partners of Gaussians along them.
    """

    def __init__(
        self, x: np.ndarray, v: np.ndarray, particles: Particles, scales: Scales, box: Box | None
    ) -> None:
        n = x.shape[1]
        gaps, rates = _apart(x, box), v[:, :, None] - v[:, None]
        r = np.linalg.norm(gaps, axis=-1)
        radial = (gaps * rates).sum(-1) / np.maximum(r, 1e-300)
        weights = scales.weights(r)
        weights[:, range(n), range(n)] = 0.0
        products = particles.charges[:, :, None] * particles.charges[:, None]
        place, speed = x - x.mean(1, keepdims=True), v - v.mean(1, keepdims=True)
        single = [
            (speed**2).sum(-1),
            (place**2).sum(-1),
            (place * speed).sum(-1),
            (x**2).sum(-1),
            (x * v).sum(-1),
            (v**2).sum(-1),
            particles.charges,
            particles.masses,
        ]
        sums = [
            weights.sum(2),
            (weights * products[..., None]).sum(2),
            (weights * radial[..., None]).sum(2),
            (weights * (radial**2)[..., None]).sum(2),
        ]
        self.particles = np.concatenate([np.stack(single, -1), *sums], -1)
        both = self.particles[:, :, None] + self.particles[:, None]
        powers = [weights * (radial**power)[..., None] for power in range(4)]
        self.pairs = np.concatenate([*powers, both], -1)
        along = (weights[..., None, :] * gaps[..., None]).sum(2)  # (S, N, D, COUNT)
        moving = (weights[..., None, :] * rates[..., None]).sum(2)
        vectors = np.concatenate([speed[..., None], place[..., None], along, moving], -1)
        absolute = np.stack([v, x], -1)
        self.vectors = np.concatenate([absolute, vectors], -1).swapaxes(-1, -2)


def _apart(x: np.ndarray, box: Box | None) -> np.ndarray:
    gaps = x[:, :, None] - x[:, None]
    return gaps if box is None else np.asarray(box.displacement(gaps))
