"""Rows of a file that follow the particles' numbers: programs write them in any order."""

from __future__ import annotations

import numpy as np

__all__ = ["ParticleOrder", "sorted_rows"]


class ParticleOrder:
    """In which order the rows of each frame are read.

    Parameters
    ----------
    ids : ndarray, shape (T, N), optional
        Numbers of the particles; without any, rows stay as they are.

    Raises
    ------
    ValueError
        If two particles of a frame have one number, or frames are not of the same particles.
    """

    def __init__(self, ids: np.ndarray | None = None) -> None:
        self._rows: np.ndarray | None = None
        if ids is None:
            return
        self._rows = np.stack([sorted_rows(each) for each in ids])
        in_order = np.take_along_axis(ids, self._rows, axis=1)
        if np.any(in_order != in_order[0]):
            raise ValueError("its frames are not of the same particles: their ids differ")

    @property
    def changes(self) -> bool:
        """Whether a particle is not in the same row of all frames."""
        return self._rows is not None and bool(np.any(self._rows != self._rows[0]))

    def of_frames(self, values: np.ndarray, frames: slice) -> np.ndarray:
        """Sort values of some frames, shape (F, N, ...)."""
        if self._rows is None:
            return values
        rows = self._rows[frames]
        return np.asarray(values[np.arange(len(rows))[:, None], rows])

    def of_particles(self, values: np.ndarray) -> np.ndarray:
        """Sort what a file holds once, shape (N, ...).

        Where rows change places from frame to frame it can follow none of them: it is in the order
        of the numbers.
        """
        return values if self._rows is None or self.changes else np.asarray(values[self._rows[0]])


def sorted_rows(ids: np.ndarray) -> np.ndarray:
    """Return the rows of a frame in the order of the particles' numbers, shape (N,).

    Raises
    ------
    ValueError
        If two particles have the same number.
    """
    if len(np.unique(ids)) < len(ids):
        raise ValueError("two particles have the same id")
    return np.argsort(ids, kind="stable")
