"""A start of the default system, and surrogates to take it on."""

from __future__ import annotations

import pytest
import torch

from nbody_set.model import SET, SETConfig
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import make_system, register_surrogate
from toy_surrogates import Windowed


@pytest.fixture
def system():
    return make_system("charged")


@pytest.fixture
def start(system):
    """Three trajectories of four particles."""
    return system.sample(0, 4, 3)


@pytest.fixture(scope="module")
def tiny_set():
    """A small SET of random weights, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SET(SETConfig(width=4, substeps=2)).double()


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))


@pytest.fixture
def toy_name(own_registry):
    """`Windowed`, registered as a user would."""
    register_surrogate("toy-windowed")(Windowed)
    return "toy-windowed"
