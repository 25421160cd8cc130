"""Tracks in H5MD, extended XYZ and NumPy archives."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest

import foreign_files
import nbody_surrogate as nb
from foreign_files import CHARGES, MASSES, X
from nbody_surrogate.errors import FileFormatError, InputError, NBodyError, NBodyWarning
from nbody_surrogate.formats.export import export
from nbody_surrogate.tracks.reading import read_tracks
from refusals import refused
from track_files import DT, NAMES, holed, motion


def read(path, **given):
    (found,) = read_tracks(path, **given)
    return found


def saved(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


# runs of ours


@pytest.fixture(scope="module")
def runs(charged):
    return nb.simulate(charged, *charged.sample(0, 3, 2), 30, "leapfrog")


def test_each_trajectory_of_a_run_is_a_run(tmp_path, runs):
    nb.save(runs, tmp_path / "a.h5")
    found = read_tracks(tmp_path / "a.h5")
    assert [each.source.run for each in found] == ["0", "1"]
    for each, run in zip(found, runs, strict=True):
        np.testing.assert_array_equal(each.x, run.x)
        np.testing.assert_array_equal(each.charges, run.particles.charges[0])
        assert each.frame_dt == pytest.approx(0.1, rel=1e-12)
        assert "left out: velocity" in each.reading[0]


def test_only_valid_frames_are_tracks(tmp_path, runs):
    stopped = replace(runs[:1], info=replace(runs.info, good=(11,), status=(1,), message=("it",)))
    nb.save(stopped, tmp_path / "a.h5")
    assert len(read(tmp_path / "a.h5")) == 11


@pytest.mark.parametrize("suffix", [".extxyz", ".npz", ".vtkhdf"])
def test_exports_of_a_run_are_read(tmp_path, runs, suffix):
    export(runs[0], tmp_path / f"a{suffix}")
    found = read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found.x, runs[0].x)
    assert found.frame_dt == pytest.approx(0.1, rel=1e-9)
    np.testing.assert_array_equal(found.masses, runs[0].particles.masses[0])


# other programs


@pytest.mark.parametrize("write", [foreign_files.pyh5md_series, foreign_files.pyh5md_fixed_step])
def test_others_h5md(tmp_path, write):
    found = read(foreign_files.h5md(tmp_path / "a.h5", write))
    np.testing.assert_array_equal(found.x, X)
    assert found.frame_dt == 0.25
    np.testing.assert_array_equal(found.charges, CHARGES)
    np.testing.assert_array_equal(found.masses, MASSES)


def test_a_frame_out_of_order_is_named(tmp_path):
    path = foreign_files.h5md(tmp_path / "a.h5", foreign_files.pyh5md_series)
    with h5py.File(path, "a") as file:
        for name in ("position", "velocity"):
            file[f"particles/atoms/{name}/time"][3] = 0.3
    with refused(FileFormatError, "a.h5', frame 3: its time 0.3 is not after", "0.5"):
        read(path)


def write_xyz(path, x, times=True):
    with path.open("w") as file:
        for k, frame in enumerate(x):
            told = f" time={k * DT!r}" if times else ""
            file.write(f"{len(frame)}\nProperties=species:S:1:pos:R:3{told}\n")
            file.writelines(f"Ar {' '.join(map(repr, row))}\n" for row in frame.tolist())
    return path


def test_extended_xyz_with_and_without_times(tmp_path):
    x = motion(frames=7)
    found = read(write_xyz(tmp_path / "a.xyz", x))
    np.testing.assert_array_equal(found.x, x)
    assert found.frame_dt == pytest.approx(DT)
    plain = write_xyz(tmp_path / "b.xyz", x, times=False)
    assert read(plain, frame_dt=0.5).frame_dt == 0.5
    with refused(InputError, "`frame_dt` is needed", "b.xyz"):
        read(plain)


def test_an_uneven_frame_of_xyz_is_named(tmp_path):
    path = write_xyz(tmp_path / "a.xyz", motion(frames=7))
    path.write_text(path.read_text().replace(f"time={4 * DT!r}\n", f"time={4.4 * DT!r}\n"))
    with refused(FileFormatError, "frame 4: its time 0.022 is uneven"):
        read(path)


def test_positions_that_are_no_numbers_are_named(tmp_path):
    x = motion(frames=7)
    x[5, 2, 1] = np.inf
    with refused(FileFormatError, "a.xyz', frame 5: the position of particle '2'"):
        read(write_xyz(tmp_path / "a.xyz", x))


def test_columns_go_with_tables(tmp_path):
    with refused(InputError, "`columns` goes with tables"):
        read(write_xyz(tmp_path / "a.xyz", motion(frames=7)), columns="x=y")


# archives


def test_an_archive_of_positions(tmp_path):
    x = holed(motion())
    found = read(saved(tmp_path, x=x, dt=DT, names=np.array(NAMES), note=np.zeros(2)))
    np.testing.assert_array_equal(found.x, x)
    assert (found.names, found.frame_dt) == (NAMES, DT)
    assert "left out: note" in found.reading[0]


def test_an_archive_with_times_and_the_least_of_all(tmp_path):
    x = motion(frames=9, dimensions=2)
    found = read(saved(tmp_path, x=x.astype(np.float32), t=2 + DT * np.arange(9)))
    np.testing.assert_allclose(found.x, x, rtol=1e-6, atol=1e-6)
    assert found.frame_dt == pytest.approx(DT)
    assert read(saved(tmp_path, x=x), frame_dt=3).frame_dt == 3


def test_a_particle_that_is_never_seen_is_left_out(tmp_path):
    x = motion(frames=9)
    x[1:, 2] = np.nan
    with pytest.warns(
        NBodyWarning, match=r"1 particle seen in less than two frames, left out: '2'"
    ):
        assert read(saved(tmp_path, x=x, dt=1.0)).names == ("0", "1", "3")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"t": np.arange(5)}, ("`x`", "holds none")),
        ({"x": np.zeros((5, 3))}, ("`x` must have shape (T, N, D)", "(5, 3)")),
        ({"x": np.zeros((5, 3, 4))}, ("D = 2 or 3",)),
        ({"x": np.zeros((0, 3, 2))}, ("`x`",)),
        ({"x": np.zeros((5, 3, 2)), "t": np.arange(4)}, ("`t` must have shape (5,)",)),
        ({"x": np.zeros((5, 3, 2)), "dt": np.ones(2)}, ("`dt` must have shape ()",)),
        ({"x": np.zeros((5, 3, 2)), "dt": -1.0}, ("`dt` must be finite and > 0",)),
        ({"x": np.zeros((5, 3, 2)) + 1j}, ("`x` must hold real numbers", "complex128")),
        ({"x": np.zeros((5, 3, 2)), "names": np.array(["a", "b", "a"])}, ("`names`",)),
        ({"x": np.zeros((5, 3, 2)), "names": np.zeros(3)}, ("`names` must hold text",)),
        ({"x": np.zeros((5, 3, 2)), "dt": 1.0, "frame_step": 0}, ("`frame_step`",)),
        ({"x": np.zeros((5, 3, 2)), "t": np.array([0, 1, 2, 4, 5.0])}, ("frame 3", "uneven")),
        ({"x": np.zeros((5, 3, 2)), "t": np.array([0, 1, np.nan, 4, 5.0])}, ("frame 2", "nan")),
        ({"x": np.full((5, 3, 2), np.nan), "dt": 1.0}, ("no particle is seen in two",)),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, arrays, words):
    with refused(NBodyError, "a.npz", *words):
        read(saved(tmp_path, **arrays))


def test_no_archive_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.full((5, 3, 2), None), allow_pickle=True)
    with refused(FileFormatError, "a.npz"):
        read(tmp_path / "a.npz")


def test_an_archive_that_lies_about_its_size_takes_no_memory(tmp_path):
    header = io.BytesIO()
    shape = (10**9, 100, 3)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue())
    with refused(FileFormatError, "does not hold what it says"):
        read(tmp_path / "a.npz")


def test_zeros_that_unpack_without_end_are_not_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((10**5, 30, 3)))
    with refused(FileFormatError, "its arrays take 72000000 bytes"):
        read(tmp_path / "a.npz", frame_dt=1.0)


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.xyz", "a.vtkhdf", "a.gsd"])
def test_damaged_files_are_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 no such file \x1b[2J")
    with refused(NBodyError, name):
        read(tmp_path / name)
