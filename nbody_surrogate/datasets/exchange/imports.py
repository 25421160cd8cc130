"""Data sets of others, taken over with the hashes of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.exchange.nri import NriFiles
from nbody_surrogate.datasets.folder import check_space, made_by, remove_parts
from nbody_surrogate.datasets.manifest import (
    Manifest,
    ShardRecord,
    SourceFile,
    spec_hash,
    write_manifest,
)
from nbody_surrogate.datasets.shard import ShardData, shard_name, write_shard
from nbody_surrogate.errors import InputError
from nbody_surrogate.files.folder_lock import LOCK, sole_writer
from nbody_surrogate.files.sha256 import file_hash

__all__ = ["import_nri"]


def import_nri(
    files: NriFiles, folder: str | Path, *, progress: Callable[[float, int], None] | None = None
) -> Dataset:
    """Make a data set of the files of the literature.

    Parameters
    ----------
    files : NriFiles
    folder : path_like
        New or empty.
    progress : callable, optional
        Called with the trajectories taken over so far and the total.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the folder is not empty, or a value is NaN or infinite.
    FileFormatError
        If a file is damaged.
    RunError
        If nothing can be written.
    """
    folder, spec = Path(folder), files.spec
    with sole_writer(folder):
        if others := sorted(path.name for path in folder.iterdir() if path.name != LOCK):
            raise InputError(
                f"`output` {str(folder)!r} holds {others[0]!r} already; choose an empty folder"
            )
        check_space(folder, 16 * spec.trajectories * spec.rows * spec.particles * spec.dimensions)
        times = spec.numbers * spec.make_system().spec.frame_dt
        digest, records = spec_hash(spec), []
        try:
            for number, part in enumerate(spec.shards):
                block = files.read(part.start, part.stop)
                _check_finite(block, part, spec.ranges)
                path = folder / shard_name(number)
                nothing = np.empty((0, 0))
                write_shard(
                    path,
                    ShardData(digest, part.start, times, block, np.empty(0, np.int64), nothing),
                )
                records.append(
                    ShardRecord(
                        name=path.name,
                        first=part.start,
                        count=len(part),
                        bytes=path.stat().st_size,
                        sha256=file_hash(path),
                    )
                )
                if progress is not None:
                    progress(part.stop, spec.trajectories)
            source = tuple(SourceFile(name=p.name, sha256=file_hash(p)) for p in files.paths)
            write_manifest(
                folder,
                Manifest(
                    spec=spec,
                    versions=made_by(),
                    shards=tuple(records),
                    label_error_note="imported: not known, see `nbody-sim dataset audit`",
                    source=source,
                ),
            )
        except BaseException:  # there is nothing to go on from
            remove_parts(folder)
            for record in records:
                (folder / record.name).unlink(missing_ok=True)
            raise
    return Dataset(folder)


def _check_finite(block: TrajectoryBlock, part: range, splits: dict[str, range]) -> None:
    for key, values in (("loc", block.x), ("vel", block.v)):
        if not np.isfinite(values).all():
            b, row = np.argwhere(~np.isfinite(values).all((2, 3)))[0].tolist()
            split = next(name for name, each in splits.items() if part.start + b in each)
            i = part.start + b - splits[split].start
            raise InputError(
                f"`files`: {key} of split {split!r} holds NaN or infinity in trajectory {i}, row "
                f"{row}; `nbody-sim dataset audit` on the files counts them all"
            )
