"""The output that a restart file names: whether it may, and whether what is there is its run's.

Paths say little: a restart file may come from anybody, and a file may have been replaced since. A
file is taken for a run's by the identifier that was drawn for the run and stands in both.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, final

import numpy as np

from nbody_surrogate.contracts.hidden_variables import Hidden, listed
from nbody_surrogate.contracts.segment import HIDDEN_PREFIX
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.atomic import part_path
from nbody_surrogate.formats.h5md import (
    FileOrigin,
    H5MDReader,
    MappedRun,
    map_h5md,
    read_h5md,
    read_origin,
)
from nbody_surrogate.results.guard_events import GuardEvent
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.simulation.checkpoint import Restart
from nbody_surrogate.simulation.restart_arrays import particle_arrays, particles_hash

__all__ = [
    "FoundFrames",
    "RunOutput",
    "hidden_of",
    "is_below",
    "named_output",
    "of_another_run",
]


class FoundFrames(NamedTuple):
    """Frames of a run that are there.

    Attributes
    ----------
    x, v : ndarray, shape (B, F, N, D)
    hidden : mapping of str to ndarray, shape (B, F, N, ...)
    events : sequence of GuardEvent
        What its guard found by then.
    """

    x: np.ndarray
    v: np.ndarray
    hidden: Hidden
    events: Sequence[GuardEvent] = ()

    def state(self, t: float, seed: int | None) -> State:
        """Return the first of the frames."""
        hidden = {name: values[:, 0] for name, values in self.hidden.items()}
        return State(t, self.x[:, 0], self.v[:, 0], hidden=hidden, seed=seed)


def hidden_of(restart: Restart) -> Hidden:
    """Return the hidden variables of the state at the boundary, as far as it holds some.

    Raises
    ------
    FileFormatError
        If they are not of its particles.
    """
    shape = restart.arrays["carry.x"].shape[:2]
    found = restart.arrays_under(f"carry.{HIDDEN_PREFIX}")
    for name, values in found.items():
        if values.dtype != np.float64 or values.shape[:2] != shape:
            raise FileFormatError(
                f"the restart file is damaged: its hidden variable {name!r} has shape "
                f"{values.shape} and type {values.dtype}, for (B, N) = {shape}"
            )
    return found


def is_below(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder, or in one below it, whatever links lead there."""
    try:
        return path.parent.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a path that is none, or a circle of links
        return False


def named_output(
    restart: Restart, path: str | os.PathLike[str], given: str | os.PathLike[str] | None
) -> Path:
    """Return the output of a restart file, or what the user says in its place.

    Raises
    ------
    InputError
        If the file names an output outside of its own folder. Only its user may do that.
    """
    if given is not None:
        return Path(given).absolute()
    output = Path(restart.document.output)
    if not is_below(output, Path(path).absolute().parent):
        raise InputError(
            f"`output` must be given, since the restart file {os.fspath(path)!r} names one outside "
            f"of its folder: if it is yours, pass --output {str(output)!r}"
        )
    return output


def of_another_run(file: Path) -> FileFormatError:
    """Say that a file is not of the run of a restart file."""
    return FileFormatError(f"{str(file)!r} is of another run than the restart file")


