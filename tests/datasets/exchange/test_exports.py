"""Data sets are exported as archives and in the files of the literature."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from exchanged import PUBLISHED, THEIRS, N, T, assert_same_bits, made, split_of, tree
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.exchange.exports import export_npz, export_nri
from nbody_surrogate.datasets.exchange.nri import NriFiles
from nbody_surrogate.datasets.shard import shard_name
from nbody_surrogate.errors import FileFormatError, InputError, RunError
from refusals import posix, refused

EXPORTS = [export_npz, export_nri]


# Export to .npz


def test_archives_hold_the_splits(either, tmp_path):
    paths = export_npz(either, tmp_path / "out")
    assert [path.name for path in paths] == ["train.npz", "validation.npz", "test.npz"]
    assert set(tree(tmp_path / "out")) == {path.name for path in paths}
    for path in paths:
        x, v, particles, _ = split_of(either, path.stem)
        wanted = {"x": x, "v": v, "charges": particles.charges, "masses": particles.masses}
        wanted["t"] = either.t
        if particles.couplings is not None:
            wanted["couplings"] = particles.couplings
        with np.load(path, allow_pickle=False) as archive:
            assert set(archive.files) == set(wanted)
            for key in wanted:
                assert_same_bits(archive[key], wanted[key])


def test_the_size_of_blocks_changes_nothing_that_is_exported(charged_set, tmp_path, monkeypatch):
    export_nri(charged_set, tmp_path / "whole")
    monkeypatch.setattr("nbody_surrogate.datasets.dataset.BLOCK_BYTES", 2 * charged_set[0].x.nbytes)
    assert charged_set.block_size == 2
    export_nri(charged_set, tmp_path / "parts")
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def test_any_splits_go_into_archives_but_empty_ones(tmp_path):
    dataset = made(tmp_path / "set", (("a-1", 2), ("none", 0), ("rest_2", 1)))
    names = [path.name for path in export_npz(dataset, tmp_path / "out")]
    assert names == ["a-1.npz", "rest_2.npz"]
    assert set(tree(tmp_path / "out")) == set(names)
    with refused(InputError, "`format`", "'a-1'", "train, validation, test"):
        export_nri(dataset, tmp_path / "nri")
    assert not (tmp_path / "nri").exists()


@pytest.mark.parametrize("export", EXPORTS)
def test_files_are_replaced_only_when_asked(charged_set, tmp_path, export):
    last = export(charged_set, tmp_path / "first")[-1].name
    (tmp_path / last).write_bytes(b"precious")
    shutil.rmtree(tmp_path / "first")
    with refused(InputError, "`output`", tmp_path / last, "--overwrite"):
        export(charged_set, tmp_path)
    assert tree(tmp_path) == {last: b"precious"}
    paths = export(charged_set, tmp_path, overwrite=True)
    assert set(tree(tmp_path)) == {path.name for path in paths}
    assert (tmp_path / last).read_bytes() != b"precious"


@pytest.mark.parametrize("export", EXPORTS)
def test_a_folder_that_cannot_be_made_is_one_line(charged_set, tmp_path, export):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "inner"):
        with refused(InputError, "`output`", folder):
            export(charged_set, folder)


@pytest.mark.parametrize(
    ("export", "name"), [(export_npz, "train.npz"), (export_nri, "loc_train.npy")]
)
def test_a_directory_in_the_way_of_an_export_is_one_line(charged_set, tmp_path, export, name):
    (tmp_path / name).mkdir()
    with refused((InputError, RunError), "`output`", tmp_path / name):
        export(charged_set, tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("export", EXPORTS)
def test_a_damaged_data_set_leaves_no_half_of_a_file(charged_set, tmp_path, export):
    shutil.copytree(charged_set.folder, tmp_path / "set")
    dataset = Dataset(tmp_path / "set")
    export(dataset, tmp_path / "out")
    old = tree(tmp_path / "out")
    (dataset.folder / shard_name(2)).unlink()  # of the last split
    for folder in ("out", "new"):
        with refused(FileFormatError, dataset.folder / shard_name(2)):
            export(dataset, tmp_path / folder, overwrite=True)
    now = tree(tmp_path / "out")
    assert set(now) == set(old)
    assert all(now[name] == old[name] for name in old if "test" in name)
    assert list((tmp_path / "new").glob("*test*")) == []


@posix
@pytest.mark.parametrize("limit", [0, 100, 700, 1500])  # in the first header, array, and so on
@pytest.mark.parametrize("export", EXPORTS)
def test_a_full_disk_is_one_line_and_leaves_nothing(charged_set, tmp_path, export, limit):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with refused(RunError, "`output`", tmp_path, "cannot be written"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            export(charged_set, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert tree(tmp_path) == {}


# Export to the files of the literature


def test_exported_files_have_the_published_layout(charged_set, tmp_path):
    export_nri(charged_set, tmp_path, suffix=PUBLISHED)
    kinds = ["loc", "vel", "edges", "charges"]
    names = {f"{kind}_{split}{PUBLISHED}.npy" for kind in kinds for split in THEIRS.values()}
    assert set(tree(tmp_path)) == names
    for ours, theirs in THEIRS.items():
        loc, vel, edges, charges = (
            np.load(tmp_path / f"{kind}_{theirs}{PUBLISHED}.npy", allow_pickle=False)
            for kind in kinds
        )
        x, v, particles, _ = split_of(charged_set, ours)
        assert_same_bits(loc, x.swapaxes(2, 3))
        assert_same_bits(vel, v.swapaxes(2, 3))
        assert_same_bits(charges, particles.charges[..., None])
        assert_same_bits(edges, charges @ charges.swapaxes(1, 2))


def charged_springs(self, start, stop):
    x = np.ones((stop - start, T, N, 3))
    charges = np.ones((stop - start, N))
    return TrajectoryBlock(x, x, Particles(charges, charges, np.ones((stop - start, N, N))))


@pytest.mark.parametrize("word", ["masses", "charges beside couplings"])
def test_what_the_layout_would_lose_is_refused(tmp_path, monkeypatch, word):
    dataset = made(tmp_path / "set", parameters={"mass_range": (1.0, 2.0)})
    if word != "masses":
        monkeypatch.setattr(Dataset, "_read", charged_springs)  # no system of ours has them
    with refused(InputError, "`format`", word, "npz"):
        export_nri(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(export_npz(dataset, tmp_path / "out")) == 3


@pytest.mark.parametrize("suffix", ["x" * 300, "a\0b", "/../x"])
def test_a_suffix_that_makes_no_file_name_is_one_line(charged_set, nri, tmp_path, suffix):
    with refused(InputError, "`suffix`"):
        export_nri(charged_set, tmp_path / "out", suffix=suffix)
    assert not (tmp_path / "out").exists()
    with refused(InputError, "`suffix`"):
        NriFiles(nri, suffix)
