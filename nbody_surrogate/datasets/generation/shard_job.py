"""One shard to make: what a worker is handed, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbody_surrogate.datasets.generation.legacy_stream import LegacyStarts
from nbody_surrogate.datasets.generation.measure_label_error import label_error_sample, label_errors
from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.shard import ShardData, write_shard
from nbody_surrogate.datasets.spec import DatasetSpec

__all__ = ["ShardJob", "make_shard"]


@dataclass(frozen=True)
class ShardJob:
    """One shard to make.

    Attributes
    ----------
    spec : DatasetSpec
    spec_hash : str
    path : Path
    part : range
        Numbers of its trajectories.
    threads : int
    starts : LegacyStarts or None
        Where starts come from one stream, they are drawn before the job is handed out; else each
        trajectory has a seed of its own.
    """

    spec: DatasetSpec
    spec_hash: str
    path: Path
    part: range
    threads: int
    starts: LegacyStarts | None


def make_shard(job: ShardJob, tick: Callable[[int], None]) -> None:
    """Make a shard and write it; `tick` gets the number of trajectories just made.

    Raises
    ------
    RunError
        If a trajectory fails or the file cannot be written.
    """
    maker, part = TrajectoryMaker(job.spec, job.threads), job.part
    state, particles = maker.starts(part) if job.starts is None else job.starts[:2]
    block = maker.run(state, particles, part.start, tick)
    sample = [i for i in label_error_sample(job.spec) if i in part]
    errors = label_errors(maker, block, state, particles, part.start, sample)
    stream = None if job.starts is None else job.starts.stream
    taken = np.array(sample if errors.label.size else [], np.int64)
    data = ShardData(
        job.spec_hash,
        part.start,
        maker.times,
        block,
        taken,
        errors.label,
        stream,
        errors.system,
    )
    write_shard(job.path, data)
