"""Whether what was put in comes out, within the errors that the estimate claims for itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nbody_surrogate.discovery import estimate as estimate_module
from nbody_surrogate.discovery.estimate import Smoothness, improve, solve, within_scales
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.unknowns import FIELDS, Layout, Unknowns
from watched import problem_of, somewhere, swings, trapped


def chance(estimate, name, truth):
    """Probability of errors as large as these, with the covariance that the estimate has."""
    part = estimate.unknowns.layout.part(name)
    values, vectors = np.linalg.eigh(estimate.covariance[part, part])
    told = values > 1e-9 * values[-1]
    along = vectors[:, told].T @ (estimate.unknowns.part(name) - truth)
    return float(stats.chi2.sf((along**2 / values[told]).sum(), told.sum()))


def error(estimate, name):
    part = estimate.unknowns.layout.part(name)
    return np.sqrt(np.diag(estimate.covariance)[part])


def ratios(values):
    return values / np.abs(values).mean()


def test_grains_of_dust_come_out(dust):
    estimate, particles = dust.estimate, dust.particles
    q, m = particles.charges[0], particles.masses[0]
    sign = np.sign(estimate.unknowns.part("strengths")[0])
    for name, truth in (("strengths", ratios(q)), ("responses", ratios(q / m))):
        assert chance(estimate, name, sign * truth) > 1e-3
        assert error(estimate, name).max() < 0.06
    assert chance(estimate, "drag", 0.2 * m ** (-1 / 3)) > 1e-3
    assert error(estimate, "drag").max() < 0.06
    # of unit strengths and mean response: the trap is -0.6 q / m
    slope = np.r_[-0.6, -0.6] * sign * np.abs(q / m).mean()
    assert chance(estimate, "gradient_by_charge", slope) > 1e-3


def test_their_force_is_that_of_yukawa(dust):
    estimate, particles = dust.estimate, dust.particles
    q, m = particles.charges[0], particles.masses[0]
    size = q.mean() * (q / m).mean()
    visited = estimate.problem.runs[0].visited(5)
    r = np.linspace(*np.quantile(visited, [0.05, 0.95]), 40)
    truth = size * np.exp(-r) * (1 / r**2 + 1 / r)
    matrix = estimate.problem.curve.matrix(r)
    part = estimate.unknowns.layout.part("curve")
    wide = np.sqrt(np.einsum("rk,kl,rl->r", matrix, estimate.covariance[part, part], matrix))
    z = (matrix @ estimate.unknowns.part("curve") - truth) / wide
    assert np.abs(z).max() < 4
    assert np.median((wide / truth)[r < np.median(visited)]) < 0.1


def test_their_noise_and_kicks_come_out(dust):
    unknowns, m = dust.estimate.unknowns, dust.particles.masses[0]
    np.testing.assert_allclose(np.sqrt(unknowns.noise), 1e-3, rtol=0.06)
    # 2 gamma T / m, by 2 axes of 1500 frames, some of which tell of the noise instead
    np.testing.assert_allclose(unknowns.kicks, 2 * 0.2 * m ** (-1 / 3) * 0.1 / m, rtol=0.15)


def test_charges_of_both_signs_come_out(charges):
    q, m = charges.particles.charges[0], charges.particles.masses[0]
    assert len(set(np.sign(q))) == 2
    unknowns = charges.estimate.unknowns
    strengths, responses = unknowns.part("strengths"), unknowns.part("responses")
    sign = np.sign(strengths[0] * q[0])
    np.testing.assert_allclose(sign * strengths, ratios(q), rtol=2e-4)
    np.testing.assert_allclose(sign * responses, ratios(q / m), rtol=2e-4)
    r = charges.estimate.problem.runs[0].visited(3)
    size = np.abs(q).mean() * np.abs(q / m).mean()
    truth = size * r / (r * r + 0.25) ** 1.5
    force = charges.estimate.problem.curve.matrix(r) @ unknowns.part("curve")
    assert np.sqrt(np.mean((force - truth) ** 2) / np.mean(truth**2)) < 1e-3


def test_bonds_come_out(springs):
    """Particle 2 has none, so that nothing is told of its response, but the others' ratios."""
    unknowns, couplings = springs.estimate.unknowns, springs.particles.couplings[0]
    i, j = np.triu_indices(5, 1)
    bonds, strengths = couplings[i, j], unknowns.part("strengths")
    assert bonds.tolist() == [1, 0, 0, 1, 0, 1, 0, 0, 0, 1]
    np.testing.assert_allclose(strengths / strengths.max(), bonds, atol=1e-4)
    responses = unknowns.part("responses")[[0, 1, 3, 4]]
    assert (responses > 0).all()
    np.testing.assert_allclose(responses / responses[0], 1.0, rtol=1e-5)
    # where a pair with a bond has been: others tell nothing of its force
    x = springs.run.x[:, i[bonds > 0]] - springs.run.x[:, j[bonds > 0]]
    r = np.linalg.norm(x, axis=-1)[::7].ravel()
    force = springs.estimate.problem.curve.matrix(r) @ unknowns.part("curve")
    np.testing.assert_allclose(force * strengths.max() * responses[0], -0.1 * r, rtol=1e-3)


