"""Messages that name the file, and what would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import MISUSE, bad, good
from nbody_surrogate.results.guard_report import GuardReport


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_runs_of_other_times_are_told_how_to_be_compared():
    run = ("run", "-n", 2, "--no-reference", "-q", "--integrator", "leapfrog")
    good(*run, "--duration", 2, "-o", "long.h5")
    good(*run, "--duration", 1, "-o", "short.h5")
    good(*run, "--duration", 1, "-p", "frame_dt=0.05", "-o", "fine.h5")
    line = bad(MISUSE, "compare", "short.h5", "long.h5")
    assert "'long.h5'" in line
    assert "11 frames, t = 0 to 1, 0.1 apart; got 21 frames, t = 0 to 2, 0.1 apart" in line
    assert "pass --interpolate" in line
    assert "make the shorter one the reference" in bad(MISUSE, "compare", "long.h5", "fine.h5")
    line = bad(MISUSE, "render", "fine.h5", "--against", "long.h5", "-o", "a.png")
    assert "21 frames, t = 0 to 1, 0.05 apart; got 21 frames, t = 0 to 2, 0.1 apart" in line
    assert "--no-against" in line


def test_a_misused_command_leaves_no_empty_folder():
    bad(MISUSE, "compare", "missing.h5", "other.h5")
    assert not Path("runs").exists()
    Path("runs").mkdir()
    bad(MISUSE, "compare", "missing.h5", "other.h5")
    assert Path("runs").exists()


def test_a_lock_that_is_a_link_is_named(tmp_path):
    Path("d").mkdir()
    Path("d/.lock").symlink_to(tmp_path / "nowhere")
    line = bad(MISUSE, "dataset", "generate", "--preset", "charged", "-o", "d")
    assert "symbolic link" in line
    assert "d/.lock" in line


def test_frames_that_fell_back_are_counted():
    report = GuardReport(
        "fallback", reference={"integrator": "rk45"}, frames=25, fallen_back=(25, 0)
    )
    assert ": 25 of 50 frames (50 %) fell back on rk45;" in str(report)
