"""Windows for training: each comes once, in an order that a seed settles, from any place on."""

from __future__ import annotations

import json
import tracemalloc
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets import (
    DatasetSpec,
    DatasetWindows,
    Windows,
    generate_dataset,
)
from nbody_surrogate.datasets import dataset as dataset_module
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import AbstractTrajectories
from nbody_surrogate.datasets.windows import MIXED
from nbody_surrogate.errors import InputError
from window_places import singles

BOUNDED = 1.2
"""Memory of a pass over six times the trajectories, over that of one; a list of blocks grows."""
FRAMES = 6
ROWS = FRAMES + 1
SPLITS = {"train": 31, "validation": 4, "test": 5}
BLOCK = 3  # trajectories of a block, so that there are three groups of up to four blocks
N, D = 2, 2
PER_ROW = 100  # trajectory i has PER_ROW * i + row in its rows


class Numbered(AbstractTrajectories):
    """Rows that hold their numbers. It keeps what was read."""

    def __init__(self, splits=SPLITS, frames=FRAMES):
        size = sum(splits.values())
        self.spec = DatasetSpec(
            trajectories=size, splits=splits, frames=frames, particles=N, dimensions=D
        )
        self.reads = []

    def _read(self, start, stop):
        self.reads.append(range(start, stop))
        numbers = np.arange(start, stop, dtype=np.float64)
        places = PER_ROW * numbers[:, None] + np.arange(self.spec.rows)
        x = places[:, :, None, None] + np.arange(N * D).reshape(N, D) / (N * D)
        charges = numbers[:, None] + np.arange(N) / N
        return TrajectoryBlock(x, -x, Particles(charges, 1 + charges))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(dataset_module, "BLOCK_BYTES", BLOCK * 8 * ROWS * N * D)


@pytest.fixture
def numbered(small_blocks):
    data = Numbered()
    assert data.block_size == BLOCK
    return data


def place(window):
    """Trajectory and first row of a window of numbered rows, all of which are as they must be."""
    i, first = divmod(int(window.x[0, 0, 0]), PER_ROW)
    whole = Numbered().read(i, i + 1)
    rows = slice(first, first + len(window.x))
    particles = whole.particles
    wanted = (whole.x[0, rows], whole.v[0, rows], particles.charges[0], particles.masses[0])
    assert isinstance(window, Windows)
    assert all(column.dtype == torch.float64 for column in window)
    assert all(map(np.array_equal, wanted, window))
    return i, first


def places(windows):
    return [place(window) for window in windows]


def on_from(make, state):
    """Windows of a new object that takes over a state, by way of JSON."""
    windows = make()
    windows.load_state_dict(json.loads(json.dumps(state)))
    return windows


# What comes


@pytest.mark.parametrize("window", [2, 4, None])
@pytest.mark.parametrize("shuffle", [True, False])
def test_each_increment_comes_once_in_an_epoch(numbered, window, shuffle):
    windows = list(DatasetWindows(numbered, window=window, shuffle=shuffle))
    assert {len(each.x) for each in windows} == {window or ROWS}
    increments = [(i, first + k) for i, first in places(windows) for k in range((window or 7) - 1)]
    assert sorted(increments) == [(i, k) for i in range(31) for k in range(FRAMES)]


@pytest.mark.parametrize(
    ("window", "stride", "firsts"),
    [
        (1, None, [0, 1, 2, 3, 4, 5, 6]),
        (3, 1, [0, 1, 2, 3, 4]),
        (3, 4, [0, 4]),
        (5, None, [0]),  # rows at the end that fill no window are left out
        (2, 100, [0]),
    ],
)
def test_windows_begin_one_stride_apart(numbered, window, stride, firsts):
    windows = DatasetWindows(numbered, window=window, stride=stride)
    assert len(windows) == 31 * len(firsts)
    assert sorted(places(windows)) == [(i, first) for i in range(31) for first in firsts]


@pytest.mark.parametrize(("split", "part"), [("train", range(31)), ("test", range(35, 40))])
def test_a_split_has_its_own_trajectories(numbered, split, part):
    windows = DatasetWindows(numbered, split)
    assert sorted(i for i, _ in places(windows)) == list(part)
    assert {i for read in numbered.reads for i in read} == set(part)


