"""Rows of a file in any order: the particles' ids say which is which, in every frame."""

from __future__ import annotations

import numpy as np
import pytest

import foreign_files as made
from foreign_files import CHARGES, DT, MASSES, SPECIES, TIMES, N, T, V, X
from nbody_surrogate.errors import FileFormatError
from nbody_surrogate.formats.foreign.h5md import read_foreign_h5md
from nbody_surrogate.formats.foreign.xyz import read_xyz
from refusals import refused

IDS = 7 + 3 * np.arange(N)  # of LAMMPS, which numbers what it likes
SHUFFLED = np.array([np.random.default_rng(k).permutation(N) for k in range(T)])
STEADY = np.tile([2, 0, 3, 1], (T, 1))
NUMBERS = np.array([SPECIES.index(each) for each in SPECIES])


def shuffled(values, rows):
    return np.take_along_axis(values, rows.reshape(T, N, *[1] * (values.ndim - 2)), axis=1)


def dump(path, rows, ids=None, *, constant=False, step=DT, **storage):
    """Write all elements in the order of `rows`, or what is constant without times."""
    ids = shuffled(np.tile(IDS, (T, 1)), rows) if ids is None else ids

    def write(group):
        for name, values in (("position", X), ("velocity", V)):
            made.element(group, name, shuffled(values, rows), 1, DT)
        made.element(group, "id", ids, 1, step, **storage)
        for name, values in (("charge", CHARGES), ("mass", MASSES), ("species", NUMBERS)):
            if constant:
                group[name] = values if np.any(rows != rows[0]) else values[rows[0]]
            else:
                made.element(group, name, shuffled(np.tile(values, (T, 1)), rows), 1, DT)

    return made.h5md(path, write)


@pytest.mark.parametrize("rows", [SHUFFLED, STEADY], ids=["shuffled", "steady"])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("frame", [None, 2])
def test_particles_keep_their_place(tmp_path, rows, constant, frame):
    content = read_foreign_h5md(dump(tmp_path / "a.h5", rows, constant=constant), frame)
    kept = slice(None) if frame is None else slice(frame, frame + 1)
    np.testing.assert_array_equal(content.t, TIMES[kept])
    np.testing.assert_array_equal(content.x, X[kept])
    np.testing.assert_array_equal(content.v, V[kept])
    np.testing.assert_array_equal(content.charges, CHARGES)
    np.testing.assert_array_equal(content.masses, MASSES)
    assert content.species == tuple(map(str, NUMBERS))


def test_constant_ids_sort_all_frames(tmp_path):
    def write(group):
        order = STEADY[0]
        made.element(group, "position", X[:, order], 1, DT)
        group["id"], group["charge"] = IDS[order], CHARGES[order]

    content = read_foreign_h5md(made.h5md(tmp_path / "a.h5", write))
    np.testing.assert_array_equal(content.x, X)
    np.testing.assert_array_equal(content.charges, CHARGES)


def changed(frame, particle, number):
    ids = np.tile(IDS, (T, 1))
    ids[frame, particle] = number
    return ids


@pytest.mark.parametrize(
    ("ids", "word", "more"),
    [
        (changed(1, 0, IDS[1]), "two particles have the same id", {}),
        (changed(1, 0, 99), "not of the same particles", {}),
        (changed(slice(None), 0, -1), "placeholders", {"fillvalue": -1}),
        (np.tile(IDS, (T, 1))[:, 1:], "ids have shape", {}),
        (np.tile(IDS, (T, 1)), "not at the times", {"step": 2 * DT}),
    ],
)
def test_ids_that_do_not_tell_are_refused(tmp_path, ids, word, more):
    path = dump(tmp_path / "a.h5", STEADY, ids, **more)
    with refused(FileFormatError, "a.h5", word):
        read_foreign_h5md(path)


def test_frames_of_other_particles_are_refused_in_text_too(tmp_path):
    def columns(k, i):
        return [*X[k, i], i + 1 if (k, i) != (2, 3) else 99]

    path = made.xyz(tmp_path / "a.xyz", "species:S:1:pos:R:3:id:R:1", columns)
    with refused(FileFormatError, "a.xyz", "ids of particles change"):
        read_xyz(path)
