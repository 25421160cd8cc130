"""A trajectory costs the same to read however many others there are in its file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from h5md_files import T, in_groups, make_info, write_file
from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.formats.h5md import H5MDReader, read_h5md

LAST = "particles/trajectory_0002/position/value"


@pytest.mark.thinned
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("couplings", [False, True])
@pytest.mark.parametrize("trajectory", [0, 1, 2])
def test_one_trajectory_is_what_it_is_among_all(tmp_path, trajectory, couplings, grouped):
    errors = np.random.default_rng(0).uniform(size=(3, T))
    write_file(tmp_path / "run.h5", couplings=couplings, label_error=errors)
    if grouped:
        in_groups(tmp_path / "run.h5")
    whole, one = (
        read_h5md(tmp_path / "run.h5"),
        read_h5md(tmp_path / "run.h5", trajectory=trajectory),
    )
    expected = whole[trajectory]
    assert len(one) == 1
    for name in ("t", "x", "v", "label_error"):
        np.testing.assert_array_equal(getattr(one[0], name), getattr(expected, name))
    for name in ("charges", "masses", "couplings"):
        ours, theirs = getattr(one.particles, name), getattr(expected.particles, name)
        assert (ours is None) is (theirs is None) is (name == "couplings" and not couplings)
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs)
    assert one.info == expected.info == make_info(3).of(trajectory)


def test_one_trajectory_opens_as_many_objects_of_a_large_file_as_of_a_small_one(
    tmp_path, monkeypatch
):
    opened = []
    real = h5py.h5o.open
    counts = {}
    for batch in (3, 40):
        write_file(tmp_path / f"{batch}.h5", batch)
        monkeypatch.setattr(h5py.h5o, "open", lambda *a, **k: opened.append(a) or real(*a, **k))
        read_h5md(tmp_path / f"{batch}.h5", trajectory=2)
        monkeypatch.undo()
        counts[batch] = len(opened)
        opened.clear()
    assert counts[3] == counts[40] > 0


def test_damage_is_found_where_it_is_read(tmp_path):
    _, x, _ = write_file(tmp_path / "run.h5")
    in_groups(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        del file[LAST]
        file[LAST] = h5py.SoftLink("/particles/trajectory_0000/position/value")
    np.testing.assert_array_equal(read_h5md(tmp_path / "run.h5", trajectory=1).x[0], x[1])
    for trajectory in (None, 2):
        with pytest.raises(FileFormatError, match="link"):
            read_h5md(tmp_path / "run.h5", trajectory=trajectory)


@pytest.mark.parametrize("trajectory", [-1, 3])
def test_a_trajectory_that_is_not_there_names_the_range(tmp_path, trajectory):
    write_file(tmp_path / "run.h5")
    with pytest.raises(InputError, match=f"`trajectory` must be from 0 to 2, got {trajectory}"):
        read_h5md(tmp_path / "run.h5", trajectory=trajectory)
    with H5MDReader(tmp_path / "run.h5") as file, pytest.raises(InputError, match="`trajectory`"):
        file.read(0, 1, trajectory)
