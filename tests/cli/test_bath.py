"""Kicks at random on the command line: who runs them, and what says that it cannot be asked."""

from __future__ import annotations

import numpy as np
import pytest

from commands import bad, good
from nbody_surrogate import InputError, audit_dataset, load, make_system, simulate
from nbody_surrogate.comparison.lyapunov import twins_of, twins_or_why

DUST = ("--system", "dust", "-n", 4)


def test_a_run_needs_no_method(folder):
    good("run", *DUST, "--duration", 1, "-o", "run.h5")
    run, truth = load("run.h5"), load("run.reference.h5")
    assert run.info.method["integrator"] == truth.info.method["integrator"] == "baoab"
    assert truth.info.method["substeps"] == 4 * run.info.method["substeps"]
    # of one path of the bath: apart by what steps make of it, and not by other kicks
    assert 0 < np.sqrt(np.mean((run.x - truth.x) ** 2)) < 1e-2


def test_a_method_that_is_named_is_taken(folder):
    said = bad(2, "run", *DUST, "--integrator", "dop853")
    assert "use baoab, or leave the kicks out with temperature=0" in said
    good("run", *DUST, "-p", "temperature=0", "--duration", 0.5, "-o", "cold.h5")
    assert load("cold.h5").info.method["integrator"] == "dop853"


def test_another_seed_of_kicks_is_an_option(folder):
    runs = []
    for seed in (0, 1):
        option = f"seed={seed}"
        place = f"{seed}.h5"
        given = ("--integrator", "baoab", "--integrator-option", option, "--no-reference")
        good("run", *DUST, *given, "--duration", 0.5, "-o", place)
        runs.append(load(place))
    np.testing.assert_array_equal(runs[0].x[:, 0], runs[1].x[:, 0])
    assert (runs[0].x[:, -1] != runs[1].x[:, -1]).all()


def test_there_is_no_work_precision_of_kicks(folder):
    said = bad(2, "bench", *DUST, "--trajectories", 2)
    assert "`system` 'dust' kicks its particles at random" in said


def test_there_are_no_twins():
    system = make_system("dust")
    run = simulate(system, *system.sample(0, 3), 4)
    with pytest.raises(InputError, match="must be of a system without kicks at random"):
        twins_of(run)
    twins, why = twins_or_why(run)
    assert twins is None
    assert "those of system 'dust' are others" in why


def test_a_set_is_made_again_with_the_same_bits_and_no_solver_is_asked(folder):
    made = ("--preset", "dust", "--trajectories", 10, "--frames", 8)
    good("dataset", "generate", *made, "-o", "set", "-q")
    assert "made again with the same bits" in good("dataset", "verify", "set")
    found = {each.check: each for each in audit_dataset("set").findings}
    assert found["converged solver"].level == "ok"
    assert "kicked at random" in found["converged solver"].text
