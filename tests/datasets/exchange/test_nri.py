"""The files of the literature: which are read, and what they must agree in."""

from __future__ import annotations

import numpy as np
import pytest

from exchanged import (
    PUBLISHED,
    THEIRS,
    Bomb,
    N,
    T,
    pickled_array,
    rewrite,
    saved,
    set_to,
    split_of,
    tree,
    write_nri,
)
from nbody_surrogate.datasets.exchange.imports import import_nri
from nbody_surrogate.datasets.exchange.nri import NriFiles, has_nri_files
from nbody_surrogate.datasets.spec import TaskSpec
from nbody_surrogate.errors import FileFormatError, InputError
from refusals import refused


def test_the_recipe_is_what_was_given_and_what_the_files_say(nri, tmp_path):
    given = {"system": "charged", "parameters": {"frame_dt": 0.3}, "first": 7}
    files = NriFiles(nri, **given, velocity_lag=0.125, task=TaskSpec(input=0, target=2))
    spec = files.spec
    assert given == {key: getattr(spec, key) for key in given}
    assert spec.velocity_lag == 0.125
    assert spec.splits == {"train": 3, "validation": 2, "test": 2}
    assert (spec.trajectories, spec.rows, spec.particles, spec.dimensions) == (7, T, N, 3)
    assert spec.task == TaskSpec(input=0, target=2)
    assert spec.integrator is None
    assert import_nri(files, tmp_path / "set").t.tolist() == [(7 + row) * 0.3 for row in range(T)]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"system": "unheard-of"}, "unheard-of"),
        ({"parameters": {"frame_dt": -1.0}}, "frame_dt"),
        ({"task": TaskSpec(input=0, target=T)}, "task"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(nri, options, word):
    with refused(InputError, word):
        NriFiles(nri, **options)


@pytest.mark.parametrize("suffix", ["", PUBLISHED])
def test_the_only_suffix_is_found(tmp_path, suffix):
    write_nri(tmp_path, suffix=suffix)
    assert has_nri_files(tmp_path)
    assert {path.name for path in NriFiles(tmp_path).paths} == set(tree(tmp_path))
    with refused(InputError, tmp_path, "loc_train_other.npy"):
        NriFiles(tmp_path, "_other")


def test_of_several_suffixes_one_must_be_given(tmp_path):
    write_nri(tmp_path, suffix=PUBLISHED)
    write_nri(tmp_path, splits=["test"], rows=T + 1)
    with refused(InputError, "`suffix`", tmp_path, "''", repr(PUBLISHED)):
        NriFiles(tmp_path)
    assert NriFiles(tmp_path, "").spec.splits == {"test": 2}
    assert NriFiles(tmp_path, PUBLISHED).spec.rows == T


def test_a_folder_without_files_is_refused(tmp_path):
    (tmp_path / "loc_training.txt").touch()
    for folder in (tmp_path, tmp_path / "loc_training.txt", tmp_path / "gone"):
        assert not has_nri_files(folder)
        with refused(InputError, "`files`", folder):
            NriFiles(folder)


@pytest.mark.parametrize("splits", [["train"], ["valid", "test"]])
def test_splits_may_be_missing(tmp_path, splits):
    write_nri(tmp_path / "nri", splits)
    dataset = import_nri(NriFiles(tmp_path / "nri"), tmp_path / "set")
    ours = {theirs: name for name, theirs in THEIRS.items()}
    assert list(dataset.spec.splits) == [ours[split] for split in splits]
    loc = np.load(tmp_path / "nri" / f"loc_{splits[-1]}.npy")
    np.testing.assert_array_equal(split_of(dataset, ours[splits[-1]]).x.swapaxes(2, 3), loc)


@pytest.mark.parametrize("name", ["loc_train", "vel_valid", "edges_test", "charges_valid"])
def test_a_file_that_is_missing_or_damaged_is_named(nri, tmp_path, name):
    path, marker = nri / f"{name}.npy", tmp_path / "exploded"
    path.write_bytes(path.read_bytes()[:-1])
    with refused(FileFormatError, path):
        NriFiles(nri)
    pickled_array(path, Bomb(marker))
    with refused(InputError, path, "Python objects"):
        NriFiles(nri)
    assert not marker.exists()
    path.unlink()
    with refused(InputError, "`files`", path.name):
        NriFiles(nri)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("loc", lambda values: values[:, 0]),
        ("loc", lambda values: values[:0]),
        ("loc", lambda values: values.repeat(2, 2)),  # in six dimensions
        ("vel", lambda values: values[:-1]),
        ("vel", lambda values: values[:, :, :2]),
        ("edges", lambda values: values[:, :-1]),
        ("charges", lambda values: values[:, :-1]),
    ],
)
def test_a_shape_that_does_not_fit_is_named(nri, kind, change):
    rewrite(nri / f"{kind}_valid.npy", change)
    shape = np.load(nri / f"{kind}_valid.npy").shape
    with refused(InputError, f"'{kind}_valid.npy'", shape):
        NriFiles(nri)


