"""Exporting what a run has by now: a warning says that it is not done."""

from __future__ import annotations

import numpy as np

from commands import good, nbody_sim
from h5md_files import DT, T0, T, make_frames, make_particles, write_file
from nbody_surrogate.formats.h5md import H5MDWriter


def test_an_unfinished_run_is_told(tmp_path):
    x, v = make_frames()
    with H5MDWriter(tmp_path / "run.h5", make_particles(), 3, T, T0, DT) as writer:
        writer.write(x[:, :2], v[:, :2])
    result = nbody_sim("export", tmp_path / "run.h5.part", tmp_path / "a.npz")
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: ")
    assert f"run.h5.part' is unfinished: 2 of {T} frames are written" in line
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["x"], x[0, :2])


def test_a_finished_run_is_exported_without_a_word(tmp_path):
    write_file(tmp_path / "run.h5")
    good("export", tmp_path / "run.h5", tmp_path / "a.npz", "--quiet")
