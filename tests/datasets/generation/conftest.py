"""Data sets that are made once, and folders for others."""

from __future__ import annotations

import json
import shutil

import pytest

from generated import SMALL
from nbody_surrogate.datasets import generate_dataset
from nbody_surrogate.datasets.spec import resolve
from nbody_surrogate.registry import lookup


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Make data sets, each once; they are not to be changed."""
    kept = {}

    def make(**values):
        key = json.dumps(values, sort_keys=True)
        if key not in kept:
            kept[key] = generate_dataset(resolve(values), tmp_path_factory.mktemp("made") / "set")
        return kept[key]

    return make


@pytest.fixture
def folder(tmp_path):
    """Where a data set is to be made."""
    return tmp_path / "set"


@pytest.fixture
def finished(made, folder):
    """A finished folder, to be damaged."""
    shutil.copytree(made(**SMALL).folder, folder)
    return folder


@pytest.fixture
def registered(monkeypatch):
    """What a test registers is forgotten afterwards."""
    monkeypatch.setattr(lookup, "registered", {})