@pytest.mark.parametrize(
    ("stiffness", "noise"), [pytest.param(0.5, 0.0, marks=pytest.mark.slow), (0.5, 1e-3)]
)
def test_the_drag_of_a_bath_in_equilibrium_has_no_bias(stiffness, noise):
    """By time reversal, weak forms that are symmetric in time find none at all.

    Particles on springs that do not see each other, of drag 0.4; their equation has a gradient, a
    drag and a pair force, whose strength is found as well.
    """
    found, errors = [], []
    for seed in range(6):
        x = trapped(stiffness, 0.4, 0.3, 800, seed, n=3)
        x = x + noise * np.random.default_rng(seed + 50).normal(size=x.shape)
        problem = problem_of(x, knots=5)
        unknowns = somewhere(problem, noise=max(noise, 1e-8) ** 2, kicks=0.2)
        unknowns.part("curve")[:] = 0.0
        unknowns.part("strengths")[:] = unknowns.part("responses")[:] = 1.0
        for name in FIELDS:
            unknowns.part(name)[:] = 0.0
        freedom = Freedom("shared", ("gradient",), directed=False)
        unknowns.part("drag")[:] = 0.1
        estimate = improve(problem, unknowns, freedom, Smoothness(1.0, 1.0), rounds=6)
        part = estimate.unknowns.layout.part("drag")
        found.append(estimate.unknowns.part("drag")[0])
        errors.append(np.sqrt(estimate.covariance[part, part][0, 0]))
        slopes = estimate.unknowns.part("gradient")
        assert chance(estimate, "gradient", np.full(3, -stiffness)) > 1e-4, slopes
    # sqrt(2 g / time), of 9 coordinates over 40: what theory has for one seed
    assert np.mean(errors) == pytest.approx(np.sqrt(2 * 0.4 / (9 * 40)), rel=0.15)
    assert np.mean(found) == pytest.approx(0.4, abs=3 * np.mean(errors) / np.sqrt(6))
    assert np.std(found, ddof=1) == pytest.approx(np.mean(errors), rel=0.75)


def test_a_search_never_makes_it_worse():
    problem = problem_of(swings(200, 4))
    unknowns = somewhere(problem)
    freedom = Freedom(directed=False)
    found = [
        improve(problem, unknowns, freedom, Smoothness(1.0, 1.0), rounds=n).normal.log_likelihood
        for n in (1, 2, 6)
    ]
    assert found[0] < found[1] < found[2]


def smoothed(y, rounds, rise):
    """Smoothness of a curve that is seen with errors of 0.1, round by round."""
    layout = Layout(len(y), 0, 2, 2, 2)
    unknowns = Unknowns(np.zeros(layout.size), layout, np.ones(2), np.ones(2))
    smoothness, found = 1e-3, []
    second = np.diff(np.eye(len(y)), 2, axis=0)
    for _ in range(rounds):
        covariance = np.linalg.inv(100.0 * np.eye(len(y)) + smoothness * second.T @ second)
        unknowns.part("curve")[:] = covariance @ (100.0 * y)
        whole = np.zeros((unknowns.layout.size, unknowns.layout.size))
        whole[: len(y), : len(y)] = covariance
        rest = second.T @ second, len(y) - 2, unknowns, whole, ["curve"], rise
        smoothness = estimate_module._precision(smoothness, *rest)
        found.append(smoothness)
    return np.array(found)


def test_smoothness_comes_to_where_expectation_maximisation_would():
    """Both stand still where as many numbers are told as the curve's bends are worth."""
    y = np.cumsum(np.cumsum(0.1 * np.random.default_rng(0).normal(size=40)))
    slow, fast = smoothed(y, 2000, 1.0), smoothed(y, 40, estimate_module.LARGEST_RISE)
    assert 10.0 < fast[-1] < 1000.0
    assert fast[-1] == pytest.approx(slow[-1], rel=1e-3)
    near = [int(np.flatnonzero(np.abs(np.log(each / fast[-1])) < 0.05)[0]) for each in (slow, fast)]
    assert near[1] < 0.7 * near[0]


