"""Which frames of a file are data: marks that any program can read."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from h5md_files import DT, T0, T, make_frames, make_info, make_particles, write_file
from nbody_surrogate import make_system, read_h5md, simulate
from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.h5md import H5MDWriter
from stopped_runs import Stopping

MARKS = "observables/valid"


def test_frames_are_marked_as_data(tmp_path):
    write_file(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as file:
        assert file[f"{MARKS}/value"][()].tolist() == [[1] * 3] * T
        for name in ("step", "time"):  # an H5MD element: hard links to those of the frames
            assert file[f"{MARKS}/{name}"] == file[f"particles/trajectory_0000/position/{name}"]


def test_marks_of_a_run_that_stops(tmp_path):
    system = make_system("charged")
    state, particles = system.sample(1, 4, 6)
    method = Stopping(segment=2)
    run = simulate(system, state, particles, 6, method, output=tmp_path / "run.h5")
    lost = state.x[:, 0, 0] > 0
    assert 0 < lost.sum() < 6
    assert run.valid_frames.tolist() == np.where(lost, 3, 7).tolist()
    with h5py.File(tmp_path / "run.h5") as file:
        np.testing.assert_array_equal(file[f"{MARKS}/value"][()].T, run.valid)
    again = read_h5md(tmp_path / "run.h5")
    np.testing.assert_array_equal(again.valid, run.valid)
    assert again.info == run.info


def test_an_unfinished_file_says_which_of_its_frames_are_data(tmp_path):
    x, v = make_frames()
    valid = np.array([[True, True, True], [True, False, False], [True, True, False]])
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        with pytest.raises(InputError, match=r"`valid` must have shape \(B, F\) = \(3, 3\)"):
            writer.write(x[:, :3], v[:, :3], valid=valid[:, :2])
        writer.write(x[:, :3], v[:, :3], valid=valid)
        found = read_h5md(writer.part)
        assert found.info.good == (3, 1, 2)
        with h5py.File(writer.part, locking=False) as file:  # what is not written is no data
            assert file[f"{MARKS}/value"][3:].sum() == 0


def test_marks_follow_what_is_known_at_the_end(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x, v)
        writer.finish(replace(make_info(), good=(T, 2, T), status=(0, -1, 0)))
    with h5py.File(tmp_path / "run.h5") as file:
        assert file[f"{MARKS}/value"][()].sum(0).tolist() == [T, 2, T]


def test_files_of_older_versions_have_no_marks(tmp_path):
    path = tmp_path / "run.h5"
    x, v = make_frames()
    with H5MDWriter(path, make_particles(), 3, T, T0, DT) as writer:
        writer.write(x, v)
        writer.finish(replace(make_info(), good=(T, 2, T)))
    with h5py.File(path, "r+") as file:
        del file["observables"]
    assert read_h5md(path).info.good == (T, 2, T)
    with H5MDWriter(tmp_path / "other.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x[:, :3], v[:, :3])
    part = tmp_path / "other.h5.part"
    with h5py.File(part, "r+") as file:
        del file["observables"]
    assert read_h5md(part).info.good == (3, 3, 3)
    arguments = (tmp_path / "other.h5", make_particles(), 3, T, T0, DT)
    with H5MDWriter(*arguments, kept_frames=3) as writer:  # and are gone on with
        writer.write(x[:, 3:], v[:, 3:])
        writer.finish(make_info())
    np.testing.assert_array_equal(read_h5md(tmp_path / "other.h5").x, x)


@pytest.mark.parametrize("suffix", ["npz", "extxyz", "vtkhdf"])
def test_exports_hold_valid_frames_alone(tmp_path, suffix):
    path = tmp_path / f"run.{suffix}"
    system = make_system("charged")
    state, particles = system.sample(1, 4, 6)
    run = simulate(system, state, particles, 6, Stopping(segment=2))
    b = int(np.flatnonzero(run.valid_frames == 3)[0])
    with pytest.warns(NBodyWarning, match="3 of 7 frames are valid, up to t = 0.2; only these"):
        export(run[b], path, reference=run[b])
    if suffix == "npz":
        with np.load(path) as arrays:
            np.testing.assert_array_equal(arrays["x"], run.x[b, :3])
            np.testing.assert_array_equal(arrays["t"], run.t[:3])
    elif suffix == "extxyz":
        assert path.read_text().count("Properties=") == 3
    else:
        with h5py.File(path) as file:
            assert file["VTKHDF/Steps"].attrs["NSteps"] == 3
            assert (file["VTKHDF/PointData/error_size"][()] == 0).all()
