"""All particles together, against dense Gaussian algebra written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.discovery import joint, joint_rows
from nbody_surrogate.discovery.block_factor import block_factor
from nbody_surrogate.discovery.equations import BRIDGED
from nbody_surrogate.discovery.estimate import equations_at
from nbody_surrogate.discovery.forces import force_jacobian, total_force
from nbody_surrogate.discovery.innovations import CAUSAL, NUMEROV, hat
from nbody_surrogate.discovery.joint import joint_parts, joint_paths
from nbody_surrogate.discovery.normal import blocks_of, log_likelihood, normal_equations
from nbody_surrogate.discovery.states import along_smoothed_paths
from watched import DT, problem_of, somewhere, swings

FRAMES = 14


def together(*xs, frames=FRAMES, **more):
    xs = xs or (swings(frames, 3),)
    return replace(problem_of(*xs, stencil=CAUSAL, **more), joint=True)


def moved(problem, run, i, d, frame, by):
    """The same problem with one position of the path of a run moved."""
    path = problem.runs[run].path.copy()
    path[frame, i, d] += by
    runs = list(problem.runs)
    runs[run] = replace(runs[run], path=path)
    return replace(problem, runs=tuple(runs))


# The factor


def banded(rows, size, seed=0):
    """A positive covariance that reaches two frames back, dense."""
    rng = np.random.default_rng(seed)
    root = np.zeros((rows * size, (rows + 2) * size))
    for t in range(rows):
        root[t * size : (t + 1) * size, t * size : (t + 3) * size] = rng.normal(
            size=(size, 3 * size)
        )
    return root @ root.T + 0.1 * np.eye(rows * size)


def pieces(dense, rows, size):
    parts = dense.reshape(rows, size, rows, size)
    return [
        np.array([parts[t, :, t - lag] for t in range(lag, rows)]).reshape(-1, size, size)
        for lag in range(3)
    ]


@pytest.mark.parametrize(("rows", "size"), [(9, 5), (1, 4), (2, 3), (7, 60), (40, 2)])
def test_the_factor_is_that_of_the_dense_covariance(rows, size):
    dense = banded(rows, size)
    factor = block_factor(*pieces(dense, rows, size))
    lower = np.linalg.cholesky(dense)
    columns = np.random.default_rng(1).normal(size=(rows, size, 3))
    flat = columns.reshape(rows * size, 3)
    assert factor.log_determinant == pytest.approx(np.log(np.diag(lower)).sum(), rel=1e-10)
    white = factor.whiten(columns).reshape(flat.shape)
    np.testing.assert_allclose(white, np.linalg.solve(lower, flat), rtol=1e-8, atol=1e-10)
    back = factor.unwhiten(columns).reshape(flat.shape)
    np.testing.assert_allclose(back, np.linalg.solve(lower.T, flat), rtol=1e-8, atol=1e-10)
    assert np.array_equal(flat, columns.reshape(flat.shape))


def test_what_is_no_covariance_is_no_factor():
    parts = pieces(-banded(4, 3), 4, 3)
    with pytest.raises(ArithmeticError, match="not positive"):
        block_factor(*parts)


# The rows


@pytest.mark.parametrize("directed", [False, True])
def test_slopes_are_those_of_the_forces(directed):
    problem = together(directed=directed)
    unknowns = somewhere(problem)
    for i in range(3):
        slopes = force_jacobian(problem, unknowns, 0, i)
        for j in range(3):
            for d in range(3):
                ends = [
                    total_force(moved(problem, 0, j, d, 5, by), unknowns, 0, i)[:, 5]
                    for by in (1e-5, -1e-5)
                ]
                numeric = (ends[0] - ends[1]) / 2e-5
                np.testing.assert_allclose(slopes[5, :, j, d], numeric, rtol=1e-4, atol=1e-5)


def dense_rows(problem, unknowns, run=0):
    """Rows, their covariance and the volume, with loops over frames and particles."""
    measured = problem.runs[run]
    frames, n, dimensions = measured.x.shape
    size = n * dimensions
    steps = [hat(unknowns.part("drag")[measured.first + i], DT, NUMEROV) for i in range(n)]
    force = np.array([total_force(problem, unknowns, run, i).T for i in range(n)])
    slopes = np.array([force_jacobian(problem, unknowns, run, i) for i in range(n)])
    y, path = measured.x.reshape(frames, size), measured.path.reshape(frames, size)
    linear = np.array(
        [
            [
                force[i, t] + slopes[i, t].reshape(dimensions, size) @ (y[t] - path[t])
                for i in range(n)
            ]
            for t in range(frames)
        ]
    )
    rows = np.zeros((frames - 2, n, dimensions))
    feels = np.zeros((frames - 2, n, dimensions, frames, size))
    kicks = np.zeros((frames - 2, n, dimensions) * 2)
    for t in range(frames - 2):
        for i, step in enumerate(steps):
            own = (1.0, -(1.0 + step.decay), step.decay)
            for k in range(3):
                at = t + 2 - k
                rows[t, i] += own[k] * measured.x[at, i] - step.weights[k] * linear[at, i]
                here = np.zeros((dimensions, size))
                here[:, i * dimensions : (i + 1) * dimensions] = own[k] * np.eye(dimensions)
                here -= step.weights[k] * slopes[i, at].reshape(dimensions, size)
                feels[t, i, :, at] += here
            size_of = unknowns.kicks[measured.first + i]
            for d in range(dimensions):
                kicks[t, i, d, t, i, d] = size_of * step.variance
                if t:
                    kicks[t, i, d, t - 1, i, d] = size_of * step.covariance
                    kicks[t - 1, i, d, t, i, d] = size_of * step.covariance
    flat = feels.reshape((frames - 2) * size, frames * size)
    scale = np.where(measured.seen, 1.0, BRIDGED)
    variance = (scale[..., None] * unknowns.noise).ravel()
    whole = flat * variance @ flat.T + kicks.reshape(len(flat), len(flat))
    volume = sum(
        np.linalg.slogdet(feels[t, :, :, t + 2].reshape(size, size))[1] for t in range(frames - 2)
    )
    return rows.ravel(), whole, volume, flat, variance


def test_the_likelihood_is_that_of_the_dense_covariance():
    problem = together(directed=True)
    unknowns = somewhere(problem)
    rows, whole, volume, _, _ = dense_rows(problem, unknowns)
    value, _ = log_likelihood(problem, unknowns)
    dense = -0.5 * rows @ np.linalg.solve(whole, rows) - 0.5 * np.linalg.slogdet(whole)[1] + volume
    assert value == pytest.approx(dense, rel=1e-9)
    assert normal_equations(problem, unknowns).log_likelihood == pytest.approx(dense, rel=1e-9)


def test_paths_are_the_most_probable_ones():
    problem = together()
    unknowns = somewhere(problem)
    rows, whole, _, flat, variance = dense_rows(problem, unknowns)
    noise = variance * (flat.T @ np.linalg.solve(whole, rows))
    expected = problem.runs[0].x - noise.reshape(problem.runs[0].x.shape)
    np.testing.assert_allclose(joint_paths(problem, unknowns, 0), expected, rtol=1e-9, atol=1e-10)


def test_without_forces_it_is_what_each_particle_has_by_itself():
    problem = together(swings(60, 3))
    unknowns = somewhere(problem)
    for name in ("curve", "uniform", "gradient", "uniform_by_charge", "gradient_by_charge"):
        unknowns.part(name)[:] = 0.0
    one, _ = log_likelihood(replace(problem, joint=False, stencil=NUMEROV), unknowns)
    both, _ = log_likelihood(problem, unknowns)
    assert both == pytest.approx(one, rel=1e-10)


@pytest.mark.parametrize("temperature", [pytest.param(1e-1, marks=pytest.mark.slow), 1e-5])
def test_the_score_of_the_true_law_is_0_on_average(temperature):
    """Strong kicks or hardly any: columns that look ahead would find too little drag."""
    more = {"wake_charge": 0.0, "charge_spread": 0.3, "drag": 0.3, "temperature": temperature}
    system = nb.make_system("dust", **more)
    names = ("drag", "gradient_by_charge", "responses")
    sums = {name: [] for name in names}
    for seed in range(12):
        state, particles = system.sample(seed, 4, dimensions=2)
        run = nb.simulate(system, state, particles, 600)[0]
        x = run.x + 1e-3 * np.random.default_rng(seed).normal(size=run.x.shape)
        problem = replace(problem_of(x, knots=12), joint=True)
        law = true_law(somewhere(problem), problem, particles, system.spec)
        law.noise[:] = 1e-6
        m = particles.masses[0]
        law.kicks[:] = 2 * 0.3 * m ** (-1 / 3) * temperature / m
        problem = along_smoothed_paths(problem, law)
        found = normal_equations(problem, law)
        size = np.sqrt(np.diag(found.information[0]))
        for name in names:
            part = law.layout.part(name)
            sums[name] += list(found.score[0][part] / size[part])
    for name in names:
        each = np.array(sums[name])
        assert abs(each.mean()) < 3.5 / np.sqrt(each.size)
        assert 0.7 < each.std() < 1.4


def test_columns_are_what_rows_lose_by_each_unknown():
    problem = together(directed=True)
    unknowns = somewhere(problem)
    made = next(joint_parts(problem, unknowns)).columns
    rows, whole, *_ = dense_rows(problem, unknowns)
    lower = np.linalg.cholesky(whole)
    # of unknowns whose forces do not change with the positions the slopes stay as they are
    for name in ("uniform", "uniform_by_charge"):
        for place in range(*unknowns.layout.part(name).indices(unknowns.layout.size)):
            other = unknowns.copy()
            other.vector[place] += 1.0
            lost = np.linalg.solve(lower, rows - dense_rows(problem, other)[0])
            found = made[..., place].ravel()
            np.testing.assert_allclose(found, lost, rtol=1e-7, atol=1e-7 * np.abs(lost).max())


# Noise


def test_the_noise_score_is_the_slope_by_logarithms(monkeypatch):
    monkeypatch.setattr(joint_rows, "PROBES", 400)
    problem = together(swings(60, 3))
    unknowns = somewhere(problem)
    score = normal_equations(problem, unknowns).residuals.joint.score
    for q in range(6):
        ends = []
        for step in (1e-4, -1e-4):
            other = unknowns.copy()
            logs = other.noise if q < 3 else other.kicks
            logs[q % 3] *= np.exp(step)
            ends.append(log_likelihood(problem, other)[0])
        slope = (ends[0] - ends[1]) / 2e-4
        assert score[q] == pytest.approx(slope, rel=0.1, abs=3.0)


def test_noise_and_kicks_come_out_of_a_bath():
    system = nb.make_system("dust", wake_charge=0.0, temperature=0.01, charge_spread=0.3, drag=0.3)
    state, particles = system.sample(4, 4, dimensions=2)
    run = nb.simulate(system, state, particles, 1500)[0]
    x = run.x + 2e-3 * np.random.default_rng(0).normal(size=run.x.shape)
    problem = replace(problem_of(x, knots=8), joint=True)
    unknowns = somewhere(problem, noise=1e-6, kicks=1e-4)
    law = true_law(unknowns, problem, particles, system.spec)
    for _ in range(6):
        problem = along_smoothed_paths(problem, law)
        normal_equations(problem, law).residuals.joint.improve(law)
    true = 2 * 0.3 * particles.masses[0] ** (-1 / 3) * 0.01 / particles.masses[0]
    np.testing.assert_allclose(np.sqrt(law.noise), 2e-3, rtol=0.05)
    np.testing.assert_allclose(law.kicks, true, rtol=0.35)


def true_law(unknowns, problem, particles, spec):
    """The unknowns of a law that is known: its curve by least squares."""
    law = unknowns.copy()
    law.vector[:] = 0.0
    q, m = particles.charges[0], particles.masses[0]
    law.part("strengths")[:] = q
    law.part("responses")[:] = q / m
    law.part("drag")[:] = spec.drag * m ** (-1 / 3)
    law.part("gradient_by_charge")[:] = -spec.radial
    r = problem.runs[0].visited()
    force = np.exp(-r) * (1 / r**2 + 1 / r)
    matrix = problem.curve.matrix(r)
    law.part("curve")[:] = np.linalg.lstsq(matrix / force[:, None], np.ones(r.size), rcond=None)[0]
    return law


# Windows, runs and gaps


def test_blocks_hold_each_row_once():
    problem = together(swings(70, 3), swings(50, 2, seed=1))
    unknowns = somewhere(problem)
    parts = normal_equations(problem, unknowns, blocks_of(problem, 5))
    whole = normal_equations(problem, unknowns)
    assert len(parts.score) > 2
    np.testing.assert_allclose(parts.information.sum(0), whole.information[0], rtol=1e-8, atol=1e-6)
    np.testing.assert_allclose(parts.score.sum(0), whole.score[0], rtol=1e-8, atol=1e-6)
    assert whole.rows == (68 * 3 + 48 * 2) * 3


def test_windows_cost_two_rows_each(monkeypatch):
    problem = together(swings(90, 3))
    unknowns = somewhere(problem)
    whole = normal_equations(problem, unknowns)
    monkeypatch.setattr(joint, "WINDOW", 30)
    cut = normal_equations(problem, unknowns)
    assert whole.rows - cut.rows == 2 * 2 * 9
    size = np.sqrt(np.diag(whole.information[0])) + 1e-300
    left = (whole.information[0] - cut.information[0]) / np.outer(size, size)
    # what is known of any combination is never more for it
    assert np.linalg.eigvalsh(left).min() > -1e-9


def test_who_is_away_has_no_rows_and_does_not_act():
    x = swings(60, 3)
    gone = x.copy()
    gone[:, 2] = np.nan
    unknowns = somewhere(together(x))
    there, alone = together(gone), together(x[:, :2])
    assert there.runs[0].n == 3
    # the same curve and the same two particles
    alone = replace(alone, curve=there.curve)
    two = somewhere(alone)
    for name in unknowns.layout.sizes:
        two.part(name)[:] = unknowns.part(name)[: two.part(name).size]
    two.noise[:], two.kicks[:] = unknowns.noise, unknowns.kicks[:2]
    assert log_likelihood(there, unknowns)[0] == pytest.approx(log_likelihood(alone, two)[0])
    assert normal_equations(there, unknowns).rows == 58 * 2 * 3
    assert np.isnan(joint_paths(there, unknowns, 0)[:, 2]).all()


def test_what_was_not_measured_weighs_nothing():
    gap = swings(60, 3)
    gap[20:23, 1] = np.nan
    problem = together(gap)
    unknowns = somewhere(problem)
    value = log_likelihood(problem, unknowns)[0]
    measured = problem.runs[0]
    other = measured.x.copy()
    other[20:23, 1] += 0.01 * np.random.default_rng(0).normal(size=(3, 3))
    bent = replace(problem, runs=(replace(measured, x=other),))
    assert log_likelihood(bent, unknowns)[0] == pytest.approx(value, abs=0.05)


def test_one_wild_position_counts_as_far_as_it_is_out():
    x = swings(60, 3)
    x[30, 1] += 1.0
    unknowns = somewhere(together(x))
    robust, square = (
        log_likelihood(together(x, robust=each), unknowns)[0] for each in (True, False)
    )
    assert robust > square + 1000


def test_a_step_of_the_noise_stays_within_bounds():
    unknowns = somewhere(together())
    score = joint_rows.NoiseScore(np.full(6, 1e9), np.eye(6), 4.0)
    before = unknowns.noise.copy()
    score.improve(unknowns)
    np.testing.assert_allclose(unknowns.noise / before, np.e)
    joint_rows.NoiseScore(np.full(6, -1e9), np.eye(6), 4.0).improve(unknowns)
    np.testing.assert_allclose(unknowns.noise / before, np.exp(-3.0))
    before = unknowns.noise.copy()
    score.improve(unknowns, 0.25)
    np.testing.assert_allclose(unknowns.noise / before, np.exp(0.25))


def test_of_rows_that_are_all_kicks_one_step_of_the_noise_finds_them():
    """A hundred rows of variance 1 under one of 20: by its logarithm it would take three steps."""
    rows, false = 100.0, 20.0
    score = 0.5 * rows * (1.0 / false - 1.0)
    fall = joint_rows.LARGEST_FALL
    one = joint_rows.NoiseScore(np.full(6, score), 0.5 * rows * np.eye(6), fall)
    np.testing.assert_allclose(one.step(), -np.log(false), rtol=1e-6)
    assert one.gain() == pytest.approx(6 * 0.5 * score * -np.log(false))


def test_a_law_that_no_noise_explains_is_no_error_but_impossible():
    problem = together()
    unknowns = somewhere(problem)
    unknowns.part("curve")[:] = 1e12
    assert log_likelihood(problem, unknowns)[0] == -np.inf
    assert equations_at(problem, unknowns) is None


def test_work_grows_with_the_cube_of_the_particles():
    small, large = (joint.joint_work(together(swings(40, n))) for n in (4, 16))
    assert 16 < large / small < 64
