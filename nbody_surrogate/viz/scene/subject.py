"""What the camera follows: where the particles are, how far they reach, and which run away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.ndimage import gaussian_filter1d

from nbody_surrogate.viz.scene.framing import Balls
from nbody_surrogate.viz.scene.tracks import TRAIL, Track, finite

__all__ = ["KEPT", "RIVAL_KEPT", "Following", "Subject", "ball_radius", "followed", "framing"]

SHARE = 90.0  # percent of the particles that set the scale; a cloud loses some for good
REACH = 1.6  # how many times farther out the scale may go to hold the candidate too
KEPT = 8.0  # how many radii from the centre a particle may be; farther off it is let go
RIVAL_KEPT = 2.5  # of a candidate, which may be wrong by any distance
LANDMARK = 1.8  # how many radii from the centre a landmark may be
THICK = 1.09  # of a ring, with half its own thickness, over its radius
ALONE = 4.0  # radii of a ball of a true size that is alone, in the scale
BALL = 0.036  # radius of a ball over that of the cloud: 30 of them are seen, and seldom touch


class Following(NamedTuple):
    """Where the particles are over the frames shown.

    Attributes
    ----------
    centres : ndarray, shape (F, 3)
    radii : ndarray, shape (F,)
        The scale: most particles are within it.
    """

    centres: Float64[np.ndarray, "F 3"]
    radii: Float64[np.ndarray, " F"]


class Subject:
    """What is drawn over the frames of a picture or a movie, without runaways.

    Parameters
    ----------
    lead : Track
    rival : Track or None
    trail : int
        Frames that trails reach back.
    frames : list of int
        That are shown, F of them.
    following : Following
    landmarks : Balls, optional
        What stands still and must be in sight too, unless it is far from the particles.
    """

    def __init__(
        self,
        lead: Track,
        rival: Track | None,
        trail: int,
        frames: list[int],
        following: Following,
        landmarks: Balls | None = None,
    ) -> None:
        self._trail, self._frames, self._following = trail, frames, following
        self._tracks = [lead] if rival is None else [lead, rival]
        self._landmarks = landmarks
        near = np.logical_and.reduce(_near(lead.x[frames], following, KEPT), axis=0)
        # Of the lead a runaway is let go in all frames, so that a movie does not follow it and turn
        # back; a candidate's goes where it leaves, as until then it may be right.
        self._kept = [np.broadcast_to(near, (len(frames), len(near)))]
        if rival is not None:
            stays = _near(rival.x[frames], following, RIVAL_KEPT)
            self._kept.append(np.logical_and.accumulate(stays, axis=0))

    def kept(self, number: int) -> tuple[Bool[np.ndarray, " N"], ...]:
        """Tell of each track which particles are drawn in one of the frames."""
        return tuple(kept[number] for kept in self._kept)

    def balls(self, number: int, scale: float) -> Balls:
        """Return what is drawn in one of the frames, with balls for a scale."""
        ball = ball_radius(scale, len(self._tracks[0].sizes))
        parts = [] if self._landmarks is None else [self._near_landmarks(number)]
        parts += [
            self._of(track, number, ball, kept[number], rival=position > 0)
            for position, (track, kept) in enumerate(zip(self._tracks, self._kept, strict=True))
        ]
        return Balls(*(np.concatenate(each) for each in zip(*parts, strict=True)))

    def _near_landmarks(self, number: int) -> Balls:
        """Return landmarks near enough not to make particles small."""
        centre, radius = self._following.centres[number], self._following.radii[number]
        points, radii = self._landmarks or Balls(np.empty((0, 3)), np.empty(0))
        near = np.linalg.norm(points - centre, axis=1) <= LANDMARK * radius
        return Balls(points[near], radii[near])

    def _of(
        self, track: Track, number: int, ball: float, kept: Bool[np.ndarray, " N"], rival: bool
    ) -> Balls:
        """Return the balls or rings of a track, and its trails, at one of the frames."""
        frame = self._frames[number]
        centre, radius = self._following.centres[number], self._following.radii[number]
        path = track.path(frame, self._trail)[:, kept]
        here = THICK * track.rings(ball)[kept] if rival else track.balls(ball)[kept]
        wide = track.widths(TRAIL * ball)[kept]
        radii = np.concatenate([np.broadcast_to(wide, path.shape[:2]), here[None]])
        points = np.concatenate([path, track.x[None, frame, kept]])
        limit = (RIVAL_KEPT if rival else KEPT) * radius
        with np.errstate(over="ignore", invalid="ignore"):
            near = finite(points) & (np.linalg.norm(points - centre, axis=2) <= limit)
        return Balls(points[near], radii[near])


def _near(
    x: Float64[np.ndarray, "F N 3"], following: Following, limit: float
) -> Bool[np.ndarray, "F N"]:
    with np.errstate(over="ignore"):
        away = np.abs(x - following.centres[:, None]) / following.radii[:, None, None]
        # NaN is no place at all: it is drawn nowhere, and its particle where it has one
        return np.asarray(~(np.linalg.norm(away, axis=2) > limit))


def ball_radius(scale: float, n: int) -> float:
    """Return the radius of a ball, where there are n: smaller where many hide one another."""
    return float(scale * BALL * min(30 / n, 4.0) ** 0.25)


def followed(lead: Track, rival: Track | None, trail: int, frames: list[int]) -> Following:
    """Return the centres and radii of the frames shown, which follow the particles smoothly."""
    filled = _filled(lead)  # once: all frames are looked through for it
    framings = [_framing(lead, rival, frame, trail, filled) for frame in frames]
    # Both are followed over a twelfth of the movie, so that no single particle tugs at the view;
    # radii by their logarithms, since a zoom is seen as a ratio.
    width = 1.0 + len(frames) / 12
    centres = gaussian_filter1d(np.array([c for c, _ in framings]), width, 0, mode="nearest")
    radii = np.exp(gaussian_filter1d(np.log([r for _, r in framings]), width, mode="nearest"))
    return Following(centres, radii)


def framing(
    lead: Track, rival: Track | None, frame: int, trail: int
) -> tuple[Float64[np.ndarray, "3"], float]:
    """Return the median position and the radius that holds most particles and their trails."""
    return _framing(lead, rival, frame, trail, _filled(lead))


def _filled(lead: Track) -> Int64[np.ndarray, " F"]:
    """Return the frames with something to frame."""
    return np.flatnonzero(finite(lead.x).any(axis=1))


def _framing(
    lead: Track, rival: Track | None, frame: int, trail: int, filled: Int64[np.ndarray, " F"]
) -> tuple[Float64[np.ndarray, "3"], float]:
    x = lead.x
    frame = int(filled[np.argmin(np.abs(filled - frame))])  # the nearest with something to frame
    window = slice(max(0, frame - trail), frame + 1)
    # A median, and a percentile as radius: means and extremes would follow a single runaway.
    centre = np.median(x[frame][finite(x[frame])], axis=0)
    extent = max(_extent(x[frame], centre), _extent(x[window], centre))
    # one particle, or all at one place: by its size, where it has one
    radius = max(extent or ALONE * lead.largest or 1.0, lead.largest)
    if rival is not None:
        radius = max(radius, min(_extent(rival.x[frame], centre), REACH * radius))
    return centre, radius


def _extent(x: Float64[np.ndarray, "*axes 3"], centre: Float64[np.ndarray, "3"]) -> float:
    """Return the distance from the centre within which most of the finite positions are."""
    distances = np.linalg.norm(x[finite(x)] - centre, axis=1)
    return float(np.percentile(distances, SHARE)) if len(distances) else 0.0
