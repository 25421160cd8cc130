"""Sets as other programs write them: charges told by edges, masses, splits of unlike lengths."""

from __future__ import annotations

import numpy as np
import pytest

from exchanged import N, rewrite, saved, set_to, write_nri
from nbody_surrogate.datasets.exchange.edges import charges_from
from nbody_surrogate.datasets.exchange.exports import export_nri
from nbody_surrogate.datasets.exchange.imports import import_nri
from nbody_surrogate.datasets.exchange.nri import NriFiles
from nbody_surrogate.errors import FileFormatError, InputError, NBodyWarning
from published_sets import write_charged, write_gravity, write_springs
from refusals import refused

ROWS = {"train": 3, "valid": 3, "test": 5}


def up_to_a_sign(charges):
    """The same with the first that is no zero made positive, trajectory by trajectory."""
    first = np.take_along_axis(charges, (charges != 0).argmax(1)[:, None], 1)
    return charges * np.where(first < 0, -1.0, 1.0)


# Charges from edges


def test_charges_are_recovered_from_their_products(tmp_path):
    charges = write_charged(tmp_path, {"train": 1, "test": 1}, size=8, n=5)
    files = NriFiles(tmp_path)
    assert files.recovers_charges
    particles = files.read(0, 16).particles
    assert particles.couplings is None
    wanted = np.concatenate([charges["train"], charges["test"]])
    np.testing.assert_array_equal(particles.charges, up_to_a_sign(wanted))
    assert (particles.charges[:, 0] == 1).all()
    np.testing.assert_array_equal(particles.masses, np.ones((16, 5)))
    dataset = import_nri(files, tmp_path / "set")
    np.testing.assert_array_equal(dataset.read(0, 16).particles.charges, particles.charges)
    export_nri(dataset, tmp_path / "again")
    edges = np.load(tmp_path / "again" / "edges_test.npy")
    np.testing.assert_array_equal(edges, np.load(tmp_path / "edges_test.npy"))


def test_charges_of_any_size_are_recovered_by_the_diagonal():
    rng = np.random.default_rng(0)
    charges = rng.uniform(-2, 2, size=(20, 6))
    charges[3, 0], charges[5] = 0, 0
    for unit in (1e-9, 1.0, 1e9):
        given = unit * charges
        edges = given[:, :, None] * given[:, None]
        np.testing.assert_allclose(charges_from(edges), up_to_a_sign(given), rtol=1e-14)
        np.testing.assert_allclose(
            charges_from(edges.astype("f4").astype("f8")), up_to_a_sign(given), rtol=1e-6
        )


def test_zeros_among_the_charges(tmp_path):
    given = np.array([[0, 1, -1, 0], [-1, 0, 0, 1], [0, 0, 0, 0]], float)
    wanted = np.array([[0, 1, -1, 0], [1, 0, 0, -1], [0, 0, 0, 0]], float)
    np.testing.assert_array_equal(charges_from(given[:, :, None] * given[:, None]), wanted)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_to(-1.0, 1, 0, 1), ["of particles", "of trajectory 1"]),
        (set_to(0.0, 2, slice(1, 3), slice(1, 3)), ["of particles 1 and 2 of trajectory 2 is 0"]),
        (set_to(0.37, 1, 0, 1), ["1, -1 and 0, or hold the squares", "0.37"]),
        (set_to(np.nan, 1, 0, 1), ["NaN"]),
    ],
)
def test_edges_that_are_no_products_are_refused(tmp_path, change, words):
    write_nri(tmp_path, ["train"], without=["charges"])
    saved(tmp_path / "edges_train.npy", np.ones((3, N, N)) - 1.0 * np.eye(N))
    rewrite(tmp_path / "edges_train.npy", change)
    with refused(FileFormatError, "edges_train.npy", *words):
        NriFiles(tmp_path).read(0, 3)


def test_the_edges_of_springs_are_no_charges(tmp_path):
    write_springs(tmp_path, {"train": 2})
    with refused(FileFormatError, "edges_train.npy", "`system`, such as springs"):
        NriFiles(tmp_path).read(0, 6)
    particles = NriFiles(tmp_path, system="springs").read(0, 6).particles
    np.testing.assert_array_equal(particles.couplings, np.load(tmp_path / "edges_train.npy"))
    assert not particles.charges.any()


