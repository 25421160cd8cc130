"""Data sets that are made once and copied."""

from __future__ import annotations

import shutil

import pytest

from dataset_files import RECIPES, TOTAL, N, make_block, write_dataset
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.spec import DatasetSpec

SPLITS = {"train": 6, "validation": 0, "test": 5}


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A folder of four shards, the last one not full, and the block that it was made of."""
    folder, block = tmp_path_factory.mktemp("written") / "set", make_block(TOTAL, couplings=True)
    write_dataset(folder, block, splits=SPLITS)
    return folder, block


@pytest.fixture
def folder(written, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(written[0], tmp_path / "set")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Make data sets by name, each once."""
    folder, sets = tmp_path_factory.mktemp("made"), {}

    def make(name):
        if name not in sets:
            sets[name] = generate_dataset(DatasetSpec(particles=N, **RECIPES[name]), folder / name)
        return sets[name]

    return make