def test_the_smoothness_of_a_straight_line_stays_finite():
    ends = []
    for seed in range(8):
        y = np.linspace(1.0, 2.0, 40) + 0.1 * np.random.default_rng(seed).normal(size=40)
        found = smoothed(y, 400, estimate_module.LARGEST_RISE)
        assert found[-1] == pytest.approx(found[-100], rel=1e-3)
        ends.append(found[-1])
    # in some of them nothing is told of any bend
    assert min(ends) > 1e4 and 1e7 < max(ends) < 1e12


def test_equations_a_step_away_are_those_of_a_quadratic(charges):
    normal = charges.estimate.normal
    rng = np.random.default_rng(0)
    step = 1e-3 * rng.normal(size=normal.score.shape[1])
    moved = normal.moved(step)
    np.testing.assert_allclose(moved.score, normal.score - normal.information @ step)
    # from there back, as from anywhere
    back = moved.moved(-step)
    assert back.log_likelihood == pytest.approx(normal.log_likelihood)
    np.testing.assert_allclose(back.score, normal.score, atol=1e-6 * np.abs(moved.score).max())


def test_what_it_is_given_stays_as_it_was():
    problem = problem_of(swings(120, 4))
    unknowns, smoothness = somewhere(problem), Smoothness(1.0, 1.0)
    before = unknowns.copy()
    found = improve(problem, unknowns, Freedom(directed=False), smoothness, rounds=2)
    assert smoothness == Smoothness(1.0, 1.0) != found.smoothness
    np.testing.assert_array_equal(unknowns.vector, before.vector)
    np.testing.assert_array_equal(unknowns.kicks, before.kicks)


def test_what_is_not_free_does_not_move():
    problem = problem_of(swings(120, 4), directed=True)
    unknowns = somewhere(problem)
    unknowns.fix_scales()
    freedom = Freedom("none", ("uniform",), directed=False)
    moved = improve(problem, unknowns, freedom, Smoothness(1.0, 1.0), rounds=3).unknowns
    free = ("curve", "strengths", "responses", "uniform")
    # directed coefficients stay as they are beside the size of strengths, which is fixed anew
    sized = ("across", "along")
    for name in unknowns.layout.sizes:
        ratio = moved.part(name) / unknowns.part(name)
        assert (np.ptp(ratio) < 1e-12 * abs(ratio[0])) == (name not in free), name
        assert name in (*free, *sized) or ratio[0] == pytest.approx(1, rel=1e-12), name


def test_one_drag_is_shared():
    problem = problem_of(swings(120, 4))
    unknowns = somewhere(problem)
    unknowns.part("drag")[:] = 0.2
    freedom = Freedom("shared", (), directed=False)
    drag = improve(problem, unknowns, freedom, Smoothness(1.0, 1.0), rounds=3).unknowns.part("drag")
    assert np.ptp(drag) < 1e-12 and abs(drag[0] - 0.2) > 1e-6


def test_normal_equations_are_solved_within_directions():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(30, 8))
    scales = 10.0 ** rng.integers(-6, 6, size=8)
    information = (a.T @ a) * scales[:, None] * scales
    directions = np.eye(8)[:, [0, 2, 3, 6, 7]]
    score = rng.normal(size=8) * scales
    step, covariance = solve(information, score, directions)
    free = np.ix_([0, 2, 3, 6, 7], [0, 2, 3, 6, 7])
    inverse = np.linalg.inv((information / scales[:, None] / scales)[free])
    expected = np.zeros((8, 8))
    expected[free] = inverse
    np.testing.assert_allclose(covariance * scales[:, None] * scales, expected, atol=1e-9)
    np.testing.assert_allclose(step * scales, expected @ (score / scales), atol=1e-9)


def test_what_nothing_tells_stays():
    a = np.random.default_rng(1).normal(size=(30, 4))
    a[:, 3] = a[:, 2]
    step, _ = solve(a.T @ a, a.T @ (a @ np.array([1.0, 2.0, 3.0, 3.0])), np.eye(4))
    np.testing.assert_allclose(step, [1, 2, 3, 3], rtol=1e-7)


def test_sizes_are_held_where_they_go_into_the_curve():
    problem = problem_of(swings(60, 4))
    unknowns = somewhere(problem)
    unknowns.part("strengths")[2] *= -1
    free = Freedom(directed=False).directions(problem.layout)
    held = within_scales(unknowns, free)
    assert held.shape[1] == free.shape[1] - 2
    np.testing.assert_allclose(held.T @ held, np.eye(held.shape[1]), atol=1e-12)
    for name in ("strengths", "responses"):
        moved = held[problem.layout.part(name)]
        np.testing.assert_allclose(np.sign(unknowns.part(name)) @ moved, 0.0, atol=1e-12)
    fields = np.eye(problem.layout.size)[:, problem.layout.part("uniform")]
    assert within_scales(unknowns, fields) is fields
