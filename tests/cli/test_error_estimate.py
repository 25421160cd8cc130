"""The command line about error estimates and tolerances."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import MISUSE, good, nbody_sim
from json_schemas import documented
from nbody_surrogate import load

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.usefixtures("folder")]

RUN = ["run", "--integrator", "set", "-n", 5, "--duration", 1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_run_tells_the_error_it_expects_and_whether_that_holds():
    printed = good(*RUN, "-o", "a.h5", "--report", "a.html", "--overwrite")
    (line,) = (each for each in printed.splitlines() if each.startswith("Estimated error"))
    estimate = load("a.h5").error_estimate[0, -1]
    assert f"{estimate:.3g}" in line
    assert "95 %" in line
    page = Path("a.html").read_text()
    assert "estimated error" in page
    assert "svg .estimate" in page


def test_it_can_be_switched_off():
    printed = good(*RUN, "--no-reference", "--no-error-estimate", "-o", "a.h5")
    assert "Estimated" not in printed
    assert load("a.h5").error_estimate is None


def test_a_tolerance_is_kept_and_told():
    found = documented("run", good(*RUN, "--no-reference", "--tolerance", 1e-8, "--json"))
    assert found["tolerance"]["frames"] == 10
    assert 0 < found["tolerance"]["by_solver"] <= 10
    assert found["error_estimate"]["coverage"] == 0.95
    assert json.loads(json.dumps(found["error_estimate"]["final"]))[0] > 0


@pytest.mark.parametrize(
    "arguments",
    [
        [*RUN, "--tolerance", 0],
        ["run", "--integrator", "leapfrog", "--tolerance", 1e-3],
        ["compare", "--integrators", "leapfrog,rk4", "--tolerance", 1e-3],
        ["calibrate", "set", "--seed", -1],
        ["calibrate", "nothing"],
    ],
)
def test_what_makes_no_sense_is_refused(arguments):
    result = nbody_sim(*arguments)
    assert result.exit_code == MISUSE
    (line,) = result.stderr.splitlines()
    assert "`" in line
