"""Reading trajectories, finished or in the making, from files that are not trusted."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, final

import h5py
import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import FileFormatError, one_line
from nbody_surrogate.files.hdf5 import (
    DAMAGE,
    check_size,
    floats_at,
    group_at,
    has_groups,
    integers_at,
    open_flags,
    open_floats,
    text_at,
)
from nbody_surrogate.formats.h5md.layout import (
    FORMAT,
    FRAMES_WRITTEN,
    LABEL_ERROR,
    MAX_BYTES,
    OBSERVABLES,
    OURS,
    VALID,
    trajectory_name,
)
from nbody_surrogate.formats.h5md.provenance import load_info
from nbody_surrogate.results.trajectory import Ensemble, RunInfo

__all__ = ["H5MDReader", "read_h5md", "reported"]


def read_h5md(path: str | os.PathLike[str], *, limit: int = MAX_BYTES) -> Ensemble:
    """Read a finished file, or what an unfinished ``.part`` holds by now.

    Of an unfinished run, `info` says so: every status is -1, every message gives the number of
    frames. ``info.good`` counts the frames of each trajectory that are data, unfinished or not;
    those after them repeat the last one.

    Parameters
    ----------
    path : path_like
    limit : int
        Most bytes of positions and velocities to read.

    Returns
    -------
    Ensemble
        `t` (T,), `x` and `v` (B, T, N, D), where T counts the frames written, and the
        `label_error` (B, T) of a verified run.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, too large or not from this package.
    """
    with H5MDReader(path, limit=limit) as file:
        x, v = file.read(0, file.frames)
        return Ensemble(file.t, x, v, file.particles, file.info, file.label_error)


@final
class H5MDReader:
    """An open file, of which frames can be read one by one. Use it as a context manager.

    Parameters
    ----------
    path : path_like
    limit : int
        Most bytes of positions and velocities to read at once.

    Attributes
    ----------
    frames : int
        Frames that can be read; of an unfinished run, those written by now.
    complete : bool
        Whether the run was finished.
    t : ndarray, shape (frames,)
    particles : Particles
    info : RunInfo
    label_error : ndarray, shape (B, frames), or None
        None where the run was not verified.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or not from this package.
    """

    def __init__(self, path: str | os.PathLike[str], *, limit: int = MAX_BYTES) -> None:
        self.path = Path(path)
        self._limit = limit
        with reported(self.path):
            if not self.path.is_file():
                reason = "it is not a regular file" if self.path.exists() else "it does not exist"
                raise ValueError(reason)
            # a run under way has the file open, and HDF5 would lock others out
            self._file = h5py.File(self.path, "r", locking=False)
            try:
                self._read_header()
            # `__exit__` is not called of an object that was not made
            except BaseException:
                self._file.close()
                raise

    def _read_header(self) -> None:
        ours = group_at(self._file, OURS)
        (number,) = integers_at(ours, "format")
        if number != FORMAT:
            raise ValueError(f"its format is {number}, this version reads format {FORMAT}")
        (complete,) = integers_at(ours, "complete")
        # In this order: the frames of a file marked as complete are all counted.
        (self.frames,) = integers_at(self._file, FRAMES_WRITTEN)
        self.complete = complete == 1
        self._shape = self._read_shape(ours)
        batch, announced, _, _ = self._shape
        # without a frame there is nothing to read of an unfinished run
        least = announced if self.complete else 1
        if complete not in (0, 1) or not least <= self.frames <= announced:
            marked = "finished" if complete else "unfinished"
            raise ValueError(f"it is {marked} with {self.frames} of {announced} frames")
        self._groups = self._trajectories(batch)
        self.t = floats_at(self._groups[0], "position/time", (announced,))[: self.frames]
        if not np.isfinite(self.t).all():
            raise ValueError("its times are not finite")
        self.particles = self._read_particles()
        self.label_error = self._read_label_error(batch, announced)
        self.info = self._with_valid_frames(self._read_info(ours))

    def _read_shape(self, ours: Any) -> tuple[int, int, int, int]:
        batch, frames, n, dimensions = integers_at(ours, "shape", (4,))
        if min(batch, frames, n) < 1 or dimensions not in (2, 3):
            raise ValueError(f"its shape (B, T, N, D) is {(batch, frames, n, dimensions)}")
        # a file may announce any shape; x and v are of 8 bytes each
        check_size(self._file, 16 * batch * frames * n * dimensions)
        return batch, frames, n, dimensions

    def _trajectories(self, batch: int) -> list[Any]:
        particles = group_at(self._file, "particles")
        if len(particles) != batch:
            raise ValueError(f"it should hold {batch} trajectories, but holds {len(particles)}")
        return [group_at(particles, trajectory_name(b)) for b in range(batch)]

    def _read_particles(self) -> Particles:
        batch, _, n, _ = self._shape
        charges = np.stack([floats_at(group, "charge", (n,)) for group in self._groups])
        masses = np.stack([floats_at(group, "mass", (n,)) for group in self._groups])
        if "couplings" not in self._groups[0]:
            return Particles(charges, masses)
        check_size(self._file, 8 * batch * n * n)
        couplings = [floats_at(group, "couplings", (n, n)) for group in self._groups]
        return Particles(charges, masses, np.stack(couplings))

    def _read_label_error(self, batch: int, announced: int) -> np.ndarray | None:
        # other programs may have put observables of their own beside it
        if not has_groups(self._file, f"{OBSERVABLES}/{trajectory_name(0)}/{LABEL_ERROR}"):
            return None
        check_size(self._file, 8 * batch * announced)
        paths = [f"{OBSERVABLES}/{trajectory_name(b)}/{LABEL_ERROR}/value" for b in range(batch)]
        values = [floats_at(self._file, path, (announced,)) for path in paths]
        return np.stack(values)[:, : self.frames]

    def _read_info(self, ours: Any) -> RunInfo:
        batch, announced, _, _ = self._shape
        if self.complete:
            return load_info(text_at(ours, "provenance"), batch)
        info = RunInfo(system={}, method={"integrator": "unknown"})
        # it is not there where the writer was not told before the run
        if "provenance_start" in ours:
            info = load_info(text_at(ours, "provenance_start"), batch)
        message = f"unfinished: {self.frames} of {announced} frames are written"
        return replace(
            info, status=(-1,) * batch, message=(message,) * batch, good=(self.frames,) * batch
        )

    def _with_valid_frames(self, info: RunInfo) -> RunInfo:
        """Take the frames that are marked as data; files of older versions have no marks."""
        batch, announced, _, _ = self._shape
        if not has_groups(self._file, f"{OBSERVABLES}/{VALID}"):
            return info
        check_size(self._file, batch * announced)
        marks = open_flags(self._file, f"{OBSERVABLES}/{VALID}/value", (announced, batch))
        valid = marks[: self.frames] != 0
        # up to the first that is not: from there on a trajectory stands still
        good = np.where(valid.all(0), self.frames, valid.argmin(0))
        return replace(info, good=tuple(int(count) for count in good))

    def read(
        self, start: int, stop: int
    ) -> tuple[Float64[np.ndarray, "B F N D"], Float64[np.ndarray, "B F N D"]]:
        """Read positions and velocities of the frames from `start` up to, not including, `stop`.

        Returns
        -------
        x, v : ndarray, shape (B, F, N, D)

        Raises
        ------
        FileFormatError
            If the file is damaged, the frames are not there or take more than the limit.
        """
        with reported(self.path):
            if not 0 <= start < stop <= self.frames:
                raise ValueError(f"it has frames 0 to {self.frames}, not {start} to {stop}")
            batch, _, n, dimensions = self._shape
            shape = (batch, stop - start, n, dimensions)
            if (needed := 16 * math.prod(shape)) > self._limit:
                raise ValueError(f"its frames take {needed} bytes, the limit is {self._limit}")
            return self._values("position", start, shape), self._values("velocity", start, shape)

    def _values(self, name: str, start: int, shape: tuple[int, ...]) -> np.ndarray:
        path, frames = f"{name}/value", slice(start, start + shape[1])
        # all are looked at before memory is taken for any
        datasets = [open_floats(group, path, self._shape[1:]) for group in self._groups]
        values = np.empty(shape)
        for dataset, target in zip(datasets, values, strict=True):
            target[...] = dataset[frames]
        return values

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> H5MDReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file causes into one line that names it."""
    try:
        yield
    except DAMAGE as error:
        raise FileFormatError(
            f"{str(path)!r} cannot be read as a trajectory: {one_line(error)}"
        ) from None
