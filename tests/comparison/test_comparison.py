"""Metrics of a candidate against its reference: closed forms, symmetries and refusals."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbody_surrogate import Ensemble, InputError, Particles, compare, make_integrator, simulate
from nbody_surrogate.results.metrics import (
    VALID_THRESHOLD,
    drift,
    mean_kinetic,
    median_drifts,
    rmse,
    valid_prediction_time,
)
from nbody_surrogate.results.trajectory import RunInfo

ROUNDING = 1e-12  # relative, of sums of some hundred terms


def orthogonal(seed, dimensions):
    """A rotation or a reflection."""
    matrix = np.random.default_rng(seed).normal(size=(dimensions, dimensions))
    return np.linalg.qr(matrix)[0]


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


def random_frames(seed=0, batch=2, frames=11, n=3, dimensions=3):
    return np.random.default_rng(seed).normal(size=(batch, frames, n, dimensions))


@pytest.fixture(scope="module")
def run(charged):
    """Two trajectories of 30 frames."""
    return simulate(charged, *charged.sample(1, 4, 2), 30, "leapfrog")


# Root-mean-square error


def test_rmse_is_over_particles_and_coordinates_at_each_frame():
    reference, candidate = np.zeros((2, 1, 2, 2, 3))
    candidate[0, 0, 0] = [3.0, 0.0, 0.0]
    candidate[0, 1, :, 1] = [1.0, -2.0]
    expected = [[math.sqrt(9 / 6), math.sqrt((1 + 4) / 6)]]
    np.testing.assert_allclose(rmse(reference, candidate), expected, rtol=ROUNDING)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_rmse_of_a_constant_offset_is_its_size(dimensions):
    reference = random_frames(dimensions=dimensions)
    np.testing.assert_allclose(rmse(reference, reference - 0.25), 0.25, rtol=ROUNDING)
    np.testing.assert_array_equal(rmse(reference, reference), np.zeros((2, 11)))


@given(st.integers(0, 2**32), st.sampled_from([2, 3]), st.floats(1e-3, 1e3))
def test_rmse_is_a_distance_that_rotations_keep(seed, dimensions, factor):
    a, b, c = (random_frames(seed + k, dimensions=dimensions) for k in range(3))
    rotation, shift = orthogonal(seed, dimensions), np.full(dimensions, 2.0)
    moved = (y @ rotation.T + shift for y in (a, b))
    np.testing.assert_allclose(rmse(*moved), rmse(a, b), rtol=1e-9)
    np.testing.assert_array_equal(rmse(a, b), rmse(b, a))
    np.testing.assert_allclose(rmse(factor * a, factor * b), factor * rmse(a, b), rtol=1e-9)
    assert (rmse(a, c) <= rmse(a, b) + rmse(b, c) + ROUNDING).all()


# Valid prediction time


def linear_growth(rates, t0=0.0, frames=21, dimensions=3):
    """Two particles at rest at +-1 on an axis; the error grows by `rates` in each coordinate."""
    reference = np.zeros((len(rates), frames, 2, dimensions))
    reference[:, :, 0, 0], reference[:, :, 1, 0] = 1.0, -1.0
    t = t0 + 0.1 * np.arange(frames)
    error = np.array(rates)[:, None] * (t - t0)
    return t, reference, reference + error[:, :, None, None]


SCALE = VALID_THRESHOLD / math.sqrt(3)  # of two particles at +-1 on an axis, in 3 dimensions


@pytest.mark.parametrize("t0", [0.0, 5.0])
def test_valid_time_is_the_last_frame_before_the_first_excess(t0):
    # rate * t exceeds the threshold after 0.75, at the first frame, after 1.95, never
    rates = [SCALE / 0.75, SCALE / 0.05, SCALE / 1.95, SCALE / 2.5]
    found = valid_prediction_time(*linear_growth(rates, t0))
    np.testing.assert_allclose(found, [0.7, 0.0, 1.9, np.inf], rtol=0, atol=1e-9)


def test_valid_time_of_an_exact_candidate_is_infinite():
    t, reference, _ = linear_growth([1.0, 1.0])
    assert valid_prediction_time(t, reference, reference).tolist() == [np.inf, np.inf]


def test_the_first_excess_counts_also_where_the_error_shrinks_again():
    t, reference, _ = linear_growth([1.0])
    candidate = reference.copy()
    candidate[0, 4] += 1.0
    np.testing.assert_allclose(valid_prediction_time(t, reference, candidate), [0.3], atol=1e-9)


def test_not_a_number_is_an_excess():
    t, reference, _ = linear_growth([1.0])
    candidate = reference.copy()
    candidate[0, 6:, 1] = np.nan
    np.testing.assert_allclose(valid_prediction_time(t, reference, candidate), [0.5], atol=1e-9)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_threshold_is_a_share_of_the_spread_about_the_centroid(dimensions):
    t, reference, candidate = linear_growth([1.0], dimensions=dimensions)
    spread = 1 / math.sqrt(dimensions)
    for threshold in (0.3, 0.75, 1.2):
        expected = math.floor(threshold * spread / 0.1) * 0.1
        found = valid_prediction_time(t, reference, candidate, threshold)
        np.testing.assert_allclose(found, [expected], atol=1e-9)
    path = np.linspace(0, 100, len(t))[:, None, None]  # a cloud that moves as a whole
    rotation = orthogonal(2, dimensions)
    moved = [(y + path) @ rotation.T for y in (reference, candidate)]
    np.testing.assert_allclose(
        valid_prediction_time(t, *moved, 0.75),
        valid_prediction_time(t, reference, candidate, 0.75),
        atol=1e-9,
    )


def test_a_single_particle_is_measured_in_reduced_units():
    t, reference, _ = linear_growth([1.0])
    reference = reference[:, :, :1]
    candidate = reference + 0.4 * t[:, None, None]
    np.testing.assert_allclose(valid_prediction_time(t, reference, candidate), [0.2], atol=1e-9)


# Drift


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("extreme", [1.7, 0.4])
def test_drift_of_a_particle_that_changes_speed(charged, dimensions, extreme):
    """One particle of mass 2 at a distance of 1.5; its speed along the tangent goes up and down."""
    m, r, speeds = 2.0, 1.5, np.array([1.0, extreme, 0.9])
    outward, along = orthogonal(3, dimensions)[:2]
    x = np.tile(r * outward, (1, 3, 1, 1))
    v = speeds[None, :, None, None] * along
    particles = Particles([[1.0]], [[m]])
    mean = 0.5 * m * (speeds**2).mean()
    np.testing.assert_allclose(mean_kinetic(v, particles), [mean], rtol=ROUNDING)
    found = drift(charged, x, v, particles)
    np.testing.assert_allclose(found.energy, [0.5 * m * abs(extreme**2 - 1) / mean], rtol=ROUNDING)
    np.testing.assert_allclose(found.momentum, [m * abs(extreme - 1)], rtol=ROUNDING)
    np.testing.assert_allclose(found.angular_momentum, [m * r * abs(extreme - 1)], rtol=ROUNDING)
    scaled = drift(charged, x, v, particles, np.array([0.5]))
    np.testing.assert_allclose(scaled.energy, [0.5 * m * abs(extreme**2 - 1) / 0.5], rtol=ROUNDING)


def test_drift_counts_potential_energy(charged):
    """Two charges at rest that are moved apart from a distance of 1 to one of 2."""
    x = np.zeros((1, 2, 2, 3))
    x[0, :, 1] = [[0.6, 0.0, 0.8], [1.2, 0.0, 1.6]]
    particles = Particles([[1.0, -2.0]], [[1.0, 1.0]])
    found = drift(charged, x, np.zeros_like(x), particles, np.ones(1))
    expected = 2 / math.hypot(1, 0.1) - 2 / math.hypot(2, 0.1)
    np.testing.assert_allclose(found.energy, [expected], rtol=ROUNDING)
    assert found.momentum.tolist() == found.angular_momentum.tolist() == [0.0]


def test_drift_belongs_to_each_trajectory(charged, run):
    both = drift(charged, run.x, run.v, run.particles)
    for b in range(2):
        alone = drift(charged, run.x[b : b + 1], run.v[b : b + 1], run.particles[b])
        for found, value in zip(alone, both, strict=True):
            assert found[0] == value[b]


def test_median_drifts_are_those_of_the_trajectories(charged, run):
    values = drift(charged, run.x, run.v, run.particles)
    assert median_drifts(run) == {
        "energy": np.median(values.energy),
        "momentum": np.median(values.momentum),
        "angular_momentum": np.median(values.angular_momentum),
    }


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
    assert found.candidate == "leapfrog (16 sub-steps)"


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


def moved(values, frame=0):
    values = values.copy()
    values[0, frame, 0, 0] += 1e-9
    return values


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("shape", lambda run: changed(run, t=run.t[:-1], x=run.x[:, :-1], v=run.v[:, :-1])),
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


# Speed


@pytest.mark.parametrize(
    ("reference", "candidate", "ratio", "verdict"),
    [
        (6.0, 2.0, 3.0, "leapfrog is 3.0 times faster than dop853."),
        (2.0, 7.0, 2 / 7, "leapfrog is 3.5 times slower than dop853."),
        (50.0, 2.0, 25.0, "leapfrog is 25 times faster than dop853."),
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
