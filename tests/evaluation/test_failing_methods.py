"""Scores of methods that stop: they have no answer, and are infinitely wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nbody_surrogate import make_system, simulate
from nbody_surrogate.errors import NBodyWarning, RunError
from nbody_surrogate.evaluation.rollouts import START, one_step, roll_out
from nbody_surrogate.evaluation.scorecard import Row, _truth_of, truth_of_system
from nbody_surrogate.evaluation.work_precision.pareto import Point, with_front
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.study.significance import mean_error, mean_over_seeds
from nbody_surrogate.study.summary import _with_infinity
from stopped_runs import Stopping


@pytest.fixture(scope="module")
def truth():
    return truth_of_system(make_system("charged"), 3, trajectories=6, frames=12)


class AtOnce(Stopping):
    """Stops before its first frame."""

    name = "at-once"
    AFTER = 0


def test_a_step_that_was_not_taken_has_no_finite_error(truth):
    errors = one_step(AtOnce(), truth)
    there = truth.x[:, 4:-1, 0, 0] <= 0
    assert np.isfinite(errors[there]).all()
    assert np.isinf(errors[~there]).all()
    assert 0 < there.sum() < there.size


def test_a_roll_out_ends_where_the_method_stops(truth):
    errors = roll_out(Stopping(), truth, 5)
    lost = truth.x[:, START, 0, 0] > 0
    assert 0 < lost.sum() < len(lost)
    assert np.isfinite(errors[:, :3]).all()
    assert np.isinf(errors[lost, 3:]).all()
    assert np.isfinite(errors[~lost]).all()


def test_truth_that_is_none_is_left_out():
    system = make_system("charged")
    state, particles = system.sample(1, 4, 6)
    run = simulate(system, state, particles, 6, Stopping(segment=2))
    whole = run.valid.all(1)
    with pytest.warns(NBodyWarning, match=f"failed on {6 - whole.sum()} of 6 trajectories"):
        found = _truth_of(system, run)
    np.testing.assert_array_equal(found.x, run.x[whole])
    assert len(found.particles.charges) == whole.sum()
    some = simulate(system, state[~whole], particles[~whole], 6, Stopping())
    with pytest.raises(RunError, match="no truth to judge by"):
        _truth_of(system, some)


def test_infinity_passes_through_json():
    failed = Interval(np.inf, 1.0, np.inf)
    row = Row("x", "charged", 3, 6, failed, None, {10: failed}, float("nan"), None)
    plain = json.loads(json.dumps(row.to_dict(), allow_nan=False))
    assert plain["one_step_mean"] == {"value": None, "low": 1.0, "high": None}
    score = {"mean": plain["one_step_mean"], "p95": None, "clean": None}
    assert _with_infinity(score) == {
        "mean": {"value": np.inf, "low": 1.0, "high": np.inf}, "p95": np.inf, "clean": None,
    }  # fmt: skip
    assert mean_over_seeds([1.0, np.inf, 2.0]) == Interval(np.inf, 1.0, np.inf)
    assert mean_error(np.array([[1.0], [np.inf], [2.0]])) == Interval(np.inf, 1.0, np.inf)


def test_what_fails_is_not_on_the_front():
    def point(label, error, milliseconds):
        interval = Interval(error, error, error)
        return Point(label, label, None, False, 1.0, 1, interval, milliseconds, 1.0, 1.0, 3, 1.0,
                     None, 0, None, "cpu")  # fmt: skip

    made = with_front([point("failing", np.inf, 0.1), point("slow", 1e-3, 5.0)])
    assert [each.on_front for each in made] == [False, True]
