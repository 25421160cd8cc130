"""A sound data set, and one look at what is installed."""

from __future__ import annotations

import functools

import pytest

from audited_sets import RECIPE, SIZE, Rows
from nbody_surrogate.datasets import DatasetSpec, generate_dataset
from nbody_surrogate.registry import lookup


@pytest.fixture(scope="module", autouse=True)
def one_look_at_what_is_installed():
    """It would take most of the time of these tests, which ask for solvers over and over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "_entry_points", functools.cache(lookup._entry_points))
        yield


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    """Forty trajectories of the default system in two shards, in nothing wrong."""
    return generate_dataset(DatasetSpec(**RECIPE), tmp_path_factory.mktemp("sound"))


@pytest.fixture
def rows(sound):
    """Make data sets of the sound rows, in memory, that a test may spoil."""
    return lambda **changes: Rows(sound.read(0, SIZE), RECIPE | changes)
