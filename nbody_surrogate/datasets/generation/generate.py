"""Making a data set: shard by shard, on any number of workers, and on again after a kill."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.system_versions import finer_text, finer_version
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.folder import (
    check_space,
    claim,
    is_finished,
    is_whole,
    remove_parts,
)
from nbody_surrogate.datasets.generation.legacy_stream import LegacyStream
from nbody_surrogate.datasets.generation.measure_label_error import (
    label_error_rows,
    sharper_solver,
    solver_text,
    summarised,
)
from nbody_surrogate.datasets.generation.shard_job import ShardJob, make_shard
from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.manifest import (
    Manifest,
    ShardRecord,
    spec_hash,
    write_manifest,
)
from nbody_surrogate.datasets.shard import ShardReader, shard_name
from nbody_surrogate.datasets.spec import DatasetSpec, as_spec
from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.files.hdf5 import STRUCTURE
from nbody_surrogate.files.output_path import check_file_size
from nbody_surrogate.files.sha256 import file_hash
from nbody_surrogate.parallel.limits import check_workers
from nbody_surrogate.parallel.processes import run_here, run_on_workers
from nbody_surrogate.registry.lookup import is_local

__all__ = ["generate_dataset"]

SECONDS = 1.0
"""Between two notes of what is finished."""

DIED = "a worker process died, perhaps for want of memory; use fewer `workers` or a smaller `shard`"

Progress = Callable[[float, int], None]
"""Called with the trajectories made so far and the total; may raise to cancel."""


@guided(
    preset="`spec`: generate_dataset('charged', folder)",
    output="`folder`",
    path="`folder`",
    folder="the folder that gets it, such as 'data/mine'",
    trajectories="a mapping: {'preset': 'charged', 'trajectories': 100}",
)
def generate_dataset(
    spec: DatasetSpec | str | os.PathLike[str] | Mapping[str, Any],
    folder: str | os.PathLike[str],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Dataset:
    """Make a data set, or what is missing of it.

    Trajectory i depends on the spec and i alone: not on shards, workers or interruptions. Shards
    that are finished stay, whatever ends the run.

    Parameters
    ----------
    spec : DatasetSpec, str, path_like or mapping
        The name of a preset, a TOML file, or a mapping of what `DatasetSpec` holds, where
        ``preset`` may name what the others change.
    folder : path_like
        New, empty, or with a part of the same data set.
    workers : int
        Trajectories that are made at a time: on threads where the integrator has them, else in
        processes. A script that asks for processes must be importable, that is, do its work
        under ``if __name__ == "__main__"``.
    progress : callable, optional

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the spec is wrong, the folder holds something else, or the disk is too small.
    FileFormatError
        If the folder's manifest is damaged or of a newer format.
    RunError
        If a trajectory fails or nothing can be written.
    """
    check_workers(workers)
    spec = as_spec(spec)
    maker = TrajectoryMaker(spec, threads=workers)
    maker.check()
    if workers > 1 and not maker.threaded:
        _check_portable(spec)
    folder = Path(folder)
    with sole_writer(folder):
        manifest = claim(folder, spec, maker.hidden_variables)
        if not is_finished(folder, manifest):
            remove_parts(folder)
            _Generation(maker, folder, manifest).run(workers, progress)
    return Dataset(folder)


def _check_portable(spec: DatasetSpec) -> None:
    """Demand that worker processes can find system and integrator."""
    assert spec.integrator is not None
    for kind, name in (("systems", spec.system), ("integrators", spec.integrator)):
        if is_local(kind, name):  # type: ignore[arg-type]
            raise InputError(
                f"`workers` must be 1: {name!r} is registered in this process only; "
                "or install it as a plugin"
            )


class _Generation:
    """One run: which shards are there, which are missing."""

    def __init__(self, maker: TrajectoryMaker, folder: Path, manifest: Manifest) -> None:
        self.maker, self.spec, self.folder = maker, maker.spec, folder
        self.manifest, self.hash = manifest, spec_hash(maker.spec)
        self.parts = {shard_name(i): part for i, part in enumerate(self.spec.shards)}
        self.records = {record.name: record for record in manifest.shards}
        self.made, self.written = 0, 0.0

    def run(self, workers: int, progress: Progress | None) -> None:
        """Find what is finished, make the rest, and say how wrong it is."""
        for name in self.parts:
            self._adopt(name)
        self._write()
        missing = [part for name, part in self.parts.items() if name not in self.records]
        self.made = self.spec.trajectories - sum(map(len, missing))
        check_space(self.folder, sum(map(len, missing)) * self._bytes_each())
        longest = max(map(len, missing), default=0)
        check_file_size(self.folder / shard_name(0), STRUCTURE + longest * self._bytes_each())

        def tick(trajectories: int) -> None:
            self.made += trajectories
            if progress is not None:
                progress(self.made, self.spec.trajectories)

        jobs, processes = self._jobs(), min(workers, len(missing))
        if self.maker.threaded or processes <= 1:
            done = run_here(make_shard, jobs, tick)
        else:
            done = run_on_workers(make_shard, jobs, processes, tick, died=DIED, finish=True)
        try:
            for job in done:
                self._record(job.path.name)
                self._write_now_and_then()
        except RunError as error:
            raise RunError(f"{error}; {self._kept()}") from None
        finally:
            done.close()
            remove_parts(self.folder)
            with suppress(RunError):  # what is not noted is found again
                self._write()
        self._summarise()

    def _kept(self) -> str:
        return (
            f"{len(self.records)} of {len(self.parts)} shards are finished and kept, the same "
            "command goes on from there"
        )

    def _bytes_each(self) -> int:
        spec = self.spec
        sized = 8 * spec.particles if self.maker.system.needs_radii else 0
        hidden = sum(
            8 * spec.rows * math.prod(tail) for tail in self.manifest.hidden_shapes.values()
        )
        return 16 * (spec.rows * spec.dimensions + 1) * spec.particles + sized + hidden

    def _adopt(self, name: str) -> None:
        """Take over a shard that is whole, and forget one that is not as recorded."""
        path, record = self.folder / name, self.records.get(name)
        if record is not None and is_whole(self.folder, record):
            return
        self.records.pop(name, None)
        if path.exists():
            try:
                self._record(name)  # it was finished in the moment of a kill
            except FileFormatError:
                path.unlink()

    def _record(self, name: str) -> None:
        """Note a finished shard."""
        path, part = self.folder / name, self.parts[name]
        with ShardReader(path, self.hash, self.manifest.hidden_shapes) as shard:
            if (shard.first, shard.shape[0]) != (part.start, len(part)):
                raise FileFormatError(f"{str(path)!r} holds other trajectories")
            if self.manifest.hidden:
                shard.read(0, 1)  # which refuses what is missing of them
        size, digest = path.stat().st_size, file_hash(path)
        self.records[name] = ShardRecord(
            name=name, first=part.start, count=len(part), bytes=size, sha256=digest
        )

    def _write(self, **changes: object) -> None:
        shards = tuple(self.records[name] for name in self.parts if name in self.records)
        self.manifest = self.manifest.model_copy(update={"shards": shards, **changes})
        write_manifest(self.folder, self.manifest)
        self.written = time.monotonic()

    def _write_now_and_then(self) -> None:
        if time.monotonic() - self.written > SECONDS:
            self._write()

    def _jobs(self) -> Iterator[ShardJob]:
        """Missing shards in order, with their starts where these come from one stream."""
        stream = None
        if self.spec.legacy is not None:
            stream = LegacyStream(self.spec, self.maker.system)
        finished = frozenset(self.records)  # as it is now; jobs are taken one by one
        for name, part in self.parts.items():
            path = self.folder / name
            if name in finished:
                if stream is not None:
                    self._jump(stream, path, part)
                continue
            starts = None if stream is None else stream.draw(part)
            yield ShardJob(self.spec, self.hash, path, part, self.maker.threads, starts)

    def _jump(self, stream: LegacyStream, path: Path, part: range) -> None:
        with ShardReader(path, self.hash) as shard:
            try:
                stream.jump(part, shard.stream())
            except (ValueError, OverflowError):
                raise FileFormatError(
                    f"{str(path)!r} holds no state of a stream; remove it to make it again"
                ) from None

    def _summarise(self) -> None:
        """Note how wrong the rows may be, of all that the shards say."""
        tight = sharper_solver(self.maker.integrator)
        errors, of_system = [], []
        for name in self.parts:
            with ShardReader(self.folder / name, self.hash) as shard:
                errors.append(shard.label_errors()[1])
                of_system.append(shard.system_errors())
        taken, compared = ([e for e in each if e.size] for each in (errors, of_system))
        rows, solver = label_error_rows(self.spec), tight or self.maker.integrator
        method, found = solver_text(solver.description), {}
        system = self.maker.system
        if (finer := finer_version(system)) is not None and compared:
            named = f"{system.name} with {finer_text(system, finer)}, by {method}"
            found["system_error"] = summarised(named, rows, np.concatenate(compared))
        if tight is None or not taken:
            note = f"{self.spec.integrator} cannot be made sharper"
            self._write(label_error_note=note, **found)
            return
        self._write(label_error=summarised(method, rows, np.concatenate(taken)), **found)