def test_splits_of_other_shapes_are_refused(nri):
    write_nri(nri, ["test"], dimensions=2)
    with refused(InputError, "`files`", nri, (T, 3, N), (T, 2, N)):
        NriFiles(nri)


def test_charges_of_some_splits_alone_are_refused(nri):
    """Edges of the others would be taken for springs."""
    (nri / "charges_valid.npy").unlink()
    with refused(InputError, "`files`", nri, "'charges_valid.npy' is missing"):
        NriFiles(nri)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("edges", set_to(0.5, 1, 0, 1)),
        ("edges", set_to(np.nan, 1, 0, 1)),
        ("edges", np.negative),
        ("charges", set_to(1.001, 0, 0)),
        ("charges", set_to(np.nan, 1, 2)),
    ],
)
def test_edges_that_are_not_the_products_of_charges_are_refused(nri, kind, change):
    rewrite(nri / f"{kind}_valid.npy", change)
    files = NriFiles(nri)
    assert len(files.read(0, 3).x) == 3  # of another split
    with refused(FileFormatError, "edges_valid.npy", "products of the charges"):
        files.read(3, 5)


def test_charges_may_be_of_single_precision_and_without_their_last_axis(tmp_path):
    charges = np.random.default_rng(0).uniform(-2, 2, size=(3, N, 1))
    write_nri(tmp_path, ["train"])
    saved(tmp_path / "charges_train.npy", charges[..., 0].astype(np.float32))
    saved(tmp_path / "edges_train.npy", (charges @ charges.swapaxes(1, 2)).astype(np.float32))
    particles = NriFiles(tmp_path).read(0, 3).particles
    np.testing.assert_array_equal(particles.charges, charges[..., 0].astype(np.float32))


@pytest.mark.parametrize("value", [7.0, np.nan])
@pytest.mark.parametrize("without", [[], ["charges"]])
def test_nothing_is_read_of_the_diagonal_of_edges(tmp_path, without, value):
    write_nri(tmp_path, ["train"], without=without)
    for system in ["charged", "springs"][: 1 + len(without)]:
        write_nri(tmp_path, ["train"], without=without)
        before = NriFiles(tmp_path, system=system).read(0, 3).particles
        rewrite(tmp_path / "edges_train.npy", set_to(value, 1, 0, 0))
        after = NriFiles(tmp_path, system=system).read(0, 3).particles
        np.testing.assert_array_equal(after.charges, before.charges)
        if system == "springs":
            np.testing.assert_array_equal(after.couplings, before.couplings)


@pytest.mark.parametrize("change", [set_to(0.5, 1, 0, 1), set_to(np.nan, 1, 0, 1)])
def test_springs_that_are_not_symmetric_or_no_numbers_are_refused(tmp_path, change):
    write_nri(tmp_path, ["train"], without=["charges"])
    rewrite(tmp_path / "edges_train.npy", change)
    with refused(FileFormatError, "edges_train.npy", "`couplings`"):
        NriFiles(tmp_path, system="springs").read(0, 3)
