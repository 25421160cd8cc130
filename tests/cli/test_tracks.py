"""`nbody-sim tracks`: what is read is told, and a run becomes tracks."""

from __future__ import annotations

import numpy as np
import pytest

import nbody_surrogate as nb
from commands import FAILURE, MISUSE, bad, good, nbody_sim
from json_schemas import documented
from track_files import DT, motion, write_csv


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, charged):
    runs = nb.simulate(charged, *charged.sample(0, 3, 2), 40, "leapfrog")
    nb.save(runs, "run.h5")
    return runs


def test_a_table_is_read_and_told(folder):
    write_csv(folder / "a.csv", motion(noise=1e-3))
    printed = good("tracks", "a.csv", "--frame-dt", DT, "--length-unit", "um", "--time-unit", "s")
    assert "1 run of tracks in 3 dimensions, lengths in um, times in s" in printed
    row = next(line for line in printed.splitlines() if line.startswith("a.csv"))
    assert row.split()[1:5] == ["60", "0.005", "4", "0"]
    assert "'a.csv': columns frame, particle, x, y, z; 4 particles, 60 frames" in printed


def test_json_is_as_the_page_says(folder):
    x = motion(frames=400, noise=1e-3)
    x[57:, [1, 3]] = x[57:, [3, 1]]
    x[200, 2] += 1
    write_csv(folder / "a.csv", x)
    result = nbody_sim("tracks", "a.csv", "--frame-rate", 200, "--mend-swaps", "--json")
    assert result.exit_code == 0
    assert "exchanged back" in result.stderr and "'2' in frame 200 and back" in result.stderr
    (found,) = documented("tracks", result.stdout)["runs"]
    assert found["swaps"] == [{"frame": 57, "names": ["1", "10"], "mended": True}]
    assert found["jumps"] == [{"frame": 200, "name": "2", "back": True}]
    assert (found["frame_dt"], found["time_unit"]) == (DT, "s")
    assert found["noise"] == pytest.approx([1e-3] * 3, rel=0.2)


def test_a_single_particle_has_no_spacing_in_json(folder):
    write_csv(folder / "a.csv", motion(n=1))
    (found,) = documented("tracks", good("tracks", "a.csv", "--frame-dt", 1, "--json"))["runs"]
    assert found["spacing"] is None


def test_a_run_is_measured(run):
    words = ("--noise", 1e-3, "--every", 2, "--seed", 5, "-o", "a.csv")
    printed = good("tracks", "run.h5", *words)
    assert "2 runs of tracks" in printed and "Files: a.csv" in printed
    found = nb.read_tracks("a.csv")
    for k, (seen, each) in enumerate(zip(found, run, strict=True)):
        wanted = nb.observe(each, noise=1e-3, every=2, seed=5 + k)
        np.testing.assert_array_equal(seen.x, wanted.x)
        assert seen.frame_dt == pytest.approx(0.2)


def test_a_run_is_read_with_all_that_it_tells(run):
    good("tracks", "run.h5", "-o", "a.parquet")
    first, _ = nb.read_tracks("a.parquet")
    np.testing.assert_array_equal(first.x, run.x[0])
    np.testing.assert_array_equal(first.masses, run.particles.masses[0])


def test_files_are_converted(folder):
    x = motion()
    write_csv(folder / "a.csv", x)
    good("tracks", "a.csv", "--frame-dt", DT, "-o", "a.npz")
    np.testing.assert_array_equal(nb.read_tracks("a.npz")[0].x, x)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a.csv",), "`frame_dt` is needed"),
        (("a.csv", "--frame-dt", 0), "`frame_dt` must be finite and > 0, got 0"),
        (("a.csv", "--frame-dt", 1, "--frame-rate", 1), "say the same"),
        (("a.csv", "--frame-dt", 1, "--columns", "x=q"), "'q' for x"),
        (("a.csv", "--frame-dt", 1, "--particles", "77"), "`particles` names '77'"),
        (("none.csv",), "'none.csv' cannot be read: it does not exist"),
        (("a.csv", "--noise", 1), "`noise` goes with runs of ours (.h5), 'a.csv' is none"),
        (("run.h5", "--noise", -1), "`noise` must be finite and >= 0, got -1"),
        (("run.h5", "--every", 0), "`every` must be at least 1, got 0"),
        (("run.h5", "--missing", 1), "`missing` must be at least 0 and below 1, got 1"),
        (("run.h5", "--seed", -1), "`seed` must be at least 0, got -1"),
        (("run.h5", "--noise", 1, "--frame-dt", 1), "`frame_dt` goes with tracks that are read"),
        (("run.h5", "-o", "run.h5"), "`output` must be another file than `files`"),
        (("run.h5", "-o", "a.csv"), "`output` must not exist yet"),
        (("run.h5", "-o", "b.npz"), "an .npz holds one"),
        (("run.h5", "-o", "b.txt"), "`output` must name a file ending in one of .csv"),
    ],
)
def test_misuse(run, folder, words, said):
    write_csv(folder / "a.csv", motion(frames=4))
    assert said in bad(MISUSE, "tracks", *words)
    assert {each.name for each in folder.iterdir()} == {"run.h5", "a.csv"}


def test_a_wrong_row_is_named(folder):
    (folder / "a.csv").write_text("frame,particle,x,y\n0,1,0,0\n1,1,0,zero\n")
    line = bad(FAILURE, "tracks", "a.csv", "--frame-dt", 1)
    assert "'a.csv', line 3: `y` must be a number, got 'zero'" in line