@final
class RunOutput:
    """What there is of the run of a restart file.

    Parameters
    ----------
    restart : Restart
    path : Path
        Of the finished file.

    Attributes
    ----------
    path, part : Path
        Of the finished and of the unfinished file.
    finished, begun : bool
        Whether it is there, and is the run's.
    """

    def __init__(self, restart: Restart, path: Path) -> None:
        self.restart, self.path, self.part = restart, path, part_path(path)
        self.finished = self._is_ours(path, complete=True)
        self.begun = self._is_ours(self.part)

    def _is_ours(self, file: Path, complete: bool = False) -> bool:
        try:
            origin = read_origin(file)
        except FileFormatError:
            return False
        document, info = self.restart.document, origin.info
        if complete and not origin.complete:
            return False
        if document.identifier:
            return info.identifier == document.identifier
        # of a release that drew none
        return not info.identifier and self._looks_like(file, origin)

    def _looks_like(self, file: Path, origin: FileOrigin) -> bool:
        """Whether a file without identifier is of a run that is the same in all that is known."""
        document, info = self.restart.document, origin.info
        name = info.method.get("integrator")
        if (info.system, info.seed) != (document.system, document.seed):
            return False
        # it may have gone on by a method of other options, where that was allowed
        if name != document.method.get("integrator") or (
            origin.complete and info.method != document.method
        ):
            return False
        if origin.frames <= document.frame:
            return not origin.complete  # of frames that are lost, `frames` says so
        try:
            with H5MDReader(file) as reader:
                self._check_state(file, *reader.read(document.frame, document.frame + 1))
        except FileFormatError:
            return False
        return True

    def _check_state(self, file: Path, x: np.ndarray, v: np.ndarray) -> None:
        """Demand that the last of some frames (B, F, N, D) is the state at the boundary."""
        # frames of a failed trajectory are frozen, while the method moves it on in its carry
        running = [b for b, why in enumerate(self.restart.message) if not why]
        for values, key in ((x[:, -1], "carry.x"), (v[:, -1], "carry.v")):
            state = self.restart.arrays[key]
            if values.shape != state.shape or not np.array_equal(values[running], state[running]):
                raise of_another_run(file)

    def _check_hidden(self, file: Path, hidden: Hidden) -> None:
        """Demand the hidden variables of the boundary's state, as `_check_state` does."""
        known = hidden_of(self.restart)
        if known.keys() != hidden.keys():
            raise FileFormatError(
                f"{str(file)!r} must hold the hidden variables of its restart file, "
                f"{listed(known)}, it holds {listed(hidden)}"
            )
        running = [b for b, why in enumerate(self.restart.message) if not why]
        for name, values in hidden.items():
            last, state = values[:, -1], known[name]
            if last.shape != state.shape or not np.array_equal(last[running], state[running]):
                raise of_another_run(file)

    def result(self, keep: bool = True) -> Ensemble:
        """Read the finished run, or show its file where it is not to be kept in memory.

        Raises
        ------
        FileFormatError
            If the file is damaged.
        """
        run = read_h5md(self.path) if keep else map_h5md(self.path)
        document = self.restart.document
        if len(run.t) != document.frames + 1:
            raise of_another_run(self.path)
        boundary = slice(document.frame, document.frame + 1)
        if self.part.exists() and self.part.samefile(self.path):
            self.part.unlink()  # its other name, of a process that was killed while renaming it
        self._check_state(self.path, run.x[:, boundary], run.v[:, boundary])
        return run

    def particles(self) -> Particles:
        """Return the run's particles, of the restart file or else of what there is of the run.

        Raises
        ------
        FileFormatError
            If there is nothing of the run, or its file is damaged.
        """
        if (held := self.restart.particles) is not None:
            return held
        file = self.path if self.finished else self.unfinished()
        with H5MDReader(file) as reader:
            particles = reader.particles
        if particles_hash(particle_arrays(particles)) != self.restart.document.particles:
            raise of_another_run(file)
        return particles

    def unfinished(self) -> Path:
        """Return the unfinished file, which is to be there.

        Raises
        ------
        FileFormatError
            If it is not, is damaged, or is of another run.
        """
        if not self.begun:
            if not os.path.lexists(self.path) and not os.path.lexists(self.part):
                raise FileFormatError(
                    f"{str(self.part)!r} does not exist, which holds the run of the restart file"
                )
            there = self.path if self.path.exists() and not self.part.exists() else self.part
            read_origin(there)  # says what is wrong with it, where it is no run's
            raise of_another_run(there)
        return self.part

    def observables(self) -> dict[str, np.ndarray]:
        """Read what was reported up to the boundary.

        Raises
        ------
        FileFormatError
            If it is not there, or damaged.
        """
        with H5MDReader(self.unfinished()) as file:
            return file.observables()

    def mapped(self) -> MappedRun:
        """Show the frames of the unfinished run where they lie.

        Raises
        ------
        FileFormatError
            If the file is not there, is damaged, or of another run.
        """
        batch, n, dimensions = self.restart.arrays["carry.x"].shape
        shape = (batch, self.restart.document.frames + 1, n, dimensions)
        return MappedRun.of(self.unfinished(), shape)

    def start(self) -> FoundFrames:
        """Read the start, (B, 1, N, D)."""
        with H5MDReader(self.unfinished()) as file:
            return FoundFrames(*file.read(0, 1), file.read_hidden(0, 1))

    def frames(self, latest: int | None = None) -> FoundFrames:
        """Read what there is up to the boundary, and what the guard found by then.

        Parameters
        ----------
        latest : int, optional
            How many frames, those before the boundary and its own; by default all.

        Raises
        ------
        FileFormatError
            If they are not there.
        """
        document, part = self.restart.document, self.unfinished()
        # x and v in float64: no more is read, whatever the output claims to hold
        first = 0 if latest is None else max(document.frame + 1 - latest, 0)
        limit = 16 * (document.frame + 1 - first) * self.restart.arrays["carry.x"].size
        with H5MDReader(part, limit=limit) as file:
            if file.frames <= document.frame:
                raise FileFormatError(
                    f"{str(part)!r} holds {file.frames} frames, "
                    f"the restart file is at {document.frame}"
                )
            x, v = file.read(first, document.frame + 1)
            guard = file.info.guard
        # hidden variables may have more numbers than positions: by the limit of whoever reads runs
        with H5MDReader(part) as file:
            hidden = file.read_hidden(first, document.frame + 1)
        self._check_state(part, x, v)
        self._check_hidden(part, hidden)
        if guard is None:
            return FoundFrames(x, v, hidden)
        # what it found after the boundary, it finds again
        found = guard.gathered.where(guard.gathered.frame <= document.frame)
        return FoundFrames(x, v, hidden, found)

    def make_way(self, overwrite: bool) -> None:
        """Remove what the run, which is at its start, left of itself, and nothing else.

        Raises
        ------
        InputError
            If there is another run, and `overwrite` is not given.
        """
        if self.begun:
            self.part.unlink()
        there = [file for file in (self.path, self.part) if os.path.lexists(file)]
        if there and not overwrite:
            raise InputError(
                f"`output` must not exist yet, but {str(there[0])!r} is there, of another run: "
                "this one had not begun to write. Pass --overwrite to replace it, or --output "
                "another name"
            )
