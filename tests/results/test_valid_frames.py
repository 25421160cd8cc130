"""What of a run is data: its valid frames, and the numbers that are made of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate import plot, thumbnail
from nbody_surrogate.results.bootstrap import Summary, bootstrap_median, plain
from nbody_surrogate.results.metrics import drift_curves, mean_kinetic, median_drifts, spread
from nbody_surrogate.results.validity import validity_note
from stopped_runs import ensemble, wandering

GOOD = (21, 4, 21, 1)


@pytest.fixture(scope="module")
def run():
    return ensemble(*wandering(4), good=GOOD)


def test_valid_frames_are_counted_from_the_start(run):
    assert run.valid_frames.tolist() == list(GOOD)
    assert run.valid.sum(1).tolist() == list(GOOD)
    assert [each.valid_frames for each in run] == list(GOOD)
    untold = replace(run, info=replace(run.info, good=()))
    assert untold.valid.all()
    assert untold.valid_part() is untold
    assert run[0].valid_part().x.shape == run[0].x.shape
    # what a file may claim: the start is given, and no frame is data that is not there
    forged = replace(run, info=replace(run.info, good=(-3, 10**9, 0, 2)))
    assert forged.valid_frames.tolist() == [1, 21, 1, 2]


def test_the_valid_part_of_a_trajectory_ends_with_its_last_frame(run):
    part = run[1].valid_part()
    assert len(part.t) == len(part.x) == len(part.v) == 4
    np.testing.assert_array_equal(part.x, run.x[1, :4])
    assert part.valid_frames == 4


def test_the_valid_part_of_an_ensemble_has_no_frozen_frame(run):
    part = run.valid_part()
    assert part.x.shape == run.x.shape  # some trajectory reaches the end
    for y, whole in ((part.x, run.x), (part.v, run.v)):
        assert np.isnan(y[~run.valid]).all()
        np.testing.assert_array_equal(y[run.valid], whole[run.valid])
    early = replace(run, info=replace(run.info, good=(3, 4, 2, 1))).valid_part()
    assert early.x.shape[1] == len(early.t) == 4
    assert run.valid_part(2).x.shape[1] == 2


def test_it_is_said_how_many_are_valid(run):
    assert validity_note(run[0]) is None
    assert validity_note(run[1]) == "4 of 21 frames are valid, up to t = 0.3"
    assert validity_note(run[3]) == "1 of 21 frames is valid, up to t = 0"
    assert validity_note(run) == (
        "2 of 4 trajectories stopped early; of trajectory 3, 1 of 21 frames is valid, up to t = 0"
    )
    assert "4 of 21 frames are valid" in thumbnail(run[1])
    assert plot(run)._suptitle.get_text() == validity_note(run)


def test_means_over_time_are_over_valid_frames(run):
    part = run.valid_part()
    for b, count in enumerate(GOOD):
        few = ensemble(run.x[b : b + 1, :count], run.v[b : b + 1, :count])
        assert spread(part.x)[b] == pytest.approx(spread(few.x)[0], rel=1e-12)
        kinetic = mean_kinetic(few.v, few.particles)[0]
        assert mean_kinetic(part.v, part.particles)[b] == pytest.approx(kinetic, rel=1e-12)


def test_drifts_are_over_valid_frames_and_none_where_only_the_start_is(run, charged):
    part = run.valid_part()
    curves = drift_curves(charged, part.x, part.v, part.particles)
    assert (np.isnan(curves) == ~run.valid).all()
    alone = [median_drifts(ensemble(run.x[b, None], run.v[b, None], good=GOOD[b : b + 1]))
             for b in range(4)]  # fmt: skip
    assert np.isnan(list(alone[3].values())).all()
    medians = median_drifts(run)
    for key, value in medians.items():
        # the one that never left its start is no run of drift 0
        assert value == pytest.approx(np.median([each[key] for each in alone[:3]]))


def test_summaries_count_infinity_and_leave_out_what_is_not_known():
    values = np.array([3.0, np.nan, 1.0, np.inf, 2.0, np.inf])
    found = Summary.of(values)
    assert found.median == 3.0
    assert found.q95 == np.inf
    assert found == Summary.of(values[~np.isnan(values)])
    assert not np.isnan([found.low, found.high]).any()
    assert np.isnan(list(vars(Summary.of(np.array([np.nan]))).values())).all()
    low, high = bootstrap_median(np.full((5, 1), np.inf))
    assert low == high == np.inf
    assert plain({"a": [1.0, np.inf, None], "b": (np.nan, 2)}) == {"a": [1.0, None, None],
                                                                   "b": [None, 2]}  # fmt: skip
