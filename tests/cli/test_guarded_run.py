"""The command line about guards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import FAILURE, MISUSE, bad, good, nbody_sim, no_constant
from nbody_surrogate import (
    read_h5md,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


GUARDED = ["run", "--integrator", "set", "-n", 5, "--duration", 1, "--guard", "fallback"]
TIGHT = ["--threshold", "energy=1e-6"]


@pytest.mark.usefixtures("folder")
def test_the_command_line_says_what_tripped_and_what_it_cost():
    printed = good(*GUARDED, *TIGHT, "-o", "a.h5")
    assert "set, guard fallback" in printed
    (line,) = (each for each in printed.splitlines() if each.startswith("Guard"))
    assert "10 of 10 frames (100 %) fell back on dop853" in line
    assert "s for checks" in line
    assert "trajectory 0, segment 0, frame " in printed
    report = json.loads(good(*GUARDED, *TIGHT, "-o", "b.h5", "--json"), parse_constant=no_constant)[
        "guard"
    ]
    assert report["share"] > 0
    assert report["events"][0]["reason"] == "energy"
    assert report["thresholds"]["energy"] == 1e-6
    assert report == {
        **json.loads(json.dumps(report)),
        "fallen_back": list(read_h5md("b.h5").info.guard.fallen_back),
    }


@pytest.mark.usefixtures("folder")
def test_the_command_line_says_what_was_computed_beside_the_run():
    printed = good(*GUARDED, "--spot-checks", 0.3, "-o", "a.h5")
    assert "Of the checks: 3 spot checks (30 % of frames): " in printed
    assert "% of the run; companion run: " in printed
    off = ["--spot-checks", 0, "--threshold", "position=Infinity"]
    assert "Of the checks" not in good(*GUARDED, *off, "-o", "b.h5")
    guard = read_h5md("a.h5").info.guard
    assert guard.spot_checked == 3
    assert 0 < guard.companion_time + guard.spot_check_time < guard.check_time < guard.run_time


@pytest.mark.usefixtures("folder")
def test_a_stopped_run_is_a_failure():
    result = nbody_sim(*GUARDED[:-1], "stop", *TIGHT, "-o", "a.h5")
    assert result.exit_code == FAILURE
    (line,) = result.stderr.splitlines()
    assert "trajectory 0 stopped: the guard found energy error" in line
    assert read_h5md("a.h5").info.status == (-1,)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--guard", "pray"], ["`guard`", "warn, stop, fallback", "'pray'"]),
        (["--threshold", "energy=1"], ["`threshold`", "--guard"]),
        (["--spot-checks", 0.1], ["`spot_checks`", "--guard"]),
        (["--guard", "warn", "--spot-checks", 1.5], ["`spot_checks`", "from 0 to 1", "1.5"]),
        (["--guard", "warn", "--spot-checks", "nan"], ["`spot_checks`", "nan"]),
        (["--guard", "stop", "--threshold", "energy"], ["`threshold`", "KEY=VALUE"]),
        (["--guard", "stop", "--threshold", "energy=0"], ["`energy`", "> 0", "got 0"]),
        (["--guard", "stop", "--threshold", "closest=-1"], ["`closest`", ">= 0", "-1"]),
        (["--guard", "stop", "--threshold", "heat=1"], ["`heat`", "known: angular_momentum"]),
        (["--guard", "stop", *["--threshold", "energy=1"] * 2], ["`threshold` 'energy'", "twice"]),
        (["--guard", "fallback", "--reference", "set"], ["`reference`", "solver", "'set'"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_misuse(arguments, words):
    line = bad(MISUSE, "run", "-n", 5, "--duration", 0.1, *arguments)
    assert all(word in line for word in words), line
    assert not list(Path().iterdir())
