"""The size of a shard is known before HDF5 makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import MISUSE, good, nbody_sim
from nbody_surrogate.files import hdf5, output_path
from nbody_surrogate.files.hdf5 import require_room

GENERATE = ("dataset", "generate", "--preset", "charged", "--trajectories", 12, "-q", "-o", "d")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_shard_takes_no_more_than_it_is_said_to_take(monkeypatch):
    said = []

    def noted(path, size):
        said.append(size)
        require_room(path, size)

    monkeypatch.setattr(hdf5, "require_room", noted)
    good(*GENERATE)
    (shard,) = Path("d").glob("shard-*.h5")
    assert shard.stat().st_size <= said[-1] <= shard.stat().st_size + hdf5.STRUCTURE


def test_a_limit_of_the_system_is_one_line_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(output_path, "_largest_file", lambda: 4096)
    result = nbody_sim(*GENERATE)
    assert result.exit_code == MISUSE
    assert "4 KiB at most: raise that limit" in result.stderr
    assert not list(Path("d").glob("shard-*"))
