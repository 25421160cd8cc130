"""Runs that go wrong on their way: what is told, and what is kept."""

from __future__ import annotations

import json
import signal

import numpy as np

from command_run import SHORT, register_failing
from commands import FAILURE, INTERRUPTED, bad, contents, good, nbody_sim, no_constant
from nbody_surrogate.cli.request import InitialValueProblem
from nbody_surrogate.formats.h5md import read_h5md


def lose_the_second_trajectory(segment):
    segment.x[1, 2:] = np.nan


def test_a_trajectory_that_fails_is_told_and_kept():
    register_failing("loses", lose_the_second_trajectory)
    arguments = ["--integrator", "loses", *SHORT, "--trajectories", 3]
    result = nbody_sim("run", *arguments, "-o", "out.h5")
    assert result.exit_code == FAILURE
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert all(word in line for word in ("loses", "trajectory 1", "non-finite after t = 0.2"))
    assert "position RMSE" in result.stdout
    run = read_h5md("out.h5")
    assert run.info.status == (0, -1, 0)
    assert np.isfinite(run.x).all()

    result = nbody_sim("run", *arguments, "--json", "-o", "json.h5")
    assert result.exit_code == FAILURE
    assert json.loads(result.stdout, parse_constant=no_constant)["status"][0] == [0, -1, 0]

    result = nbody_sim("run", *arguments, "--quiet", "-o", "quiet.h5")
    assert result.exit_code == FAILURE
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1


def interrupt(segment):
    if segment.frame >= 50:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupted_run_leaves_what_was_finished():
    register_failing("stopped", interrupt)
    arguments = ["--integrator", "stopped", "-n", 4, "--duration", 10, "-o", "out.h5"]
    result = nbody_sim("run", *arguments)
    assert result.exit_code == INTERRUPTED
    assert result.stderr.startswith("Error: interrupted")
    assert result.stderr.count("\n") == 1
    assert set(map(str, contents())) == {"out.h5.part"}
    assert read_h5md("out.h5.part").x.shape == (1, 51, 4, 3)


def divide_by_zero(segment):
    raise ZeroDivisionError("a fault\nof the method")


def test_a_fault_is_one_line_unless_a_traceback_is_asked_for(monkeypatch):
    monkeypatch.setattr(InitialValueProblem, "of", divide_by_zero)
    result = nbody_sim("run", *SHORT)
    assert result.exit_code == FAILURE
    assert result.stderr == "Error: unexpected ZeroDivisionError: a fault of the method\n"
    assert contents() == {}
    monkeypatch.setenv("NBODY_SURROGATE_DEBUG", "1")
    assert isinstance(nbody_sim("run", *SHORT).exception, ZeroDivisionError)


def test_a_fault_of_a_plugin_names_it_and_shows_its_traceback_where_asked_for(monkeypatch):
    register_failing("faulty", divide_by_zero)
    line = bad(FAILURE, "run", "--integrator", "faulty", *SHORT)
    assert line.endswith("`_advance` raised ZeroDivisionError: a fault of the method")
    monkeypatch.setenv("NBODY_SURROGATE_DEBUG", "1")
    error = nbody_sim("run", "--integrator", "faulty", *SHORT).exception
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_a_warning_is_one_line_and_quiet_suppresses_it():
    """With numbers that no other run here has, as each warning is shown once in a process."""
    arguments = ["--integrator", "set", "--duration", 0.1, "--no-reference"]
    result = nbody_sim("run", *arguments, "-n", 3)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: set is outside of what it was trained for at the start: ")
    assert "trained for 5 to 30 particles, got 3" in line
    assert good("run", *arguments, "-n", 4, "--quiet") == ""


def test_each_warning_is_shown_once_whatever_a_command_does():
    """Several trajectories and segments, a guard and a page: the same range is left every time."""
    files = ["-o", "a.h5", "--report", "a.html"]
    method = ["--integrator", "set", "--weights", "set-small", "--guard", "warn", "--no-reference"]
    numbers = ["-n", 3, "--trajectories", 2, "--duration", 12]
    result = nbody_sim("run", *method, *numbers, *files)
    assert result.exit_code == 0
    said = result.stderr.splitlines()
    assert len(said) == len(set(said)) == 3
    # by the name of its weights, of which the surrogate has others too
    assert sum(line.startswith("Warning: set-small is outside of") for line in said) == 2
    for words in ("for 5 to 30 particles, got 3", "for times from 0 to 9.6", "guard: trajectory 0"):
        assert sum(words in line for line in said) == 1
