"""Data sets of particles with radii, of a system that has a finer version."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from nbody_surrogate import InputError, register_system
from nbody_surrogate.cli.dataset.info import _rows as info_rows
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.datasets import (
    Dataset,
    DatasetWindows,
    LiveWindows,
    SizedWindows,
    audit_dataset,
    export_npz,
    export_nri,
    generate_dataset,
    verify_dataset,
)
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.manifest import read_manifest, write_manifest
from nbody_surrogate.datasets.spec import resolve
from nbody_surrogate.registry import lookup
from small_systems import Pebbles, truncation_rmse

S, N = 6, 3
VALUES = {
    "system": "pebbles",
    "particles": N,
    "trajectories": S,
    "frames": 4,
    "splits": {"train": 4, "test": 2},
    "shard": 4,
    "integrator": "dop853",
    "options": {"rtol": 1e-9, "atol": 1e-9},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    kept = dict(lookup.registered)
    register_system("pebbles")(Pebbles)
    folder = tmp_path_factory.mktemp("made") / "set"
    yield generate_dataset(resolve(VALUES), folder)
    lookup.registered.clear()
    lookup.registered.update(kept)


def radii_of(first, count=1):
    return Pebbles().sample(0, N, count, first=first)[1].radii


def test_shards_have_them_to_the_bit(made):
    np.testing.assert_array_equal(made.read(0, 4).particles.radii, radii_of(0, 4))
    np.testing.assert_array_equal(made.read(2, 6).particles.radii, radii_of(2, 4))  # of two shards
    with h5py.File(made.folder / "shard-00001.h5") as file:
        np.testing.assert_array_equal(file["radii"][()], radii_of(4, 2))
    assert verify_dataset(made, 2).success


def test_blocks_keep_them_together(made):
    both = TrajectoryBlock.joined([made.read(4, 5), made.read(1, 2)])
    wanted = np.concatenate([radii_of(4), radii_of(1)])
    np.testing.assert_array_equal(both.particles.radii, wanted)
    np.testing.assert_array_equal(both.subset([1]).particles.radii, wanted[1:])


def test_windows_have_a_column_more(made):
    drawn = {made.read(i, i + 1).x[0, 0].tobytes(): radii_of(i)[0] for i in range(4)}
    for batch in (None, 3):
        for windows in DatasetWindows(made, batch=batch):
            assert type(windows) is SizedWindows
            x, _, charges, _, radii = windows
            assert radii.shape == charges.shape
            firsts = x[None] if batch is None else x
            for first, found in zip(firsts, radii.reshape(-1, N), strict=True):
                np.testing.assert_array_equal(found, drawn[first[0].numpy().tobytes()])
    live = next(iter(LiveWindows(made.spec, batch=2, block=2)))
    assert live.radii.shape == (2, N)


def test_training_hands_them_to_models(made):
    from nbody_surrogate.training.recipe import DataRecipe, Recipe
    from nbody_surrogate.training.sources import _stored

    recipe = Recipe.model_construct(chunk=2, task=False, validation=2, seed=0)
    data = DataRecipe.model_construct(batch=2, folder=made.folder)
    source = _stored(recipe, data, made, 0, 1)
    assert source.radii == (radii_of(0, 4).min(), radii_of(0, 4).max())
    windows = source.next()
    found = source.particle_tensors(windows, "cpu", windows.x.dtype)
    assert isinstance(found, ParticleTensors)
    np.testing.assert_array_equal(found.radii, windows.radii)


def test_archives_have_them_and_the_layout_of_the_literature_has_no_place(made, tmp_path):
    (path, _) = export_npz(made, tmp_path)
    with np.load(path) as file:
        np.testing.assert_array_equal(file["radii"], radii_of(0, 4))
    with pytest.raises(InputError, match="no place for radii; use npz"):
        export_nri(made, tmp_path)


def test_both_errors_are_stated(made):
    """That of steps in time is rounding: a parabola is what dop853 solves exactly."""
    manifest = made.manifest
    assert manifest.label_error.largest[-1] < 1e-12
    error = manifest.system_error
    assert error.rows == manifest.label_error.rows
    assert error.method == "pebbles with order 4 in place of 2, by dop853, rtol 1e-11"
    sample = [0, 2, 3, 5]  # as `label_error_sample` spreads them
    t = made.t[list(error.rows)]
    wanted = np.concatenate([truncation_rmse(t, radii_of(i), 3) for i in sample])
    np.testing.assert_allclose(error.largest, wanted.max(0), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(error.median, np.median(wanted, axis=0), rtol=1e-9, atol=1e-14)
    rows = info_rows(made)
    assert "against dop853, rtol 1e-11" in rows["label error"]
    assert "against pebbles with order 4 in place of 2" in rows["system error"]


def test_an_audit_states_it(made):
    found = {each.check: each for each in audit_dataset(made).findings}
    assert found["converged solver"].level == "ok"
    finer = found["finer system"]
    assert "order 4 in place of 2" in finer.text
    assert finer.numbers["mean"] > 1e6 * found["converged solver"].numbers["mean"]


def test_a_manifest_without_it_is_as_it_was(made, tmp_path):
    manifest = read_manifest(made.folder)
    write_manifest(tmp_path, manifest.model_copy(update={"system_error": None}))
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert "system_error" not in content
    assert read_manifest(tmp_path).system_error is None
    assert read_manifest(tmp_path).digest == Dataset(made.folder).manifest.digest
