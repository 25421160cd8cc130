"""Trajectories and ensembles: one may stand for the other, and both say what stopped."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate import compare, run_table, simulate, twins_of
from nbody_surrogate.results.trajectory import as_ensemble


@pytest.fixture(scope="module")
def runs(charged):
    """A verified truth and a coarse run of two trajectories."""
    state, particles = charged.sample(1, 4, 2)
    truth = simulate(charged, state, particles, 10, "dop853", verify=True)
    return truth, simulate(charged, state, particles, 10, "leapfrog")


def test_a_trajectory_is_an_ensemble_of_one(runs):
    truth, _ = runs
    one = as_ensemble(truth[1])
    assert len(one) == 1
    for name in ("t", "x", "v", "label_error"):
        assert np.array_equal(getattr(one[0], name), getattr(truth[1], name)), name
    assert one.info == truth[1].info
    assert as_ensemble(truth) is truth
    assert as_ensemble(replace(truth[0], label_error=None)).label_error is None


def test_trajectories_are_compared_as_ensembles_of_one_are(runs):
    truth, coarse = runs[0][1], runs[1][1]
    alone = [as_ensemble(run) for run in (truth, coarse)]
    assert compare(truth, coarse).to_dict() == compare(*alone).to_dict()
    assert np.array_equal(twins_of(truth).far.x, twins_of(alone[0]).far.x)
    assert run_table(coarse, truth) == run_table(alone[1], alone[0])


def test_what_stopped_is_told_with_its_reason(runs):
    _, coarse = runs
    stopped = replace(coarse.info, message=("", "too close"))
    assert stopped.failures("mine") == ["mine, trajectory 1 stopped: too close"]
    assert coarse.info.failures("mine") == []


KINDS = "a Trajectory or an Ensemble, or the path of a run"
CALLS = [
    ("compare(5, None)", f"`reference` must be {KINDS}"),
    (
        "twins_of(3)",
        f"`reference` must be {KINDS}, got int",
    ),
    ("run_table(5)", f"`run` must be {KINDS}, got int"),
    (
        "thumbnail(None)",
        f"`run` must be {KINDS}, got None",
    ),
    ("write_report(5)", f"`run` must be {KINDS}, got int"),
    ("plot(5)", "`result` must be a Trajectory, an Ensemble, a Comparison or a list"),
    ("plot([1])", "`result` must be a Trajectory, an Ensemble, a Comparison or a list"),
    ("plot([])", "`result` must hold one comparison"),
    ("comparison_table([])", "`comparisons` must hold one comparison"),
]


def test_other_things_are_refused_in_one_line(tmp_path):
    """In a process of its own, where annotations are not executed."""
    source = """
        import nbody_surrogate as nb
        for call in {calls}:
            try:
                eval("nb." + call)
            except nb.InputError as error:
                print(error)
    """
    source = "\n".join(line[8:] for line in source.splitlines())
    code = source.format(calls=[call for call, _ in CALLS])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    lines = done.stdout.splitlines()
    for line, (call, words) in zip(lines, CALLS, strict=True):
        assert line.startswith(words), call
