"""The camera that looks at a trajectory: everything is in sight, and it moves no more than needed.

The scale, and so the size of balls, is that of most particles. The camera then stands so far off,
and so far to the side, that all are in sight, whole and in the middle of what words leave free,
with their trails; but for runaways, which are let go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from nbody_surrogate.viz.scene.framing import VIEW_ANGLE, Balls, Room, View, room_needs
from nbody_surrogate.viz.scene.subject import (
    KEPT,
    RIVAL_KEPT,
    Following,
    Subject,
    ball_radius,
    followed,
    framing,
)
from nbody_surrogate.viz.scene.tracks import Track
from nbody_surrogate.viz.scene.viewpoint import Viewpoint, viewpoint_of

__all__ = ["VIEW_ANGLE", "Around", "Camera", "all_around", "moving_cameras", "still_camera"]

GROWTH = 0.35  # of balls with distance: at 1 they would look as large from anywhere
NEAREST = 0.6  # of the usual distance: one particle alone does not fill the picture
TRIED, SAMPLES = 3, 9  # rectangles that are compared, and at how many frames of a movie
STEADY = 1.6  # how much farther off than needed a camera may be that does not move at all


@dataclass(frozen=True)
class Camera:
    """Where the camera stands and looks: lengths in the trajectory's units, unit vectors.

    Attributes
    ----------
    centre : ndarray, shape (3,)
        What it looks at.
    radius : float
        Of the sphere that holds most particles; sets the depth of the haze.
    position : ndarray, shape (3,)
    facing : ndarray, shape (3, 3)
        Rows: the picture's right, its up, and the direction towards the camera.
    anchor : ndarray, shape (3,)
        The middle of that sphere.
    scale : float
        Sets the size of everything drawn.
    kept : tuple of ndarray, each of shape (N,)
        Which particles of each track, the lead's first, have not run away; all where it is empty.
    """

    centre: Float64[np.ndarray, "3"]
    radius: float
    position: Float64[np.ndarray, "3"]
    facing: Float64[np.ndarray, "3 3"]
    anchor: Float64[np.ndarray, "3"]
    scale: float
    kept: tuple[Bool[np.ndarray, " N"], ...] = ()

    @property
    def distance(self) -> float:
        """From the camera to what it looks at."""
        return float(np.linalg.norm(self.position - self.centre))

    def depth(self, points: Float64[np.ndarray, "*axes 3"]) -> Float64[np.ndarray, "*axes"]:
        """Depth behind the centre, in radii: -1 at the front, 1 at the back."""
        return np.asarray((self.centre - points) @ self.facing[2] / self.radius)

    def haze(self, points: Float64[np.ndarray, "*axes 3"]) -> Float64[np.ndarray, "*axes"]:
        """Share of the backdrop in a thing's colour: more behind, never so much that it is lost."""
        return np.asarray(np.clip(0.05 + 0.3 * self.depth(points), 0.0, 0.45))

    def ball_radius(self, n: int) -> float:
        """Radius of a ball, where there are n: smaller where many would hide one another."""
        return ball_radius(self.scale, n)

    def sees(self, points: Float64[np.ndarray, "*axes 3"]) -> Bool[np.ndarray, "*axes"]:
        """Tell which points are near enough to be drawn."""
        return self._within(points, KEPT)

    def shows(
        self, points: Float64[np.ndarray, "*axes N 3"], rival: bool = False
    ) -> Bool[np.ndarray, "*axes N"]:
        """Tell which points of the lead's particles, or of the rival's, are drawn.

        They are near enough, and their particles have not run away.
        """
        near = self._within(points, RIVAL_KEPT if rival else KEPT)
        return np.asarray(near & self.kept[int(rival)] if self.kept else near)

    def _within(self, points: np.ndarray, radii: float) -> Bool[np.ndarray, "*axes"]:
        with np.errstate(over="ignore", invalid="ignore"):
            away = np.abs(points - self.anchor) / self.radius  # first: squares may overflow
            return np.asarray(np.linalg.norm(away, axis=-1) <= radii)


def still_camera(
    lead: Track,
    rival: Track | None,
    frame: int,
    trail: int,
    view: View,
    viewpoint: Viewpoint | None = None,
    landmarks: Balls | None = None,
) -> Camera:
    """Return the camera for one frame.

    Parameters
    ----------
    lead : Track
        What the picture must hold. One position at least is finite.
    rival : Track or None
        What it should hold unless it is far from right.
    frame : int
    trail : int
        Frames before it that should be in sight too.
    view : View
    viewpoint : Viewpoint, optional
        By default flat trajectories are seen from above.
    landmarks : Balls, optional
        What stands still and must be in sight too.
    """
    viewpoint = viewpoint or viewpoint_of(None, 0.0, lead.dimensions == 2)
    centre, radius = framing(lead, rival, frame, trail)
    following = Following(centre[None], np.array([radius]))
    subject = Subject(lead, rival, trail, [frame], following, landmarks)
    return _filmed(subject, following, viewpoint.facings(1), view)[0]


