"""The arrays of a run where they lie in its file: read when they are looked at."""

from __future__ import annotations

import math
import mmap
import os
from pathlib import Path
from typing import final

import numpy as np

from nbody_surrogate.errors import FileFormatError, RunError, one_line
from nbody_surrogate.files.hdf5 import FLOAT
from nbody_surrogate.formats.h5md.reader import H5MDReader
from nbody_surrogate.formats.h5md.structure import DataOffsets, find_offsets
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["MappedRun", "map_h5md"]


@final
class MappedRun:
    """All that a file holds of frames, shape (B, T, ...), as read-only arrays.

    All data sets are contiguous and stay where they are, so the operating system can show them as
    memory: what is looked at is read, and given up again where memory is short. Frames that are
    written meanwhile are seen at once. The arrays stay valid when the file is renamed or removed;
    nobody may make it shorter.

    Parameters
    ----------
    path : Path
        Of a finished or an unfinished run.
    offsets : DataOffsets
        Where the data stand in it.
    shape : tuple of int
        (B, T, N, D).

    Attributes
    ----------
    x, v : ndarray, shape (B, T, N, D)
    observables, hidden : dict of str to ndarray, shape (B, T, ...)

    Raises
    ------
    RunError
        If the disk cannot show files as memory.
    FileFormatError
        If its trajectories do not lie one after the other, as in files of the first releases.
    """

    def __init__(self, path: Path, offsets: DataOffsets, shape: tuple[int, int, int, int]) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # no such call, or an empty file
            raise RunError(
                f"{str(path)!r} is on a disk that cannot show files as memory: use another one, or "
                f"hold all frames, by `keep` True ({one_line(error)})"
            ) from None
        self.x = self._array([position for position, _ in offsets.values], shape)
        self.v = self._array([velocity for _, velocity in offsets.values], shape)
        self.observables, self.hidden = (
            {
                name: self._array(places.rows[name], (*shape[:2], *tail))
                for name, tail in places.tails.items()
            }
            for places in (offsets.observables, offsets.hidden)
        )

    @classmethod
    def of(cls, path: Path, shape: tuple[int, int, int, int]) -> MappedRun:
        """Map a file that is not trusted.

        Raises
        ------
        FileFormatError
            If it is missing, damaged or of another shape.
        """
        return cls(path, find_offsets(path, shape, to_write=False), shape)

    def _array(self, rows: list[int], shape: tuple[int, ...]) -> np.ndarray:
        row = FLOAT.itemsize * math.prod(shape[1:])
        wanted = [rows[0] + b * row for b in range(len(rows))]
        if list(rows) != wanted or rows[0] + row * len(rows) > len(self._map):
            raise FileFormatError(
                f"{str(self._path)!r} must be read as a whole, with `keep` True: its trajectories "
                "do not lie one after the other"
            )
        return np.ndarray(shape, FLOAT, buffer=self._map, offset=rows[0])

    def release(self) -> None:
        """Give up the memory of what was looked at; it is read anew where it is looked at again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def map_h5md(path: str | os.PathLike[str]) -> Ensemble:
    """Open a finished file as `read_h5md` reads it, but for frames: they stay where they are.

    Parameters
    ----------
    path : path_like

    Returns
    -------
    Ensemble
        Whose `x`, `v`, observables and hidden variables are read-only, and read when they are
        looked at.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or not from this package.
    """
    with H5MDReader(path) as file:
        shape = file.shape
        info, particles = file.info, file.particles
        t = file.t
    mapped = MappedRun.of(Path(path), shape)
    more = (None, mapped.observables, mapped.hidden)
    return Ensemble(t, mapped.x, mapped.v, particles, info, *more)
