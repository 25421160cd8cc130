"""The recipe of a data set: what it means, and what it refuses."""

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
    resolve,
)
from nbody_surrogate.errors import InputError
from specs import TOO_MANY_DIGITS, refused

WINDOW = {"inputs": 3, "every": 10, "horizon": 40}
LEGACY = {"system": "charged-clipped", "trajectories": 30, "frames": 49}
SPLITS = {"train": 10, "validation": 10, "test": 10}


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
