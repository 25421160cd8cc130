"""The domain that a training measures, and the one that weights get afterwards."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nbody_surrogate.contracts.domain_quantities import frame_quantities
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.training import measure_domain
from nbody_surrogate.training.measure_domain import domain_of, measure_ranges


@pytest.fixture(scope="module")
def block():
    system = make_system("charged")
    run = simulate(system, *system.sample(0, 4, 30), 40, "leapfrog")
    return system, TrajectoryBlock(run.x, run.v, run.particles)


@pytest.mark.parametrize("size", [1, 7, 30])
def test_ranges_are_quantiles_however_the_data_are_cut(block, size, monkeypatch):
    """In blocks of any size they are those of all values at once, sorted."""
    monkeypatch.setattr(measure_domain, "OF_STARTS", 0.05)
    monkeypatch.setattr(measure_domain, "OF_FRAMES", 0.01)
    system, whole = block
    blocks = [whole.subset(slice(b, b + size)) for b in range(0, 30, size)]
    found = measure_ranges(system, blocks, 30, 41)
    assert (found.particles, found.trajectories, found.frames) == (4, 30, 30 * 41)
    values = frame_quantities(system, *whole[:3])["speed"]
    ordered, starts = np.sort(values.ravel()), np.sort(values[:, 0])
    usual = max(ordered[-1 - int(0.05 * values.size)], starts[-1 - int(0.05 * 30)])
    assert found.start["speed"] == (None, pytest.approx(usual))
    assert found.run["speed"][1] == pytest.approx(max(usual, ordered[-1 - int(0.01 * values.size)]))


def test_sets_of_data_are_joined_by_system_and_number(block):
    system, whole = block
    parts = [measure_ranges(system, [whole.subset(b)], 1, 41) for b in ([0], [1])]
    trap = measure_ranges(make_system("trap"), [whole.subset([2])], 1, 41)
    domain = domain_of([(system, parts[0]), (make_system("trap"), trap), (system, parts[1])])
    assert [(each.system, each.trajectories) for each in domain.measured] == [
        ("charged", 2),
        ("trap", 1),
    ]
    low = [each.run["nearest"][0] for each in parts]
    assert domain.measured[0].run["nearest"][0] == min(low)
    assert domain.softened and json.loads(domain.model_dump_json())["softened"]
