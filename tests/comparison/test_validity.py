"""Comparisons of runs that stopped early: valid frames alone count, and it is said how many."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from nbody_surrogate import Twins, compare, plot
from nbody_surrogate.comparison.lyapunov import growth_rate
from nbody_surrogate.comparison.table import comparison_table, run_table
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.viz.figures.comparison import draw_comparisons
from nbody_surrogate.viz.html.report import sentence
from stopped_runs import ensemble, wandering

X, V = wandering()
END = X.shape[1]
SIZES = 1e-3 * np.arange(1, 9)[:, None, None, None]
OFF = X + SIZES * np.linspace(0, 1, END)[:, None, None]
SOME = (END, 5, END, 5, END, 5, END, END)  # 3 of 8 stopped


def finite(found):
    """What a comparison says, with None for what is not finite, but for counts of frames."""
    numbers = found.to_dict()
    for key in ("valid_frames", "validity", "verdict", "speed_ratio", "duration"):
        del numbers[key]
    return numbers


def test_where_the_reference_stopped_nothing_is_known():
    """The median at the end is over the five that there are, not over frozen ones."""
    truth, run = ensemble(X, V, SOME), ensemble(OFF, V, SOME, "leapfrog")
    found = compare(truth, run)
    errors = rmse(X, OFF)
    kept = [b for b in range(8) if SOME[b] == END]
    assert found.horizons[-1] == pytest.approx(2.0)
    assert found.position_rmse[-1] == np.median(errors[kept, -1])
    assert found.errors["fde"].median > 0
    assert compare(truth, ensemble(OFF, V)).position_rmse == found.position_rmse
    assert found.position_rmse[-1] != np.median(rmse(truth.x, run.x)[:, -1])
    assert found.drifts["candidate"]["momentum"] > 0
    assert found.valid_frames == {"reference": SOME, "candidate": SOME}
    # what is known of a frozen reference ends where it stopped
    assert found.valid.q05 <= 0.4 + 1e-12
    assert "3 of 8 trajectories stopped early" in found.validity[0]
    json.dumps(found.to_dict() | {"curves": found.curves.to_dict()}, allow_nan=False)


def test_where_the_candidate_stopped_it_has_failed():
    truth, run = ensemble(X, V), ensemble(OFF, V, SOME, "leapfrog")
    found = compare(truth, run)
    errors = rmse(X, OFF)[:, -1]
    errors[[1, 3, 5]] = np.inf
    assert found.position_rmse[-1] == np.median(errors)
    assert np.isinf(found.errors["fde"].q95)
    assert np.isinf(found.errors["ade"].q95)
    assert found.valid.q05 == pytest.approx(0.4)
    most = compare(truth, ensemble(OFF, V, (END, *(5,) * 7), "leapfrog"))
    assert np.isinf(most.position_rmse[-1])
    assert most.valid_time == pytest.approx(0.4)
    assert all(np.isinf(each.distance.median) for each in most.distributions[:3])
    assert "inf" in str(comparison_table(most))
    json.dumps(most.to_dict() | {"curves": most.curves.to_dict()}, allow_nan=False)


@pytest.mark.parametrize("stopped", ["reference", "candidate", "both"])
def test_a_trajectory_is_compared_up_to_the_last_frame_that_is_valid_in_both(stopped):
    truth = ensemble(X[:1], V[:1], (8,) if stopped != "candidate" else ())
    run = ensemble(OFF[:1], V[:1], (8,) if stopped != "reference" else (), "leapfrog")
    found = compare(truth, run)
    short = compare(
        ensemble(X[:1, :8], V[:1, :8]), ensemble(OFF[:1, :8], V[:1, :8], (), "leapfrog")
    )
    ends = dict.fromkeys(("valid_prediction_time", "relative_valid_time"), pytest.approx(0.7))
    expected = finite(short) | ends
    expected |= {key: finite(found)[key] for key in ("valid", "whole_runs")}
    assert (found.whole_runs, short.whole_runs) == (0, 1)
    assert finite(found) == expected
    assert found.horizons == pytest.approx((0.5, 0.7))
    assert found.valid_time == pytest.approx(0.7)
    assert found.validity[-1] == "Compared are the frames that are valid in both, t = 0 to 0.7."
    assert "8 of 21 frames are valid, up to t = 0.7" in found.validity[0]
    assert "8 of 21 frames are valid" in str(run_table(run, truth))
    assert "0.7 time units" in sentence(run, found)


def test_a_speed_is_that_of_valid_frames():
    """The candidate took half the time for a quarter of the frames: it is twice as slow."""
    truth = ensemble(X[:1], V[:1], (), wall_time=1.0)
    run = ensemble(OFF[:1], V[:1], (6,), "leapfrog", wall_time=0.5)
    found = compare(truth, run)
    assert found.speed_ratio == pytest.approx(0.5)
    assert found.verdict == "leapfrog is 2.0 times slower than dop853 per valid time unit."
    # and where the reference failed there is nothing to be faster than
    failed = compare(replace(truth, info=replace(truth.info, good=(6,))), run)
    assert np.isnan(failed.speed_ratio)
    assert failed.verdict == "No speeds are compared: dop853 has not reached its end."
    # nor is a candidate praised that gave up
    quick = ensemble(OFF[:1], V[:1], (6,), "leapfrog", wall_time=0.01)
    assert compare(truth, quick).verdict == "No speeds are compared: leapfrog stopped early."


def test_a_run_of_which_the_start_alone_is_valid_has_no_numbers():
    truth, run = ensemble(X[:1], V[:1]), ensemble(OFF[:1], V[:1], (1,), "leapfrog")
    found = compare(truth, run)
    assert found.horizons == ()
    assert found.errors == {}
    assert found.distributions == ()
    for figure in (draw_comparisons([found]), plot(run)):
        figure.savefig(BytesIO(), dpi=10)
        texts = " ".join(text.get_text() for ax in figure.axes for text in ax.texts)
        assert "no valid frame after the start" in " ".join(texts.split())
    assert "0.0e+00" not in str(comparison_table(found))
    assert found.valid_time == 0
    assert np.isnan(list(found.drifts["candidate"].values())).all()
    assert "no valid frame after its start" in found.verdict
    text = str(run_table(run, truth))
    assert "0.0e+00" not in text
    assert "times faster" not in text
    assert "1 of 21 frames is valid" in text
    assert "no valid frame" in str(
        comparison_table([found, compare(truth, ensemble(OFF[:1], V[:1]))])
    )
    assert "no valid frame" in str(run_table(run))
    assert "times" not in sentence(run, found).split("units.")[1]


def test_twins_are_followed_to_their_last_valid_frame():
    growing = X + 1e-6 * np.exp(0.7 * 0.1 * np.arange(END))[:, None, None]
    truth, near = ensemble(X, X, SOME), ensemble(growing, growing, SOME[::-1])
    np.testing.assert_allclose(growth_rate(truth, near), 0.7, rtol=1e-4)
    nothing = ensemble(growing, growing, (1,) * 8)
    assert np.isnan(growth_rate(truth, nothing)).all()
    found = compare(truth, truth, Twins(near, nothing, float("nan")))
    assert all(each.within_noise is None for each in found.distributions)
