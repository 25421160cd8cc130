"""The command line about runs that stopped: exit codes, and how many frames are data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from commands import FAILURE, MISUSE, bad, nbody_sim, no_constant
from nbody_surrogate.cli.group import _OneLineWarnings
from nbody_surrogate.errors import NBodyWarning

COARSE = ("--integrator", "leapfrog", "--substeps", 1)
TIGHT = ("--guard", "stop", "--threshold", "energy=1e-4")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def failing(*arguments):
    """Run a command that must print what it has, and fail with one line."""
    result = nbody_sim(*arguments)
    assert result.exit_code == FAILURE, result.output
    (line,) = [each for each in result.stderr.splitlines() if each.startswith("Error: ")]
    return result.stdout, line


def collapsing():
    """Two opposite charges at rest, which meet at t = 0.785."""
    x = [[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]]
    np.savez("two.npz", x=x, v=np.zeros((2, 3)), charges=[1.0, -1.0], masses=[1.0, 1.0])
    return ("run", "--initial", "two.npz", "--softening", 0, "--duration", 1)


def test_a_run_that_its_guard_stopped_is_not_called_perfect():
    arguments = ("run", "-n", 6, "--seed", 3, "--duration", 1, *COARSE, *TIGHT)
    printed, line = failing(*arguments, "-o", "s.h5")
    assert "1 of 11 frames is valid, up to t = 0" in printed
    assert "0.0e+00" not in printed
    assert "times faster" not in printed
    assert "trajectory 0 stopped" in line
    text, _ = failing(*arguments, "--no-reference", "-o", "t.h5", "--json")
    found = json.loads(text, parse_constant=no_constant)
    assert found["valid_frames"] == [[1]]
    assert found["drift"]["energy"] is None


def test_exports_say_what_they_leave_out():
    arguments = ("run", "-n", 6, "--seed", 3, "--duration", 1, *COARSE, *TIGHT)
    failing(*arguments, "--no-reference", "-o", "s.h5")
    result = nbody_sim("export", "s.h5", "s.npz")
    assert result.exit_code == 0
    said = "Warning: 1 of 11 frames is valid, up to t = 0; only these are written\n"
    assert result.stderr == said
    with np.load("s.npz") as arrays:
        assert len(arrays["t"]) == len(arrays["x"]) == 1


def test_a_reference_that_failed_is_exit_code_1():
    failing(*collapsing(), "--no-reference", "-o", "r.h5")
    other = (*COARSE[:3], 4, "--no-reference")
    assert nbody_sim(*collapsing(), *other, "-o", "c.h5").exit_code == 0
    printed, line = failing("compare", "r.h5", "c.h5", "--no-floor", "-o", "out")
    assert line.startswith("Error: the reference failed: dop853 (rtol 1e-09), trajectory 0 stopped")
    assert "8 of 11 frames are valid, up to t = 0.7" in printed
    assert "times faster" not in printed
    found = json.loads(Path("out.json").read_text(), parse_constant=no_constant)["comparisons"][0]
    assert found["horizons"] == [0.5, pytest.approx(0.7)]
    assert found["valid_prediction_time"] == pytest.approx(0.7)
    assert found["errors"]["fde"]["median"] < 1e-2  # not 1, of frozen frames
    assert found["speed_ratio"] is None
    # a candidate that failed is a finding
    result = nbody_sim("compare", "c.h5", "r.h5", "--no-floor", "-o", "other")
    assert result.exit_code == 0
    assert "8 of 11 frames are valid" in result.stdout
    result = nbody_sim("report", "c.h5", "--against", "r.h5", "--no-floor", "-o", "page.html")
    assert result.exit_code == 0, result.output
    page = Path("page.html").read_text()
    assert "8 of 11 frames are valid" in page
    assert "times faster" not in page


def test_a_guard_that_cannot_keep_its_budget_fails():
    loose = ("--reference", "rk45", "--reference-rtol", 0.1, "--reference-atol", 0.1)
    arguments = ("run", "-n", 6, "--seed", 3, *COARSE, "--guard", "fallback")
    printed, line = failing(*arguments, *loose, "-o", "f.h5")
    assert "trajectory 0 did not keep its budget: it lost 1.3 of the scale of its energy" in line
    assert "the reference, rk45 (rtol 0.1), lost up to 1.3 by itself" in line
    # all frames are there, and the table is one of the whole run
    assert "> 5, whole run" in printed


def test_what_a_system_does_not_conserve_is_said_or_refused():
    clipped = ("run", "-n", 3, "--system", "charged-clipped", "--duration", 0.1, "--guard", "stop")
    line = bad(MISUSE, *clipped, "--threshold", "momentum=0.1")
    assert "`threshold` momentum=0.1 cannot be watched" in line
    printed = nbody_sim(*clipped, "--no-reference").stdout
    assert "The system does not conserve energy, momentum, angular momentum: not watched" in printed


def test_a_reference_and_none_are_refused():
    line = bad(MISUSE, "run", "-n", 3, "--no-reference", "--reference", "rk4")
    assert "`reference` 'rk4' does not go with `no_reference`" in line


def test_a_warning_is_shown_once(capsys):
    """Also where a library has changed a filter, after which Python forgets what it has shown."""
    show = _OneLineWarnings()
    for text in ("a", "b", "a"):
        show(NBodyWarning(text), NBodyWarning, "somewhere.py", 1)
        show(UserWarning(text), UserWarning, "somewhere.py", 1)
    assert capsys.readouterr().err == "Warning: a\nWarning: b\n"


def test_report_and_render_warn_of_a_reference_that_stopped():
    failing(*collapsing(), "--integrator", "leapfrog", "-o", "two.h5")
    said = "reference 'dop853 (rtol 1e-09)': 8 of 11 frames are valid, up to t = 0.7"
    result = nbody_sim("report", "two.h5", "--no-floor")
    assert result.exit_code == 0
    assert result.stderr == f"Warning: {said}; the page is about the valid ones\n"
    assert "at the last frame compared, t = 0.7." in Path("two.html").read_text()
    result = nbody_sim("render", "two.h5", "-o", "page.html")
    assert result.exit_code == 0
    assert result.stderr == f"Warning: {said}; only frames that are valid are drawn\n"
    assert "`frame` 9 is not valid" in bad(
        MISUSE, "render", "two.h5", "--frame", 9, "-o", "two.png"
    )
