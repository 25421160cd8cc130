"""Audits of sets as other programs write them: nothing in them is called wrong that is right."""

from __future__ import annotations

import numpy as np
import pytest

from audited_sets import audited, levels
from nbody_surrogate.datasets.audit.wall_check import WallCheck
from nbody_surrogate.datasets.exchange.nri import NriFiles
from published_sets import write_charged, write_gravity, write_springs

LAG = {"velocity_lag": 0.0005}  # half a step
EXACT = 1e-9
"""Mean squared error of steps of 0.001 against the physics, where none is a close encounter."""


def test_charges_from_edges_are_those_of_the_data(tmp_path):
    write_charged(tmp_path, {"test": 4}, dimensions=3)
    numbers = audited(NriFiles(tmp_path, **LAG))["converged solver"].numbers
    assert numbers["median"] < EXACT
    free = audited(NriFiles(tmp_path, **LAG, parameters={"coupling": 0.0}))
    assert free["converged solver"].numbers["median"] > 100 * EXACT  # as without charges


def test_walls_are_found_and_what_meets_them_is_not_solved(tmp_path):
    write_charged(tmp_path, {"test": 12}, wall=1.5, size=12)
    found = audited(NriFiles(tmp_path, **LAG))
    walls = found["walls"]
    assert walls.level == "doubtful"
    assert walls.numbers["place"] == pytest.approx(1.5, rel=0.01)
    assert "reflected at walls at +-1.5" in walls.text
    assert found["converged solver"].numbers["median"] < EXACT
    assert "wrong" not in levels(found).values()


def walls(files):
    check = WallCheck(files.spec)
    for block in files.blocks(size=3):
        check.add(block)
    return check


def test_walls_around_springs(tmp_path):
    write_springs(tmp_path, {"train": 20}, wall=1.0, size=10)
    found = walls(NriFiles(tmp_path, system="springs"))
    assert found.place == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("write", [write_charged, write_springs])
def test_there_are_no_walls_in_the_open(tmp_path, write):
    write(tmp_path, {"train": 20}, size=10)
    system = "springs" if write is write_springs else "charged-clipped"
    found = walls(NriFiles(tmp_path, system=system))
    assert found.findings() == []
    assert not found.reflected(NriFiles(tmp_path, system=system).read(0, 10), 0, 19).any()


def test_particles_that_a_trap_turns_round_meet_no_wall(rows):
    """All at one distance, so that the outermost places are the same for all."""
    data = rows()
    phase = np.linspace(0, 9, data.x.shape[1])[:, None, None]
    start = np.random.default_rng(0).uniform(0, 7, size=data.x.shape)[:, :1]
    data.x, data.v = np.cos(phase + start), -np.sin(phase + start) * (9 / 15 / 0.1)
    assert walls(data).findings() == []


def test_gravity_is_sound(tmp_path):
    write_gravity(tmp_path, {"test": 4})
    found = audited(NriFiles(tmp_path))
    numbers = found["converged solver"].numbers
    assert numbers["median"] < EXACT
    assert "wrong" not in levels(found).values()
    assert found["velocities"].level == "ok"
