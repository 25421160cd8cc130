"""Windows that are made as they are needed: those of the data set, and on from any place."""

from __future__ import annotations

import gc
import json
import multiprocessing
import threading
from itertools import islice

import numpy as np
import pytest
from torch.utils.data import DataLoader

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.datasets import (
    DatasetSpec,
    LiveWindows,
    generate_dataset,
)
from nbody_surrogate.datasets.spec import resolve
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.registry import lookup, registry
from window_places import singles

LIVE = {"trajectories": 24, "splits": {"train": 24}, "frames": 4, "particles": 2, "seed": 7}
MADE = 4  # trajectories of a block
OPTIONS = {"window": 3, "block": MADE}  # two windows of each trajectory


def live(**changes):
    return LiveWindows(DatasetSpec(**LIVE), **(OPTIONS | changes))


def bits(window):
    return b"".join(column.numpy().tobytes() for column in window)


def threads():
    """Names of the threads that make trajectories."""
    return [each.name for each in threading.enumerate() if each.name.startswith("live-windows")]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    return generate_dataset(DatasetSpec(**LIVE), tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="module")
def sequence():
    """The first 40 windows, of five blocks."""
    return [bits(window) for window in islice(live(), 40)]


def bits_of(data, numbers, window):
    """Bits of all windows of some trajectories, by trajectory."""
    found = {}
    for i in numbers:
        whole = data[i]
        for first in range(0, 5 - window + 1, window - 1):
            rows = slice(first, first + window)
            columns = (whole.x[rows], whole.v[rows])
            columns += (whole.particles.charges[0], whole.particles.masses[0])
            found[b"".join(column.tobytes() for column in columns)] = i
    return found


@pytest.mark.parametrize("window", [3, 5])
def test_live_trajectories_are_those_of_the_data_set(generated, window):
    per_block = MADE * (2 if window == 3 else 1)
    found = [bits(each) for each in islice(live(window=window), 5 * per_block)]
    wanted = bits_of(generated, range(5 * MADE), window)
    assert sorted(found) == sorted(wanted)
    blocks = [wanted[each] // MADE for each in found]
    assert blocks == sorted(blocks)
    assert [wanted[each] for each in found] != sorted(wanted[each] for each in found)


def test_live_windows_go_on_where_the_data_set_ends(generated):
    per_block = MADE * 2
    beyond = [bits(each) for each in islice(live(), 6 * per_block, 7 * per_block)]
    assert len(set(beyond)) == per_block
    assert not set(beyond) & set(bits_of(generated, range(24), 3))


def test_live_windows_do_not_depend_on_threads(sequence):
    assert [bits(window) for window in islice(live(threads=3), 40)] == sequence


def test_the_seed_settles_the_order_of_live_windows_only(sequence):
    other = [bits(window) for window in islice(live(seed=1), 40)]
    assert other != sequence
    per_block = MADE * 2
    for begin in range(0, 40, per_block):
        block = slice(begin, begin + per_block)
        assert sorted(other[block]) == sorted(sequence[block])


@pytest.mark.parametrize(("batch", "number"), [(None, 2), (3, 1)])
def test_live_windows_can_go_on_at_each_place(sequence, batch, number):
    def numbers(windows, count):
        """Windows until there are at least so many."""
        found = []
        for each in windows:
            found += map(bits, singles([each]) if batch else [each])
            if len(found) >= count:
                return found
        raise AssertionError("live windows must not end")

    windows = live(batch=batch, threads=number)
    states, seen = [windows.state_dict()], []
    for each in islice(windows, 18 if batch is None else 8):
        states.append(windows.state_dict())
        seen.append(each)
    ends = np.cumsum([0, *(1 if batch is None else len(each.x) for each in seen)])
    assert ends[-1] > 2 * MADE * 2
    assert states == [{"epoch": 0, "position": end} for end in ends.tolist()]
    for state in states:
        windows.load_state_dict(json.loads(json.dumps(state)))
        for _ in range(2):  # the second time in an object that has been elsewhere
            rest = numbers(windows, 10)
            assert rest == sequence[state["position"] :][: len(rest)]
            windows.load_state_dict(state)


def test_threads_end_with_the_iterator():
    assert threads() == []
    windows = iter(live(threads=3))
    next(windows)
    assert 1 <= len(threads()) <= 3
    del windows
    gc.collect()
    assert threads() == []


class LosesSixth(AbstractIntegrator):
    """Stands still, but for trajectory 5, which is lost."""

    name = "loses-sixth"

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in ("x", "v"))
        state, _ = carry.problem.system.sample(LIVE["seed"], LIVE["particles"], first=5)
        lost = np.array_equal(x[0, 0], state.x[0])
        return Frames(x, v, failures={0: (0, "it is lost")} if lost else {})


@pytest.fixture
def failing(monkeypatch):
    """An integrator that fails, until the end of the test."""
    monkeypatch.setattr(lookup, "registered", {})
    registry.register_integrator(LosesSixth.name)(LosesSixth)


def test_a_trajectory_that_fails_in_the_background_is_told(failing):
    spec = DatasetSpec(**LIVE, integrator="loses-sixth")
    windows = iter(LiveWindows(spec, threads=2, **OPTIONS))
    assert len(list(islice(windows, MADE * 2))) == MADE * 2  # the first block is good
    with pytest.raises(RunError, match="trajectory 5 failed: it is lost") as caught:
        next(windows)
    assert "\n" not in str(caught.value)
    assert threads() == []


def test_workers_of_a_loader_make_blocks_of_their_own(generated):
    loader = DataLoader(live(batch=2 * MADE), batch_size=None, num_workers=2)
    batches = iter(loader)
    found = [bits(window) for window in singles(islice(batches, 4))]
    wanted = bits_of(generated, range(4 * MADE), 3)
    assert sorted(found) == sorted(wanted)
    del batches
    gc.collect()
    assert multiprocessing.active_children() == []


def test_starts_from_one_stream_cannot_be_made_as_they_are_needed():
    with pytest.raises(InputError, match=r"`legacy` .*generate the data set first") as caught:
        LiveWindows(resolve({"preset": "nbody-small", "trajectories": 7}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        ({}, {"block": 0}, ["`block`", "at least 1", "0"]),
        ({}, {"threads": 0}, ["`threads`", "at least 1", "0"]),
        ({}, {"window": 6}, ["`window`", "from 1 to the 5 rows", "6"]),
        ({"integrator": None}, {}, ["`integrator`", "imported"]),
        ({"integrator": "boris"}, {}, ["`integrator`", "boris", "magnetic"]),
        ({"options": {"rtol": -1.0}}, {}, ["`rtol`", "-1"]),
    ],
)
def test_bad_arguments_of_live_windows_are_one_line(spec, options, words):
    with pytest.raises(InputError) as caught:
        LiveWindows(DatasetSpec(**(LIVE | spec)), **(OPTIONS | options))
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert threads() == []
