"""Calibration of error estimates: quantiles of held-out starts, on fresh ones."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import InputError, make_integrator, make_system, simulate
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.evaluation.calibration import calibrate
from nbody_surrogate.evaluation.calibration_starts import Sizes, calibration_starts
from nbody_surrogate.results.metrics import rmse
from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator

CHARGED = make_system("charged")
SIZES = Sizes(inside=24, outside=12, frames=5)


@pytest.fixture(scope="module")
def model():
    method = make_integrator("leapfrog", substeps=2)
    return calibrate(method, [CHARGED], [3], sizes=SIZES, seed=1)


def test_the_factors_cover_fresh_starts(model):
    """Of a method that is no surrogate: all that counts are its frames."""
    assert model.calibrated
    assert (model.starts, model.ages) == (24 + 3 * 12, (1, 2, 3, 5))
    assert list(model.factors) == sorted(model.factors)
    assert 0 < model.frame_factor < 0.5
    state, particles = CHARGED.sample(7, 3, trajectories=100)
    run = simulate(CHARGED, state, particles, 5, make_integrator("leapfrog", substeps=2))
    solver = make_integrator("dop853-compiled", rtol=1e-13, atol=1e-14)
    truth = simulate(CHARGED, state, particles, 5, solver)
    true = rmse(truth.x, run.x)[:, 1:]
    bounds = ErrorEstimator(Problem(CHARGED, particles, 0.0, 0.1), 3, model).extend(0, run.x, run.v)
    covered = (true <= bounds).mean(0)
    # of 100, at nominal 95 %: less than 88 happen once in 500 calibrations that are right
    assert (covered >= 0.88).all()
    assert np.median(bounds / true) < 1.1


def test_the_starts_are_the_same_for_a_seed_and_others_for_another():
    def first(seed):
        return next(iter(calibration_starts([CHARGED], [4], SIZES, seed))).state.x

    assert np.array_equal(first(3), first(3))
    assert not np.array_equal(first(3), first(4))
    inside = [each.inside for each in calibration_starts([CHARGED], [4], SIZES, 0)]
    assert inside == [True, False, False, False]


def test_a_few_starts_have_no_quantile():
    with pytest.raises(InputError, match="`sizes`"):
        calibrate(make_integrator("leapfrog"), [CHARGED], [3], sizes=Sizes(2, 2, 1))
