"""What a picture must hold: balls, rings and trails, whole, and clear of the words over it.

A ball of radius r is inside a plane through the camera, of slope s to the line of sight, where its
centre, at y across and z towards the camera, is so deep that (d - z) s - y >= r sqrt(1 + s^2), with
d the camera's distance from the centre of the picture. Each such condition gives a least d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from nbody_surrogate.viz.scene.tracks import Track, finite

__all__ = ["VIEW_ANGLE", "Balls", "Corner", "View", "balls_of", "held"]

VIEW_ANGLE = 40.0  # degrees, from bottom to top: of a lens that neither flattens nor distorts
EDGE = 0.98  # share of the picture, from its middle, in which balls are: they do not touch its edge
KEPT = 2.5  # how many radii from the centre a particle may go before it is let go for good
RING = 1.4 * 1.09  # radius of a ring, over that of its ball, with half its own thickness
TRAIL = 0.42  # radius of a trail, over that of its ball, where it is widest


class Balls(NamedTuple):
    """What must be seen: centres (P, 3) and radii (P,)."""

    centres: Float64[np.ndarray, "P 3"]
    radii: Float64[np.ndarray, " P"]


class Corner(NamedTuple):
    """A corner of the picture that words cover, and its shares of the width and the height."""

    right: bool
    top: bool
    width: float
    height: float


@dataclass(frozen=True)
class View:
    """The shape of a picture, and what of it is free.

    Attributes
    ----------
    aspect : float
        Width over height.
    corners : sequence of Corner
    """

    aspect: float
    corners: Sequence[Corner] = ()

    def distance(
        self, balls: Balls, centre: Float64[np.ndarray, "3"], facing: Float64[np.ndarray, "3 3"]
    ) -> float:
        """Return the least distance from the centre at which all balls are in sight.

        Parameters
        ----------
        balls : Balls
        centre : ndarray, shape (3,)
            What the camera looks at.
        facing : ndarray, shape (3, 3)
            Rows: the picture's right, its up, and the direction towards the camera.
        """
        if not len(balls.radii):
            return 0.0
        seen = ((balls.centres - centre) @ facing.T).T  # right, up, towards
        high = np.tan(np.radians(VIEW_ANGLE / 2))
        slopes = np.array([high * self.aspect, high])
        found = [0.0]
        for axis, slope in enumerate(EDGE * slopes):
            for across in (seen[axis], -seen[axis]):
                found.append(_least(across, seen[2], balls.radii, slope).max())
        for right, top, width, height in self.corners:
            x, y = (seen[0] if right else -seen[0]), (seen[1] if top else -seen[1])
            beside = _least(x, seen[2], balls.radii, slopes[0] * (1 - 2 * width))
            below = _least(y, seen[2], balls.radii, slopes[1] * (1 - 2 * height))
            found.append(np.minimum(beside, below).max())  # a corner is left on either side
        return float(max(found))


def _least(across: np.ndarray, towards: np.ndarray, radii: np.ndarray, slope: float) -> np.ndarray:
    """Return the distances from which on balls are inside a plane; none is far enough beyond 0."""
    if slope <= 0:  # the words reach beyond the middle, where no distance takes anything to
        return np.full(len(radii), np.inf)
    return np.asarray(towards + (across + radii * np.sqrt(1 + slope * slope)) / slope)


def held(
    x: Float64[np.ndarray, "F N 3"],
    centres: Float64[np.ndarray, "F 3"],
    radii: Float64[np.ndarray, " F"],
) -> Bool[np.ndarray, " N"]:
    """Tell which particles stay within `KEPT` radii of the centre in all frames.

    The others are runaways. They are let go in all frames, so that a movie does not follow one and
    turn back.
    """
    gone = np.linalg.norm(x - centres[:, None], axis=2) > KEPT * radii[:, None]
    return np.asarray(~gone.any(axis=0))  # NaN is no place at all


def balls_of(
    track: Track,
    frame: int,
    trail: int,
    ball: float,
    kept: Bool[np.ndarray, " N"],
    within: tuple[Float64[np.ndarray, "3"], float],
    ring: bool = False,
) -> Balls:
    """Return what a track draws at a frame: its balls or rings, and its trails.

    Parameters
    ----------
    track : Track
    frame, trail : int
        The trails reach back so many frames.
    ball : float
        Radius of a ball of a particle of median mass.
    kept : ndarray, shape (N,)
        Particles that count.
    within : tuple of ndarray and float
        A centre, and a radius: what of a trail is more than `KEPT` radii away does not count.
    ring : bool
        Whether particles are drawn as rings.
    """
    sizes = ball * track.sizes[kept]
    path = track.path(frame, trail)[:, kept]
    here = (RING if ring else 1.0) * sizes
    radii = np.concatenate([np.broadcast_to(TRAIL * sizes, path.shape[:2]), here[None]])
    points = np.concatenate([path, track.x[None, frame, kept]])
    near = finite(points) & (np.linalg.norm(points - within[0], axis=2) <= KEPT * within[1])
    return Balls(points[near], radii[near])
