"""Noise and kicks of particles on which nothing acts but a bath."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nbody_surrogate.discovery.noise import estimate_noise
from nbody_surrogate.discovery.normal import log_likelihood
from nbody_surrogate.discovery.unknowns import FIELDS
from watched import kicked, problem_of, somewhere

DRAG = 0.5
KICKS = np.array([0.02, 0.1, 0.4])
NOISE = np.array([1e-4, 4e-4])


def bath(seed, frames=800, noise=NOISE, kicks=KICKS):
    """Three particles in the plane, of unlike kicks; axes have unlike noise."""
    places = np.array([[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]])
    x = kicked(DRAG, kicks[:, None], noise, frames, seed, shape=(3, 2)) + places
    problem = problem_of(x)
    unknowns = somewhere(problem)
    for name in ("curve", *FIELDS):
        unknowns.part(name)[:] = 0.0
    unknowns.part("drag")[:] = DRAG
    return problem, unknowns


def estimated(problem, unknowns, robust=False, rounds=6):
    for _ in range(rounds):
        estimate_noise(log_likelihood(problem, unknowns)[1], unknowns, robust)
    return np.log(np.r_[unknowns.noise, unknowns.kicks])


def information(problem, unknowns, logs, step=0.05):
    """Second derivatives of minus the log-likelihood by the logarithms."""

    def of(values):
        these = unknowns.copy()
        these.noise[:], these.kicks[:] = np.exp(values[:2]), np.exp(values[2:])
        return -log_likelihood(problem, these)[0]

    e, out = step * np.eye(len(logs)), np.empty((len(logs), len(logs)))
    for j, k in zip(*np.triu_indices(len(logs)), strict=True):
        four = [s * t * of(logs + s * e[j] + t * e[k]) for s in (1, -1) for t in (1, -1)]
        out[j, k] = out[k, j] = sum(four) / (2 * step) ** 2
    return out


@pytest.mark.parametrize("factor", [0.05, 20.0])
def test_noise_and_kicks_are_found_within_their_errors(factor):
    """From a start that is wrong by a factor; seeds add up to one chi-squared."""
    total = 0.0
    for seed in range(2):
        problem, unknowns = bath(seed)
        unknowns.noise[:], unknowns.kicks[:] = factor * NOISE.mean(), factor * KICKS.mean()
        found = estimated(problem, unknowns)
        error = found - np.log(np.r_[NOISE, KICKS])
        total += error @ information(problem, unknowns, found) @ error
    assert 1e-3 < stats.chi2.cdf(total, 10) < 0.999


@pytest.mark.parametrize("robust", [False, True])
def test_what_is_found_is_the_most_probable(robust):
    """With some frames that are wild, of which robust noise sees little."""
    problem, unknowns = bath(5)
    x = problem.runs[0].x
    x[::300] += 100 * np.sqrt(NOISE) * np.random.default_rng(0).choice([-1, 1], x[::300].shape)
    problem = replace(problem, robust=robust)
    found = estimated(problem, unknowns, robust)
    assert (np.exp(found[:2]) > 10 * NOISE).all() == (not robust)
    value = log_likelihood(problem, unknowns)[0]
    for k in range(5):
        for step in (0.15, -0.15):
            moved = found.copy()
            moved[k] += step
            these = unknowns.copy()
            these.noise[:], these.kicks[:] = np.exp(moved[:2]), np.exp(moved[2:])
            assert log_likelihood(problem, these)[0] < value


def test_without_kicks_none_are_found():
    problem, unknowns = bath(9, kicks=np.full(3, 1e-9))
    unknowns.kicks[:] = 1e-2
    found = np.exp(estimated(problem, unknowns))
    np.testing.assert_allclose(found[:2], NOISE, rtol=0.1)
    # kicks move a particle by sqrt(kicks time^3 / 3), over 75 units of time less than the noise
    assert (found[2:] < 1e-6).all()
