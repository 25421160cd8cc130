"""Candidates at other times: what interpolation does is told apart from what they do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate import InputError, compare, make_integrator, make_system, simulate
from nbody_surrogate.comparison.table import comparison_table
from refusals import refused


def run_of(dt, duration=3.0, method="dop853", **options):
    """Run 6 particles, of which some come close."""
    system = make_system("charged", frame_dt=dt)
    state, particles = system.sample(3, 6)
    solver = make_integrator(method, **options)
    return simulate(system, state, particles, round(duration / dt), solver)


@pytest.fixture(scope="module")
def truth():
    return run_of(0.1)


@pytest.mark.parametrize("dt", [0.5, 0.05])
def test_a_reference_differs_from_itself_by_interpolation_alone(truth, dt):
    run = run_of(dt)
    found = compare(truth, run, interpolate=True)
    # conserved quantities are those of frames that exist
    assert found.drifts["candidate"]["energy"] < 1e-7
    assert found.drifts["candidate"]["angular_momentum"] < 1e-7
    energy = found.curves.bands["energy"]["candidate"].median
    assert energy.shape == truth.t.shape
    assert energy.max() < 1e-7
    assert np.isinf(found.valid_time)
    assert found.speed_ratio == pytest.approx(truth.info.wall_time / run.info.wall_time)
    if dt > 0.1:
        assert found.interpolation.mean > 1e-5  # of the spread
        assert found.interpolation.explains_it
        assert "nothing beyond interpolation" in str(comparison_table(found))
    # the frames of the window exist in both, so that nothing is interpolated
    assert all(each.distance.median < 1e-8 for each in found.distributions)
    assert all(each.within_noise is not False for each in found.distributions)


def test_a_candidate_that_is_wrong_is_not_excused(truth):
    wrong = run_of(0.5, method="leapfrog", substeps=2)
    found = compare(truth, wrong, interpolate=True)
    assert not found.interpolation.explains_it
    assert "more than that" in str(comparison_table(found))
    own = compare(run_of(0.5), wrong)
    assert found.drifts["candidate"]["energy"] == pytest.approx(own.drifts["candidate"]["energy"],
                                                                rel=0.5)  # fmt: skip
    assert found.valid_time < 3


def test_the_same_times_are_not_interpolated(truth):
    rough = run_of(0.1, method="leapfrog", substeps=2)
    found = compare(truth, rough, interpolate=True)
    assert found.interpolation is None
    assert found.position_rmse == compare(truth, rough).position_rmse


def test_a_stopped_candidate_is_interpolated_up_to_its_last_valid_frame(truth):
    run = run_of(0.5)
    run.x[0, 4:], run.v[0, 4:] = run.x[0, 3], run.v[0, 3]
    stopped = replace(run, info=replace(run.info, good=(4,), status=(-1,), message=("no way",)))
    found = compare(truth, stopped, interpolate=True)
    assert found.horizons == pytest.approx((0.5, 1.0, 1.5))
    assert found.valid_time == pytest.approx(1.5)
    assert found.drifts["candidate"]["energy"] < 1e-7


def test_a_reference_of_one_frame_is_compared_at_the_start(truth):
    found = compare(
        truth.valid_part(1), run_of(0.1, method="leapfrog", substeps=2), interpolate=True
    )
    assert found.duration == 0
    assert found.curves.t.tolist() == [0.0]
    assert [each.distance.median for each in found.distributions] == [0.0] * len(
        found.distributions
    )
    whose = "dop853 (rtol 1e-09) has no valid frame after its start"
    assert whose in found.verdict
    assert found.verdict in str(comparison_table(found))


def test_frames_that_are_no_data_may_be_nan(truth):
    stopped = replace(truth, info=replace(truth.info, good=(21,)))
    other = run_of(0.05)
    frozen = compare(other, stopped, interpolate=True)
    nan = compare(other, stopped.valid_part(len(truth.t)), interpolate=True)
    assert np.isnan(stopped.valid_part(len(truth.t)).x).any()
    assert nan.to_dict() == frozen.to_dict()


def test_a_valid_frame_that_is_nan_is_refused(truth):
    x = truth.x.copy()
    x[0, 3] = np.nan
    with refused(InputError, "finite in their valid frames"):
        compare(run_of(0.05), replace(truth, x=x), interpolate=True)
