"""Flat runs in layers: in one plane, balls and tubes would cut through each other.

Things are moved along the camera's rays, so that they stay where they are in the picture, and only
what hides what is settled: particles before all that the system shows, trails behind it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.viz.scene.camera import Camera

__all__ = ["Layers", "moved"]

FRONT, BACK = -1.0, 1.0  # of the layers, in radii of the picture behind its plane
RINGS = -1.2  # before all balls
RIVAL = (
    0.5  # the share of the room behind the plane in which the thin trails are, before the others
)


class Layers:
    """Moves what N particles of a flat run are drawn by; of any other run nothing is moved.

    Parameters
    ----------
    n : int
    flat : bool
    """

    def __init__(self, n: int, flat: bool) -> None:
        self._flat = flat
        self._numbers = (np.arange(n) + 1.0) / (n + 1)

    def balls(self, camera: Camera, rival: bool) -> Float64[np.ndarray, " N"]:
        """Return by how much places and sizes of balls grow as seen from the camera."""
        return self._factors(
            camera, RINGS + 0.1 * self._numbers if rival else FRONT * self._numbers
        )

    def trails(
        self, camera: Camera, age: Float64[np.ndarray, "P 1"], rival: bool
    ) -> Float64[np.ndarray, "P N"]:
        """Return the same of points of trails: each in its own layer, the newest in front.

        `age` is 1 for the newest and 0 for the oldest.
        """
        step = 1.0 / (len(self._numbers) + 1)
        depths = self._numbers - 0.9 * step * age
        first, last = (0.0, RIVAL) if rival else (RIVAL, BACK)
        return self._factors(camera, first + (last - first) * depths)

    def _factors(self, camera: Camera, depths: np.ndarray) -> np.ndarray:
        return 1.0 + depths * float(self._flat) * camera.radius / camera.distance


def moved(
    points: Float64[np.ndarray, "*axes 3"],
    factors: Float64[np.ndarray, "*axes"],
    camera: Camera,
) -> Float64[np.ndarray, "*axes 3"]:
    """Move points along the rays from a camera, by factors of their distances from it."""
    return np.asarray(camera.position + (points - camera.position) * factors[..., None])
