"""Comparisons of a candidate with its reference: medians, refusals, speed and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ensembles import SCALE, leapfrog_run, linear_growth, moved, random_frames
from nbody_surrogate import Ensemble, InputError, Particles, compare, make_integrator, simulate
from nbody_surrogate.results.metrics import (
    VALID_THRESHOLD,
    drift,
    mean_kinetic,
    median_drifts,
    rmse,
)
from nbody_surrogate.results.trajectory import RunInfo


def ensemble(x, v=None, dt=0.1, t0=0.0, particles=None, method="dop853", wall_time=1.0):
    """A run as if it had been computed, with x (B, T, N, D) given by hand."""
    batch, frames, n, _ = x.shape
    charges = np.ones((batch, n))
    info = RunInfo(system={"system": "charged"}, method={"integrator": method}, wall_time=wall_time)
    return Ensemble(
        t0 + dt * np.arange(frames),
        x,
        np.zeros_like(x) if v is None else v,
        Particles(charges, charges) if particles is None else particles,
        info,
    )


@pytest.fixture(scope="module")
def run(charged):
    return leapfrog_run(charged)


# Comparisons


def test_a_run_against_itself(run):
    found = compare(run, run)
    assert found.horizons == pytest.approx((0.5, 1.0, 2.0, 3.0))
    assert found.position_rmse == found.velocity_rmse == (0.0, 0.0, 0.0, 0.0)
    assert found.valid_time == math.inf
    assert found.duration == pytest.approx(3.0)
    assert found.trajectories == 2
    assert found.drifts["reference"] == found.drifts["candidate"]
    assert found.drifts["reference"] == pytest.approx(median_drifts(run))
    assert found.speed_ratio == 1.0


def test_a_comparison_gives_the_medians_of_the_metrics(charged, run):
    reference = simulate(charged, *charged.sample(1, 4, 2), 30, "dop853")
    found = compare(reference, run)
    at = [5, 10, 20, 30]
    position = np.median(rmse(reference.x, run.x), axis=0)[at]
    velocity = np.median(rmse(reference.v, run.v), axis=0)[at]
    assert found.position_rmse == tuple(position)
    assert found.velocity_rmse == tuple(velocity)
    assert (position > 0).all()
    scale = mean_kinetic(reference.v, reference.particles)
    for role, values in (("reference", reference), ("candidate", run)):
        expected = drift(charged, values.x, values.v, values.particles, scale)
        for key, value in expected._asdict().items():
            assert found.drifts[role][key] == np.median(value)
    assert found.reference == "dop853 (rtol 1e-09)"
    assert found.candidate == "leapfrog (dkd, 16 sub-steps)"


def test_more_substeps_make_a_better_candidate(charged):
    state, particles = charged.sample(2, 4, 2)
    reference = simulate(charged, state, particles, 20)
    coarse, fine = (
        compare(
            reference,
            simulate(charged, state, particles, 20, make_integrator("leapfrog", substeps=number)),
        )
        for number in (4, 32)
    )
    assert np.all(np.less(fine.position_rmse, coarse.position_rmse))
    assert np.all(np.less(fine.velocity_rmse, coarse.velocity_rmse))


@pytest.mark.parametrize(
    ("frames", "dt", "t0", "horizons"),
    [
        (51, 0.1, 0.0, (0.5, 1.0, 2.0, 5.0)),
        (51, 0.1, 3.0, (0.5, 1.0, 2.0, 5.0)),
        (50, 0.1, 0.0, (0.5, 1.0, 2.0, 4.9)),
        (81, 0.1, 0.0, (0.5, 1.0, 2.0, 5.0, 8.0)),
        (4, 0.1, 7.0, (0.3,)),
        (5, 0.5, 0.0, (0.5, 1.0, 2.0)),
    ],
)
def test_horizons_are_those_that_the_run_reaches_and_its_end(frames, dt, t0, horizons):
    """The error at time t is t, so that it tells where it was taken."""
    still = np.zeros((1, frames, 2, 3))
    still[:, :, 0] = 1.0
    error = (dt * np.arange(frames))[:, None, None]
    found = compare(ensemble(still, dt=dt, t0=t0), ensemble(still + error, dt=dt, t0=t0))
    assert found.horizons == pytest.approx(horizons)
    assert found.position_rmse == pytest.approx(horizons)
    assert found.duration == pytest.approx(dt * (frames - 1))


def test_medians_are_over_trajectories():
    t, reference, candidate = linear_growth([SCALE / 0.75, SCALE / 0.35, SCALE / 1.25])
    found = compare(ensemble(reference), ensemble(candidate))
    assert found.valid_time == pytest.approx(0.7)
    assert found.position_rmse[0] == pytest.approx(0.5 * SCALE / 0.75)
    assert t[-1] == pytest.approx(found.duration)


# Refusals


def changed(run, **changes):
    return replace(run, **changes)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("frames", lambda run: changed(run, t=run.t[:-1], x=run.x[:, :-1], v=run.v[:, :-1])),
        ("shape", lambda run: changed(run, x=run.x[..., :2], v=run.v[..., :2])),
        (
            "shape",
            lambda run: changed(run, x=run.x[:1], v=run.v[:1], particles=run.particles[0]),
        ),
        ("times", lambda run: changed(run, t=run.t + 0.1)),
        ("times", lambda run: changed(run, t=run.t * 1.01)),
        (
            "charges",
            lambda run: changed(
                run, particles=Particles(-run.particles.charges, run.particles.masses)
            ),
        ),
        (
            "masses",
            lambda run: changed(
                run, particles=Particles(run.particles.charges, 2 * run.particles.masses)
            ),
        ),
        (
            "couplings",
            lambda run: changed(
                run,
                particles=Particles(
                    run.particles.charges, run.particles.masses, np.ones((2, 4, 4))
                ),
            ),
        ),
        ("start", lambda run: changed(run, x=moved(run.x))),
        ("start", lambda run: changed(run, v=moved(run.v))),
    ],
)
def test_runs_of_other_starts_are_refused(run, what, change):
    with pytest.raises(InputError, match=what) as caught:
        compare(run, change(run))
    message = str(caught.value)
    assert message.startswith("`candidate` must ")
    assert "\n" not in message
    with pytest.raises(InputError):
        compare(change(run), run)


def test_later_frames_may_differ(run):
    other = changed(run, x=moved(run.x, 5), v=moved(run.v, 5))
    assert compare(run, other).position_rmse[0] > 0


def test_a_parameter_that_a_release_before_lacked_has_its_default(run):
    description = dict(run.info.system)
    del description["planar"]
    before = changed(run, info=replace(run.info, system=description))
    assert max(compare(run, before).position_rmse) == 0
    assert max(compare(before, run).position_rmse) == 0
    flat = changed(run, info=replace(run.info, system={**description, "planar": 0.5}))
    with pytest.raises(InputError, match=r"with planar 0.0; got planar 0.5$"):
        compare(before, flat)


# Speed

UNTIMED = "; dop853-compiled was not timed and may well be faster, see `nbody-sim bench`."


@pytest.mark.parametrize(
    ("reference", "candidate", "ratio", "verdict"),
    [
        (6.0, 2.0, 3.0, "leapfrog is 3.0 times faster than dop853" + UNTIMED),
        (2.0, 7.0, 2 / 7, "leapfrog is 3.5 times slower than dop853."),
        (
            50.0,
            2.0,
            25.0,
            "leapfrog is 25 times faster than dop853" + UNTIMED,
        ),
        (2.0, 50.0, 0.04, "leapfrog is 25 times slower than dop853."),
    ],
)
def test_the_verdict_says_who_is_slower(reference, candidate, ratio, verdict):
    x = random_frames()
    found = compare(
        ensemble(x, wall_time=reference), ensemble(x, method="leapfrog", wall_time=candidate)
    )
    assert found.speed_ratio == pytest.approx(ratio)
    assert found.verdict == verdict
    assert str(found).endswith(verdict)


@pytest.mark.parametrize(("reference", "candidate"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)])
def test_runs_that_were_not_timed_can_be_compared(reference, candidate):
    x = random_frames()
    found = compare(ensemble(x, wall_time=reference), ensemble(x, wall_time=candidate))
    assert math.isfinite(found.speed_ratio)
    json.dumps(found.to_dict(), allow_nan=False)


# As JSON


def test_a_comparison_is_json(charged, run):
    reference = simulate(charged, *charged.sample(1, 4, 2), 30, "dop853")
    found = compare(reference, run)
    loaded = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert loaded["reference"] == found.reference
    assert loaded["candidate"] == found.candidate
    assert loaded["trajectories"] == 2
    assert tuple(loaded["horizons"]) == found.horizons
    assert tuple(loaded["position_rmse"]) == found.position_rmse
    assert tuple(loaded["velocity_rmse"]) == found.velocity_rmse
    assert loaded["drift"] == found.drifts
    assert loaded["wall_time"] == found.wall_time
    assert loaded["speed_ratio"] == found.speed_ratio
    assert loaded["verdict"] == found.verdict
    assert loaded["valid_threshold"] == VALID_THRESHOLD


def test_an_unlimited_valid_time_is_none(run):
    assert compare(run, run).to_dict()["valid_prediction_time"] is None
    _, reference, candidate = linear_growth([SCALE / 0.75])
    limited = compare(ensemble(reference), ensemble(candidate)).to_dict()
    assert limited["valid_prediction_time"] == pytest.approx(0.7)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_a_candidate_that_blew_up_is_still_json():
    """Finite positions whose squares are not: a diverging surrogate gets there."""
    reference = random_frames(frames=21)
    candidate, fast = reference.copy(), reference.copy()
    candidate[:, 3:] *= 1e200
    fast[:, 3:] *= 1e200
    found = compare(ensemble(reference, reference), ensemble(candidate, fast))
    assert found.valid_time == pytest.approx(0.2)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_method_is_not_compared_with_itself_for_speed():
    found = compare(ensemble(random_frames()), ensemble(random_frames(), wall_time=3.0))
    assert found.verdict == "No speeds are compared: both are runs of dop853."


def test_nor_with_itself_at_another_accuracy():
    """That it takes longer to be more accurate is no news; times stand in the table."""
    loose, tight = (
        ensemble(random_frames(), method=f"dop853 (rtol {rtol})", wall_time=seconds)
        for rtol, seconds in (("1e-09", 1.0), ("1e-11", 3.0))
    )
    found = compare(tight, loose)
    assert found.verdict == "No speeds are compared: both are runs of dop853."
    assert found.speed_ratio == pytest.approx(3.0)


def test_a_run_of_the_compiled_solver_leaves_none_untimed():
    compiled = ensemble(random_frames(), method="dop853-compiled", wall_time=0.5)
    assert compare(ensemble(random_frames()), compiled).verdict.endswith("faster than dop853.")
