"""The camera that looks at a trajectory: framing that a few runaways cannot spoil, a slow orbit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import gaussian_filter1d

from nbody_surrogate.viz.scene.tracks import finite

__all__ = ["VIEW_ANGLE", "Camera", "moving_cameras", "still_camera"]

VIEW_ANGLE = 40.0  # degrees, from bottom to top: of a lens that neither flattens nor distorts
SHARE = 90.0  # percent of the particles that the picture must hold; a cloud loses some for good
REACH = 1.6  # how many times farther out the picture may go to hold the candidate too
SIGHT = 100.0  # what is more radii from the centre than this is less than a pixel, and not drawn
ORBIT = 0.4  # degrees for each frame of a movie: depth is seen, and motion is still the particles'
WIDEST_ORBIT = 90.0  # degrees for the whole of it: a long movie shows no side twice
TOWARDS = (0.48, -0.81, 0.34)  # where the camera stands: no axis is seen end on
BALL = 0.036  # radius of a ball over that of the cloud: 30 of them are seen, and seldom touch


@dataclass(frozen=True)
class Camera:
    """Where the camera stands and looks: lengths in the trajectory's units, unit vectors.

    Attributes
    ----------
    centre : ndarray, shape (3,)
        What it looks at.
    radius : float
        Of the sphere around the centre that counts; sets the size of everything drawn.
    position : ndarray, shape (3,)
    facing : ndarray, shape (3, 3)
        Rows: the picture's right, its up, and the direction towards the camera.
    """

    centre: Float64[np.ndarray, "3"]
    radius: float
    position: Float64[np.ndarray, "3"]
    facing: Float64[np.ndarray, "3 3"]

    def depth(self, points: Float64[np.ndarray, "*axes 3"]) -> Float64[np.ndarray, "*axes"]:
        """Depth behind the centre, in radii: -1 at the front, 1 at the back."""
        return np.asarray((self.centre - points) @ self.facing[2] / self.radius)

    def haze(self, points: Float64[np.ndarray, "*axes 3"]) -> Float64[np.ndarray, "*axes"]:
        """Share of the backdrop in a thing's colour: more behind, never so much that it is lost."""
        return np.asarray(np.clip(0.05 + 0.3 * self.depth(points), 0.0, 0.45))

    def ball_radius(self, n: int) -> float:
        """Radius of a ball, where there are n: smaller where many would hide one another."""
        return float(self.radius * BALL * min(30 / n, 4.0) ** 0.25)

    def sees(self, points: Float64[np.ndarray, "*axes 3"]) -> Bool[np.ndarray, "*axes"]:
        """Tell which points are near enough to be drawn."""
        return np.asarray((np.abs(points - self.centre) < SIGHT * self.radius).all(axis=-1))


def still_camera(
    lead: Float64[np.ndarray, "T N D"],
    rival: Float64[np.ndarray, "T N D"],
    frame: int,
    trail: int,
    aspect: float,
) -> Camera:
    """Return the camera for one frame.

    Parameters
    ----------
    lead : ndarray, shape (T, N, D)
        Positions that the picture must hold; D = 2 is seen from above. One at least is finite.
    rival : ndarray, shape (T, N, D)
        Positions that it should hold as far as `REACH` allows.
    frame : int
    trail : int
        Frames before it that should be in sight too.
    aspect : float
        Width of the picture over its height.
    """
    centre, radius = _framing(lead, rival, frame, trail)
    return _camera(centre, radius, 0.0, aspect, flat=lead.shape[2] == 2)


def moving_cameras(
    lead: Float64[np.ndarray, "T N D"],
    rival: Float64[np.ndarray, "T N D"],
    trail: int,
    aspect: float,
) -> list[Camera]:
    """Return a camera for each frame, following the cloud smoothly in a slow orbit."""
    frames, flat = len(lead), lead.shape[2] == 2
    framings = [_framing(lead, rival, frame, trail) for frame in range(frames)]
    # Both are followed over a twelfth of the movie, so that no single particle tugs at the view;
    # radii by their logarithms, since a zoom is seen as a ratio.
    width = 1.0 + frames / 12
    centres = gaussian_filter1d(np.array([c for c, _ in framings]), width, 0, mode="nearest")
    radii = np.exp(gaussian_filter1d(np.log([r for _, r in framings]), width, mode="nearest"))
    sweep = 0.0 if flat else min(ORBIT * (frames - 1), WIDEST_ORBIT)
    turns = np.radians(np.linspace(-sweep / 2, sweep / 2, frames))
    return [
        _camera(centre, float(radius), float(turn), aspect, flat)
        for centre, radius, turn in zip(centres, radii, turns, strict=True)
    ]


def _framing(
    lead: Float64[np.ndarray, "T N D"], rival: Float64[np.ndarray, "T N D"], frame: int, trail: int
) -> tuple[Float64[np.ndarray, "3"], float]:
    """Return the median position and the radius that holds most particles and their trails."""
    filled = np.flatnonzero(finite(lead).any(axis=1))
    frame = int(filled[np.argmin(np.abs(filled - frame))])  # the nearest with something to frame
    window = slice(max(0, frame - trail), frame + 1)
    # A median, and a percentile as radius: means and extremes would follow a single runaway.
    centre = np.median(lead[frame][finite(lead[frame])], axis=0)
    radius = max(_extent(lead[frame], centre), _extent(lead[window], centre)) or 1.0
    radius = max(radius, min(_extent(rival[frame], centre), REACH * radius))
    return np.pad(centre, (0, 3 - len(centre))), radius


def _extent(x: Float64[np.ndarray, "*axes D"], centre: Float64[np.ndarray, " D"]) -> float:
    """Return the distance from the centre within which most of the finite positions are."""
    distances = np.linalg.norm(x[finite(x)] - centre, axis=1)
    return float(np.percentile(distances, SHARE)) if len(distances) else 0.0


def _camera(
    centre: Float64[np.ndarray, "3"], radius: float, turn: float, aspect: float, flat: bool
) -> Camera:
    towards = np.array(TOWARDS)
    up = np.array([0.0, 0.0, 1.0])
    if flat:  # from above, with y upwards as on paper
        towards = up
        up = np.array([0.0, 1.0, 0.0])
    c, s = np.cos(turn), np.sin(turn)
    towards = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ towards
    towards /= np.linalg.norm(towards)
    right = np.cross(up, towards)
    right /= np.linalg.norm(right)
    # So far that the sphere, not only its disc, is within the cone of view; farther in a picture
    # that is higher than wide, whose cone is narrower across.
    distance = radius * max(1.0, 1 / aspect) / np.sin(np.radians(VIEW_ANGLE / 2))
    facing = np.array([right, np.cross(towards, right), towards])
    return Camera(centre, radius, centre + distance * towards, facing)
