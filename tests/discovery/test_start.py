"""Where a search begins: noise from differences, envelopes, and signs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate.discovery.splines import Envelope, Knots
from nbody_surrogate.discovery.start import begin, coarser, excerpt, first_unknowns
from watched import kicked, problem_of, swings


@pytest.mark.parametrize("noise", [1e-4, 1e-2])
def test_the_noise_of_smooth_tracks_is_seen_at_once(noise):
    """Of a median of 600 squares; sixth differences of the motion itself are below 1e-5."""
    x = swings(600, 6)
    x = x + noise * np.random.default_rng(0).normal(size=x.shape) * [1.0, 2.0, 3.0]
    found = np.sqrt(first_unknowns(problem_of(x)).noise)
    np.testing.assert_allclose(found, noise * np.array([1, 2, 3]), rtol=0.15)


def test_tracks_without_noise_have_hardly_any():
    problem = problem_of(swings(600, 4))
    assert np.sqrt(first_unknowns(problem).noise).max() < 1e-5 * problem.curve.scale


def test_kicks_stand_for_all_acceleration():
    """Of free particles that are kicked, they are of the kicks' order, each of its own."""
    kicks = np.array([0.1, 1.0, 10.0])[:, None]
    x = kicked(0.1, kicks, 0.0, 2000, 1, shape=(3, 2)) + np.array([[0, 0], [3, 1], [-1, 4]])
    found = first_unknowns(problem_of(x)).kicks
    assert (found / kicks.ravel() > 0.2).all() and (found / kicks.ravel() < 3).all()


def test_an_excerpt_is_the_first_frames_of_each_run():
    problem = problem_of(swings(300, 3), swings(200, 2, seed=1))
    few = excerpt(problem, 240)
    assert [len(run.x) for run in few.runs] == [120, 120]
    assert [run.start for run in few.runs] == [0, 120]
    assert [run.first for run in few.runs] == [0, 3]
    np.testing.assert_array_equal(few.runs[1].x, problem.runs[1].x[:120])
    assert [len(run.x) for run in excerpt(problem, 10_000).runs] == [300, 200]


def test_other_knots_lie_over_the_same_range():
    knots = Knots.over(0.2, 0.8, 24)
    assert coarser(knots, 7).ends == pytest.approx((0.2, 0.8))
    assert coarser(knots, 7).count == 7


def starts(found, *powers):
    return begin(found.estimate.problem, tuple(Envelope(*power) for power in powers))


def test_the_envelope_of_springs_is_found(springs):
    alone, with_fields = starts(springs, (-2.0,), (-4.0,), (1.0,))
    assert alone.alone and not with_fields.alone
    assert alone.problem.curve.envelope.power == 1.0
    strengths = alone.unknowns.part("strengths")
    bonds = springs.particles.couplings[0][np.triu_indices(5, 1)]
    np.testing.assert_allclose(strengths / strengths.max(), bonds, atol=0.02)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_charges_have_their_signs_from_the_start(charges, seed):
    """Whatever the order of particles, and with masses that are positive."""
    order = np.random.default_rng(seed).permutation(5)
    run = charges.estimate.problem.runs[0]
    problem = replace(
        charges.estimate.problem, runs=(replace(run, x=run.x[:, order], path=run.x[:, order]),)
    )
    q = charges.particles.charges[0][order]
    for start in begin(problem, (Envelope(-2.0, np.inf, 0.12),)):
        strengths, responses = (start.unknowns.part(k) for k in ("strengths", "responses"))
        assert (np.sign(strengths * responses) == 1).all()
        assert len(set(np.sign(strengths * q))) == 1
        np.testing.assert_allclose(np.abs(strengths), np.abs(q) / np.abs(q).mean(), rtol=0.1)


def test_dust_begins_near_where_it_ends(dust):
    """In a trap, with drag and kicks, from pairs under a coarse curve."""
    start = begin(dust.estimate.problem, (Envelope(-2.0, 1.0),))[-1]
    q = dust.particles.charges[0]
    strengths = np.abs(start.unknowns.part("strengths"))
    np.testing.assert_allclose(strengths, q / q.mean(), rtol=0.25)
    assert start.unknowns.layout == dust.estimate.problem.layout
