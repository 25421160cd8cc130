"""What is exported is imported bit for bit, and an import leaves no half."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from exchanged import PUBLISHED, THEIRS, N, T, assert_same_bits, rewrite, set_to, tree, write_nri
from nbody_surrogate.datasets.exchange.exports import export_nri
from nbody_surrogate.datasets.exchange.imports import import_nri
from nbody_surrogate.datasets.exchange.nri import NriFiles
from nbody_surrogate.datasets.verify import verify_dataset
from nbody_surrogate.errors import FileFormatError, InputError
from refusals import refused


def test_what_is_exported_is_imported_bit_for_bit(either, tmp_path):
    export_nri(either, tmp_path / "nri", suffix=PUBLISHED)
    files = NriFiles(tmp_path / "nri", system=either.spec.system, parameters={"frame_dt": 0.1})
    dataset = import_nri(files, tmp_path / "set")
    ours, theirs = either.read(0, len(either)), dataset.read(0, len(dataset))
    assert_same_bits(theirs.x, ours.x)
    assert_same_bits(theirs.v, ours.v)
    assert_same_bits(theirs.particles.charges, ours.particles.charges)
    assert_same_bits(theirs.particles.masses, ours.particles.masses)
    assert (theirs.particles.couplings is None) == (ours.particles.couplings is None)
    if ours.particles.couplings is not None:
        assert_same_bits(theirs.particles.couplings, ours.particles.couplings)
    assert_same_bits(dataset.t, either.t)
    assert dataset.spec.splits == either.spec.splits
    export_nri(dataset, tmp_path / "again", suffix=PUBLISHED)
    assert tree(tmp_path / "again") == tree(tmp_path / "nri")


def test_where_imported_data_come_from_is_kept(nri, tmp_path):
    before = tree(nri)
    dataset = import_nri(NriFiles(nri), tmp_path / "set")
    assert tree(nri) == before
    assert {file.name: file.sha256 for file in dataset.manifest.source} == {
        name: hashlib.sha256(content).hexdigest() for name, content in before.items()
    }
    assert dataset.manifest.label_error is None
    assert "imported" in dataset.manifest.label_error_note
    assert dataset[0].info.method == {"integrator": "unknown"}
    assert set(tree(dataset.folder)) == {"manifest.json", "shard-00000.h5"}
    found = verify_dataset(dataset)
    assert found.success
    assert (found.shards, found.remade) == (1, ())


@pytest.fixture
def small_shards(monkeypatch):
    """Two trajectories to a shard: seven make four shards, which splits share."""
    monkeypatch.setattr("nbody_surrogate.datasets.spec.SHARD_BYTES", 2 * 16 * T * N * 3)


def test_several_shards_are_imported_in_turn(nri, tmp_path, small_shards):
    files, told = NriFiles(nri), []
    dataset = import_nri(
        files, tmp_path / "set", progress=lambda done, total: told.append((done, total))
    )
    assert len(dataset.manifest.shards) == 4
    assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]
    np.testing.assert_array_equal(dataset.read(0, 7).x, files.read(0, 7).x)
    assert verify_dataset(dataset).success


@pytest.mark.parametrize(
    ("kind", "split", "trajectory", "row", "value"),
    [
        ("loc", "train", 2, 3, np.nan),
        ("vel", "validation", 0, 1, np.inf),
        ("vel", "test", 1, 3, np.nan),
    ],
)
def test_rows_that_are_no_numbers_are_refused_and_nothing_is_left(
    nri, tmp_path, small_shards, kind, split, trajectory, row, value
):
    rewrite(nri / f"{kind}_{THEIRS[split]}.npy", set_to(value, trajectory, row, 2, 1))
    with refused(InputError, "`files`", kind, repr(split), f"trajectory {trajectory}, row {row};"):
        import_nri(NriFiles(nri), tmp_path / "set")
    assert not (tmp_path / "set").exists()
    write_nri(nri)
    assert len(import_nri(NriFiles(nri), tmp_path / "set")) == 7


def test_an_interrupted_import_leaves_nothing(nri, tmp_path, small_shards):
    def interrupt(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_nri(NriFiles(nri), tmp_path / "set", progress=interrupt)
    assert not (tmp_path / "set").exists()


def test_a_file_that_vanishes_before_the_import_is_named_and_nothing_is_left(nri, tmp_path):
    files = NriFiles(nri)
    (nri / "vel_test.npy").unlink()
    with refused(FileFormatError, "vel_test.npy"):
        import_nri(files, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("name", ["notes.txt", "shard-00000.h5"])
def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(nri, tmp_path, name):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_bytes(b"precious")
    with refused(InputError, "`output`", tmp_path / "set", repr(name)):
        import_nri(NriFiles(nri), tmp_path / "set")
    assert tree(tmp_path / "set") == {name: b"precious"}