def moving_cameras(
    lead: Track,
    rival: Track | None,
    trail: int,
    view: View,
    viewpoint: Viewpoint | None = None,
    frames: list[int] | None = None,
    landmarks: Balls | None = None,
) -> list[Camera]:
    """Return a camera for each frame, or each of some.

    It stands still, or turns around one point, where that shows all without being much too far off;
    it follows the cloud smoothly where not.
    """
    frames = list(range(len(lead.t))) if frames is None else frames
    viewpoint = viewpoint or viewpoint_of(None, None, lead.dimensions == 2)
    facings = viewpoint.facings(len(frames))
    moving = followed(lead, rival, trail, frames)
    middle = (moving.centres.min(axis=0) + moving.centres.max(axis=0)) / 2
    steady = Following(
        np.broadcast_to(middle, moving.centres.shape),
        np.full(len(frames), np.exp(np.log(moving.radii).mean())),
    )
    takes = []
    for following in (steady, moving):
        subject = Subject(lead, rival, trail, frames, following, landmarks)
        takes.append(_filmed(subject, following, facings, view, still=following is steady))
    still, moved = ([camera.distance for camera in take] for take in takes)
    same = all(map(np.array_equal, *([camera.kept for camera in take] for take in takes)))
    return takes[0] if same and still[0] <= STEADY * min(moved) else takes[1]


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
    frames = list(range(len(lead.t)))
    following = followed(lead, rival, trail, frames)
    subject = Subject(lead, rival, trail, frames, following)
    centres, radii = following
    needed = np.zeros(len(radii))
    for frame, centre in enumerate(centres):
        balls = subject.balls(frame, radii[frame])
        distances = np.linalg.norm(balls.centres - centre, axis=1)
        needed[frame] = (distances + balls.radii).max(initial=0.0)
    return Around(centres, radii, np.maximum(radii, _envelope(needed)))


def _filmed(
    subject: Subject,
    following: Following,
    facings: list[Float64[np.ndarray, "3 3"]],
    view: View,
    still: bool = False,
) -> list[Camera]:
    """Return the cameras that have all in sight; as far off in all frames where it stands still."""
    scales = following.radii
    usual = np.array([view.usual_distance(float(radius)) for radius in scales])
    cameras = _placed(subject, following, scales, facings, view, still)
    # Where some are far out the others look small, and so do balls; they are made larger again,
    # in part, and the camera finds its place for these.
    far = np.array([camera.distance for camera in cameras]) / usual
    if (far > 1).any():
        scales = scales * np.maximum(1.0, far) ** GROWTH
        cameras = _placed(subject, following, scales, facings, view, still)
    return cameras


def _placed(
    subject: Subject,
    following: Following,
    scales: Float64[np.ndarray, " F"],
    facings: list[Float64[np.ndarray, "3 3"]],
    view: View,
    still: bool,
) -> list[Camera]:
    numbers = range(len(facings))
    shown = [subject.balls(number, float(scales[number])) for number in numbers]
    least = np.array([NEAREST * view.usual_distance(float(radius)) for radius in following.radii])
    centres = _middles(shown, following, facings, view, least, still)
    needed = np.array([view.distance(shown[k], centres[k], facings[k]) for k in numbers])
    needed = np.maximum(needed, least)
    distances = np.full(len(needed), needed.max()) if still else _envelope(needed)
    return [
        Camera(
            centres[k],
            float(following.radii[k]),
            centres[k] + distances[k] * facings[k][2],
            facings[k],
            following.centres[k],
            float(scales[k]),
            subject.kept(k),
        )
        for k in numbers
    ]


def _middles(
    shown: list[Balls],
    following: Following,
    facings: list[Float64[np.ndarray, "3 3"]],
    view: View,
    least: Float64[np.ndarray, " F"],
    still: bool,
) -> Float64[np.ndarray, "F 3"]:
    """Return what to look at: with it, what is shown is in the middle of the free rectangle.

    All frames have one of the rectangles: one that lets the camera stand near, and is not far from
    the picture's middle.
    """
    rooms = view.rooms()
    needs = np.stack(
        [
            room_needs(rooms, balls, centre, facing)
            for balls, centre, facing in zip(shown, following.centres, facings, strict=True)
        ],
        axis=1,
    )
    if still:
        needs = np.broadcast_to(needs.max(axis=1, keepdims=True), needs.shape)
    placings = [_placing(room, need, least) for room, need in zip(rooms, needs, strict=True)]
    # What words leave is no rectangle: the balls may need less of it than a whole one. So the best
    # of them are compared by how far the camera has to be in fact, with that around the words.
    order = np.argsort([cost for _, cost in placings])[:TRIED]
    some = np.unique(np.linspace(0, len(facings) - 1, min(len(facings), SAMPLES)).astype(int))
    best, shifts = np.inf, placings[0][0]
    for number in {0, *order.tolist()}:
        shift = placings[number][0]
        centres = following.centres + np.einsum("fk,fkd->fd", shift, np.array(facings)[:, :2])
        farness = [max(view.distance(shown[k], centres[k], facings[k]), least[k]) for k in some]
        cost = float(np.mean(farness)) * (1 + rooms[number].aside)
        if cost < best:
            best, shifts = cost, shift
    if len(facings) > 1 and not still:
        shifts = gaussian_filter1d(shifts, _width(len(shifts)), 0, mode="nearest")
    across = np.einsum("fk,fkd->fd", shifts, np.array(facings)[:, :2])
    return np.asarray(following.centres + across)


def _placing(
    room: Room, needs: Float64[np.ndarray, "F 4"], least: Float64[np.ndarray, " F"]
) -> tuple[Float64[np.ndarray, "F 2"], float]:
    """Return how far to move in each frame to be in a room's middle, and what that costs."""
    found = [room.middle(need, float(low)) for need, low in zip(needs, least, strict=True)]
    farness = float(np.mean([distance for _, distance in found]))
    return np.array([shift for shift, _ in found]), farness * (1 + room.aside)


def _width(frames: int) -> float:
    return 1.0 + frames / 12


def _envelope(values: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """Return a smooth curve that is nowhere below positive values."""
    if len(values) == 1:
        return values
    logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
    width = _width(len(values))
    # each smoothed value is a mean of maxima that all saw the value itself
    raised = maximum_filter1d(logs, 2 * int(np.ceil(2 * width)) + 1, mode="nearest")
    return np.asarray(np.exp(gaussian_filter1d(raised, width, mode="nearest", truncate=2.0)))
