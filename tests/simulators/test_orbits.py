"""All integrators: closed forms, what should be conserved, and oracles."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from integrator_runs import ADAPTIVE, BLOCK, FIXED, ORDERS, ROUNDING, SOLVER, advanced
from nbody_surrogate import (
    AbstractSystem,
    Particles,
    State,
    make_integrator,
    make_system,
    simulate,
)

TIGHT = {"rtol": 1e-12, "atol": 1e-12}
TIGHT_ERROR = 1e-9  # the same growth at these tolerances
ENERGY = 1e-6  # of the mean kinetic energy: what dop853 is trusted with as the reference
MOMENTUM = 1e-10  # a sum of all velocities, kept by every method to rounding


def orthogonal(seed, dimensions):
    """A rotation or a reflection."""
    matrix = np.random.default_rng(seed).normal(size=(dimensions, dimensions))
    return np.linalg.qr(matrix)[0]


def fine(method):
    """Options for a comparison with an exact solution, and the error that they leave.

    A step is 5e-4 and the frequencies of these tests are below 6, so that a method of order p
    leaves (3e-3)^p, times the length of the run.
    """
    if method in ADAPTIVE:
        return TIGHT, TIGHT_ERROR
    if method in BLOCK:
        return {"eta": 1e-5}, TIGHT_ERROR
    error = {1: 1e-2, 2: 1e-5, 4: 1e-9, 6: 1e-10}[ORDERS[method]]
    return {"substeps": 200}, error


# Free particles


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("n", "charge"), [(1, 1.0), (4, 0.0)])
def test_free_particles_move_straight(charged, method, n, charge, dimensions):
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, 2, n, dimensions))
    particles = Particles(np.full((2, n), charge), rng.uniform(0.5, 2, size=(2, n)))
    run = simulate(charged, State(1.5, x, v), particles, 70, method)
    expected = x[:, None] + v[:, None] * (0.1 * np.arange(71))[:, None, None]
    np.testing.assert_allclose(run.x, expected, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_array_equal(run.v, np.broadcast_to(v[:, None], run.v.shape))


# Two bodies on circles


class Orbit(NamedTuple):
    """Two unequal opposite charges around a centre that moves on; 20 frames per period."""

    system: AbstractSystem
    start: tuple[State, Particles]
    x: np.ndarray  # (T, 2, D) at frames 0 to 100, five periods
    v: np.ndarray
    dt: float


FRAMES_PER_PERIOD, PERIODS = 20, 5


def circular_orbit(dimensions):
    k, q, m, r, softening = 1.3, (2.0, -1.5), (1.0, 3.0), 1.2, 0.5
    system = make_system("charged", coupling=k, softening=softening)
    reduced_mass = m[0] * m[1] / sum(m)
    force = k * abs(q[0] * q[1]) * r / math.hypot(r, softening) ** 3
    omega = math.sqrt(force / (reduced_mass * r))
    dt = 2 * math.pi / omega / FRAMES_PER_PERIOD
    t = dt * np.arange(FRAMES_PER_PERIOD * PERIODS + 1)[:, None]
    first, second = orthogonal(dimensions, dimensions)[:2]
    arm = r * (np.cos(omega * t) * first + np.sin(omega * t) * second)
    turn = r * omega * (np.cos(omega * t) * second - np.sin(omega * t) * first)
    shares = (m[1] / sum(m), -m[0] / sum(m))
    place, drift = np.random.default_rng(1).normal(size=(2, dimensions)) / 10
    x = np.stack([place + drift * t + share * arm for share in shares], axis=1)
    v = np.stack([drift + share * turn for share in shares], axis=1)
    return Orbit(system, (State(0.0, x[:1], v[:1]), Particles([q], [m])), x, v, dt)


@pytest.mark.thinned
@pytest.mark.parametrize("dimensions", [2, 3])
def test_opposite_charges_circle_each_other(method, dimensions):
    orbit = circular_orbit(dimensions)
    run = simulate(orbit.system, *orbit.start, len(orbit.x) - 1, method, dt=orbit.dt)
    angle = 2 * math.pi / FRAMES_PER_PERIOD / 16  # of one sub-step
    phase = 2 * math.pi * PERIODS
    # Of order p, a method has frequency and radius wrong by a share of angle^p, and the phase errs
    # more and more; of order 1 the radius swings by half an angle, the frequency errs in order 2.
    error = {
        "symplectic-euler": 2 * angle,
        "leapfrog": angle**2 * phase / 4,
        "exact-flow": angle**2 * phase / 4,
        "srkn4": angle**4 * phase / 100,
        "srkn6": ROUNDING,
        "yoshida4": angle**4 * phase,
        "rk4": angle**4 * phase / 20,
        "hermite4": 0.002**2 * phase / 10,  # by its default eta, the square of an angle
    }.get(method, SOLVER)
    np.testing.assert_allclose(run.x[0], orbit.x, rtol=0, atol=error)
    np.testing.assert_allclose(run.v[0], orbit.v, rtol=0, atol=error)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_tighter_tolerances_give_smaller_errors(method):
    orbit = circular_orbit(3)
    errors = []
    for tolerance in (1e-4, 1e-6, 1e-8, 1e-10):
        run = advanced(
            method, orbit.system, orbit.start, 50, orbit.dt, rtol=tolerance, atol=tolerance
        )
        errors.append(np.abs(run.x[0] - orbit.x[1:51]).max())
    ratios = np.divide(errors[:-1], errors[1:])
    assert (ratios > 10).all()  # each step tightens by 100


def test_two_charges_at_rest_fall_into_each_other(method):
    """r = r0 cos^2 a at t = sqrt(mu r0^3 / 2 k) (a + sin a cos a), without softening."""
    r0, mu = 2.0, 0.5
    system, line = make_system("charged", softening=0.0), orthogonal(3, 3)[0]
    x = np.stack([line, -line])[None]
    start = State(0.0, x, np.zeros((1, 2, 3))), Particles([[1.0, -1.0]], [[1.0, 1.0]])
    options, error = fine(method)
    run = advanced(method, system, start, 18, **options)
    scale = math.sqrt(mu * r0**3 / 2)
    for frame in range(18):
        t = 0.1 * (frame + 1)
        a = brentq(lambda a, t=t: scale * (a + math.sin(a) * math.cos(a)) - t, 0, math.pi / 2)
        distance = np.linalg.norm(run.x[0, frame, 0] - run.x[0, frame, 1])
        assert distance == pytest.approx(r0 * math.cos(a) ** 2, abs=error)


# What should be conserved


@pytest.mark.parametrize("method", ["dop853", "dop853-compiled"])
def test_the_references_conserve(charged, method):
    start = charged.sample(1, 30)
    run = simulate(charged, *start, 50, method)
    kinetic = (0.5 * run.v[0] ** 2).sum((1, 2)).mean()
    before, after = (
        charged.invariants(run.x[:, at], run.v[:, at], run.particles) for at in (0, -1)
    )
    assert abs(after.energy - before.energy)[0] <= ENERGY * kinetic
    assert np.abs(after.momentum - before.momentum).max() <= MOMENTUM
    assert np.abs(after.angular_momentum - before.angular_momentum).max() <= ENERGY


# Oracles


def reference_rows(system, start, t):
    """Positions and velocities (T, N, D) by `solve_ivp`, with the force written out."""
    state, particles = start
    shape, spec = state.x.shape[1:], system.spec
    q, m = particles.charges[0], particles.masses[0]

    def right_hand_side(_, y):
        x, v = y.reshape(2, *shape)
        r = x[:, None] - x[None]
        s = np.sqrt((r**2).sum(2) + spec.softening**2)
        a = (spec.coupling * np.outer(q, q) / s**3)[..., None] * r
        return np.concatenate([v.ravel(), (a.sum(1) / m[:, None]).ravel()])

    y = np.concatenate([state.x.ravel(), state.v.ravel()])
    solved = solve_ivp(right_hand_side, (t[0], t[-1]), y, "DOP853", t, **TIGHT)
    return solved.y.T.reshape(len(t), 2, *shape).swapaxes(0, 1)


def a_few_charges(dimensions=3):
    """Five charges with unequal masses that stay apart for two time units."""
    system = make_system("charged", coupling=0.8, softening=0.3)
    state, particles = system.sample(4, 5, dimensions=dimensions)
    masses = np.array([[1.0, 2.0, 0.5, 1.5, 3.0]])
    return system, (State(0.5, state.x, state.v), Particles(particles.charges, masses))


@pytest.mark.thinned
@pytest.mark.parametrize("dimensions", [2, 3])
def test_solvers_agree_with_solve_ivp(method, dimensions):
    options, error = fine(method)
    system, start = a_few_charges(dimensions)
    run = simulate(system, *start, 20, make_integrator(method, **options))
    x, v = reference_rows(system, start, run.t)
    np.testing.assert_allclose(run.x[0], x, rtol=0, atol=error)
    np.testing.assert_allclose(run.v[0], v, rtol=0, atol=error)


def test_rotated_starts_give_rotated_runs(method):
    """Exactly so for fixed steps; an adaptive error norm looks at each coordinate by itself."""
    system, (state, particles) = a_few_charges()
    rotation, shift, boost = orthogonal(5, 3), np.array([0.3, -0.2, 0.5]), np.array([0.1, 0.4, 0.0])
    moved = State(state.t, state.x @ rotation.T + shift, state.v @ rotation.T + boost)
    run, other = (advanced(method, system, (start, particles), 20) for start in (state, moved))
    t = 0.1 * np.arange(1, 21)[:, None, None]
    error = 100 * ROUNDING if method in FIXED else SOLVER
    np.testing.assert_allclose(other.x, run.x @ rotation.T + shift + boost * t, rtol=0, atol=error)
    np.testing.assert_allclose(other.v, run.v @ rotation.T + boost, rtol=0, atol=error)


@pytest.mark.thinned
def test_flat_starts_stay_flat(charged, method):
    """The same bits for fixed steps; an adaptive error norm is a mean over all coordinates."""
    flat, particles = charged.sample(6, 6, dimensions=2)
    lifted = State(0.0, *(np.pad(y, ((0, 0), (0, 0), (0, 1))) for y in (flat.x, flat.v)))
    two = advanced(method, charged, (flat, particles), 10)
    three = advanced(method, charged, (lifted, particles), 10)
    error = 0 if method in FIXED else SOLVER
    np.testing.assert_allclose(three.x[..., :2], two.x, rtol=0, atol=error)
    np.testing.assert_allclose(three.v[..., :2], two.v, rtol=0, atol=error)
    assert (three.x[..., 2] == 0).all()
    assert (three.v[..., 2] == 0).all()