def test_windows_of_a_generated_data_set_are_its_bits(tmp_path, monkeypatch):
    spec = DatasetSpec(trajectories=10, splits={"train": 10}, frames=6, particles=3, shard=4)
    data = generate_dataset(spec, tmp_path)
    monkeypatch.setattr(dataset_module, "BLOCK_BYTES", 3 * 8 * 7 * 3 * 3)  # blocks over two shards
    wanted = {}
    for i in range(10):
        whole = data[i]
        for first in (0, 3):
            x, v = whole.x[first : first + 4], whole.v[first : first + 4]
            charges, masses = whole.particles.charges[0], whole.particles.masses[0]
            wanted[x.tobytes()] = [each.tobytes() for each in (v, charges, masses)]
    assert len(wanted) == 20
    found = {}
    for x, *others in DatasetWindows(data, window=4):
        found[x.numpy().tobytes()] = [each.numpy().tobytes() for each in others]
    assert found == wanted


# Batches


@pytest.mark.parametrize(("batch", "shuffle"), [(7, True), (7, False), (1000, True)])
def test_batches_hold_the_same_windows_in_the_same_order(numbered, batch, shuffle):
    options = {"window": 3, "shuffle": shuffle, "seed": 2}
    batched = DatasetWindows(numbered, batch=batch, **options)
    number = len(batched)
    batches = list(batched)
    assert len(batches) == number
    sizes = [len(each.x) for each in batches]
    assert all(each.x.shape == (size, 3, N, D) for each, size in zip(batches, sizes, strict=True))
    assert all(each.charges.shape == (len(each.x), N) for each in batches)
    smaller = sum(size < batch for size in sizes)
    assert smaller <= 3  # the last one of each group
    assert max(sizes) <= batch
    wanted = places(DatasetWindows(numbered, **options))
    assert places(singles(batches)) == wanted


def test_windows_may_be_changed(numbered):
    """They are copies: neither other windows nor the data set see it."""
    options = {"window": 3, "stride": 1, "shuffle": False}
    batched = singles(DatasetWindows(numbered, batch=4, **options))
    for window in [*DatasetWindows(numbered, **options), *batched]:
        place(window)
        for column in window:
            column.zero_()


# Order


def test_without_shuffling_windows_come_in_order(numbered):
    windows = DatasetWindows(numbered, window=3, shuffle=False)
    wanted = [(i, first) for i in range(31) for first in (0, 2, 4)]
    assert places(windows) == wanted
    assert places(windows) == wanted  # the next epoch


def test_a_seed_settles_the_order_of_all_epochs(numbered):
    def epochs(seed):
        windows = DatasetWindows(numbered, window=3, seed=seed)
        return [places(windows) for _ in range(3)]

    first = epochs(0)
    assert epochs(0) == first
    other = epochs(1)
    orders = [tuple(order) for order in [*first, *other]]
    assert len(set(orders)) == 6
    assert len({tuple(sorted(order)) for order in orders}) == 1


def test_windows_of_several_blocks_are_mixed(numbered):
    found = places(DatasetWindows(numbered, window=2))
    middle = MIXED * BLOCK * FRAMES // 2
    early, late = found[:middle], found[middle : 2 * middle]
    for half in (early, late):
        blocks = [i // BLOCK for i, _ in half]
        assert len(set(blocks)) == MIXED
        assert blocks != sorted(blocks)
    assert {i for i, _ in early} & {i for i, _ in late}
    assert [i // BLOCK for i, _ in found[:1]] != [0]  # blocks are shuffled as well


# Going on


@pytest.mark.parametrize(
    ("batch", "shuffle", "epoch"), [(None, True, 0), (4, True, 3), (4, False, 0), (1000, True, 0)]
)
def test_a_pass_can_go_on_at_each_place(numbered, batch, shuffle, epoch):
    def make():
        return DatasetWindows(numbered, window=3, batch=batch, shuffle=shuffle, seed=1)

    def numbers(windows):
        whole = singles(windows) if batch else windows
        return [float(each.x[0, 0, 0]) for each in whole]

    windows = on_from(make, {"epoch": epoch, "position": 0})
    states, parts = [windows.state_dict()], []
    for each in windows:
        states.append(windows.state_dict())
        parts.append(numbers([each]))
    assert windows.state_dict() == {"epoch": epoch + 1, "position": 0}
    assert sum(map(len, parts)) == 31 * 3
    for k, state in enumerate(states):
        assert state == {"epoch": epoch, "position": sum(map(len, parts[:k]))}
        rest = on_from(make, state)
        assert numbers(rest) == [number for part in parts[k:] for number in part]
        assert rest.state_dict() == {"epoch": epoch + 1, "position": 0}


def test_a_pass_that_was_left_goes_on_in_the_same_object(numbered):
    windows, other = (DatasetWindows(numbered, window=3) for _ in range(2))
    wanted = places(other)
    assert places(islice(windows, 17)) == wanted[:17]
    assert places(islice(windows, 40)) == wanted[17:57]
    assert places(windows) == wanted[57:]


def test_after_an_epoch_comes_the_next_one(numbered):
    windows = DatasetWindows(numbered, window=3)
    first, second = places(windows), places(windows)
    windows = on_from(lambda: DatasetWindows(numbered, window=3), {"epoch": 0, "position": 90})
    assert places(windows) == first[90:]
    assert places(windows) == second


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"epoch": 1},
        {"epoch": -1, "position": 0},
        {"epoch": 0, "position": 1.5},
        {"epoch": "0", "position": 0},
    ],
)
def test_a_state_that_is_none_is_one_line_and_changes_nothing(numbered, state):
    windows = DatasetWindows(numbered)
    windows.load_state_dict({"epoch": 2, "position": 5})
    with pytest.raises(InputError, match="`state` must hold epoch and position") as caught:
        windows.load_state_dict(state)
    assert "\n" not in str(caught.value)
    assert windows.state_dict() == {"epoch": 2, "position": 5}


