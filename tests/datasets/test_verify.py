"""Verification: trajectories that are made again, and files that were altered."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from dataset_files import RECIPES, again
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.folder import made_by
from nbody_surrogate.datasets.manifest import (
    SourceFile,
    read_manifest,
    write_manifest,
)
from nbody_surrogate.datasets.shard import shard_name
from nbody_surrogate.datasets.verify import verify_dataset
from nbody_surrogate.errors import FileFormatError, InputError
from refusals import posix, refused


@pytest.fixture
def copy_of(made, tmp_path):
    """Open a copy of a data set, to be damaged afterwards."""

    def copy(name):
        return Dataset(shutil.copytree(made(name).folder, tmp_path / name))

    return copy


@pytest.mark.thinned
@pytest.mark.parametrize("sample", [2, 100])
@pytest.mark.parametrize("name", RECIPES)
def test_trajectories_that_are_made_again_are_the_same_bits(made, name, sample):
    dataset = made(name)
    found = verify_dataset(dataset, sample)
    assert found.success
    assert found.problems == ()
    assert found.shards == len(dataset.manifest.shards)
    assert len(set(found.remade)) == min(sample, len(dataset))
    assert found.same == found.remade == tuple(sorted(found.remade))
    if sample >= len(dataset):
        assert found.remade == tuple(range(len(dataset)))


def test_without_a_sample_only_hashes_are_checked(copy_of):
    dataset = copy_of("own")
    alter(dataset, 4, "x")
    told = []
    found = verify_dataset(
        Dataset(dataset.folder), 0, progress=lambda done, total: told.append((done, total))
    )
    assert found.success
    assert found.shards == 3
    assert found.remade == found.same == ()
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_negative_sample_is_refused(made):
    with refused(InputError, "`sample`", -1):
        verify_dataset(made("own"), -1)


def a_pipe_instead(path):
    path.unlink()
    os.mkfifo(path)


def behind_a_link(path):
    path.symlink_to(path.rename(path.with_suffix(".moved")))


def another_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@posix
@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (another_bit, "SHA-256"),
        (Path.unlink, "No such file"),
        (a_pipe_instead, "not a regular file"),
        (behind_a_link, "not a regular file"),
    ],
)
def test_each_damaged_shard_is_named(copy_of, damage, word):
    dataset = copy_of("own")
    for number in (0, 2):
        damage(dataset.folder / shard_name(number))
    found = verify_dataset(dataset)
    assert not found.success
    assert (found.shards, found.remade) == (1, ())
    for number, problem in zip((0, 2), found.problems, strict=True):
        assert problem.startswith(f"{shard_name(number)}: ")
        assert word in problem
        assert "\n" not in problem


def alter(dataset, i, key):
    """Change the last bit of a number of a trajectory, and record the shard as it is then."""
    number = i // dataset.spec.shard
    with h5py.File(dataset.folder / shard_name(number), "r+") as file:
        values = file[key][()]
        values.reshape(len(values), -1).view(np.int64)[i % dataset.spec.shard, -1] ^= 1
        file[key][...] = values
    again(dataset.folder, number)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("own", "x"),
        ("own", "masses"),
        ("legacy", "charges"),
        ("window", "v"),
        ("springs", "couplings"),
    ],
)
def test_an_altered_trajectory_is_found_though_its_hash_fits(copy_of, name, key):
    dataset = copy_of(name)
    alter(dataset, 3, key)
    found = verify_dataset(Dataset(dataset.folder), len(dataset))
    assert not found.success
    assert found.shards == len(dataset.manifest.shards)
    assert set(found.remade) - set(found.same) == {3}
    (problem,) = found.problems
    assert "trajectory 3 " in problem
    assert key in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0.5), (0, 2.0**32), (624, np.nan), (624, -1.0), (624, 1e6), (625, 0.5)]
)
def test_what_is_no_state_of_a_stream_is_refused(copy_of, place, value):
    """NumPy believes any position, and reads what lies behind its array."""
    dataset = copy_of("legacy")
    with h5py.File(dataset.folder / shard_name(1), "r+") as file:
        file["stream"][place] = value
    again(dataset.folder, 1)
    with refused(FileFormatError, dataset.folder / shard_name(1), "stream"):
        verify_dataset(Dataset(dataset.folder), len(dataset))


def test_imported_trajectories_are_not_made_again(copy_of):
    dataset = copy_of("own")
    alter(dataset, 3, "x")
    source = (SourceFile(name="loc_train.npy", sha256="a" * 64),)
    manifest = read_manifest(dataset.folder)
    write_manifest(dataset.folder, manifest.model_copy(update={"source": source}))
    found = verify_dataset(Dataset(dataset.folder))
    assert found.success
    assert found.shards == 3
    assert found.remade == ()


VERSIONS = {"numpy": "0.1", "nbody-surrogate": "99"}


def test_other_versions_are_said_where_bits_differ(copy_of):
    dataset = copy_of("own")
    manifest = dataset.manifest.model_copy(update={"versions": made_by() | VERSIONS})
    write_manifest(dataset.folder, manifest)
    assert verify_dataset(Dataset(dataset.folder)).success
    alter(dataset, 3, "x")
    *_, last = verify_dataset(Dataset(dataset.folder), len(dataset)).problems
    assert f"numpy 0.1, here {np.__version__}" in last
    assert "nbody-surrogate 99, here " in last
    assert "scipy" not in last
    assert "\n" not in last
