"""What a picture must hold: balls, rings and trails, whole, and clear of the words over it.

A ball of radius r is inside a plane through the camera, of slope s to the line of sight, where its
centre, at y across and z towards the camera, is so deep that (d - z) s - y >= r sqrt(1 + s^2), with
d the camera's distance from the centre of the picture. Each such condition gives a least d. Moving
the camera by a across changes y to y - a, so that the place in the middle has a closed form too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

__all__ = ["VIEW_ANGLE", "Balls", "Corner", "Room", "View", "room_needs", "seen_from"]

VIEW_ANGLE = 14.0  # degrees, from bottom to top: of a long lens, as equal balls are to look equal
EDGE = 0.95  # share of the picture, from its middle, in which balls are: they do not touch its edge
FRONT = 1.6  # times as far as the plane of the foremost ball, which else would look huge
CLEAR = 0.008  # share of the picture between words and balls


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
class Room:
    """A rectangle of the picture that is free of words.

    Attributes
    ----------
    slopes : ndarray, shape (4,)
        Of its right, left, top and bottom, to the line of sight; positive.
    aside : float
        How far its middle is from the picture's, in shares of half the picture.
    """

    slopes: Float64[np.ndarray, "4"]
    aside: float

    def middle(
        self, needs: Float64[np.ndarray, "4"], least: float
    ) -> tuple[Float64[np.ndarray, "2"], float]:
        """Return how far to move, right and up, to have the balls in the middle, and how far off.

        Parameters
        ----------
        needs : ndarray, shape (4,)
            As from `room_needs`.
        least : float
            The camera is not nearer than this.
        """
        outer, inner = needs[::2], needs[1::2]  # right and top; left and bottom
        s, r = self.slopes[::2], self.slopes[1::2]
        distance = float(max(((s * outer + r * inner) / (s + r)).max(), least))
        return (s * (outer - distance) + r * (distance - inner)) / 2, distance


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

    @property
    def _slopes(self) -> Float64[np.ndarray, "2"]:
        high = np.tan(np.radians(VIEW_ANGLE / 2))
        return np.array([high * self.aspect, high])

    def usual_distance(self, radius: float) -> float:
        """Return a distance at which a sphere, not only its disc, is within the cone of view.

        It is larger for a picture that is higher than wide, whose cone is narrower across.
        """
        return float(radius * max(1.0, 1 / self.aspect) / np.sin(np.radians(VIEW_ANGLE / 2)))

    def rooms(self) -> list[Room]:
        """Return the whole picture, and rectangles free of words.

        In these each corner is left beside it, or above or below it.
        """
        found = {(EDGE,) * 4: Room(EDGE * np.repeat(self._slopes, 2), 0.0)}
        for beside in product((True, False), repeat=len(self.corners)):
            covered = [0.0, 0.0, 0.0, 0.0]  # of the right, the left, the top and the bottom
            for corner, aside in zip(self.corners, beside, strict=True):
                side = (0 if corner.right else 1) if aside else (2 if corner.top else 3)
                share = corner.width if aside else corner.height
                covered[side] = max(covered[side], share + CLEAR)
            shares = np.minimum(EDGE, 1 - 2 * np.array(covered))
            if (shares > 0).all():  # words do not reach beyond the middle
                aside = np.abs(shares[::2] - shares[1::2]).sum() / 2
                found[tuple(shares)] = Room(np.repeat(self._slopes, 2) * shares, float(aside))
        return list(found.values())

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
        x, y, towards = seen_from(balls, centre, facing)
        found = [FRONT * float(towards.max())]
        for across, slope in zip((x, y), EDGE * self._slopes, strict=True):
            found += [_least(each, towards, balls.radii, slope).max() for each in (across, -across)]
        for right, top, width, height in self.corners:
            shares = 1 - 2 * (np.array([width, height]) + CLEAR)
            beside, below = (
                _least(across if outer else -across, towards, balls.radii, slope)
                for across, outer, slope in zip(
                    (x, y), (right, top), self._slopes * shares, strict=True
                )
            )
            found.append(np.minimum(beside, below).max())  # a corner is left on either side
        largest = max(found)
        return float(largest if np.isfinite(largest) else max(found[:5]))


def seen_from(
    balls: Balls, centre: Float64[np.ndarray, "3"], facing: Float64[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "3 P"]:
    """Return how far to the right, up and towards the camera the centres of balls are."""
    return np.asarray(facing @ (balls.centres - centre).T)


def room_needs(
    rooms: Sequence[Room],
    balls: Balls,
    centre: Float64[np.ndarray, "3"],
    facing: Float64[np.ndarray, "3 3"],
) -> Float64[np.ndarray, "R 4"]:
    """Return the distances at which all balls are inside each of the planes of R rooms."""
    slopes = np.array([room.slopes for room in rooms])
    needs = np.zeros_like(slopes)
    if len(balls.radii):
        x, y, towards = seen_from(balls, centre, facing)
        for side, across in enumerate((x, -x, y, -y)):
            for slope in np.unique(slopes[:, side]):  # rooms share most of their sides
                least = _least(across, towards, balls.radii, float(slope)).max()
                needs[slopes[:, side] == slope, side] = least
    return needs


def _least(across: np.ndarray, towards: np.ndarray, radii: np.ndarray, slope: float) -> np.ndarray:
    """Return the distances from which on balls are inside a plane; none is far enough beyond 0."""
    if slope <= 0:  # the words reach beyond the middle, where no distance takes anything to
        return np.full(len(radii), np.inf)
    return np.asarray(towards + (across + radii * np.sqrt(1 + slope * slope)) / slope)
