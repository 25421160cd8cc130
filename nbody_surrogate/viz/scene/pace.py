"""Which frames a movie shows, and how fast, so that it takes as long as asked for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbody_surrogate.errors import InputError

__all__ = ["Pace", "pace_of"]

FASTEST = 60.0  # frames per second, as most screens have
LONGEST = 3600.0  # seconds


class Pace(NamedTuple):
    """The frames of a movie.

    Attributes
    ----------
    frames : list of int
        In increasing order.
    fps : float
        Frames per second.
    """

    frames: list[int]
    fps: float

    def words(self, of: int) -> str:
        """Say what was done, with how many frames there were."""
        shown = len(self.frames)
        return (
            f"{shown} of {of} frames at {self.fps:.3g} frames per second: "
            f"{shown / self.fps:.3g} seconds"
        )


def pace_of(frames: int, fps: float, seconds: float | None = None) -> Pace:
    """Return the frames of a movie that takes so many seconds, or that shows all.

    Of more frames than it has room for, it shows some at even distances, with the first and the
    last; of fewer, each for longer.

    Parameters
    ----------
    frames : int
        That there are.
    fps : float
        Frames per second, at most if there are `seconds`.
    seconds : float, optional

    Raises
    ------
    InputError
        If `fps` or `seconds` is out of range.
    """
    if not 0 < fps <= FASTEST:
        raise InputError(f"`fps` must be > 0 and <= {FASTEST:g} frames per second, got {fps}")
    if seconds is None:
        return Pace(list(range(frames)), fps)
    if not 0 < seconds <= LONGEST:
        raise InputError(f"`seconds` must be > 0 and <= {LONGEST:g}, got {seconds}")
    shown = min(frames, max(round(seconds * fps), min(frames, 2)))
    chosen = np.unique(np.linspace(0, frames - 1, shown).round().astype(int))
    return Pace(chosen.tolist(), min(shown / seconds, FASTEST))
