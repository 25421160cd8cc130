"""Commands on files of other programs: what they lack is an option, what they share is the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

from commands import MISUSE, bad, good, nbody_sim
from foreign_files import CHARGES, h5md, lammps_xyz, ovito_xyz, pyh5md_series, znh5md
from nbody_surrogate.formats.export import export
from nbody_surrogate.formats.h5md import read_h5md

pytestmark = pytest.mark.slow  # whole commands, one after the other

RUN = ["run", "-n", 4, "--duration", 0.5, "--softening", 0.5, "-q"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, its reference, and the run as another program hands it on, in single precision."""
    folder = tmp_path_factory.mktemp("made")
    good(*RUN, "-o", folder / "run.h5", "--integrator", "leapfrog", "--substeps", 64)
    run = read_h5md(folder / "run.h5")[0]
    lines = ["t,x,y,z,vx,vy,vz,mass"]
    for t, x, v in zip(run.t, run.x.astype("f4"), run.v.astype("f4"), strict=True):
        lines += [",".join(map(str, (t, *x[i], *v[i], 1.0))) for i in range(4)]
    (folder / "other.csv").write_text("\n".join(lines) + "\n")
    charges = ",".join(str(q) for q in run.particles.charges[0])
    return folder, charges


def test_compare_takes_another_program_s_file_for_the_run_that_it_is(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, charges = made
    files = ["compare", folder / "run.reference.h5", folder / "run.h5", folder / "other.csv"]
    text = good(*files, "--charges", charges, "--json", "--no-floor")
    ours, theirs = json.loads(text)["comparisons"]
    assert theirs["candidate"] == "other.csv"
    np.testing.assert_allclose(theirs["position_rmse"], ours["position_rmse"], rtol=0.05, atol=1e-7)
    # nobody knows how long another program took
    assert theirs["speed_ratio"] is None
    assert "faster" not in theirs["verdict"]
    assert ours["speed_ratio"] > 0
    assert "`charges` is needed" in bad(MISUSE, *files)


def test_compare_needs_a_system_where_no_file_names_one(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, charges = made
    (tmp_path / "same.csv").write_bytes((folder / "other.csv").read_bytes())
    files = ["compare", folder / "other.csv", "same.csv", "--charges", charges]
    assert "`system` is needed" in bad(MISUSE, *files)
    found = json.loads(good(*files, "--system", "charged", "--json", "--no-floor"))
    assert found["comparisons"][0]["position_rmse"][-1] == 0.0
    of_ours = ["compare", folder / "run.h5", folder / "run.reference.h5"]
    assert "files settle it" in bad(MISUSE, *of_ours, "--system", "charged")
    assert "`charges` goes with" in bad(MISUSE, *of_ours, "--charges", "1")
    assert "`charges` goes with files" in bad(
        MISUSE, "compare", "--integrators", "leapfrog", "--charges", "1"
    )


def test_render_and_export_take_another_program_s_file(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, charges = made
    other = [folder / "other.csv", "--charges", charges]
    good("render", *other, "-o", "alone.html")
    good("render", *other, "--against", folder / "run.h5", "-o", "both.html")
    assert "`charges` is needed" in bad(MISUSE, "render", other[0], "-o", "page.html")
    good("export", *other, "again.h5")
    again, run = read_h5md("again.h5")[0], read_h5md(folder / "run.h5")[0]
    np.testing.assert_allclose(again.x, run.x, rtol=1e-6)
    good("export", folder / "run.h5", "--trajectory", 0, "--format", "h5md")
    beside = read_h5md(folder / "run-trajectory-0.h5")[0]
    np.testing.assert_array_equal(beside.x, run.x)


def test_run_starts_from_another_program_s_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lammps_xyz(tmp_path / "dump.xyz")
    start = ["run", "--initial", "dump.xyz", "--initial-frame", -1, "--no-reference", "-q"]
    start += ["--duration", 0.1]
    assert "`charges` is needed" in bad(MISUSE, *start, "-o", "out.h5")
    good(*start, "--charges", "A=1,B=-1", "-o", "out.h5")
    np.testing.assert_array_equal(read_h5md("out.h5").particles.charges[0], CHARGES)
    assert "`charges` goes with `initial`" in bad(MISUSE, "run", "--charges", "1")


def test_units_are_told_in_a_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    h5md(tmp_path / "zn.h5", znh5md)
    start = ["run", "--initial", "zn.h5", "--no-reference", "--duration", 0.1, "-o", "out.h5"]
    result = nbody_sim(*start, "--integrator", "leapfrog")
    assert result.exit_code == 0, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: 'zn.h5': numbers are taken as they are")
    assert "position in Angstrom" in line


def test_springs_without_couplings_ask_for_them(tmp_path, monkeypatch):
    """Before, all pairs were bonded without a word."""
    monkeypatch.chdir(tmp_path)
    ovito_xyz(tmp_path / "start.xyz")
    start = ["run", "--system", "springs", "--no-reference", "-q", "--duration", 0.1, "--initial"]
    line = bad(MISUSE, *start, "start.xyz", "-o", "out.h5")
    assert "`couplings` is needed" in line
    assert "springs" in line
    good(*start, "start.xyz", "--couplings", "2", "-o", "out.h5")
    bonds = read_h5md("out.h5").particles.couplings[0]
    np.testing.assert_array_equal(bonds, 2.0 * (1 - np.eye(4)))
    for suffix in (".npz", ".extxyz", ".vtkhdf"):
        again = export(read_h5md("out.h5")[0], tmp_path / f"again{suffix}")
        good(*start, again, "-o", "again.h5", "--overwrite")
        np.testing.assert_array_equal(read_h5md("again.h5").particles.couplings[0], bonds)
    # charges need none
    h5md(tmp_path / "ions.h5", pyh5md_series)
    charged = ["run", "--no-reference", "-q", "--duration", 0.1, "-o", "ions.out.h5"]
    good(*charged, "--initial", "ions.h5")
