"""Reading trajectories, finished or in the making, from files that are not trusted."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, final

import h5py
import numpy as np

from nbody_surrogate.contracts.arguments import demand_path
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import FileFormatError, InputError, MissingFileError, one_line
from nbody_surrogate.files.hdf5 import (
    DAMAGE,
    check_size,
    group_at,
    has_groups,
    integers_at,
    open_flags,
    text_at,
)
from nbody_surrogate.formats.h5md.guard_arrays import read_guard
from nbody_surrogate.formats.h5md.layout import (
    ENSEMBLE_FORMAT,
    EXPORTED,
    FORMAT,
    FRAMES_WRITTEN,
    GUARDED_FORMAT,
    MAX_BYTES,
    OBSERVABLES,
    OURS,
    VALID,
    VECTORS,
)
from nbody_surrogate.formats.h5md.provenance import load_info
from nbody_surrogate.formats.h5md.series import HIDDEN, OBSERVED, SeriesKind
from nbody_surrogate.formats.h5md.stored import AbstractStored, StoredArrays, StoredGroups
from nbody_surrogate.results.trajectory import Ensemble, RunInfo

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["H5MDReader", "read_h5md", "reported"]

CHUNK = 8192  # numbers looked at together: few calls, and each by one thread


def read_h5md(
    path: str | os.PathLike[str],
    *,
    trajectory: int | None = None,
    limit: int = MAX_BYTES,
) -> Ensemble:
    """Read a finished file, or what an unfinished ``.part`` holds by now.

    Of an unfinished run, `info` says so: every status is -1, every message gives the number of
    frames. ``info.good`` counts the frames of each trajectory that are data, unfinished or not;
    those after them repeat the last one.

    Parameters
    ----------
    path : path_like
    trajectory : int, optional
        The one to read; by default all. The others are not looked at, and cost no time.
    limit : int
        Most bytes of positions and velocities to read.

    Returns
    -------
    Ensemble
        `t` (T,), `x` and `v` (B, T, N, D), where T counts the frames written, and the
        `label_error` (B, T) of a verified run.

    Raises
    ------
    InputError
        If `trajectory` is not there.
    FileFormatError
        If the file is missing, damaged, too large or not from this package.
    """
    with H5MDReader(path, limit=limit) as file:
        return file.ensemble(trajectory)


@final
class H5MDReader:
    """An open file, of which frames can be read one by one. Use it as a context manager.

    Opening it looks at no trajectory but the first; each of the others is looked at when it is
    asked for.

    Parameters
    ----------
    path : path_like
    limit : int
        Most bytes of positions and velocities to read at once.

    Attributes
    ----------
    batch : int
        Trajectories in the file, B.
    shape : tuple of int
        (B, T, N, D), T counting the frames that were announced.
    frames : int
        Frames that can be read; of an unfinished run, those written by now.
    complete : bool
        Whether the run was finished.
    t : ndarray, shape (frames,)
    info : RunInfo
        With entries for all trajectories.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged or not from this package.
    """

    def __init__(self, path: str | os.PathLike[str], *, limit: int = MAX_BYTES) -> None:
        self.path = demand_path("path", path)
        self._limit = limit
        with reported(self.path):
            if not self.path.is_file():
                if self.path.exists():
                    raise ValueError("it is not a regular file")
                raise MissingFileError(
                    f"{str(self.path)!r} cannot be read as a trajectory: it does not exist"
                )
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
        if number not in (FORMAT, GUARDED_FORMAT, ENSEMBLE_FORMAT):
            raise ValueError(
                f"its format is {number}, this version reads formats {FORMAT} to {ENSEMBLE_FORMAT}"
            )
        (complete,) = integers_at(ours, "complete")
        # In this order: the frames of a file marked as complete are all counted.
        (self.frames,) = integers_at(self._file, FRAMES_WRITTEN)
        self.complete = complete == 1
        self.shape = self._read_shape(ours)
        self.batch, announced, _, _ = self.shape
        # without a frame there is nothing to read of an unfinished run
        least = announced if self.complete else 1
        if complete not in (0, 1) or not least <= self.frames <= announced:
            marked = "finished" if complete else "unfinished"
            raise ValueError(f"it is {marked} with {self.frames} of {counted(announced, 'frame')}")
        if (held := len(group_at(self._file, "particles"))) != self.batch:
            raise ValueError(
                f"it should hold {counted(self.batch, 'trajectory')}, but holds {held}"
            )
        self._stored = self._find_stored(number)
        self.t = self._stored.times()[: self.frames]
        if not np.isfinite(self.t).all():
            raise ValueError("its times are not finite")
        if not (np.diff(self.t) > 0).all():
            raise ValueError("its times do not grow from frame to frame")
        self.info = self._with_valid_frames(self._read_info(ours))

    def _read_shape(self, ours: Any) -> tuple[int, int, int, int]:
        batch, frames, n, dimensions = integers_at(ours, "shape", (4,))
        if min(batch, frames, n) < 1 or dimensions not in (2, 3):
            raise ValueError(f"its shape (B, T, N, D) is {(batch, frames, n, dimensions)}")
        # a file may announce any shape; x and v are of 8 bytes each
        check_size(self._file, 16 * batch * frames * n * dimensions)
        return batch, frames, n, dimensions

    def _find_stored(self, number: int) -> AbstractStored:
        if number == ENSEMBLE_FORMAT:
            return StoredArrays(self._file, self.shape)
        exported = EXPORTED in self._file and integers_at(self._file, EXPORTED) == [1]
        return StoredGroups(self._file, self.shape, exported)

    def _read_info(self, ours: Any) -> RunInfo:
        batch, announced, _, _ = self.shape
        if self.complete:
            return self._with_events(load_info(text_at(ours, "provenance"), batch), ours)
        info = RunInfo(system={}, method={"integrator": "unknown"})
        # it is not there where the writer was not told before the run
        if "provenance_start" in ours:
            info = self._with_events(load_info(text_at(ours, "provenance_start"), batch), ours)
        message = f"unfinished: {self.frames} of {counted(announced, 'frame')} are written"
        return replace(
            info, status=(-1,) * batch, message=(message,) * batch, good=(self.frames,) * batch
        )

    def _with_events(self, info: RunInfo, ours: Any) -> RunInfo:
        """Add what a guard found, where the file holds it as arrays."""
        # of a finished run all: frames taken of a run keep what its guard found of the whole
        frames = None if self.complete else self.frames
        events = None if info.guard is None else read_guard(ours, self.shape[0], frames)
        if events is None or info.guard is None:
            return info
        return replace(info, guard=replace(info.guard, events=events))

    def _with_valid_frames(self, info: RunInfo) -> RunInfo:
        """Take the frames that are marked as data; files of older versions have no marks."""
        batch, announced, _, _ = self.shape
        if not has_groups(self._file, f"{OBSERVABLES}/{VALID}"):
            return info
        check_size(self._file, batch * announced)
        marks = open_flags(self._file, f"{OBSERVABLES}/{VALID}/value", (announced, batch))
        valid = marks[: self.frames] != 0
        # up to the first that is not: from there on a trajectory stands still
        good = np.where(valid.all(0), self.frames, valid.argmin(0))
        return replace(info, good=tuple(int(count) for count in good))

    @property
    def particles(self) -> Particles:
        """Those of all trajectories.

        Raises
        ------
        FileFormatError
            If the file is damaged.
        """
        with reported(self.path):
            return self._stored.particles(range(self.batch))

    def ensemble(self, trajectory: int | None = None) -> Ensemble:
        """Read all frames of one trajectory, as an ensemble of one; by default of all.

        Raises
        ------
        InputError
            If it is not there.
        FileFormatError
            If the file is damaged or they take more than the limit.
        """
        numbers = self._numbers(trajectory)
        x, v = self.read(0, self.frames, trajectory)
        with reported(self.path):
            particles = self._stored.particles(numbers)
            label_error = self._stored.label_error(numbers)
            observables = self.observables(trajectory)
            hidden = self.read_hidden(0, self.frames, trajectory)
        if label_error is not None:
            label_error = label_error[:, : self.frames]
        info = self.info if trajectory is None else self.info.of(trajectory)
        return Ensemble(self.t, x, v, particles, info, label_error, observables, hidden)

    def observables(self, trajectory: int | None = None) -> dict[str, np.ndarray]:
        """Read what the run reported of its frames, shape (B, T, ...) each.

        Raises
        ------
        InputError
            If the trajectory is not there.
        FileFormatError
            If the file is damaged, or they take more than the limit.
        """
        return self._series(OBSERVED, trajectory, slice(0, self.frames))

    def read_hidden(
        self, start: int, stop: int, trajectory: int | None = None
    ) -> dict[str, np.ndarray]:
        """Read the hidden variables of some frames, shape (B, F, N, ...) each, as `read` does.

        Raises
        ------
        InputError
            If the trajectory is not there.
        FileFormatError
            If the file is damaged, or they take more than the limit.
        """
        return self._series(HIDDEN, trajectory, slice(start, stop))

    def _series(
        self, kind: SeriesKind, trajectory: int | None, frames: slice
    ) -> dict[str, np.ndarray]:
        numbers, arrays = self._numbers(trajectory), isinstance(self._stored, StoredArrays)
        with reported(self.path):
            places = kind.find(self._file, self.shape, arrays)
            values = sum(math.prod(tail) for tail in places.tails.values())
            needed = 8 * len(numbers) * (frames.stop - frames.start) * values
            if needed > self._limit:
                said = f"{kind.word}s take {needed} bytes, the limit is {self._limit}"
                raise ValueError(f"its {said}")
            found = kind.read(self._file, self.shape, arrays, numbers, frames)
            for name, each in found.items():
                self._demand_finite(f"{kind.word} {name!r}", each, numbers, frames.start)
            return found

    def _numbers(self, trajectory: int | None) -> range:
        if trajectory is None:
            return range(self.batch)
        if not 0 <= trajectory < self.batch:
            raise InputError(f"`trajectory` must be from 0 to {self.batch - 1}, got {trajectory}")
        return range(trajectory, trajectory + 1)

    def read(
        self, start: int, stop: int, trajectory: int | None = None
    ) -> tuple[Float64[np.ndarray, "B F N D"], Float64[np.ndarray, "B F N D"]]:
        """Read positions and velocities of the frames from `start` up to, not including, `stop`.

        Parameters
        ----------
        start, stop : int
        trajectory : int, optional
            By default all.

        Returns
        -------
        x, v : ndarray, shape (B, F, N, D)

        Raises
        ------
        InputError
            If the trajectory is not there.
        FileFormatError
            If the file is damaged, the frames are not there or take more than the limit.
        """
        numbers = self._numbers(trajectory)
        with reported(self.path):
            if not 0 <= start < stop <= self.frames:
                raise ValueError(f"it has frames 0 to {self.frames}, not {start} to {stop}")
            _, _, n, dimensions = self.shape
            shape = (len(numbers), stop - start, n, dimensions)
            if (needed := 16 * math.prod(shape)) > self._limit:
                raise ValueError(f"its frames take {needed} bytes, the limit is {self._limit}")
            x, v = (self._stored.frames(name, numbers, start, stop) for name in VECTORS)
            for name, values in zip(VECTORS, (x, v), strict=True):
                self._demand_finite(name, values, numbers, start)
            return x, v

    def _demand_finite(self, name: str, values: np.ndarray, numbers: range, start: int = 0) -> None:
        """Refuse NaN and infinity in (B, F, ...) where frames are data: no run writes any there."""
        flat = values.reshape(-1)
        chunks = (flat[at : at + CHUNK] for at in range(0, flat.size, CHUNK))
        # a sum of squares is finite only where all are: the fastest pass, and no array beside
        with np.errstate(over="ignore", invalid="ignore"):
            if all(math.isfinite(np.dot(each, each)) for each in chunks):
                return
        good = np.array(self.info.good or (self.frames,) * self.batch)[list(numbers)]
        data = np.arange(start, start + values.shape[1]) < good[:, None]
        wrong = data & ~np.isfinite(values).all(tuple(range(2, values.ndim)))
        if wrong.any():
            row, frame = np.argwhere(wrong)[0]
            raise ValueError(
                f"its {name} is not finite in trajectory {numbers[row]} at frame {start + frame}, "
                "which is marked as valid"
            )

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
