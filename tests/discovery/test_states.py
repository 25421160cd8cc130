"""Smoothed states against the truth, and against the best that a linear filter can do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from nbody_surrogate.discovery.states import smoothed_states
from nbody_surrogate.discovery.unknowns import FIELDS
from watched import DT, problem_of, somewhere

DRAG, KICKS = 0.8, 0.5
FLOW = expm(DT * np.array([[0.0, 1.0], [0.0, -DRAG]]))


def spread():
    """Covariance of position and velocity that the kicks of one step make (Van Loan)."""
    f = np.array([[0.0, 1.0], [0.0, -DRAG]])
    big = np.block([[-f, np.diag([0.0, KICKS])], [np.zeros((2, 2)), f.T]])
    e = expm(DT * big)
    return e[2:, 2:].T @ e[:2, 2:]


Q = spread()


def states(frames, seed):
    """True states (T, 2, N, D) of particles that are kicked, a long way from each other."""
    rng = np.random.default_rng(seed)
    root, y, out = np.linalg.cholesky(Q), rng.normal(size=(2, 12)), []
    y[0] += 20 * np.repeat(np.arange(4), 3)
    for _ in range(frames):
        out.append(y.reshape(2, 4, 3))
        y = FLOW @ y + root @ rng.normal(size=(2, 12))
    return np.array(out)


def best(seen, noise):
    """Smoothed states by Rauch, Tung and Striebel in full; NaN where nothing is seen."""
    n = seen[0].size
    m, p = np.zeros((2, n)), 1e8 * np.eye(2)
    m[0] = np.nan_to_num(seen[0].ravel())
    before, after = [], []
    for y in seen:
        y = y.ravel()
        before.append((m, p))
        if np.isfinite(y).all():
            gain = p[:, :1] / (p[0, 0] + noise)
            m, p = m + gain * (y - m[0]), p - gain @ p[:1]
        after.append((m, p))
        m, p = FLOW @ m, FLOW @ p @ FLOW.T + Q
    m, p = after[-1]
    out = [m]
    for t in range(len(seen) - 2, -1, -1):
        gain = np.linalg.solve(before[t + 1][1], FLOW @ after[t][1]).T
        m = after[t][0] + gain @ (m - before[t + 1][0])
        out.append(m)
    return np.array(out[::-1]).reshape(len(seen), 2, *seen[0].shape)


def smoothed(x, noise):
    problem = problem_of(x)
    unknowns = somewhere(problem)
    for name in ("curve", *FIELDS):
        unknowns.part(name)[:] = 0.0
    unknowns.part("drag")[:], unknowns.kicks[:], unknowns.noise[:] = DRAG, KICKS, noise
    return smoothed_states(problem, unknowns, 0)


def rms(y):
    return np.sqrt(np.nanmean(y**2))


@pytest.mark.parametrize("noise", [1e-6, 1e-4, 1e-2])
def test_states_are_nearly_as_good_as_can_be(noise):
    truth = states(600, 1)
    seen = truth[:, 0] + np.sqrt(noise) * np.random.default_rng(2).normal(size=(600, 4, 3))
    x, v = smoothed(seen, noise)
    optimum = best(seen, noise)
    inside = slice(5, -5)
    assert rms(x - truth[:, 0]) < rms(seen - truth[:, 0])
    assert rms((x - truth[:, 0])[inside]) < 1.05 * rms((optimum - truth)[inside, 0])
    assert rms((v - truth[:, 1])[inside]) < 1.25 * rms((optimum - truth)[inside, 1])


def test_who_is_away_has_no_state_and_short_gaps_are_filled():
    truth = states(300, 3)
    seen = truth[:, 0] + 1e-2 * np.random.default_rng(4).normal(size=(300, 4, 3))
    seen[100:104, 0] = np.nan
    seen[200:260, 1] = np.nan
    x, v = smoothed(seen, 1e-4)
    # nor have the others one, as what it does to them is not known
    assert np.isnan(x[200:260]).all() and np.isnan(v[200:260]).all()
    gone = np.zeros((300, 4), bool)
    gone[200:260] = True
    assert np.isfinite(x[~gone]).all() and np.isfinite(v[~gone]).all()
    optimum = best(seen[:, :1], 1e-4)
    gap = slice(100, 104)
    assert (
        rms(x[gap, 0] - truth[gap, 0, 0]) < 1.3 * rms(optimum[gap, 0, 0] - truth[gap, 0, 0]) + 1e-3
    )


def test_velocities_of_a_known_force_are_of_fourth_order():
    """Tracks without noise in a field of springs: x = cos w t, and v by middle differences."""
    errors = []
    for dt in (0.1, 0.05):
        t = dt * np.arange(80)[:, None, None]
        rates = np.array([[1.0, 1.4], [1.0, 1.4]])
        x = np.cos(rates * t + [[0.1, 0.5], [1.4, 2.0]]) + 9 * np.arange(2)[:, None]
        problem = problem_of(x, dt=dt)
        unknowns = somewhere(problem)
        for name in ("curve", "drag", *FIELDS):
            unknowns.part(name)[:] = 0.0
        # of the first particle: the other one is not about the origin
        unknowns.part("gradient")[:] = -np.array([1.0, 1.96])
        unknowns.noise[:], unknowns.kicks[:] = 1e-16, 1e-6
        v = smoothed_states(problem, unknowns, 0)[1]
        truth = -rates * np.sin(rates * t + [[0.1, 0.5], [1.4, 2.0]])
        errors.append(np.abs(v - truth)[2:-2, 0].max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.3)


def test_grains_of_dust_are_nearer_to_the_truth(dust):
    problem, run = dust.estimate.problem, dust.run
    x, v = smoothed_states(problem, dust.estimate.unknowns, 0)
    seen = problem.runs[0].x
    assert rms(x - run.x) < 0.8 * rms(seen - run.x)
    assert rms(v - run.v) < 0.95 * rms(np.gradient(seen, DT, axis=0) - run.v)
