"""Reading a data set: any trajectories, in blocks, and which shard is damaged."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dataset_files import (
    SHARD,
    TOTAL,
    N,
    T,
    again,
    assert_same_block,
    make_block,
    make_data,
    some,
    write_dataset,
)
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import BLOCK_BYTES, Dataset
from nbody_surrogate.datasets.folder import made_by
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.manifest import (
    read_manifest,
    spec_hash,
    write_manifest,
)
from nbody_surrogate.datasets.shard import shard_name, write_shard
from nbody_surrogate.datasets.spec import DatasetSpec, resolve
from nbody_surrogate.errors import FileFormatError, InputError
from refusals import refused


def test_any_trajectories_are_read_over_borders_of_shards(written):
    dataset, block = Dataset(written[0]), written[1]
    assert len(dataset) == TOTAL
    for start in range(TOTAL):
        for stop in range(start + 1, TOTAL + 1):
            assert_same_block(dataset.read(start, stop), some(block, slice(start, stop)))


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 0), (3, 2), (0, TOTAL + 1)])
def test_trajectories_that_are_not_there_are_refused(written, start, stop):
    with refused(InputError, "`start`", "`stop`", TOTAL, start, stop):
        Dataset(written[0]).read(start, stop)


@pytest.mark.parametrize("size", [1, 4, 1000, None])
@pytest.mark.parametrize("split", ["train", "test", None])
def test_blocks_cover_a_split_in_order_and_once(written, split, size):
    dataset, block = Dataset(written[0]), written[1]
    blocks = list(dataset.blocks(split, size))
    part = {"train": range(6), "test": range(6, TOTAL), None: range(TOTAL)}[split]
    assert dataset.part(split) == part
    assert_same_block(TrajectoryBlock.joined(blocks), some(block, slice(part.start, part.stop)))
    if size is not None:
        assert {len(each.x) for each in blocks[:-1]} <= {size}
        assert len(blocks[-1].x) <= size


@pytest.mark.parametrize("size", [0, -1])
def test_a_block_of_no_trajectories_is_refused(written, size):
    with refused(InputError, "`size`", size):
        list(Dataset(written[0]).blocks(size=size))


def test_a_split_that_is_not_there_is_refused_and_the_others_named(written):
    dataset, split = Dataset(written[0]), "valid"
    for read in (dataset.part, lambda name: list(dataset.blocks(name))):
        with refused(InputError, "`split`", repr(split), "train, validation, test"):
            read(split)


@pytest.mark.parametrize("i", [0, 3, TOTAL - 1, -TOTAL])
def test_a_trajectory_is_one_of_the_block(written, i):
    dataset, block = Dataset(written[0]), written[1]
    trajectory = dataset[i]
    one = some(block, slice(i % TOTAL, i % TOTAL + 1))
    assert_same_block(
        TrajectoryBlock(trajectory.x[None], trajectory.v[None], trajectory.particles), one
    )
    np.testing.assert_array_equal(trajectory.t, dataset.t)
    state = trajectory.state(2)
    assert state.t == dataset.t[2]
    np.testing.assert_array_equal(state.x, one.x[:, 2])


def test_a_trajectory_that_is_not_there_is_an_index_error(written):
    dataset = Dataset(written[0])
    for i in (TOTAL, -TOTAL - 1):
        with refused(IndexError, i):
            dataset[i]
    assert len(list(dataset)) == TOTAL


def test_a_trajectory_says_how_it_was_made(made):
    dataset = made("springs")
    info, system = dataset[1].info, dataset.system()
    assert info.system == {"system": "springs", **system.spec.model_dump(mode="json")}
    assert info.system["frame_dt"] == 0.05
    method = {"integrator": "dop853-compiled", "rtol": 1e-7, "norm": "particle"}
    assert info.method == method
    assert info.label == "dop853-compiled (rtol 1e-07)"
    assert info.versions == made_by()
    assert info.good == (dataset.spec.rows,)
    assert info.success


def test_times_are_products_and_cannot_be_changed(made):
    dataset = made("late")
    assert dataset.t.tolist() == [n * 0.1 for n in (2, 3, 4)]
    with pytest.raises(ValueError, match="read-only"):
        dataset.t[0] = 1.0


def test_an_unfinished_data_set_is_refused_with_how_to_go_on(folder):
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"shards": manifest.shards[:-1]}))
    with refused(InputError, folder, f"9 of {TOTAL}", "nbody-sim dataset generate"):
        Dataset(folder)


def of_another_data_set(path):
    write_shard(path, make_data(make_block(SHARD, couplings=True), first=SHARD))


DAMAGES = {
    "gone": Path.unlink,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "of another data set": of_another_data_set,
    "the neighbour": lambda path: shutil.copyfile(path.with_name(shard_name(2)), path),
}


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_shard_is_named_when_it_is_read(folder, damage, number):
    damage(folder / shard_name(number))
    with refused(FileFormatError, folder / shard_name(number)):
        Dataset(folder).read(0, TOTAL)


def test_trajectories_beside_a_damaged_shard_are_read(folder, written):
    (folder / shard_name(1)).unlink()
    dataset = Dataset(folder)
    assert_same_block(dataset.read(0, 3), some(written[1], slice(0, 3)))
    assert_same_block(dataset.read(6, 8), some(written[1], slice(6, 8)))


def rewrite(folder, number, block, t=None):
    """Replace a shard by another one, manifest and all."""
    manifest = read_manifest(folder)
    record = manifest.shards[number]
    data = make_data(block, record.first, spec_hash(manifest.spec), t)
    write_shard(folder / record.name, data)
    again(folder, number)


@pytest.mark.parametrize("shape", [(SHARD + 1, T, 3), (SHARD, T + 1, 3), (SHARD, T, 2)])
def test_a_shard_of_another_shape_is_refused(folder, shape):
    count, rows, dimensions = shape
    rewrite(folder, 1, make_block(count, dimensions, couplings=True, rows=rows))
    with refused(FileFormatError, folder / shard_name(1)):
        Dataset(folder).read(0, TOTAL)


@pytest.mark.parametrize("t", [[0, 1, 2, 2, 3], [0, 1, np.nan, 3, 4], [0, 1, 2, 3, np.inf]])
def test_times_that_are_not_in_order_are_refused(folder, t):
    rewrite(folder, 0, make_block(SHARD, couplings=True), np.array(t, float))
    with refused(FileFormatError, folder / shard_name(0), "times"):
        Dataset(folder)


FOUR_TIMES = 1.3  # of the memory for a quarter of the data: the manifest has more records


def peak_of_iterating(folder, size):
    dataset = Dataset(folder)
    tracemalloc.start()
    try:
        for _ in dataset.blocks(size=size):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_blocks(tmp_path):
    rows, size, counts = 40, 16, (48, 192)
    for count in counts:
        write_dataset(tmp_path / str(count), make_block(count, rows=rows), shard=32)
    peak_of_iterating(tmp_path / "48", size)  # what the first use keeps does not count
    few, many = (peak_of_iterating(tmp_path / str(count), size) for count in counts)
    block_bytes = 2 * 8 * size * rows * N * 3
    assert block_bytes < few < 5 * block_bytes
    assert many < FOUR_TIMES * few


def test_blocks_of_the_default_size_are_a_few_megabytes(written):
    dataset = Dataset(written[0])
    bytes_each = written[1].x[0].nbytes
    assert dataset.block_size == BLOCK_BYTES // bytes_each
    dataset.spec = DatasetSpec(particles=10**4, frames=10**3)  # a trajectory larger than a block
    assert dataset.block_size == 1


def test_a_target_that_was_not_written_is_no_valid_frame(tmp_path):
    window = {"inputs": 2, "every": 1, "horizon": 2, "target": "zero"}
    values = {"particles": 2, "trajectories": 2, "window": window, "integrator": "leapfrog"}
    generate_dataset(resolve(values), tmp_path / "data")
    found = Dataset(tmp_path / "data")[0]
    assert len(found.t) == 3
    assert found.valid_frames == 2
    assert found.valid_part().x.any((1, 2)).all()
