"""Metrics of runs: closed forms and symmetries."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensembles import SCALE, leapfrog_run, linear_growth, random_frames
from nbody_surrogate import Particles, make_integrator, make_system, simulate
from nbody_surrogate.results.metrics import (
    drift,
    mean_kinetic,
    median_drifts,
    normalised_rmse,
    relative_rmse,
    relative_valid_time,
    rmse,
    valid_prediction_time,
)

ROUNDING = 1e-12  # relative, of sums of some hundred terms


def orthogonal(seed, dimensions):
    """A rotation or a reflection."""
    matrix = np.random.default_rng(seed).normal(size=(dimensions, dimensions))
    return np.linalg.qr(matrix)[0]


@pytest.fixture(scope="module")
def run(charged):
    return leapfrog_run(charged)


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


def test_a_candidate_at_the_centroid_has_a_relative_error_of_one():
    reference = (
        np.random.default_rng(0).normal(size=(1, 40, 6, 3)) * np.arange(1, 41)[:, None, None]
    )
    centroid = np.broadcast_to(reference.mean(2, keepdims=True), reference.shape)
    relative = relative_rmse(reference, centroid)
    np.testing.assert_allclose((relative**2).mean(1), 1.0, rtol=ROUNDING)
    np.testing.assert_allclose(normalised_rmse(reference, centroid)[:, 0], 1.0, rtol=ROUNDING)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_scale_is_the_distance_from_the_centre_at_the_start(dimensions):
    x = np.random.default_rng(0).normal(size=(3, 4, 7, dimensions)) + 50.0
    start = x[:, 0] - x[:, 0].mean(1, keepdims=True)
    distance = np.sqrt((start**2).sum(2).mean(1))  # root mean square over particles
    off = np.sqrt(((0.1 * x) ** 2).sum(3).mean(2))
    np.testing.assert_allclose(normalised_rmse(x, 1.1 * x), off / distance[:, None], rtol=1e-12)


def test_the_valid_time_does_not_depend_on_how_long_a_run_is():
    """Of a cloud that flies apart; that by the spread of the whole run does."""
    system = make_system("charged")
    state, particles = system.sample(3, 5, 12)
    methods = make_integrator("dop853-compiled"), make_integrator("leapfrog", substeps=2)
    truth, run = (simulate(system, state, particles, 500, each) for each in methods)
    times, relative = [], []
    for frames in (50, 100, 200, 500):
        part = truth.t[: frames + 1], truth.x[:, : frames + 1], run.x[:, : frames + 1]
        times.append(valid_prediction_time(*part))
        relative.append(relative_valid_time(*part))
    for shorter, longer in pairwise(times):
        reached = np.isfinite(shorter)
        assert reached.any()
        np.testing.assert_array_equal(longer[reached], shorter[reached])
    reached = np.isfinite(times[0])
    assert (relative[-1][reached] > relative[0][reached]).any()


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
