"""Shards: what is written comes back bit for bit, and a failure leaves the old file."""

from __future__ import annotations

import errno
import hashlib
import os
import re

import h5py
import numpy as np
import pytest

from dataset_files import (
    FULL_DISK,
    SPEC,
    STREAM,
    N,
    S,
    T,
    assert_same_bits,
    assert_same_block,
    failing,
    full_data,
    make_block,
    make_data,
    read_all,
)
from nbody_surrogate.datasets import shard as shard_module
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.shard import ShardReader, write_shard
from nbody_surrogate.errors import FileFormatError, RunError
from nbody_surrogate.files.sha256 import file_hash
from refusals import posix, refused

# Shards: round trip


def test_what_is_written_comes_back_bit_for_bit(tmp_path):
    data = full_data()
    write_shard(tmp_path / "a.h5", data)
    t, block, (sample, errors), stream = read_all(tmp_path / "a.h5")
    assert_same_bits(t, data.t)
    assert_same_block(block, data.block)
    assert sample.tolist() == [8, 9]
    assert_same_bits(errors, data.label_error)
    assert_same_bits(stream, STREAM)
    with ShardReader(tmp_path / "a.h5") as shard:
        assert_same_bits(shard.system_errors(), data.system_error)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_shard_may_hold_less(tmp_path):
    block = make_block(1, dimensions=2)
    write_shard(tmp_path / "a.h5", make_data(block, first=12))
    with ShardReader(tmp_path / "a.h5") as shard:
        assert (shard.spec, shard.first, shard.shape) == (SPEC, 12, (1, T, N, 2))
        assert_same_block(shard.read(0, 1), block)
        sample, errors = shard.label_errors()
        assert sample.size == errors.size == shard.system_errors().size == 0
        with refused(FileFormatError, tmp_path / "a.h5", "stream"):
            shard.stream()


def test_special_values_and_strides_change_no_bits(tmp_path):
    block = make_block()
    block.x[1, 3, 0] = [np.nan, -np.inf, -0.0]
    block.v[1, 3, 0] = [5e-324, np.finfo(float).max, np.inf]
    block.v.view(np.uint64)[0, 0, 0, 0] = 0x7FF8_0000_0000_0BAD  # a NaN with a payload
    strided = TrajectoryBlock(
        np.asfortranarray(block.x), block.v[..., ::-1][..., ::-1], block.particles
    )
    write_shard(tmp_path / "a.h5", make_data(strided))
    with ShardReader(tmp_path / "a.h5") as shard:
        assert_same_block(shard.read(0, S), block)


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_shard(tmp_path / name, full_data())
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    expected = hashlib.sha256((tmp_path / "b.h5").read_bytes()).hexdigest()
    assert file_hash(tmp_path / "a.h5") == expected


def test_any_hdf5_program_can_read_a_shard_as_the_table_of_the_module_says(tmp_path):
    data = full_data()
    rows = re.findall(r"^(\w+(?:, \w+)*)  +\(", shard_module.__doc__, re.MULTILINE)
    write_shard(tmp_path / "a.h5", data)
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == set(", ".join(rows).split(", "))
        assert {file[name].dtype.str for name in file} == {"<f8", "<i8", "|S64"}
        assert all(file[name].chunks is None for name in file)
        assert file["spec"].asstr()[()] == SPEC
        assert file["first"][()] == 8
        assert file["shape"][()].tolist() == [S, T, N, 3]
        np.testing.assert_array_equal(file["x"][()], data.block.x)
        np.testing.assert_array_equal(file["couplings"][()], data.block.particles.couplings)


# Shards: failures while writing


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
def test_an_interruption_passes_on_and_leaves_nothing(tmp_path, monkeypatch, error):
    monkeypatch.setattr(os, "fsync", failing(error))
    with pytest.raises(type(error)):
        write_shard(tmp_path / "a.h5", full_data())
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_shard_as_it_is(tmp_path, monkeypatch):
    write_shard(tmp_path / "a.h5", full_data())
    old = (tmp_path / "a.h5").read_bytes()
    monkeypatch.setattr(os, "fsync", failing(FULL_DISK))
    with refused(RunError, "`output`", tmp_path / "a.h5", os.strerror(errno.ENOSPC)):
        write_shard(tmp_path / "a.h5", make_data(make_block(seed=9)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_bytes() == old


def test_a_directory_in_the_way_is_one_line(tmp_path):
    (tmp_path / "a.h5").mkdir()
    with refused(RunError, "`output`", tmp_path / "a.h5"):
        write_shard(tmp_path / "a.h5", full_data())
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@posix
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_may_not_grow_is_one_line_and_leaves_nothing(tmp_path, share):
    import resource

    write_shard(tmp_path / "a.h5", full_data())
    size = (tmp_path / "a.h5").stat().st_size
    (tmp_path / "a.h5").unlink()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), hard))
    try:
        with refused(RunError, "`output`", tmp_path / "a.h5"):
            write_shard(tmp_path / "a.h5", full_data())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
