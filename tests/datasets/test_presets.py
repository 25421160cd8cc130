"""The presets of data sets: what they are, and what may be changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.manifest import spec_hash
from nbody_surrogate.datasets.spec import (
    DatasetSpec,
    preset_names,
    resolve,
)
from nbody_surrogate.errors import PluginError
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import preset
from specs import TOO_MANY_DIGITS, refused

OURS = ["bath", "charged", "charging", "dust", "gravity", "springs", "ties", "trap"]
PUBLISHED = ["nbody-small", "set-paper", "set-paper-as-released"]
PRESETS = sorted(OURS + PUBLISHED)
ROUNDING = 1e-15
"""Relative: a time is one product of a frame number and `frame_dt`."""


@pytest.fixture
def registered(monkeypatch):
    """What a test registers is forgotten afterwards."""
    monkeypatch.setattr(lookup, "registered", {})


# Presets


def test_all_presets_are_listed():
    assert preset_names() == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_being_stored(name):
    spec = resolve({"preset": name})
    for mode in ("python", "json"):
        stored = DatasetSpec(**spec.model_dump(mode=mode))
        assert stored == spec
        assert spec_hash(stored) == spec_hash(spec)
    assert DatasetSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_a_system_and_a_solver_that_fits(name):
    spec = resolve({"preset": name})
    assert spec.make_system().name == spec.system
    maker = TrajectoryMaker(spec)
    maker.check()
    np.testing.assert_allclose(
        maker.times, spec.numbers * spec.make_system().spec.frame_dt, rtol=ROUNDING
    )


def test_nbody_small_is_the_set_of_satorras_et_al():
    spec = resolve({"preset": "nbody-small"})
    system = spec.make_system().spec
    assert (spec.system, system.clip, system.spread) == ("charged-clipped", 100.0, 1.0)
    assert (spec.particles, spec.dimensions, spec.seed) == (5, 3, 43)
    assert spec.splits == {"train": 3_000, "validation": 2_000, "test": 2_000}
    assert spec.stream_places() == {
        "train": (0, 3_000),
        "validation": (10_000, 12_000),
        "test": (12_000, 14_000),
    }
    assert spec.rows == spec.legacy.rows == 49
    wanted = [0.1 * (row + 1) for row in range(49)]
    np.testing.assert_allclose(TrajectoryMaker(spec).times, wanted, rtol=ROUNDING)
    assert (spec.task.input, spec.task.target) == (30, 40)
    assert (spec.integrator, spec.options) == ("symplectic-euler", {"step": 0.001})
    assert spec.velocity_lag == 0.0005


@pytest.mark.parametrize("horizon", [None, 19_900, 9_900, 900])
def test_set_paper_is_the_set_of_charles(horizon):
    spec = resolve({"preset": "set-paper"} | ({} if horizon is None else {"horizon": horizon}))
    system = spec.make_system().spec
    assert (spec.system, system.clip, system.spread) == ("charged-clipped", 100.0, 2.0)
    assert system.frame_dt == 0.001
    assert (spec.particles, spec.dimensions, spec.seed) == (5, 3, 3)
    assert spec.splits == {"train": 40_000, "validation": 5_000, "test": 5_000}
    last = 100 + (horizon or 19_900)
    assert spec.numbers.tolist() == [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, last]
    assert spec.legacy.rows == last
    assert spec.stream_places()["test"] == (45_000, 50_000)
    assert (spec.task.input, spec.task.target) == (9, 10)
    assert (spec.integrator, spec.options) == ("symplectic-euler", {"step": 0.001})
    assert not spec.has_zero_target


def test_set_paper_as_released_differs_in_the_zero_target_row_only():
    written, released = (
        resolve({"preset": name}) for name in ("set-paper", "set-paper-as-released")
    )
    assert released.has_zero_target
    theirs, ours = released.model_dump(), written.model_dump()
    assert theirs["window"].pop("target") == "zero"
    assert ours["window"].pop("target") == "written"
    assert theirs == ours


def test_the_other_presets_have_the_sizes_they_claim():
    springs, gravity, trap, charged, dust = (
        resolve({"preset": name}) for name in ("springs", "gravity", "trap", "charged", "dust")
    )
    assert (springs.dimensions, springs.particles, springs.rows) == (2, 5, 49)
    assert list(springs.splits.values()) == [50_000, 10_000, 10_000]
    assert (gravity.particles, list(gravity.splits.values())) == (100, [10_000, 2_000, 2_000])
    _, particles = gravity.make_system().sample(0, 100)
    assert (particles.masses == 1).all()
    hidden = (resolve({"preset": name}) for name in ("bath", "charging", "ties"))
    assert [(spec.particles, spec.rows) for spec in hidden] == [(5, 41), (5, 41), (5, 101)]
    for spec, duration in ((gravity, 4.9), (trap, 50.0), (charged, 10.0), (dust, 400.0)):
        assert spec.numbers[-1] * spec.make_system().spec.frame_dt == pytest.approx(duration)


def test_an_unknown_preset_lists_what_there_is():
    message = refused({"preset": "set-papr"}, "`preset` 'set-papr'", "did you mean 'set-paper'?")
    assert all(name in message for name in PRESETS)


def test_a_preset_that_is_no_mapping_is_its_plugins_fault(registered):
    lookup.registered["presets", "mine"] = int
    with pytest.raises(PluginError, match="preset 'mine' must be a mapping") as caught:
        preset("mine")
    assert "\n" not in str(caught.value)


# Changes to a preset


@given(name=st.sampled_from(["nbody-small", "set-paper", "springs", "gravity"]), part=st.data())
def test_splits_of_a_preset_keep_their_proportions(name, part):
    whole = resolve({"preset": name})
    trajectories = part.draw(st.integers(1, whole.trajectories))
    spec = resolve({"preset": name, "trajectories": trajectories})
    assert spec.trajectories == sum(spec.splits.values()) == trajectories
    assert list(spec.splits) == list(whole.splits)
    for split, count in spec.splits.items():
        exact = whole.splits[split] * trajectories / whole.trajectories
        assert abs(count - exact) < len(spec.splits)  # the first takes what is left over


@pytest.mark.parametrize(
    "trajectories", [0, -5, "many", 2.5, pytest.param(TOO_MANY_DIGITS, id="huge")]
)
def test_a_wrong_number_of_trajectories_of_a_preset_is_one_line(trajectories):
    refused({"preset": "nbody-small", "trajectories": trajectories}, "`trajectories`")


def test_more_trajectories_than_the_stream_has_room_for_are_refused():
    refused({"preset": "nbody-small", "trajectories": 70_000}, "`legacy.offsets`", "'train'")


def test_parameters_of_a_preset_merge():
    spec = resolve({"preset": "nbody-small", "parameters": {"clip": 50.0}})
    assert spec.parameters == {"frame_dt": 0.1, "clip": 50.0, "spread": 1.0}
    spec = resolve({"preset": "nbody-small", "options": {"segment": 7}})
    assert spec.options == {"step": 0.001, "segment": 7}


def test_another_system_or_solver_drops_the_presets_parameters_or_options():
    spec = resolve({"preset": "gravity", "system": "charged"})
    assert spec.parameters == {}
    spec = resolve({"preset": "gravity", "system": "charged", "parameters": {"softening": 0.2}})
    assert spec.parameters == {"softening": 0.2}
    spec = resolve({"preset": "nbody-small", "integrator": "dop853"})
    # the defaults, written out beside the norm, which a release before had not
    tolerance = spec.make_system().tolerance
    assert spec.options == {"rtol": tolerance, "atol": tolerance, "norm": "particle"}
    assert spec.parameters["clip"] == 100.0


@pytest.mark.parametrize("horizon", [0, "far", 10**10])
def test_a_wrong_horizon_is_named(horizon):
    refused({"preset": "set-paper", "horizon": horizon}, "`window.horizon`", repr(horizon))