# Loaders of PyTorch


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("batch", "batch_size"), [(None, 5), (4, None)])
def test_a_loader_gives_each_window_once(numbered, workers, batch, batch_size):
    windows = DatasetWindows(numbered, window=3, batch=batch)
    loader = DataLoader(windows, batch_size=batch_size, num_workers=workers)
    found = list(loader)
    assert {type(each) for each in found} == {Windows}
    assert max(len(each.x) for each in found) == (batch or batch_size)
    assert sorted(places(singles(found))) == [(i, first) for i in range(31) for first in (0, 2, 4)]


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, True), (2, False)])
def test_each_pass_of_a_loader_has_another_order(numbered, workers, persistent):
    windows = DatasetWindows(numbered, window=3)
    loader = DataLoader(
        windows, batch_size=None, num_workers=workers, persistent_workers=persistent
    )
    first = places(loader)
    if workers and not persistent:  # new workers are copies of this object, which stood still
        windows.epoch += 1
    second = places(loader)
    assert sorted(first) == sorted(second)
    assert first != second


def test_the_state_counts_what_a_loader_without_workers_gave(numbered):
    windows = DatasetWindows(numbered, window=3)
    taken = list(islice(DataLoader(windows, batch_size=5), 4))
    assert windows.state_dict() == {"epoch": 0, "position": 20}
    wanted = places(DatasetWindows(numbered, window=3))
    assert places([*singles(taken), *windows]) == wanted


# Memory


@pytest.mark.parametrize("shuffle", [True, False])
def test_blocks_are_read_as_they_are_needed(numbered, shuffle):
    seen = 0
    for window in DatasetWindows(numbered, batch=1, shuffle=shuffle):
        seen += len(window.x)
        assert sum(map(len, numbered.reads)) < seen + MIXED * BLOCK
    assert max(map(len, numbered.reads)) == BLOCK
    assert sorted(i for read in numbered.reads for i in read) == list(range(31))


def test_the_memory_of_a_pass_does_not_grow_with_the_data_set(monkeypatch):
    each, peaks = 8 * 500 * N * D, []
    monkeypatch.setattr(dataset_module, "BLOCK_BYTES", BLOCK * each)
    for size in (60, 360):
        windows = DatasetWindows(Numbered({"train": size}, 499), window=50, batch=8)
        tracemalloc.start()
        try:
            for _ in windows:
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[0] > 2 * MIXED * BLOCK * each  # x and v of a group
    assert peaks[1] < BOUNDED * peaks[0]


# Arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 8}, ["`window`", "from 1 to the 7 rows", "8"]),
        ({"stride": 0}, ["`stride`", "at least 1", "0"]),
        ({"batch": -4}, ["`batch`", "at least 1", "-4"]),
        ({"seed": -1}, ["`seed`", "at least 0", "-1"]),
        ({"split": "training"}, ["`split`", "'training'", "train, validation, test"]),
    ],
)
def test_bad_arguments_are_one_line(numbered, options, words):
    with pytest.raises(InputError) as caught:
        DatasetWindows(numbered, **options)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert numbered.reads == []


def test_a_split_with_nothing_in_it_is_refused(small_blocks):
    data = Numbered({"train": 3, "test": 0})
    with pytest.raises(InputError, match="`split` 'test' must not be empty") as caught:
        DatasetWindows(data, "test")
    assert "\n" not in str(caught.value)
