"""What a run gathers frame by frame: all in memory, or the latest, and the rest in its file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import numpy as np

if TYPE_CHECKING:
    from nbody_surrogate.formats.h5md.mapped import MappedRun

__all__ = ["AbstractSeries", "KeptSeries", "LatestSeries"]


class AbstractSeries(ABC):
    """Numbers of B trajectories, frame by frame, which grow by segments.

    To write one: take over new frames, give back those that are asked for, and all of them.
    """

    @abstractmethod
    def put(self, frames: slice, values: np.ndarray) -> np.ndarray:
        """Take over values (B, F, ...) of the frames after those that there are.

        Returns
        -------
        ndarray, shape (B, F, ...)
            Where they are now, to be changed.
        """

    @abstractmethod
    def take(self, frames: slice) -> np.ndarray:
        """Return some frames that there are, shape (B, F, ...), to be looked at only."""

    @property
    @abstractmethod
    def whole(self) -> np.ndarray:
        """All frames, shape (B, T, ...); what is not there yet may be anything."""


@final
class KeptSeries(AbstractSeries):
    """All frames in memory.

    Parameters
    ----------
    frames : int
        Of the whole run, the start included.
    start : ndarray, shape (B, 1, ...)
    """

    def __init__(self, frames: int, start: np.ndarray) -> None:
        # not filled: memory that is not touched costs nothing, and nobody reads what is not there
        self._values = np.empty((len(start), frames, *start.shape[2:]))
        self._values[:, :1] = start

    def put(self, frames: slice, values: np.ndarray) -> np.ndarray:
        """Copy them to their place."""
        self._values[:, frames] = values
        return self._values[:, frames]

    def take(self, frames: slice) -> np.ndarray:
        """Return a view."""
        return self._values[:, frames]

    @property
    def whole(self) -> np.ndarray:
        """The array."""
        return self._values


@final
class LatestSeries(AbstractSeries):
    """The latest frames in memory, and those before in the run's file.

    Parameters
    ----------
    past : int
        Frames that are kept of those before a segment, at least 1.
    start : ndarray, shape (B, 1, ...)
    """

    def __init__(self, past: int, start: np.ndarray) -> None:
        self._past, self._first = past, 0
        self._latest = np.array(start, dtype=np.float64)
        self._file: MappedRun | None = None
        self._stored: np.ndarray | None = None

    def read_from(self, file: MappedRun | None, stored: np.ndarray | None) -> None:
        """Say where the frames are that are not in memory, an array (B, T, ...) of a file."""
        self._file, self._stored = file, stored

    def put(self, frames: slice, values: np.ndarray) -> np.ndarray:
        """Keep them, and of those before as many as are needed."""
        follows = frames.start == self._first + self._latest.shape[1]
        before = self._latest[:, -self._past :] if follows else values[:, :0]
        self._latest = np.concatenate([before, values], axis=1)
        self._first = frames.start - before.shape[1]
        return self._latest[:, before.shape[1] :]

    def take(self, frames: slice) -> np.ndarray:
        """Return a view of what is in memory, and else a copy of what the file holds."""
        if frames.start >= self._first:
            return self._latest[:, frames.start - self._first : frames.stop - self._first]
        assert self._file is not None and self._stored is not None
        values = np.array(self._stored[:, frames])
        self._file.release()
        return values

    @property
    def whole(self) -> np.ndarray:
        """What the file shows; before there is one, the start."""
        return self._latest if self._stored is None else self._stored
