"""A dear force for tests: a Lennard-Jones cluster that notes all places where it is asked."""

from __future__ import annotations

import itertools

import numpy as np

from nbody_surrogate import Particles, State

SPREAD = 1.15  # times sigma, near the minimum: a cluster that vibrates and stays
FREE = ("translation", "rotation", "reflection", "permutation", "charge-conjugation")


def energy_and_forces(x):
    """E = sum over pairs of 4 (r^-12 - r^-6), and F = -dE/dx, for x (..., N, D)."""
    d = x[..., :, None, :] - x[..., None, :, :]
    r2 = (d * d).sum(-1) + np.eye(x.shape[-2])
    inverse6 = (1 - np.eye(x.shape[-2])) / r2**3
    energy = 2 * (inverse6**2 - inverse6).sum((-2, -1))
    pull = (48 * inverse6**2 - 24 * inverse6) / r2
    return energy, (pull[..., None] * d).sum(-2)


class Cluster:
    """Gives energy and forces in one call, and keeps the bytes of each configuration."""

    __name__ = "cluster"

    def __init__(self):
        self.places = []
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        self.places += [each.tobytes() for each in x.reshape(-1, *x.shape[-2:])]
        return energy_and_forces(x)

    @property
    def repeated(self):
        """How many configurations were asked for again."""
        return len(self.places) - len(set(self.places))


def cluster_start(n=8, trajectories=1, speed=0.2):
    """Corners of a cube, moving a little, without net momentum."""
    rng = np.random.default_rng(3)
    x = SPREAD * np.array(list(itertools.product((0.0, 1.0), repeat=3)))[:n]
    v = speed * rng.normal(size=(trajectories, n, 3))
    v -= v.mean(1, keepdims=True)
    return State(0.0, np.tile(x, (trajectories, 1, 1)), v), Particles(
        np.zeros((trajectories, n)), np.ones((trajectories, n))
    )
