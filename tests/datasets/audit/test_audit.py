"""Audits: a sound data set is ok in every respect, at its edges and in its files too."""

from __future__ import annotations

import math

import h5py
import numpy as np
import pytest

from audited_sets import CONVERGED, RECIPE, ROWS, SIZE, SPLITS, TASK, N, audited, duplicate, levels
from nbody_surrogate.datasets import DatasetSpec, export_nri, generate_dataset
from nbody_surrogate.datasets import dataset as dataset_module
from nbody_surrogate.datasets.audit.audit import Audit, Finding
from nbody_surrogate.datasets.exchange.nri import NriFiles
from nbody_surrogate.datasets.shard import shard_name
from nbody_surrogate.errors import InputError

CHECKS = [
    "NaN",
    "zero rows",
    "constant rows",
    "frozen rows",
    "duplicates",
    "leakage",
    "energy",
    "converged solver",
    "velocities",
]


# Nothing wrong


@pytest.mark.parametrize(("system", "dimensions"), [("charged", 3), ("springs", 2), ("penning", 3)])
def test_a_sound_data_set_is_ok_in_every_respect(tmp_path, system, dimensions):
    recipe = {"trajectories": 20, "frames": 8, "particles": 4, "shard": 7}
    spec = DatasetSpec(system=system, dimensions=dimensions, **recipe)
    found = audited(generate_dataset(spec, tmp_path))
    assert found.level == "ok"
    assert levels(found) == {}
    assert [finding.check for finding in found.findings] == ["hashes", *CHECKS]
    assert found["converged solver"].numbers["mean"] < CONVERGED
    assert found["energy"].numbers["trajectories"] == 0


def test_rows_in_shards_are_audited_as_those_in_memory(sound, rows):
    hashes, *others = audited(sound).findings
    assert (hashes.check, hashes.level) == ("hashes", "ok")
    assert tuple(others) == audited(rows()).findings


def test_an_audit_does_not_depend_on_the_size_of_the_blocks(rows, monkeypatch):
    data = rows()
    data.x[[3, 35], 4, 0, 0] = np.nan
    data.x[8, 5], data.v[8, 5] = 0, 0
    data.x[12, 7] = data.x[12, 6]
    data.x[34, 9] += 0.1
    duplicate(data, 2, 37)
    duplicate(data, 23, 24)
    wanted = audited(data, sample=7)
    assert levels(wanted).keys() == set(CHECKS) - {"constant rows", "velocities"}
    for size in (1, 7):
        monkeypatch.setattr(dataset_module, "BLOCK_BYTES", size * 8 * ROWS * N * 3)
        assert data.block_size == size
        assert audited(data, sample=7) == wanted


def test_progress_is_told_block_by_block(rows, monkeypatch):
    told = []
    monkeypatch.setattr(dataset_module, "BLOCK_BYTES", 15 * 8 * ROWS * N * 3)
    audited(rows(), progress=lambda *numbers: told.append(numbers))
    assert told == [(15, SIZE), (30, SIZE), (40, SIZE)]


@pytest.mark.parametrize(
    ("given", "wanted"), [([], "ok"), (["ok", "doubtful"], "doubtful"), (["wrong", "ok"], "wrong")]
)
def test_the_level_of_an_audit_is_its_worst(given, wanted):
    assert Audit(1, tuple(Finding("a check", level, "") for level in given)).level == wanted


# Files


def test_a_flipped_bit_shows_in_the_hashes_alone(tmp_path):
    data = generate_dataset(DatasetSpec(**RECIPE), tmp_path)
    path = tmp_path / shard_name(1)
    with h5py.File(path) as shard:
        place = shard["x"].id.get_offset() + 8 * 123
    content = bytearray(path.read_bytes())
    content[place] ^= 1  # the last bit of a float64
    path.write_bytes(content)
    found = audited(data)
    assert levels(found) == {"hashes": "wrong"}
    assert found["hashes"].numbers == {"sound": 1}
    assert path.name in found["hashes"].text
    assert shard_name(0) not in found["hashes"].text


def test_files_of_the_literature_are_audited_as_they_are(sound, tmp_path):
    export_nri(sound, tmp_path)
    loc = np.load(tmp_path / "loc_valid.npy")
    loc[1, 2, 0, 3] = np.nan
    np.save(tmp_path / "loc_valid.npy", loc)
    found = audited(NriFiles(tmp_path, system="charged", first=0))
    assert [finding.check for finding in found.findings] == CHECKS
    assert levels(found) == {"NaN": "wrong"}
    assert f"trajectory {SPLITS['train'] + 1} row 2" in found["NaN"].text


# Data sets at the edge


@pytest.mark.parametrize(("trajectories", "particles"), [(1, 3), (2, 1)])
def test_a_single_trajectory_or_particle(tmp_path, trajectories, particles):
    recipe = {"trajectories": trajectories, "particles": particles, "frames": 3}
    found = audited(generate_dataset(DatasetSpec(**recipe), tmp_path))
    assert levels(found) == {}
    assert found["converged solver"].numbers["trajectories"] == trajectories


def test_a_single_row_leaves_the_solver_nothing_to_compare(tmp_path):
    recipe = {"trajectories": 12, "particles": 3, "first": 3, "frames": 3}
    found = audited(generate_dataset(DatasetSpec(**recipe), tmp_path))
    assert levels(found) == {"converged solver": "doubtful"}
    assert "no rows" in found["converged solver"].text


@pytest.mark.parametrize("row", TASK.values())
@pytest.mark.parametrize("value", [1e9, 1e200])
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_numbers_without_sense_are_still_audited(rows, value, row):
    """As a run leaves them that blew up; infinity would have no place in JSON."""
    data = rows(task=TASK)
    data.x[33, row, 0, 0] = value
    assert audited(data)["converged solver"].level != "ok"


@pytest.mark.parametrize(
    ("name", "value"),
    [("sample", 0), ("energy_jump", 0.0), ("energy_jump", math.nan), ("energy_jump", math.inf)],
)
def test_options_out_of_range_are_one_line(rows, name, value):
    with pytest.raises(InputError, match=f"`{name}` must be .*{value:g}") as caught:
        audited(rows(), **{name: value})
    assert "\n" not in str(caught.value)
