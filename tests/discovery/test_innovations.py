"""The equation between frames, and the colour of its noise."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.discovery.equations import BRIDGED
from nbody_surrogate.discovery.innovations import CAUSAL, NUMEROV, SMOOTH, hat, whitener
from watched import kicked, ornstein_uhlenbeck

DT = 0.2
DRAGS = (0.0, 1e-6, 0.3, 4.0, -0.2)
STENCILS = {"causal": (CAUSAL, 4), "numerov": (NUMEROV, 2), "smooth": (SMOOTH, 6)}


def row(x, step):
    """Of x as a function, at the frames 0, -1 and -2."""
    return x(0.0) - (1 + step.decay) * x(-DT) + step.decay * x(-2 * DT)


def integral(u, step, stencil, dt=DT):
    return sum(w * u(k * dt) for k, w in zip(stencil.nodes, step.weights, strict=True))


@pytest.mark.parametrize("drag", DRAGS)
@pytest.mark.parametrize("name", STENCILS)
def test_forces_of_a_polynomial_are_integrated_exactly(name, drag):
    """x = t^p is the motion under u = p (p - 1) t^(p - 2) + g p t^(p - 1)."""
    stencil, degree = STENCILS[name]
    step = hat(drag, DT, stencil)
    for p in range(degree + 2):

        def force(t, p=p):
            curved = p * (p - 1) * t ** max(p - 2, 0)
            return curved + drag * p * t ** max(p - 1, 0)

        found = row(lambda t, p=p: t**p, step)
        assert found == pytest.approx(integral(force, step, stencil), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("drag", DRAGS[1:])
def test_free_motion_with_drag_is_no_force(drag):
    step = hat(drag, DT, CAUSAL)
    assert row(lambda t: 3.0 + np.exp(-drag * t), step) == pytest.approx(0, abs=1e-14)


def test_without_drag_it_is_numerov():
    np.testing.assert_allclose(hat(0.0, DT, NUMEROV).weights, DT**2 / 12 * np.array([1, 10, 1]))


@pytest.mark.parametrize(("name", "order"), [("causal", 5), ("numerov", 4), ("smooth", 8)])
def test_the_error_of_a_force_goes_down_by_its_order(name, order):
    """Of x = sin 3 t with drag 0.7, which is u = -9 sin 3 t + 2.1 cos 3 t, at many times."""
    stencil, errors = STENCILS[name][0], []
    at = np.linspace(0, 2, 40)
    for dt in (0.2, 0.1):
        step = hat(0.7, dt, stencil)
        x = np.sin(3 * (at - dt * np.arange(3)[:, None]))
        left = x[0] - (1 + step.decay) * x[1] + step.decay * x[2]

        def force(t):
            return -9 * np.sin(3 * (at + t)) + 2.1 * np.cos(3 * (at + t))

        errors.append(np.abs(left - integral(force, step, stencil, dt)).max() / dt**2)
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.5)


def test_causal_looks_back_alone():
    assert max(CAUSAL.nodes) < 0


@pytest.mark.parametrize("drag", [0.5, 2.0, 9.0])
def test_kicks_have_the_covariance_of_ornstein_and_uhlenbeck(drag):
    """A row is (1 - a) / g times the kick of velocity before, and the displacements by kicks."""
    step = hat(drag, DT, CAUSAL)
    xx, xv, vv = ornstein_uhlenbeck(drag, DT)
    a, carry = step.decay, (1 - step.decay) / drag
    variance = (1 + a * a) * xx + carry**2 * vv - 2 * a * carry * xv
    assert step.variance == pytest.approx(variance, rel=1e-9)
    assert step.covariance == pytest.approx(carry * xv - a * xx, rel=1e-9)


def test_kicks_of_free_particles_have_the_covariance_of_a_hat():
    step = hat(0.0, DT, CAUSAL)
    assert step.variance == pytest.approx(2 / 3 * DT**3, rel=1e-12)
    assert step.covariance == pytest.approx(DT**3 / 6, rel=1e-12)


def dense(step, noise, kicks):
    """The covariance of all rows, from what stands in each."""
    count = noise.size - 2
    stands = np.zeros((count, count + 2))
    for t in range(count):
        stands[t, t : t + 3] = step.decay, -(1 + step.decay), 1
    near = np.eye(count, k=1) + np.eye(count, k=-1)
    return stands * noise @ stands.T + kicks * (
        step.variance * np.eye(count) + step.covariance * near
    )


@pytest.mark.parametrize("drag", [0.0, 1.3])
def test_innovations_are_those_of_the_dense_covariance(drag):
    rng = np.random.default_rng(0)
    step, noise = hat(drag, DT, CAUSAL), rng.uniform(0.5, 2.0, size=42) * 1e-3
    covariance = dense(step, noise, 0.4)
    white = whitener(step, noise, 0.4)
    rows = rng.normal(size=(40, 3))
    lower = np.linalg.cholesky(covariance)
    np.testing.assert_allclose(white(rows), np.linalg.solve(lower, rows), rtol=1e-9)
    np.testing.assert_allclose(white(rows[:, 1]), white(rows)[:, 1])
    _, logarithm = np.linalg.slogdet(covariance)
    assert white.log_determinant == pytest.approx(0.5 * logarithm, rel=1e-12)


@pytest.mark.parametrize(("kicks", "noise"), [(0.5, 1e-3), (1e-3, 1e-3), (0.5, 1e-9)])
def test_innovations_of_kicked_particles_are_white(kicks, noise):
    """Mean squares of n normal numbers are good to sqrt(2 / n), correlations to sqrt(1 / n)."""
    x = kicked(0.8, kicks, noise, 1500, 4, DT)
    step = hat(0.8, DT, CAUSAL)
    rows = x[2:] - (1 + step.decay) * x[1:-1] + step.decay * x[:-2]
    e = whitener(step, np.full(len(x), noise), kicks)(rows)
    assert np.mean(e**2) == pytest.approx(1, abs=4 * np.sqrt(2 / e.size))
    assert np.mean(e) == pytest.approx(0, abs=4 / np.sqrt(e.size))
    for lag in (1, 2, 3, 7):
        assert np.mean(e[lag:] * e[:-lag]) == pytest.approx(0, abs=4 / np.sqrt(e.size))
    # nor do they know of the positions that forces are looked at by
    before = (x[1:-1] - x[:-2]) / np.std(np.diff(x, axis=0))
    assert np.mean(e[1:] * before[:-1]) == pytest.approx(0, abs=4 / np.sqrt(e.size))


def test_a_position_that_was_not_seen_says_nothing():
    """Squares of innovations are those of the seen ones alone, wherever the bridged ones are."""
    x = kicked(0.8, 0.01, 1e-4, 300, 5, DT)
    step = hat(0.8, DT, CAUSAL)
    scale = np.ones(300)
    scale[[40, 41, 42, 200]] = BRIDGED
    moved = x.copy()
    moved[scale > 1] += 0.3

    def squares(y):
        rows = y[2:] - (1 + step.decay) * y[1:-1] + step.decay * y[:-2]
        return (whitener(step, 1e-4 * scale, 0.01)(rows) ** 2).sum(0)

    # moved by 30 standard deviations: the square of that over BRIDGED for each
    np.testing.assert_allclose(squares(moved), squares(x), atol=4 * 900 / BRIDGED)


@pytest.mark.parametrize(("kicks", "noise"), [(1e-2, 1e-4), (1e-6, 1e-4), (0.1, 1e-6)])
def test_a_likelihood_over_a_gap_is_that_without_the_frame(kicks, noise):
    """Whatever the kicks: to a thousandth, where a fit ends at gains of 0.2."""
    x = kicked(0.8, kicks, noise, 60, 6, DT)
    step, scale = hat(0.8, DT, CAUSAL), np.ones(60)
    scale[30] = BRIDGED
    rows = x[2:] - (1 + step.decay) * x[1:-1] + step.decay * x[:-2]
    found = (whitener(step, noise * scale, kicks)(rows) ** 2).sum(0)
    # by hand: of what is left of the rows when the frame that was not seen is eliminated
    covariance = dense(step, noise * np.ones(60), kicks)
    column = np.zeros(58)
    column[28:31] = 1, -(1 + step.decay), step.decay
    inverse = np.linalg.inv(covariance)
    inverse -= np.outer(inverse @ column, column @ inverse) / (column @ inverse @ column)
    np.testing.assert_allclose(found, np.einsum("tp,ts,sp->p", rows, inverse, rows), atol=1e-3)


@pytest.mark.parametrize("kicks", [0.0, 1.0])
def test_without_noise_there_are_kicks_alone(kicks):
    step = hat(0.5, DT, CAUSAL)
    if kicks:
        assert np.isfinite(whitener(step, np.zeros(30), kicks)(np.ones(28))).all()
    else:
        with pytest.raises(ArithmeticError, match="not positive"):
            whitener(step, np.zeros(30), kicks)
