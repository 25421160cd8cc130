"""Data, recipes and a model for short trainings."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import config

from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import register_surrogate
from nbody_surrogate.training.recipe import Recipe
from trainings import MODEL, Toy, spec


@pytest.fixture(autouse=True)
def drawn_where_asked(request):
    """The figure of the log is blank but in tests that ask for `drawn`."""
    if "drawn" not in request.fixturenames:
        request.getfixturevalue("undrawn")


@pytest.fixture
def drawn():
    """A training draws its log, as it does for users."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two and three particles, made once; training of this module is on one thread, as the CLI's.

    The compiled law is loaded here, too.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("data")
    yield [str(generate_dataset(DatasetSpec(**spec(n)), place / f"n{n}").folder) for n in (2, 3)]
    torch.set_num_threads(threads)


@pytest.fixture
def tiny(folders):
    """Make recipes."""
    usual = {"surrogate": "set", "model": MODEL, "steps": 20, "chunk": 6, "rise": 5}
    usual |= {"data": [{"folder": folder, "batch": 8} for folder in folders]}
    usual |= {"checkpoint_every": 10, "validate_every": 5}
    return lambda **changes: Recipe(**(usual | changes))


@pytest.fixture
def unchecked(monkeypatch):
    """Long runs go without the checks of shapes, which short ones go through."""
    monkeypatch.setattr(config, "jaxtyping_disable", True)


@pytest.fixture
def toy(monkeypatch):
    """The name of a stranger's surrogate."""
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))
    register_surrogate("toy")(Toy)
    return {"surrogate": "toy", "model": {}}
