"""Shards and data sets that are written without simulating anything."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.folder import made_by
from nbody_surrogate.datasets.manifest import (
    Manifest,
    ShardRecord,
    read_manifest,
    spec_hash,
    write_manifest,
)
from nbody_surrogate.datasets.shard import ShardData, ShardReader, shard_name, write_shard
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.files.sha256 import file_hash

S, T, N = 4, 5, 3
SPEC = "0123456789abcdef" * 4
NO_SAMPLE, NO_ERRORS = np.empty(0, np.int64), np.empty((0, 0))
STREAM = np.concatenate([np.arange(624.0), [7, 1, -0.25]])


def make_block(count=S, dimensions=3, couplings=False, rows=T, seed=0):
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=(2, count, rows, N, dimensions))
    bonds = rng.normal(size=(count, N, N))
    particles = Particles(
        rng.choice([-1.0, 1.0], size=(count, N)),
        rng.uniform(0.5, 2.0, size=(count, N)),
        bonds + bonds.swapaxes(1, 2) if couplings else None,
    )
    return TrajectoryBlock(x, v, particles)


def some(block, rows):
    """Cut trajectories out of a block."""
    return TrajectoryBlock(block.x[rows], block.v[rows], block.particles[rows])


def make_data(block, first=0, spec=SPEC, t=None, stream=None, verified=False):
    """Put a block into a shard, where asked with errors of two trajectories at three rows."""
    t = np.arange(block.x.shape[1]) * 0.1 if t is None else t
    sample = np.array([first, first + 1]) if verified else NO_SAMPLE
    errors = np.array([[0.0, 1e-9, np.nan], [0.0, 2e-9, 3e-9]]) if verified else NO_ERRORS
    return ShardData(spec, first, t, block, sample, errors, stream)


def full_data():
    """All that a shard can hold."""
    block = make_block(couplings=True)
    radii = np.random.default_rng(1).uniform(0.1, 1.0, size=(S, N))
    block = block._replace(particles=replace(block.particles, radii=radii))
    data = make_data(block, first=8, stream=STREAM, verified=True)
    return replace(data, system_error=np.array([[0.0, 1e-4, np.inf], [0.0, 2e-4, 3e-4]]))


def assert_same_bits(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.tobytes() == theirs.tobytes()


def assert_same_block(ours, theirs):
    assert_same_bits(ours.x, theirs.x)
    assert_same_bits(ours.v, theirs.v)
    for name in ("charges", "masses", "couplings", "radii"):
        one, other = getattr(ours.particles, name), getattr(theirs.particles, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert_same_bits(one, other)


def read_all(path, spec=SPEC):
    """Read everything that a full shard holds."""
    with ShardReader(path, spec) as shard:
        return shard.t(), shard.read(0, shard.shape[0]), shard.label_errors(), shard.stream()


def failing(error):
    def fail(*arguments):
        raise error

    return fail


FULL_DISK = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
KINDS = {
    "directory": lambda path, other: path.mkdir(),
    "pipe": lambda path, other: os.mkfifo(path),
    "link": lambda path, other: path.symlink_to(other),
}
TOTAL, SHARD = 11, 3


def record_of(path, first, count):
    size, digest = path.stat().st_size, file_hash(path)
    return ShardRecord(name=path.name, first=first, count=count, bytes=size, sha256=digest)


def write_dataset(folder, block, shard=SHARD, splits=None):
    """Write a data set of a block."""
    count, rows, _, dimensions = block.x.shape
    sizes = {"particles": N, "dimensions": dimensions, "frames": rows - 1, "trajectories": count}
    spec = DatasetSpec(**sizes, shard=shard, splits=splits or {})
    folder.mkdir()
    records = []
    for number, part in enumerate(spec.shards):
        path = folder / shard_name(number)
        cut = some(block, slice(part.start, part.stop))
        write_shard(path, make_data(cut, part.start, spec_hash(spec)))
        records.append(record_of(path, part.start, len(part)))
    write_manifest(folder, Manifest(spec=spec, versions=made_by(), shards=tuple(records)))


def again(folder, number):
    """Record a shard as it is now."""
    manifest = read_manifest(folder)
    records = list(manifest.shards)
    old = records[number]
    records[number] = record_of(folder / old.name, old.first, old.count)
    write_manifest(folder, manifest.model_copy(update={"shards": tuple(records)}))


RECIPES = {
    "own": {"trajectories": 7, "frames": 3, "shard": 3},
    "late": {"trajectories": 5, "first": 2, "frames": 4, "shard": 2},
    "springs": {
        **{"system": "springs", "parameters": {"frame_dt": 0.05}, "dimensions": 2},
        **{"trajectories": 4, "frames": 2, "shard": 2, "options": {"rtol": 1e-7}},
    },
    "legacy": {
        **{"system": "charged-clipped", "trajectories": 9, "first": 1, "frames": 3, "shard": 2},
        **{"splits": {"train": 4, "validation": 2, "test": 3}, "seed": 43},
        "legacy": {"rows": 3, "offsets": {"validation": 6, "test": 11}},
    },
    "window": {
        **{"system": "charged-clipped", "trajectories": 5, "legacy": {}, "shard": 2},
        "window": {"inputs": 2, "every": 2, "horizon": 3, "target": "zero"},
    },
}
