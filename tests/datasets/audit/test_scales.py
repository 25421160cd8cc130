"""What an audit says does not depend on units of time and length."""

from __future__ import annotations

import numpy as np
import pytest

from audited_sets import RECIPE, SIZE, TASK, Rows, audited, levels
from nbody_surrogate.datasets import DatasetSpec
from nbody_surrogate.datasets.block import TrajectoryBlock

DT, SOFTENING = 0.1, 0.1
ROUNDING = 1e-3
"""Relative, of errors far above the solver's: its steps differ where tolerances do."""


def spoilt(block):
    """Kick some, shift the labels of others, make velocities lag a little."""
    data = Rows(block, RECIPE | {"task": TASK})
    data.v[[0, 7, 31], 8:] *= 1.5
    data.x[::3, TASK["target"]] += 0.02
    return data


def scaled(block, time, length):
    """The same trajectories in other units, with constants of the system to fit."""
    constants = {
        "frame_dt": DT * time,
        "softening": SOFTENING * length,
        "coupling": length**3 / time**2,
    }
    return constants, TrajectoryBlock(block.x * length, block.v * (length / time), block.particles)


def verdicts(found):
    """All levels, and whatever of the numbers is a share or a count."""
    energy, solver = found["energy"].numbers, found["converged solver"].numbers
    counts = {key: energy[key] for key in ("share", "trajectories")}
    relative = {
        key: solver[key] / solver["mean_squared_displacement"] for key in ("mean", "median", "p95")
    }
    return levels(found), counts, relative


@pytest.fixture(scope="module")
def wanted(sound):
    """What is said of the spoilt data in the units that they were made in."""
    found = verdicts(audited(spoilt(sound.read(0, SIZE))))
    assert set(found[0]) == {"energy", "converged solver"}
    return found


@pytest.mark.parametrize(("time", "length"), [(1e6, 1.0), (1e-6, 1e-6), (1e-7, 1e9)])
def test_verdicts_are_the_same_in_all_units(sound, wanted, time, length):
    constants, other = scaled(spoilt(sound.read(0, SIZE))._read(0, SIZE), time, length)
    found = verdicts(audited(Rows(other, RECIPE | {"task": TASK, "parameters": constants})))
    assert found[:2] == wanted[:2]
    for key, value in wanted[2].items():
        assert found[2][key] == pytest.approx(value, rel=ROUNDING)


@pytest.mark.parametrize(("time", "lag"), [(1e-6, 0.004), (1e6, 0.0)])
def test_a_lag_is_found_in_all_units(sound, time, lag):
    block = sound.read(0, SIZE)
    constants, other = scaled(block, time, 1.0)
    data = Rows(other, RECIPE | {"parameters": constants})
    system = DatasetSpec(**RECIPE, parameters=constants).make_system()
    for row in range(other.x.shape[1]):
        force = system.acceleration(other.x[:, row], other.v[:, row], other.particles)
        data.v[:, row] -= lag * time * force
    found = audited(data)["velocities"]
    assert found.level == ("doubtful" if lag else "ok")
    if lag:
        assert found.numbers["further_lag"] == pytest.approx(lag * time, rel=0.03)


def test_edges_are_held_against_charges_in_any_unit():
    from nbody_surrogate.datasets.exchange.edges import refuse_other_products
    from nbody_surrogate.errors import InputError

    charges = np.array([[1.0, -2.0, 0.5]])
    for unit in (1e-6, 1.0, 1e6):
        given = unit * charges
        edges = given[:, :, None] * given[:, None]
        refuse_other_products(edges * (1 + 1e-7), given, "the charges", 0)
        with pytest.raises(InputError, match="that of particles 0 and 1 of trajectory 0"):
            refuse_other_products(edges * 1.001, given, "the charges", 0)