def test_a_sign_that_matters_is_not_guessed(tmp_path):
    write_charged(tmp_path, {"train": 2}, dimensions=3)
    with refused(InputError, "`files`", "must hold charges for system 'penning'"):
        NriFiles(tmp_path, system="penning")


# Splits of unlike lengths


def test_the_rows_that_all_splits_have_are_read(tmp_path):
    write_charged(tmp_path, ROWS)
    words = "split 'test' .* has 2 rows more than the 3 that all splits have"
    with pytest.warns(NBodyWarning, match=words):
        files = NriFiles(tmp_path)
    assert files.left_out == {"test": 2}
    assert files.spec.rows == 3
    block = files.read(0, 18)
    assert block.x.shape == (18, 3, 4, 2)
    loc = np.load(tmp_path / "loc_test.npy")
    np.testing.assert_array_equal(block.x[12:].swapaxes(2, 3), loc[:, :3])


def test_a_split_alone_has_all_its_rows(tmp_path):
    write_charged(tmp_path, ROWS)
    files = NriFiles(tmp_path, splits=["test"])
    assert files.left_out == {}
    assert files.spec.splits == {"test": 6}
    dataset = import_nri(files, tmp_path / "set")
    loc = np.load(tmp_path / "loc_test.npy")
    np.testing.assert_array_equal(dataset.read(0, 6).x.swapaxes(2, 3), loc)
    assert NriFiles(tmp_path, splits=("validation", "train")).spec.rows == 3
    with refused(InputError, "`splits`", "train, validation, test", "'valid'"):
        NriFiles(tmp_path, splits=["valid"])
    (tmp_path / "edges_test.npy").unlink()
    NriFiles(tmp_path, splits=["train"])  # nothing is asked of the others
    for kind in ("loc", "vel"):
        (tmp_path / f"{kind}_test.npy").unlink()
    with refused(InputError, "`files`", "loc_test.npy"):
        NriFiles(tmp_path, splits=["test"])


# Masses in the place of charges


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_masses_and_particles_before_dimensions(tmp_path, released, n):
    found = write_gravity(tmp_path, {"train": 2, "valid": 2}, n=n, released=released)
    files = NriFiles(tmp_path)
    spec = files.spec
    assert (spec.system, spec.first, spec.particles, spec.dimensions) == ("gravity", 0, n, 3)
    assert not files.recovers_charges
    block = files.read(0, 8)
    x, masses = (np.concatenate(pair) for pair in zip(*found.values(), strict=True))
    np.testing.assert_array_equal(block.x, x)
    np.testing.assert_array_equal(block.particles.masses, masses)
    assert not block.particles.charges.any()
    dataset = import_nri(files, tmp_path / "set")
    np.testing.assert_array_equal(dataset.read(0, 8).particles.masses, masses)
    assert len(dataset.manifest.source) == 6  # nothing is read of forces


def test_what_does_not_fit_masses(tmp_path):
    write_gravity(tmp_path, {"train": 2, "valid": 2})
    mass = np.load(tmp_path / "mass_train.npy")
    saved(tmp_path / "mass_train.npy", -mass)
    with refused(FileFormatError, "mass_train.npy", "`masses` must be > 0"):
        NriFiles(tmp_path).read(0, 1)
    saved(tmp_path / "mass_train.npy", mass[:, :-1])
    with refused(InputError, "mass_train.npy", (4, 5, 1)):
        NriFiles(tmp_path)
    (tmp_path / "mass_train.npy").unlink()
    with refused(InputError, "edges_train.npy"):
        NriFiles(tmp_path)


def test_charges_with_particles_before_dimensions(tmp_path):
    """Whoever turned the axes of the files round."""
    write_charged(tmp_path / "a", {"train": 2}, n=5, dimensions=3)
    wanted = NriFiles(tmp_path / "a").read(0, 6)
    for kind in ("loc", "vel"):
        path = tmp_path / "a" / f"{kind}_train.npy"
        saved(path, np.ascontiguousarray(np.load(path).swapaxes(2, 3)))
    found = NriFiles(tmp_path / "a").read(0, 6)
    np.testing.assert_array_equal(found.x, wanted.x)
    np.testing.assert_array_equal(found.particles.charges, wanted.particles.charges)
