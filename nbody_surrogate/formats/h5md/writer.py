"""Writing a run, segment by segment, to a file that is readable at any moment.

HDF5 makes the file and is done with it before the first frame comes. Frames are then written with
plain file operations to where HDF5 said that their data set lies. So nothing of the structure can
change any more, nothing is buffered in this process, and a full disk is an ordinary error.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import final

import numpy as np

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError, RunError, one_line
from nbody_surrogate.files.atomic import (
    part_path,
    remove_left_parts,
    rename_part,
    renamed_at_end,
)
from nbody_surrogate.files.hdf5 import FLAG, FLOAT, INTEGER
from nbody_surrogate.files.new_file import open_existing
from nbody_surrogate.formats.h5md.guard_arrays import segments_told_of
from nbody_surrogate.formats.h5md.mapped import MappedRun
from nbody_surrogate.formats.h5md.provenance import dump_info, provenance_bytes
from nbody_surrogate.formats.h5md.run_path import check_disk_space, check_frames, held_output
from nbody_surrogate.formats.h5md.series import Tails, all_tails
from nbody_surrogate.formats.h5md.structure import create_structure, find_offsets
from nbody_surrogate.results.guard_events import GuardEvents
from nbody_surrogate.results.trajectory import RunInfo

__all__ = ["H5MDWriter"]


@final
class H5MDWriter:
    """Writes the frames of a run to ``NAME.h5.part`` and renames it when it is finished.

    Use it as a context manager. Leaving the block without `finish` keeps the ``.part`` where it has
    a frame, and else removes it. Meanwhile the name is held against other processes, by a lock that
    readers do not notice.

    Parameters
    ----------
    path : path_like
        Final name, ending in ``.h5``.
    particles : Particles
    dimensions : int
        D, 2 or 3.
    frames : int
        T, the start included.
    t0, dt : float
        Frame n is at ``t0 + n * dt``.
    overwrite : bool
        Whether an existing file may be replaced; it stays until `finish`.
    info : RunInfo, optional
        What is known before the run, so that an unfinished file says how it came about.
    label_error : bool
        Whether the run is verified: each call of `write` then brings its label errors.
    segments : int
        Those that a guard watches, of which `write_events` may have to tell.
    kept_frames : int
        Frames of an unfinished ``.part`` that are kept; what it holds beyond is written anew. It
        is not looked at whether they are of the same run. With 0 the file is made anew.
    box : Box, optional
        By default open space.
    observables : mapping of str to tuple of int, optional
        What is reported beside: the shape of its values of one trajectory at one frame.
    hidden : mapping of str to tuple of int, optional
        Hidden variables, likewise: (N, ...).

    Raises
    ------
    InputError
        If an argument is wrong or the frames do not fit on the disk.
    RunError
        If the file cannot be written, or another process writes to it.
    FileFormatError
        If it is to go on with a file that is damaged or of another shape.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        particles: Particles,
        dimensions: int,
        frames: int,
        t0: float,
        dt: float,
        *,
        overwrite: bool = False,
        info: RunInfo | None = None,
        label_error: bool = False,
        segments: int = 0,
        kept_frames: int = 0,
        box: Box | None = None,
        observables: Tails | None = None,
        hidden: Tails | None = None,
    ) -> None:
        self._shape = (particles.batch, frames, particles.n, dimensions)
        check_frames(dimensions, frames, t0, dt)
        self.frames = frames
        self.written = kept_frames
        self._overwrite = overwrite
        self._verified, self._box = label_error, box
        self._observables, self._hidden = observables or {}, hidden or {}
        self._segments = max(segments, segments_told_of(info))
        with ExitStack() as stack:
            self.path = stack.enter_context(held_output(path, overwrite, kept_frames > 0)).path
            self.part = part_path(self.path)
            # a file that is there has its space already
            if not kept_frames:
                shape, tails = self._shape, all_tails(self._observables, self._hidden)
                check_disk_space(self.path, shape, label_error, self._segments, tails)
            start = b"" if info is None or kept_frames else self._text(info, self._segments > 0)
            room = provenance_bytes(particles.batch, len(start))
            with self._reported():
                if kept_frames:
                    # not taken from a restart file: no byte is written where no data set lies
                    self._offsets = find_offsets(self.part, self._shape)
                    self._file = open_existing(self.part)
                else:
                    self._create(particles, t0 + np.arange(frames) * dt, start, room)
            self._held = stack.pop_all()

    def _create(self, particles: Particles, times: np.ndarray, start: bytes, room: int) -> None:
        """Make the file without its frames, in place of what an unfinished run left."""
        remove_left_parts(self.part)
        self.part.unlink(missing_ok=True)
        dimensions, verified = self._shape[3], self._verified
        try:
            # whole before it has its name: whatever stands there says whose it is
            with renamed_at_end(self.part, overwrite=False) as draft:
                self._offsets = create_structure(
                    *(draft, particles, times, dimensions, start, room, verified, self._box),
                    segments=self._segments,
                    observables=self._observables,
                    hidden=self._hidden,
                )
            self._file = open_existing(self.part)
        # it is another program's, made since the check: left alone
        except FileExistsError:
            raise
        # a file without its structure could not be gone on with
        except BaseException:
            self.part.unlink(missing_ok=True)
            raise

    def write(
        self,
        x: np.ndarray,
        v: np.ndarray,
        label_error: np.ndarray | None = None,
        valid: np.ndarray | None = None,
        observables: Mapping[str, np.ndarray] | None = None,
        hidden: Hidden = NOTHING_HIDDEN,
    ) -> None:
        """Append frames; call it once for each segment.

        They are written through: another process sees them on return.

        Parameters
        ----------
        x, v : ndarray, shape (B, F, N, D)
        label_error : ndarray, shape (B, F)
            Of a verified run, else None.
        valid : ndarray of bool, shape (B, F), optional
            Which frames are data; the others repeat the last one of a trajectory that stopped. By
            default all are.
        observables, hidden : mapping of str to ndarray, shape (B, F, ...)
            What was announced.

        Raises
        ------
        InputError
            If the shapes do not fit, there are too many frames or the writer is closed.
        RunError
            If the file cannot be written; what was written before stays readable.
        """
        self._check_frames(x, v)
        self._check_label_error(label_error, x.shape[1])
        valid = np.ones(x.shape[:2], dtype=bool) if valid is None else valid
        self._check_valid(valid, x.shape[1])
        # a list, so that all is checked before anything is written
        places, at = self._offsets, (self.written, valid.shape)
        pieces = list(places.observables.pieces(observables or {}, *at))
        pieces += places.hidden.pieces(hidden, *at)
        done, written = 8 * self.written * math.prod(self._shape[2:]), self.written + x.shape[1]
        with self._reported():
            # tobytes goes by the axes, also where the segment is a view in another order
            for b, (position, velocity) in enumerate(self._offsets.values):
                self._put(position + done, np.asarray(x[b], FLOAT).tobytes())
                self._put(velocity + done, np.asarray(v[b], FLOAT).tobytes())
            for b, offset in enumerate(self._offsets.label_errors):
                assert label_error is not None
                self._put(offset + 8 * self.written, np.asarray(label_error[b], FLOAT).tobytes())
            for offset, data in pieces:
                self._put(offset, data)
            self._mark(self.written, valid)
            # Only now: no reader sees frames in the making.
            self._put(self._offsets.counter, np.array(written, INTEGER).tobytes())
        self.written = written

    def _text(self, info: RunInfo, apart: bool, room: int | None = None) -> bytes:
        """Write `info` as text, what a guard found kept apart from it where it has its place."""
        if apart and info.guard is not None:
            info = replace(info, guard=replace(info.guard, events=()))
        return dump_info(info, self._shape[0], room)

    @property
    def holds_events(self) -> bool:
        """Whether what a guard finds has a place of its own in the file."""
        return self._offsets.guard is not None

    def write_events(self, events: GuardEvents, first: int, stop: int) -> None:
        """Write what a guard found in the segments from `first` up to, not including, `stop`.

        Where the file has no place for it, as those of releases before, `finish` writes it.

        Raises
        ------
        RunError
            If the file cannot be written.
        """
        if (places := self._offsets.guard) is None:
            return
        if events.trajectory.max(initial=0) >= places.batch:
            raise InputError(f"`events` must be of {places.batch} trajectories")
        with self._reported():
            for offset, data in places.pieces(events, first, min(stop, places.segments)):
                self._put(offset, data)

    def _mark(self, first: int, valid: np.ndarray) -> None:
        """Write which frames from a first one on are data."""
        # a file that an older version began has no place for it
        if self._offsets.valid is not None:
            offset = self._offsets.valid + self._shape[0] * first
            self._put(offset, np.asarray(valid.T, FLAG).tobytes())

    def _put(self, offset: int, data: bytes) -> None:
        """Write `data` to its place, past all buffers of this process."""
        self._file.seek(offset)
        rest = memoryview(data)
        while rest:
            # without a buffer, a write may take less than it was given
            rest = rest[self._file.write(rest) :]

    def mapped(self) -> MappedRun:
        """Show what the file holds by now, or once it is finished, as memory.

        Raises
        ------
        RunError
            If the disk cannot do so.
        """
        path = self.path if self._file.closed else self.part
        return MappedRun(path, self._offsets, self._shape)

    def sync(self) -> None:
        """Wait until what was written is on the disk.

        Raises
        ------
        RunError
            If it cannot be written.
        """
        with self._reported():
            os.fsync(self._file.fileno())

    def finish(self, info: RunInfo) -> None:
        """Store how the run went and give the file its final name.

        Raises
        ------
        InputError
            If frames are missing, or `info` does not fit.
        RunError
            If the file cannot be written or its name has been taken meanwhile. The frames stay
            in the ``.part``.
        """
        self._check_open()
        if self.written != self.frames:
            raise InputError(
                f"`frames` was given as {self.frames}, but {self.written} are written: write the "
                f"rest, or leave the block, which keeps {str(self.part)!r}"
            )
        # before anything is written: what does not fit leaves an unfinished file
        room = self._offsets.room
        text = self._text(info, self.holds_events, room)
        if info.guard is not None and self._offsets.guard is not None:
            # all once more: a run that was killed and went on otherwise may have left others
            self.write_events(info.guard.gathered, 0, self._offsets.guard.segments)
        with self._reported():
            # who writes frames need not know yet what becomes of them; `info` does
            if any(count < self.frames for count in info.good):
                self._mark(0, np.arange(self.frames) < np.array(info.good)[:, None])
            # in this order: what is marked as complete has its provenance, and what has its final
            # name is on the disk
            self._put(self._offsets.provenance, text.ljust(room, b"\0"))
            self._put(self._offsets.complete, np.array(1, INTEGER).tobytes())
            os.fsync(self._file.fileno())
            mine = self._is_mine()
            self._file.close()
            if not mine:
                raise FileNotFoundError(f"another program has moved or replaced {str(self.part)!r}")
            self._rename()
        self._held.close()

    def _is_mine(self) -> bool:
        """Whether what stands under the name of the part is what is written to."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(self._file.fileno()), self.part.lstat())
        return False

    def _rename(self) -> None:
        """Give the file its final name, in one step."""
        try:
            # it was free when the run began, hours ago
            rename_part(self.path, overwrite=self._overwrite)
        except FileExistsError:
            said = f"the file is there by now; the run is in {str(self.part)!r}"
            raise FileExistsError(said) from None

    def close(self) -> None:
        """Close the file without finishing it; harmless after `finish`."""
        if not self._file.closed:
            empty = self.written == 0 and self._is_mine()
            with suppress(OSError):  # all that counts has been written before
                self._file.close()
            if empty:
                self.part.unlink(missing_ok=True)
        self._held.close()

    def __enter__(self) -> H5MDWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._file.closed:
            raise InputError(f"`output` {str(self.path)!r} is closed, nothing can be added to it")

    def _check_frames(self, x: np.ndarray, v: np.ndarray) -> None:
        self._check_open()
        batch, frames, n, dimensions = self._shape
        for name, array in (("x", x), ("v", v)):
            if array.ndim != 4 or array.shape != (batch, x.shape[1], n, dimensions):
                raise InputError(
                    f"`{name}` must have shape (B, F, N, D) with B = {batch}, N = {n}, "
                    f"D = {dimensions} and as many frames F as `x`, got {array.shape}"
                )
        if self.written + x.shape[1] > frames:
            raise InputError(
                f"`x` must hold at most {frames - self.written} more of the {frames} frames "
                f"announced, got {x.shape[1]}"
            )

    def _check_label_error(self, label_error: np.ndarray | None, frames: int) -> None:
        shape = (self._shape[0], frames) if self._verified else None
        given = None if label_error is None else label_error.shape
        if given != shape:
            needed = f"have shape (B, F) = {shape}" if self._verified else "be None"
            raise InputError(f"`label_error` must {needed} in this file, got {given}")

    def _check_valid(self, valid: np.ndarray, frames: int) -> None:
        if valid.shape != (shape := (self._shape[0], frames)):
            raise InputError(f"`valid` must have shape (B, F) = {shape}, got {valid.shape}")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn a failure to write into one line."""
        try:
            yield
        except (OSError, RuntimeError) as error:  # HDF5's own failures are RuntimeErrors
            message = f"`output` {str(self.path)!r} cannot be written: {one_line(error)}"
            raise RunError(message) from None
