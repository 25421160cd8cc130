"""Trajectories of `SETSpheres`, one by one, to the compiled code and back."""

from __future__ import annotations

from typing import final

import numpy as np

from nbody_set.sphere_kernel import Law, kernels
from nbody_set.sphere_layout import Workspace, lanes_of, workspace
from nbody_surrogate.contracts import AbstractFusedSteps, Particles
from nbody_surrogate.layers.fused import over_trajectories

__all__ = ["SphereSteps"]


@final
class SphereSteps(AbstractFusedSteps):
    """Frames of some spheres.

    Parameters
    ----------
    law : Law
    functions : ndarray, shape (steps + 1, 2, F)
        See `nbody_set.sphere_functions.tables`.
    particles : Particles, shape (B, N)
    coupling : float
    """

    def __init__(
        self, law: Law, functions: np.ndarray, particles: Particles, coupling: float
    ) -> None:
        self._law, self._functions = law, lanes_of(functions)
        self._free: list[Workspace] = []  # what threads have done with
        self._charges = np.asarray(particles.charges, dtype=np.float64) * coupling**0.5
        self._masses = np.asarray(particles.masses, dtype=np.float64)

    def __repr__(self) -> str:
        batch, n = self._masses.shape
        return f"SphereSteps({self._law.kicks.size} kicks, {batch} x {n} spheres)"

    def advance(
        self,
        cache: dict[str, np.ndarray],
        x: np.ndarray,
        v: np.ndarray,
        frames_x: np.ndarray,
        frames_v: np.ndarray,
        threads: int,
    ) -> dict[str, np.ndarray]:
        """See `AbstractFusedSteps.advance`."""
        batch, count, n, dimensions = frames_x.shape
        like, steps = np.empty(0, np.float32), len(self._functions) - 1

        def work(begin: int, end: int) -> None:
            try:
                room = self._free.pop()
            except IndexError:
                room = workspace(n, self._functions)
            march, _ = kernels()
            for b in range(begin, end):
                start_x, start_v = np.zeros((2, n, 3))
                start_x[:, :dimensions], start_v[:, :dimensions] = x[b], v[b]
                made_x, made_v = np.empty((2, count, n, 3))
                room.charges[:] = self._charges[b]
                given = (room, self._masses[b], start_x, start_v, made_x, made_v)
                march(like, self._law, steps, *given)
                frames_x[b], frames_v[b] = made_x[..., :dimensions], made_v[..., :dimensions]
            self._free.append(room)

        over_trajectories(work, batch, threads)
        return {}
