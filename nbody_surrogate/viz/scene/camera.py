"""The camera that looks at a trajectory: framing that a few runaways cannot spoil, a slow orbit.

The scale, and so the size of balls, is that of most particles. The camera then stands so far off
that all are in sight, whole, with their trails, but for runaways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from nbody_surrogate.viz.scene.framing import VIEW_ANGLE, Balls, View, balls_of, held
from nbody_surrogate.viz.scene.tracks import Track, finite

__all__ = ["VIEW_ANGLE", "Around", "Camera", "all_around", "moving_cameras", "still_camera"]

SHARE = 90.0  # percent of the particles that set the scale; a cloud loses some for good
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
        return _ball_radius(self.radius, n)

    def sees(self, points: Float64[np.ndarray, "*axes 3"]) -> Bool[np.ndarray, "*axes"]:
        """Tell which points are near enough to be drawn."""
        return np.asarray((np.abs(points - self.centre) < SIGHT * self.radius).all(axis=-1))


def still_camera(lead: Track, rival: Track | None, frame: int, trail: int, view: View) -> Camera:
    """Return the camera for one frame.

    Parameters
    ----------
    lead : Track
        What the picture must hold; flat ones are seen from above. One position at least is finite.
    rival : Track or None
        What it should hold as far as `REACH` allows.
    frame : int
    trail : int
        Frames before it that should be in sight too.
    view : View
    """
    centre, radius = _framing(lead, rival, frame, trail)
    subject = _Subject(lead, rival, trail, [(centre, radius)], [frame])
    facing = _facing(0.0, flat=lead.dimensions == 2)
    distance = view.distance(subject.balls(0, radius), centre, facing)
    return _camera(centre, radius, facing, max(distance, _usual_distance(radius, view.aspect)))


def moving_cameras(lead: Track, rival: Track | None, trail: int, view: View) -> list[Camera]:
    """Return a camera for each frame, following the cloud smoothly in a slow orbit."""
    frames, flat = len(lead.t), lead.dimensions == 2
    subject, centres, radii = _followed(lead, rival, trail)
    sweep = 0.0 if flat else min(ORBIT * (frames - 1), WIDEST_ORBIT)
    turns = np.radians(np.linspace(-sweep / 2, sweep / 2, frames))
    facings = [_facing(float(turn), flat) for turn in turns]
    usual = [_usual_distance(radius, view.aspect) for radius in radii]
    needed = [
        view.distance(subject.balls(frame, radii[frame]), centres[frame], facings[frame])
        for frame in range(frames)
    ]
    distances = np.maximum(usual, _envelope(np.array(needed)))
    return [
        _camera(centre, float(radius), facing, float(distance))
        for centre, radius, facing, distance in zip(centres, radii, facings, distances, strict=True)
    ]


class Around(NamedTuple):
    """What a movie follows, from wherever it is seen.

    Attributes
    ----------
    centres : ndarray, shape (T, 3)
    radii : ndarray, shape (T,)
        The scale, as that of a `Camera`.
    reaches : ndarray, shape (T,)
        Of the sphere that holds all that must be seen, and at least the radius.
    """

    centres: Float64[np.ndarray, "T 3"]
    radii: Float64[np.ndarray, " T"]
    reaches: Float64[np.ndarray, " T"]


def all_around(lead: Track, rival: Track | None, trail: int) -> Around:
    """Frame a trajectory for a viewer who turns it."""
    subject, centres, radii = _followed(lead, rival, trail)
    needed = np.zeros(len(radii))
    for frame, centre in enumerate(centres):
        balls = subject.balls(frame, radii[frame])
        distances = np.linalg.norm(balls.centres - centre, axis=1)
        needed[frame] = (distances + balls.radii).max(initial=0.0)
    return Around(centres, radii, np.maximum(radii, _envelope(needed)))


class _Subject:
    """What is drawn over the frames of a picture or a movie, without runaways."""

    def __init__(
        self,
        lead: Track,
        rival: Track | None,
        trail: int,
        framings: list[tuple[Float64[np.ndarray, "3"], float]],
        frames: list[int],
    ) -> None:
        self._trail, self._framings, self._frames = trail, framings, frames
        centres, radii = (np.array(part) for part in zip(*framings, strict=True))
        self._tracks = [
            (track, held(track.x[frames], centres, radii))
            for track in ([lead] if rival is None else [lead, rival])
        ]

    def balls(self, number: int, radius: float) -> Balls:
        """Return what is drawn in one of the frames, at a scale."""
        n = len(self._tracks[0][0].sizes)
        parts = [
            balls_of(
                track,
                self._frames[number],
                self._trail,
                _ball_radius(radius, n),
                kept,
                self._framings[number],
                ring=position > 0,
            )
            for position, (track, kept) in enumerate(self._tracks)
        ]
        return Balls(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _followed(
    lead: Track, rival: Track | None, trail: int
) -> tuple[_Subject, Float64[np.ndarray, "T 3"], Float64[np.ndarray, " T"]]:
    """Return what a movie shows, and its centres and radii, which follow that smoothly."""
    frames = list(range(len(lead.t)))
    framings = [_framing(lead, rival, frame, trail) for frame in frames]
    # Both are followed over a twelfth of the movie, so that no single particle tugs at the view;
    # radii by their logarithms, since a zoom is seen as a ratio.
    width = _width(len(frames))
    centres = gaussian_filter1d(np.array([c for c, _ in framings]), width, 0, mode="nearest")
    radii = np.exp(gaussian_filter1d(np.log([r for _, r in framings]), width, mode="nearest"))
    return _Subject(lead, rival, trail, framings, frames), centres, radii


def _width(frames: int) -> float:
    return 1.0 + frames / 12


def _envelope(values: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """Return a smooth curve that is nowhere below positive values."""
    logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
    width = _width(len(values))
    # each smoothed value is a mean of maxima that all saw the value itself
    raised = maximum_filter1d(logs, 2 * int(np.ceil(2 * width)) + 1, mode="nearest")
    return np.asarray(np.exp(gaussian_filter1d(raised, width, mode="nearest", truncate=2.0)))


def _framing(
    lead: Track, rival: Track | None, frame: int, trail: int
) -> tuple[Float64[np.ndarray, "3"], float]:
    """Return the median position and the radius that holds most particles and their trails."""
    x = lead.x
    filled = np.flatnonzero(finite(x).any(axis=1))
    frame = int(filled[np.argmin(np.abs(filled - frame))])  # the nearest with something to frame
    window = slice(max(0, frame - trail), frame + 1)
    # A median, and a percentile as radius: means and extremes would follow a single runaway.
    centre = np.median(x[frame][finite(x[frame])], axis=0)
    radius = max(_extent(x[frame], centre), _extent(x[window], centre)) or 1.0
    if rival is not None:
        radius = max(radius, min(_extent(rival.x[frame], centre), REACH * radius))
    return centre, radius


def _extent(x: Float64[np.ndarray, "*axes 3"], centre: Float64[np.ndarray, "3"]) -> float:
    """Return the distance from the centre within which most of the finite positions are."""
    distances = np.linalg.norm(x[finite(x)] - centre, axis=1)
    return float(np.percentile(distances, SHARE)) if len(distances) else 0.0


def _ball_radius(radius: float, n: int) -> float:
    return float(radius * BALL * min(30 / n, 4.0) ** 0.25)


def _facing(turn: float, flat: bool) -> Float64[np.ndarray, "3 3"]:
    """Return the picture's right, its up, and the direction towards the camera."""
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
    return np.array([right, np.cross(towards, right), towards])


def _usual_distance(radius: float, aspect: float) -> float:
    """Return a distance at which the sphere, not only its disc, is within the cone of view.

    It is larger for a picture that is higher than wide, whose cone is narrower across.
    """
    return float(radius * max(1.0, 1 / aspect) / np.sin(np.radians(VIEW_ANGLE / 2)))


def _camera(
    centre: Float64[np.ndarray, "3"],
    radius: float,
    facing: Float64[np.ndarray, "3 3"],
    distance: float,
) -> Camera:
    return Camera(centre, radius, centre + distance * facing[2], facing)
