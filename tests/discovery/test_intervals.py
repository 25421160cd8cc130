"""Draws of the unknowns against what theory has, and intervals against the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.discovery.estimate import Smoothness, improve
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.intervals import BLOCKS, draws_of, interval
from nbody_surrogate.discovery.normal import blocks_of, normal_equations
from nbody_surrogate.discovery.problem import problem_of, seen_part
from nbody_surrogate.discovery.splines import Envelope
from nbody_surrogate.discovery.start import begin
from nbody_surrogate.tracks.observe import observe


@pytest.fixture(scope="module")
def draws(dust):
    return draws_of(dust.estimate, 2000, np.random.default_rng(0))


def test_draws_lie_about_the_estimate(dust, draws):
    centre, spread = dust.estimate.unknowns.vector, draws.std(0)
    assert draws.shape == (2000, centre.size)
    assert (np.abs(draws.mean(0) - centre) <= 4.5 * spread / np.sqrt(2000) + 1e-12).all()


def test_draws_spread_as_the_information_has_it(dust, draws):
    """Where noise is what the model says. A variance that blocks have shares of is known by them:

    its relative error is the root of twice the sum of these shares squared.
    """
    estimate = dust.estimate
    layout, covariance = estimate.unknowns.layout, estimate.covariance
    problem = estimate.problem
    blocks = normal_equations(problem, estimate.unknowns, blocks_of(problem, BLOCKS)).information
    assert len(blocks) == 60
    scores = []
    for name in ("strengths", "responses", "drag", "gradient_by_charge"):
        for k in range(layout.part(name).start, layout.part(name).stop):
            shares = np.einsum("p,bpq,q->b", covariance[k], blocks, covariance[k])
            shares /= covariance[k, k]
            assert 0.8 < shares.sum() < 1 + 1e-6  # the rest is the smoothness'
            error = np.sqrt(2 * (shares**2).sum() + 2 / 2000)
            scores.append((draws[:, k].var() / covariance[k, k] - 1) / error)
    # 1 on average: over eight tracks like these it was 1.04
    assert np.sqrt(np.mean(np.square(scores))) < 2
    assert np.abs(np.mean(scores)) < 1


def test_the_curve_spreads_as_the_information_has_it(dust, draws):
    """Of the force itself, as coefficients of neighbouring splines go together."""
    part = dust.estimate.unknowns.layout.part("curve")
    r = np.quantile(dust.estimate.problem.runs[0].visited(), np.linspace(0.05, 0.95, 20))
    matrix = dust.estimate.problem.curve.matrix(r)
    theory = np.sqrt(np.einsum("rk,kl,rl->r", matrix, dust.estimate.covariance[part, part], matrix))
    ratios = (draws[:, part] @ matrix.T).std(0) / theory
    assert ratios.min() > 1 - 4.5 * 0.09 and ratios.max() < 1 + 4.5 * 0.09


def test_sizes_stay_and_so_does_what_is_not_sought(dust, draws):
    unknowns = dust.estimate.unknowns
    for name in ("strengths", "responses"):
        part = unknowns.layout.part(name)
        sizes = draws[:, part] @ np.sign(unknowns.part(name))
        np.testing.assert_allclose(sizes, len(unknowns.part(name)), rtol=1e-9)
    for name in ("uniform", "uniform_by_charge", "gradient"):
        assert not np.ptp(draws[:, unknowns.layout.part(name)], axis=0).any()


def test_a_seed_gives_the_same_draws(dust):
    one, same, other = (
        draws_of(dust.estimate, 20, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0


def test_half_of_the_frames_spread_as_twice_the_variance(dust):
    problem = dust.estimate.problem
    estimate = replace(dust.estimate, problem=seen_part(problem, [len(problem.runs[0].x) // 2]))
    part = dust.estimate.unknowns.layout.part("strengths")
    wide = draws_of(estimate, 1000, np.random.default_rng(0))[:, part].std(0)
    theory = np.sqrt(2 * np.diag(dust.estimate.covariance)[part])
    assert np.sqrt(np.mean((wide / theory) ** 2)) == pytest.approx(1, abs=0.35)


def test_an_interval_holds_95_of_100_draws():
    found = interval(0.5, np.linspace(0.0, 1.0, 1001))
    assert found == {"value": 0.5, "low": pytest.approx(0.025), "high": pytest.approx(0.975)}
    assert all(type(each) is float for each in found.values())
    assert interval(0.5, np.empty(0)) == {"value": 0.5, "low": None, "high": None}


@pytest.mark.slow
def test_intervals_of_strengths_cover_the_truth():
    """Of 24 tracks of 5 grains: 120 intervals of 95 %, of which 5.5 miss on average."""
    system = nb.make_system("dust", wake_charge=0.0, temperature=0.1, charge_spread=0.3)
    freedom = Freedom(directed=False, fields=("gradient_by_charge",))
    inside = {"strengths": [], "responses": [], "drag": []}
    for seed in range(24):
        state, particles = system.sample(seed, 5, dimensions=2)
        run = nb.simulate(system, state, particles, 1500)[0]
        tracks = observe(run, noise=1e-3, seed=seed)
        start = begin(problem_of([tracks], None, False, False, 8), (Envelope(-2.0, 1.0),))[-1]
        found = improve(start.problem, start.unknowns, freedom, Smoothness(1e-3, 1e-3))
        q, m = particles.charges[0], particles.masses[0]
        truth = {
            "strengths": q / q.mean(),
            "responses": (q / m) / (q / m).mean(),
            "drag": 0.2 * m ** (-1 / 3),
        }
        draws = draws_of(found, 400, np.random.default_rng(seed))
        sign = np.sign(found.unknowns.part("strengths").sum())
        for name, values in inside.items():
            part = found.unknowns.layout.part(name)
            low, high = np.quantile(draws[:, part], [0.025, 0.975], axis=0)
            true = truth[name] * (1.0 if name == "drag" else sign)
            values += ((low <= true) & (true <= high)).tolist()
    for name, values in inside.items():
        # three standard deviations of the mean of 24 tracks, each of which hits or misses as one
        assert np.mean(values) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(values)), name
