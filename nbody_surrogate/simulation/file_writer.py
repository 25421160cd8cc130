"""Where a run goes, and the observer that writes it, segment by segment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import final

from nbody_surrogate.contracts.arguments import demand_flag, demand_path
from nbody_surrogate.files.output_path import CheckedPath
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.simulation.checkpoint import Checkpoint
from nbody_surrogate.simulation.observers import Observer
from nbody_surrogate.simulation.recorder import Recorder

__all__ = ["FileWriter", "Output"]


@dataclass(frozen=True)
class Output:
    """Where a run goes.

    Attributes
    ----------
    path : path_like
        An ``.h5`` file, written segment by segment as ``.h5.part`` and renamed at the end.
    overwrite : bool
        Replace an existing file.
    checkpoint : path_like or Checkpoint, optional
        A restart file, replaced at each segment's boundary, from which `resume` goes on.

    Raises
    ------
    InputError
        If one is no path, or `overwrite` no truth value.
    """

    path: str | os.PathLike[str]
    overwrite: bool = False
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None

    def __post_init__(self) -> None:
        demand_path("output", self.path)
        demand_flag("overwrite", self.overwrite)
        if self.checkpoint is not None and not isinstance(self.checkpoint, Checkpoint):
            demand_path("checkpoint", self.checkpoint)


@final
class FileWriter(Observer):
    """Writes a run to its H5MD file. A run that has frames goes on in what is there.

    Parameters
    ----------
    path : CheckedPath
    overwrite : bool
    segments : int
        Those that a guard watches.
    """

    def __init__(self, path: CheckedPath, overwrite: bool, segments: int = 0) -> None:
        self._path, self._overwrite, self._segments = path, overwrite, segments
        self._writer: H5MDWriter | None = None

    @property
    def writer(self) -> H5MDWriter:
        """The open file."""
        assert self._writer is not None, "the run has not started"
        return self._writer

    def on_start(self, run: Recorder) -> None:
        """Make the file, or open what is there, and write the start."""
        problem = run.problem
        self._writer = H5MDWriter(
            self._path,
            problem.particles,
            run.x.shape[3],
            run.frames + 1,
            problem.t0,
            problem.dt,
            overwrite=self._overwrite,
            info=run.info,
            label_error=run.label_error is not None,
            segments=self._segments,
            # the start counts as a frame of a run that has begun
            kept_frames=run.done + 1 if run.done else 0,
            box=problem.system.box,
            observables={name: y.shape[2:] for name, y in run.observables.items()},
            hidden={name: y.shape[2:] for name, y in run.hidden.items()},
        )
        if run.done == 0:
            self.on_segment(run, slice(0, 1))
        if not run.keep:
            run.read_from(self.writer.mapped())

    def on_segment(self, run: Recorder, new: slice) -> None:
        """Write new frames."""
        if run.info.guard is not None and new.start > 0:
            length = run.integrator.options.segment
            # before the frames that they are of, so that no reader misses any
            self.writer.write_events(
                run.info.guard.gathered, (new.start - 1) // length, -(-(new.stop - 1) // length)
            )
        label_error = None if run.label_error is None else run.label_error[:, new]
        x, v = run.take(new)
        more = (run.valid(new), run.reported(new), run.take_hidden(new))
        self.writer.write(x, v, label_error, *more)

    def on_end(self, run: Recorder) -> None:
        """Store how the run went and give the file its final name."""
        if not run.keep:  # some systems rename no file that is shown as memory
            run.read_from(None)
        self.writer.finish(run.info)
        if not run.keep:
            run.read_from(self.writer.mapped())

    def close(self) -> None:
        """Keep what was written, under the name of an unfinished run."""
        if self._writer is not None:
            self._writer.close()
