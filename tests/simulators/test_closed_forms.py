"""Motions of the built-in systems that are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ellipk

from built_in_systems import NAMES, ROUNDING, both_dimensions, build, solution
from nbody_surrogate import Particles, State
from nbody_surrogate.testing.system_symmetries import maps

CLOSED_FORM = 1e-9  # solver's error over up to 20 time units


def test_two_masses_circle_each_other():
    g, softening, r, m1, m2 = 1.3, 0.2, 0.9, 0.4, 1.1
    system = build("gravity", coupling=g, softening=softening)
    frequency = math.sqrt(g * (m1 + m2) / (r * r + softening * softening) ** 1.5)
    arms = np.array([m2, -m1]) * r / (m1 + m2)
    x, v = np.zeros((2, 1, 2, 3))
    x[0, :, 0], v[0, :, 1] = arms, frequency * arms
    (rotation,) = maps("rotation", np.random.default_rng(20), 3, 2)
    matrix = rotation.turn
    times = np.linspace(0, 2 * math.pi / frequency, 9)
    found, _ = solution(
        system, State(0.0, x @ matrix.T, v @ matrix.T), Particles([[0, 0]], [[m1, m2]]), times
    )
    angle = frequency * times
    circle = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    expected = arms[None, :, None] * circle[:, None] @ matrix.T
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSED_FORM)


@both_dimensions
def test_a_bonded_pair_swings_and_the_third_particle_flies_on(dimensions):
    k, bond, masses = 0.7, 1.5, np.array([1.0, 3.0, 2.0])
    couplings = np.zeros((1, 3, 3))
    couplings[0, 0, 1] = couplings[0, 1, 0] = bond
    rng = np.random.default_rng(21)
    state = State(0.0, *rng.normal(size=(2, 1, 3, dimensions)))
    particles = Particles([[0, 0, 0]], [masses], couplings)
    times = np.linspace(0, 10, 6)
    found, _ = solution(build("springs", stiffness=k), state, particles, times)
    frequency = math.sqrt(k * bond * (1 / masses[0] + 1 / masses[1]))
    x, v, t = state.x[0], state.v[0], times[:, None]
    np.testing.assert_allclose(found[:, 2], x[2] + v[2] * t, rtol=0, atol=CLOSED_FORM)
    apart = (x[0] - x[1]) * np.cos(frequency * t) + (v[0] - v[1]) * np.sin(
        frequency * t
    ) / frequency
    np.testing.assert_allclose(found[:, 0] - found[:, 1], apart, rtol=0, atol=CLOSED_FORM)


def test_particles_without_couplings_are_all_bonded():
    system = build("springs", stiffness=0.4)
    x = np.random.default_rng(22).normal(size=(1, 5, 3))
    ones = np.ones((1, 5))
    a = system.pair_acceleration(x, Particles(0 * ones, ones))
    np.testing.assert_allclose(a, -0.4 * 5 * (x - x.mean(1)), rtol=0, atol=ROUNDING)


@both_dimensions
def test_the_centre_of_a_trapped_cloud_swings_as_if_alone(dimensions):
    frequencies = (0.6, 0.9, 1.3)
    system = build("trap", frequencies=frequencies, mass_range=(0.5, 3))
    state, particles = system.sample(23, 3, 1, dimensions)
    times = np.linspace(0, 4, 5)
    found, _ = solution(system, state, particles, times)
    share = particles.masses[0] / particles.masses.sum()
    w, t = np.array(frequencies[:dimensions]), times[:, None]
    expected = share @ state.x[0] * np.cos(w * t) + share @ state.v[0] * np.sin(w * t) / w
    np.testing.assert_allclose(share @ found, expected, rtol=0, atol=CLOSED_FORM)


@both_dimensions
def test_oscillators_swing_as_cosine_and_sine(dimensions):
    system = build("oscillator", frequency=1.7)
    state, particles = system.sample(24, 3, 1, dimensions)
    times = np.linspace(0, 20, 9)
    x, v = solution(system, state, particles, times)
    cosine, sine = np.cos(1.7 * times)[:, None, None], np.sin(1.7 * times)[:, None, None]
    np.testing.assert_allclose(x, state.x * cosine + state.v / 1.7 * sine, rtol=0, atol=CLOSED_FORM)
    np.testing.assert_allclose(v, state.v * cosine - 1.7 * state.x * sine, rtol=0, atol=CLOSED_FORM)


def test_a_particle_in_the_penning_trap_has_three_frequencies():
    field, quadrupole, charge, mass = 4.0, 2.0, 1.5, 0.8
    system = build("penning", magnetic_field=field, quadrupole=quadrupole)
    rng = np.random.default_rng(25)
    state = State(0.0, *rng.normal(size=(2, 1, 1, 3)))
    times = np.linspace(0, 10, 21)
    found, _ = solution(system, state, Particles([[charge]], [[mass]]), times)
    cyclotron, axial = charge * field / mass, math.sqrt(charge * quadrupole / mass)
    x, v = state.x[0, 0], state.v[0, 0]
    height = x[2] * np.cos(axial * times) + v[2] * np.sin(axial * times) / axial
    np.testing.assert_allclose(found[:, 0, 2], height, rtol=0, atol=CLOSED_FORM)
    root = math.sqrt(cyclotron**2 / 4 - axial**2 / 2)
    fast, slow = cyclotron / 2 + root, cyclotron / 2 - root
    u, w = complex(x[0], x[1]), complex(v[0], v[1])  # u = a e^(-i fast t) + b e^(-i slow t)
    a, b = (1j * w - slow * u) / (fast - slow), (fast * u - 1j * w) / (fast - slow)
    radial = a * np.exp(-1j * fast * times) + b * np.exp(-1j * slow * times)
    np.testing.assert_allclose(
        found[:, 0, :2], np.stack([radial.real, radial.imag], 1), rtol=0, atol=CLOSED_FORM
    )


@pytest.mark.parametrize(("quadrupole", "stays"), [(7.5, True), (8.5, False)])
def test_the_penning_trap_holds_below_half_the_square_of_the_cyclotron_frequency(quadrupole, stays):
    system = build("penning", magnetic_field=4.0, quadrupole=quadrupole)
    state = State(0.0, [[[0.1, 0.0]]], [[[0.0, 0.0]]])
    x, _ = solution(system, state, Particles([[1.0]], [[1.0]]), np.linspace(0, 20, 21))
    assert (abs(x).max() < 1) == stays


@pytest.mark.parametrize("name", [name for name in NAMES if name != "pendulum"])
def test_two_dimensions_are_the_plane_of_three(name):
    system = build(name)
    state, particles = system.sample(26, 4, 1, 2)
    x, v = (np.concatenate([c, np.zeros((1, 4, 1))], 2) for c in (state.x, state.v))
    a = system.acceleration(x, v, particles)
    np.testing.assert_array_equal(
        a[..., :2], system.acceleration(state.x, state.v, particles), strict=True
    )
    if name != "dust":  # whose grains would leave the plane, by their wakes and their weights
        assert (a[..., 2] == 0).all()


def pendulum(angle, length, g):
    system = build("pendulum", gravity=g)
    x = [[[length * math.sin(angle), -length * math.cos(angle)]]]
    return system, State(0.0, x, [[[0.0, 0.0]]]), Particles([[0.0]], [[2.0]])


@pytest.mark.parametrize("angle", [0.01, 1.0, 2.5])
def test_the_planar_pendulum_has_the_period_of_the_elliptic_integral(angle):
    length, g = 1.7, 0.6
    period = 4 * math.sqrt(length / g) * ellipk(math.sin(angle / 2) ** 2)
    system, state, particles = pendulum(angle, length, g)
    x, v = solution(system, state, particles, np.array([0, 0.25, 0.5, 1]) * period)
    np.testing.assert_allclose(x[1], [[0, -length]], rtol=0, atol=CLOSED_FORM)
    np.testing.assert_allclose(x[2], state.x[0] * [-1, 1], rtol=0, atol=CLOSED_FORM)
    np.testing.assert_allclose(x[3], state.x[0], rtol=0, atol=CLOSED_FORM)
    np.testing.assert_allclose(v[3], 0, rtol=0, atol=CLOSED_FORM)


@both_dimensions
def test_pendulums_keep_their_length_and_their_spin_about_the_vertical(dimensions):
    system = build("pendulum", length=1.3, amplitude=2.5)
    state, particles = system.sample(27, 3, 1, dimensions)
    x, v = solution(system, state, particles, np.linspace(0, 10, 21))
    np.testing.assert_allclose(np.linalg.norm(x, axis=2), 1.3, rtol=0, atol=CLOSED_FORM)
    np.testing.assert_allclose((x * v).sum(2), 0, atol=CLOSED_FORM)
    if dimensions == 3:
        spin = x[..., 2] * v[..., 0] - x[..., 0] * v[..., 2]
        assert abs(spin[0]).min() > 1e-3
        np.testing.assert_allclose(spin, spin[:1] + 0 * spin, rtol=0, atol=CLOSED_FORM)
