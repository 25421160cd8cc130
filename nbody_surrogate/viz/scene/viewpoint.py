"""From where a scene is seen, and how far a movie turns around it: what users ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.errors import InputError

__all__ = ["CAMERAS", "Viewpoint", "viewpoint_of"]

ISO = (0.48, -0.81, 0.34)  # where the camera stands: no axis is seen end on
CAMERAS = {"iso": ISO, "xy": (0.0, 0.0, 1.0), "xz": (0.0, -1.0, 0.0), "yz": (1.0, 0.0, 0.0)}
ORBIT = 0.4  # degrees for each frame of a movie: depth is seen, and motion is still the particles'
WIDEST_ORBIT = 90.0  # degrees for the whole of it: a long movie shows no side twice
MOST_ORBIT = 3600.0  # degrees that may be asked for
ALONG = 1 - 1e-9  # cosine between the line of sight and z, from which on they are the same


@dataclass(frozen=True)
class Viewpoint:
    """A direction from the particles towards the camera, and a turn during a movie.

    Attributes
    ----------
    towards : ndarray, shape (3,)
        Of unit length.
    orbit : float or None
        Degrees over the whole movie; None for a slow one that depends on its length.
    """

    towards: Float64[np.ndarray, "3"]
    orbit: float | None

    def facings(self, frames: int) -> list[Float64[np.ndarray, "3 3"]]:
        """Return the picture's right, its up, and the direction to the camera, for each frame.

        A movie turns around the z axis, to either side of the viewpoint; around the picture's
        upright where the camera looks along z.
        """
        orbit = min(ORBIT * (frames - 1), WIDEST_ORBIT) if self.orbit is None else self.orbit
        turns = np.radians(np.linspace(-orbit / 2, orbit / 2, frames) if frames > 1 else [0.0])
        return [self._facing(float(turn)) for turn in turns]

    def _facing(self, turn: float) -> Float64[np.ndarray, "3 3"]:
        c, s = np.cos(turn), np.sin(turn)
        if abs(self.towards[2]) > ALONG:  # y is upwards as on paper, and what it turns around
            up, side = np.array([0.0, 1.0, 0.0]), np.sign(self.towards[2])
            towards = np.array([s, 0.0, side * c])
        else:
            up, (x, y, z) = np.array([0.0, 0.0, 1.0]), self.towards
            towards = np.array([c * x - s * y, s * x + c * y, z])
        right = np.cross(up, towards)
        right /= np.linalg.norm(right)
        return np.array([right, np.cross(towards, right), towards])


def viewpoint_of(
    camera: str | Sequence[float] | None, orbit: float | None, flat: bool
) -> Viewpoint:
    """Read what a user asks for.

    Parameters
    ----------
    camera : str or sequence of float or None
        ``iso``, ``xy``, ``xz`` or ``yz`` (the plane seen, its second axis upwards); an azimuth and
        an elevation in degrees; or x, y, z, a direction from the particles towards the camera. Text
        may have numbers with commas. None is from above for flat trajectories, and ``iso``.
    orbit : float or None
        Degrees over a movie. None is a slow one for None and ``iso`` in space, and none otherwise.
    flat : bool
        Whether the trajectory has two dimensions.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if orbit is not None and not abs(orbit) <= MOST_ORBIT:
        raise InputError(f"`orbit` must be from -3600 to 3600 degrees, got {orbit}")
    if orbit is None and (flat or camera not in (None, "iso")):
        orbit = 0.0
    if camera is None:
        camera = "xy" if flat else "iso"
    towards = CAMERAS.get(camera) if isinstance(camera, str) else None
    direction = np.array(_direction(camera) if towards is None else towards)
    return Viewpoint(direction / np.linalg.norm(direction), orbit)


def _direction(camera: str | Sequence[float]) -> Sequence[float]:
    try:
        parts = camera.split(",") if isinstance(camera, str) else camera
        numbers = [float(each) for each in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 2 and np.isfinite(numbers).all() and abs(numbers[1]) <= 90:
        azimuth, elevation = np.radians(numbers)
        level = np.cos(elevation)
        return [level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)]
    if len(numbers) == 3 and np.isfinite(numbers).all() and any(numbers):
        largest = max(map(abs, numbers))  # first: the square of a large one overflows
        return [each / largest for each in numbers]
    raise InputError(
        "`camera` must be iso, xy, xz or yz, an azimuth and an elevation from -90 to 90 in degrees "
        f"(such as -60,20), or a direction x,y,z towards it; got {camera!r}"
    )
