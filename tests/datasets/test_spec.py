"""The recipe of a data set: what it means, what it refuses, and what the presets are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbody_surrogate.datasets.generation.trajectory_maker import TrajectoryMaker
from nbody_surrogate.datasets.manifest import spec_hash
from nbody_surrogate.datasets.spec import (
    SHARD_BYTES,
    DatasetSpec,
    preset_names,
    read_spec,
    resolve,
)
from nbody_surrogate.errors import InputError, PluginError
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import preset

OURS = ["charged", "gravity", "springs", "trap"]
PUBLISHED = ["nbody-small", "set-paper", "set-paper-as-released"]
PRESETS = sorted(OURS + PUBLISHED)

ROUNDING = 1e-15
"""Relative: a time is one product of a frame number and `frame_dt`."""

WINDOW = {"inputs": 3, "every": 10, "horizon": 40}
LEGACY = {"system": "charged-clipped", "trajectories": 30, "frames": 49}
SPLITS = {"train": 10, "validation": 10, "test": 10}
TOO_MANY_DIGITS = 10**400
"""More than a float holds."""


def refused(values, *words):
    """Resolve what must be refused with one line that has all `words`."""
    with pytest.raises(InputError) as caught:
        resolve(values)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
    return message


@pytest.fixture
def registered(monkeypatch):
    """What a test registers is forgotten afterwards."""
    monkeypatch.setattr(lookup, "registered", {})


@pytest.fixture
def toml(tmp_path):
    """Write a spec file."""

    def write(text):
        path = tmp_path / "spec.toml"
        path.write_text(text)
        return path

    return write


# What follows from the rest


def test_a_spec_needs_no_more_than_its_frames():
    spec = resolve({"frames": 100})
    assert (spec.system, spec.particles, spec.dimensions) == ("charged", 5, 3)
    assert (spec.trajectories, spec.seed, spec.integrator) == (1000, 0, "dop853-compiled")
    assert spec.splits == {"train": 800, "validation": 100, "test": 100}
    assert spec.rows == 101
    assert spec.task is None
    assert spec.legacy is None
    assert not spec.has_zero_target


@pytest.mark.parametrize(
    ("trajectories", "splits"),
    [(1, (1, 0, 0)), (9, (9, 0, 0)), (10, (8, 1, 1)), (19, (17, 1, 1)), (25, (21, 2, 2))],
)
def test_splits_are_by_default_8_to_1_to_1(trajectories, splits):
    spec = resolve({"frames": 1, "trajectories": trajectories})
    assert tuple(spec.splits.values()) == splits
    assert list(spec.splits) == ["train", "validation", "test"]


def test_splits_keep_their_order_and_may_be_empty():
    spec = resolve({"frames": 1, "trajectories": 5, "splits": {"test": 2, "a": 0, "train": 3}})
    assert spec.ranges == {"test": range(0, 2), "a": range(2, 2), "train": range(2, 5)}


def test_a_shard_is_by_default_of_some_megabytes_and_of_one_trajectory_at_least():
    many = resolve({"frames": 99, "particles": 5, "trajectories": 10_000})
    assert many.shard == SHARD_BYTES // (2 * 8 * 100 * 5 * 3)
    assert resolve({"frames": 10**6, "particles": 100, "trajectories": 3}).shard == 1
    assert resolve({"frames": 1, "trajectories": 3}).shard == 3
    assert resolve({"frames": 1, "trajectories": 3, "shard": 50}).shard == 3


def test_the_task_of_a_window_is_by_default_from_its_last_input_to_its_target():
    task = resolve({"window": WINDOW}).task
    assert (task.input, task.target) == (2, 3)
    task = resolve({"window": WINDOW, "task": {"input": 0, "target": 1}}).task
    assert (task.input, task.target) == (0, 1)


def test_the_rows_of_a_legacy_stream_are_by_default_those_the_window_steps_over():
    window = resolve({"system": "charged-clipped", "window": WINDOW, "legacy": {}})
    assert window.legacy.rows == 3 * 10 + 40
    given_rows = resolve({"system": "charged-clipped", "window": WINDOW, "legacy": {"rows": 7}})
    assert given_rows.legacy.rows == 7


def test_places_in_a_legacy_stream_follow_on_unless_they_are_given():
    spec = resolve({**LEGACY, "splits": SPLITS, "legacy": {"rows": 49, "offsets": {"test": 100}}})
    assert spec.stream_places() == {"train": (0, 10), "validation": (10, 20), "test": (100, 110)}


# Rows


def numbers_of(spans):
    """Frame numbers that runs of equally spaced rows reach from the start."""
    gaps = [spacing for spacing, length in spans for _ in range(length)]
    return np.cumsum(gaps).tolist()


@given(first=st.integers(0, 60), more=st.integers(0, 60))
def test_rows_are_the_frames_from_the_first_to_the_last(first, more):
    frames = max(first + more, 1)
    spec = resolve({"first": first, "frames": frames})
    assert spec.numbers.tolist() == list(range(first, frames + 1))
    assert spec.rows == len(spec.numbers)
    assert numbers_of(spec.spans) == [number for number in spec.numbers if number > 0]


@given(
    inputs=st.integers(1, 12),
    every=st.integers(1, 30),
    horizon=st.integers(1, 2000),
    target=st.sampled_from(["written", "zero"]),
)
def test_rows_of_a_window_are_its_inputs_and_its_target(inputs, every, horizon, target):
    window = {"inputs": inputs, "every": every, "horizon": horizon, "target": target}
    spec = resolve({"window": window})
    wanted = [1 + every * k for k in range(inputs)] + [inputs * every + horizon]
    assert spec.numbers.tolist() == wanted
    assert spec.rows == inputs + 1
    assert (np.diff(spec.numbers) > 0).all()
    assert spec.has_zero_target == (target == "zero")
    simulated = wanted if target == "written" else wanted[:-1]  # a zero target is not computed
    assert numbers_of(spec.spans) == simulated


# Shards and splits


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any),
    shard=st.integers(1, 60),
)
def test_shards_and_splits_each_take_every_trajectory_once_and_in_order(counts, shard):
    splits = {f"split{i}": count for i, count in enumerate(counts)}
    total = sum(counts)
    spec = resolve({"frames": 1, "trajectories": total, "splits": splits, "shard": shard})
    for parts in (spec.shards, list(spec.ranges.values())):
        assert [i for part in parts for i in part] == list(range(total))
    assert {name: len(part) for name, part in spec.ranges.items()} == splits
    assert all(len(part) == spec.shard for part in spec.shards[:-1])
    assert 1 <= len(spec.shards[-1]) <= spec.shard


# What is refused


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"frame": 3}, ["`frame` is not a parameter", "known: ", "frames"]),
        ({"window": WINDOW | {"foo": 1}}, ["`window.foo` is not a parameter"]),
        ({"particles": 0}, ["`particles`", "> 0", "0"]),
        ({"dimensions": 4}, ["`dimensions`", "2 or 3", "4"]),
        ({"trajectories": TOO_MANY_DIGITS}, ["`trajectories`", "<= 1e+09"]),
        ({"seed": -1}, ["`seed`", ">= 0", "-1"]),
        ({"frames": 0}, ["`frames`", ">= 1", "0"]),
        ({"velocity_lag": float("nan")}, ["`velocity_lag`", "nan"]),
        ({"parameters": 3}, ["`parameters`", "3"]),
        ({"task": {"input": 3, "target": 3}}, ["`target`", "above `input` 3", "3"]),
        ({"task": {"input": 1}}, ["`task.target`"]),
        ({"splits": {"Train": 1000}}, ["`splits.Train", "Train"]),
        ({"splits": {"train": -1}}, ["`splits.train`", ">= 0", "-1"]),
        ({"splits": {"train": 999}}, ["`splits`", "`trajectories` 1000", "got 999"]),
    ],
)
def test_a_wrong_value_is_named(values, words):
    refused({"frames": 10} | values, *words)


def test_rows_are_given_once_and_not_after_the_last():
    refused({}, "either `frames` or a `window`")
    refused({"frames": 3, "window": WINDOW}, "either `frames` or a `window`")
    refused({"first": 1, "window": WINDOW}, "`first`", "`window`")
    refused({"first": 11, "frames": 10}, "`first`", "at most `frames` 10", "11")


@pytest.mark.parametrize(
    ("rows", "last"),
    [({"first": 1, "frames": 49}, 48), ({"window": WINDOW}, 3)],
)
def test_the_target_of_a_task_is_one_of_the_rows(rows, last):
    task = {"input": 0, "target": last}
    assert resolve({**rows, "task": task}).task.target == last
    refused(
        {**rows, "task": task | {"target": last + 1}},
        "`task.target`",
        f"0 to {last}",
        f"got {last + 1}",
    )


@pytest.mark.parametrize(
    ("legacy", "words"),
    [
        ({}, ["`legacy.rows`", "`window`"]),
        ({"rows": 1, "offsets": {"tset": 5}}, ["`legacy.offsets`", "no split", "tset"]),
        ({"rows": 1, "offsets": {"test": -5}}, ["`legacy.offsets.test`", ">= 0", "-5"]),
        ({"rows": 1, "offsets": {"validation": 9}}, ["`legacy.offsets`", "'train'"]),
        ({"rows": 1, "offsets": {"validation": 20, "test": 10}}, ["`legacy.offsets`"]),
    ],
)
def test_a_wrong_legacy_stream_is_refused(legacy, words):
    refused({**LEGACY, "splits": SPLITS, "legacy": legacy}, *words)


def test_the_seed_of_a_legacy_stream_is_below_2_to_the_32():
    legacy = {"rows": 1}
    assert resolve({**LEGACY, "legacy": legacy, "seed": 2**32 - 1}).seed == 2**32 - 1
    refused({**LEGACY, "legacy": legacy, "seed": 2**32}, "`seed`", "2^32", str(2**32))
    assert resolve({**LEGACY, "seed": 2**32}).seed == 2**32


def test_a_shard_that_makes_too_many_of_them_is_refused_with_what_would_do():
    big = {"frames": 1, "trajectories": 1_000_001}
    refused(big | {"shard": 10}, "`shard`", "100000", "got 10", "use 11")
    assert len(resolve(big | {"shard": 11}).shards) <= 100_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"system": "chargd"}, ["`system` 'chargd'", "did you mean 'charged'?"]),
        ({"integrator": "dop583"}, ["`integrator` 'dop583'", "did you mean 'dop853'?"]),
        ({"parameters": {"softness": 1}}, ["`softness`", "system 'charged'", "softening"]),
        ({"options": {"tol": 1}}, ["`tol`", "integrator 'dop853-compiled'", "rtol"]),
        ({"options": {"threads": 2}}, ["`options.threads`", "`workers`"]),
        ({"integrator": "leapfrog", "options": {"step": 0.03}}, ["`step`", "0.03"]),
        ({"integrator": "boris"}, ["`integrator` boris", "charged"]),
        ({"system": "penning", "integrator": "leapfrog"}, ["`integrator` leapfrog", "penning"]),
        ({"legacy": {"rows": 1}}, ["`legacy`", "'charged'", "charged-clipped"]),
    ],
)
def test_a_system_and_solver_that_do_not_fit_are_found_before_anything_is_made(changes, words):
    spec = resolve({"frames": 3} | changes)
    with pytest.raises(InputError) as caught:
        TrajectoryMaker(spec).check()
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


# Files


def test_a_file_is_read_with_all_its_sections(toml):
    path = toml(
        """
        system = "charged-clipped"
        parameters = { spread = 2.0 }
        trajectories = 30
        splits = { train = 10, validation = 10, test = 10 }
        seed = 7
        integrator = "symplectic-euler"
        options = { step = 0.001 }
        shard = 4
        [legacy]
        offsets = { test = 50 }
        [window]
        inputs = 3
        horizon = 40
        [task]
        input = 1
        target = 3
        """
    )
    spec = read_spec(path)
    assert spec.numbers.tolist() == [1, 11, 21, 70]
    assert spec.stream_places()["test"] == (50, 60)
    assert spec.legacy.rows == 70
    assert spec.task.input == 1
    assert spec == resolve(spec.model_dump())


def test_what_is_given_replaces_what_the_file_says(toml):
    path = toml("frames = 5\nparticles = 3\nparameters = { softening = 0.2, coupling = 2.0 }")
    spec = read_spec(path, particles=4, seed=9, parameters={"softening": 0.3})
    assert (spec.frames, spec.particles, spec.seed) == (5, 4, 9)
    assert spec.parameters == {"softening": 0.3, "coupling": 2.0}


def test_a_file_may_change_a_preset_and_be_changed_itself(toml):
    path = toml('preset = "set-paper"\ntrajectories = 100\nhorizon = 900')
    assert read_spec(path) == resolve({"preset": "set-paper", "trajectories": 100, "horizon": 900})
    changed = read_spec(path, horizon=400, trajectories=10)
    assert changed == resolve({"preset": "set-paper", "trajectories": 10, "horizon": 400})
    assert list(changed.splits.values()) == [8, 1, 1]


def test_a_preset_that_is_given_replaces_that_of_the_file(toml):
    path = toml('preset = "charged"\nseed = 5')
    assert read_spec(path, preset="trap") == resolve({"preset": "trap", "seed": 5})


@pytest.mark.parametrize("first", ["frames = 3", 'preset = "trap"', 'preset = "springs"'])
def test_naming_the_system_and_solver_that_a_file_has_anyway_changes_nothing(toml, first):
    """By default, or by its preset."""
    path = toml(f"{first}\nparameters = {{ frame_dt = 0.2 }}\noptions = {{ rtol = 1e-12 }}")
    spec = read_spec(path)
    assert read_spec(path, system=spec.system, integrator=spec.integrator) == spec
    assert spec.parameters["frame_dt"] == 0.2


def test_another_system_or_solver_takes_none_of_the_files_parameters_and_options(toml):
    path = toml(
        'frames = 3\nsystem = "charged"\nintegrator = "dop853"\n'
        "parameters = { softening = 0.2 }\noptions = { rtol = 1e-12 }"
    )
    other = read_spec(path, system="springs", integrator="leapfrog", parameters={"stiffness": 2.0})
    assert other.parameters == {"stiffness": 2.0}
    assert other.options == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("frames =", ["`spec`", "TOML"]),
        ("a = " + "[" * 20_000, ["`spec`", "TOML"]),
        ("", ["either `frames` or a `window`"]),
        ("frames = 1979-05-27", ["`frames` of spec", "spec.toml"]),
        ("frames = 3\nparameters = { epoch = 1979-05-27 }", ["`parameters`", "numbers, text"]),
        ('preset = "charged"\nhorizon = 5', ["`horizon`", "`window`", "set-paper"]),
    ],
)
def test_a_wrong_file_is_one_line(toml, text, words):
    path = toml(text)
    with pytest.raises(InputError) as caught:
        read_spec(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\xfa")
    for name in ("none.toml", ".", "binary.toml"):
        with pytest.raises(InputError, match="`spec`") as caught:
            read_spec(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)


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
    springs, gravity, trap, charged = (
        resolve({"preset": name}) for name in ("springs", "gravity", "trap", "charged")
    )
    assert (springs.dimensions, springs.particles, springs.rows) == (2, 5, 49)
    assert list(springs.splits.values()) == [50_000, 10_000, 10_000]
    assert (gravity.particles, list(gravity.splits.values())) == (100, [10_000, 2_000, 2_000])
    _, particles = gravity.make_system().sample(0, 100)
    assert (particles.masses == 1).all()
    for spec, duration in ((gravity, 4.9), (trap, 50.0), (charged, 10.0)):
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
    assert spec.options == {}
    assert spec.parameters["clip"] == 100.0


@pytest.mark.parametrize("horizon", [0, "far", 10**10])
def test_a_wrong_horizon_is_named(horizon):
    refused({"preset": "set-paper", "horizon": horizon}, "`window.horizon`", repr(horizon))


# What names a spec


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float32(0.25), 0.25),
        (np.int64(1), 1),
        (np.array([1.0, 2.0]), [1.0, 2.0]),
        ((1, 2), [1, 2]),
    ],
)
def test_parameters_are_kept_as_a_manifest_holds_them(given, kept):
    """Numbers of NumPy are numbers, and JSON has lists only."""
    spec = resolve({"frames": 3, "parameters": {"value": given}})
    assert spec.parameters == {"value": kept}
    stored = DatasetSpec.model_validate_json(spec.model_dump_json())
    assert stored == spec
    assert spec_hash(stored) == spec_hash(spec)


def test_the_order_of_parameters_does_not_matter_to_the_hash_and_that_of_splits_does():
    parameters = {"softening": 0.2, "coupling": 2.0}
    spec = {"frames": 3, "trajectories": 20, "splits": {"a": 10, "b": 10}, "parameters": parameters}
    turned = spec | {"parameters": dict(reversed(parameters.items()))}
    assert spec_hash(resolve(turned)) == spec_hash(resolve(spec))
    turned = spec | {"splits": dict(reversed(spec["splits"].items()))}
    assert spec_hash(resolve(turned)) != spec_hash(resolve(spec))
    assert spec_hash(resolve(spec | {"seed": 1})) != spec_hash(resolve(spec))
