"""Grains in a sheath: forces in closed form, who feels whom, and the cloud that starts."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import Particles, State, make_integrator, make_system, simulate

ROUNDING = 1e-12
SPEC = {"coupling": 1.3, "screening_length": 0.8, "wake_charge": 0.4, "wake_distance": 0.35}
BARE = dict.fromkeys(("gravity", "radial", "vertical", "drag"), 0.0)


def dust(**parameters):
    return make_system("dust", **parameters)


def screened(r, softening=0.0):
    """k exp(-s / l) (1 / s + 1 / l) r / s^2 of two unit charges at a vector r."""
    s = np.sqrt(r @ r + softening**2)
    length = SPEC["screening_length"]
    return SPEC["coupling"] * np.exp(-s / length) * (1 / s + 1 / length) * r / s**2


def rotated_about_z(rng, x):
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return x @ turn.T


def test_two_grains_push_each_other_and_pull_by_their_wakes():
    rng = np.random.default_rng(0)
    x = rotated_about_z(rng, np.array([[0.4, -0.2, 0.3], [-0.5, 0.6, -0.8]]))
    q, m = np.array([1.2, 0.7]), np.array([1.5, 0.4])
    found = dust(**SPEC, **BARE).pair_acceleration(x[None], Particles([q], [m]))[0] * m[:, None]
    below = np.array([0.0, 0.0, SPEC["wake_distance"]])
    for i, j in ((0, 1), (1, 0)):
        r = x[i] - x[j]
        force = screened(r) - SPEC["wake_charge"] * screened(r + below, 0.1)
        np.testing.assert_allclose(found[i], q[0] * q[1] * force, rtol=0, atol=ROUNDING)


def test_a_grain_is_pulled_below_another_one_and_not_above_it():
    """Action without reaction: the lower of two, near the other's wake, gains what nobody loses."""
    spec = SPEC | {"coupling": 1.0, "wake_charge": 0.5}
    x = np.array([[[0.1, 0.0, 0.0], [0.0, 0.0, -0.9]]])
    unit = Particles([[1.0, 1.0]], [[1.0, 1.0]])
    with_wake = dust(**spec, **BARE).pair_acceleration(x, unit)[0]
    without = dust(**spec | {"wake_charge": 0.0}, **BARE).pair_acceleration(x, unit)[0]
    wake = with_wake - without
    assert wake[1, 2] > 5 * abs(wake[0, 2])
    np.testing.assert_allclose(without.sum(0), 0, atol=ROUNDING)
    assert abs(with_wake.sum(0)[2]) > 0.3


def test_a_grain_alone_has_no_wake_of_its_own_and_floats_at_its_height():
    system = dust(temperature=0.0)
    s = np.array([0.8, 1.0, 1.3])
    heights = 4.0 * (1 - s**2) / 4.0
    for size, height in zip(s, heights, strict=True):
        particles = Particles([[size]], [[size**3]])
        a = system.acceleration(np.array([[[0.0, 0.0, height]]]), np.zeros((1, 1, 3)), particles)
        np.testing.assert_allclose(a, 0, atol=ROUNDING)


def test_a_grain_alone_swings_and_slows_down():
    """x'' = -(q / m) h x - c m^(-1/3) x': a damped oscillator, and one of its own along z."""
    system = dust(temperature=0.0, drag=0.5, gravity=0.0, radial=0.9, vertical=2.5)
    size = 1.2
    start = State(0.0, [[[0.7, -0.3, 0.4]]], np.zeros((1, 1, 3)))
    particles = Particles([[size]], [[size**3]])
    solver = make_integrator("dop853", rtol=1e-12, atol=1e-12)
    run = simulate(system, start, particles, 60, solver)
    half = 0.25 / size
    for axis, stiffness in ((0, 0.9), (1, 0.9), (2, 2.5)):
        w = np.sqrt(stiffness / size**2 - half**2)
        wanted = np.exp(-half * run.t) * (np.cos(w * run.t) + half / w * np.sin(w * run.t))
        found = run.x[0, :, 0, axis]
        np.testing.assert_allclose(found, start.x[0, 0, axis] * wanted, rtol=0, atol=1e-10)


def test_without_wakes_momentum_changes_by_the_fields_alone():
    system = dust(wake_charge=0.0, drag=0.0)
    state, particles = system.sample(1, 8, 3)
    net = (particles.masses[..., None] * system.pair_acceleration(state.x, particles)).sum(1)
    np.testing.assert_allclose(net, 0, atol=ROUNDING)
    assert system.has_potential
    assert system.conserved == {"energy"}
    assert system.bath_temperature == 0  # what does not drag does not kick
    assert not system.velocity_dependent
    run = simulate(system, state, particles, 40, "dop853")
    energy = run.energy
    assert np.abs(energy - energy[:, :1]).max() < 1e-4


def test_what_is_declared_follows_the_parameters():
    assert dust().conserved == frozenset()
    assert not dust().has_potential
    assert dust().needs == {"random-kicks"}
    assert dust(temperature=0.0).needs == frozenset()
    assert dust(wake_charge=0.0).conserved == frozenset()
    free = BARE | {"wake_charge": 0.0}
    assert dust(**free).conserved == {"energy", "momentum", "angular_momentum"}


def test_without_screening_the_repulsion_is_that_of_charges():
    plain = make_system("charged", softening=0.0)
    state, particles = plain.sample(6, 5, 2)
    for none in (None, "none"):
        system = dust(screening_length=none, wake_charge=0.0, **BARE)
        found = system.pair_acceleration(state.x, particles)
        wanted = plain.pair_acceleration(state.x, particles)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING)
        energies = (each.potential_energy(state.x, particles) for each in (system, plain))
        np.testing.assert_allclose(*energies, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_starts_are_unlike_grains_near_their_balance(dimensions):
    system = dust()
    state, particles = system.sample(2, 12, 40, dimensions)
    np.testing.assert_allclose(particles.masses, particles.charges**3, rtol=ROUNDING)
    assert np.log(particles.charges).std() == pytest.approx(0.15, rel=0.1)
    gaps = np.linalg.norm(state.x[:, :, None] - state.x[:, None], axis=3)
    gaps[:, np.arange(12), np.arange(12)] = np.inf
    assert 0.9 < gaps.min(2).mean() < 1.3
    assert gaps.min() > 0.5
    rest = system.acceleration(state.x, np.zeros_like(state.v), particles)
    forces = np.linalg.norm(particles.masses[..., None] * rest, axis=2)
    assert np.median(forces) < 0.1  # of 0.7, the push of a neighbour
    kinetic = particles.masses[..., None] * state.v**2
    assert kinetic.mean() == pytest.approx(0.15, rel=4 * np.sqrt(2 / kinetic.size))


def test_equal_grains_are_equal_and_a_seed_draws_one_cloud():
    state, particles = dust(charge_spread=0.0).sample(3, 5, 2)
    assert (particles.charges == 1).all()
    assert (particles.masses == 1).all()
    again = dust(charge_spread=0.0, drag=0.4).sample(3, 5, 2)[0]
    np.testing.assert_array_equal(state.x, again.x)


def test_no_charge_at_all_is_a_cloud_of_independent_grains():
    """Equipartition and the trap: <x^2> = T / (q h) of each, to the error of the sample."""
    system = dust(coupling=0.0, gravity=0.0, drag=1.0, frame_dt=0.5)
    state, particles = system.sample(4, 10, 192)
    run = simulate(system, state, particles, 160, make_integrator("baoab", substeps=4))
    late = run.x[:, 40:] * np.sqrt(particles.charges)[:, None, :, None]
    squares = (late**2).mean((0, 1, 2))
    np.testing.assert_allclose(squares, [0.15 / 0.6, 0.15 / 0.6, 0.15 / 4.0], rtol=0.02)


def test_a_cloud_stays_together_and_its_grains_keep_their_heights():
    system = dust()
    state, particles = system.sample(5, 12, 8)
    run = simulate(system, state, particles, 1500, make_integrator("baoab", substeps=4))
    assert run.info.success
    late = run.x[:, 300:]
    assert np.abs(late).max() < 5.0
    heights = late[..., 2].mean(1)
    drawn = 1 - particles.charges**2
    related = np.corrcoef(heights.ravel(), drawn.ravel())[0, 1]
    assert related > 0.97  # the wakes and neighbours do the rest
    assert 0.25 < heights.std(1).mean() < 0.55
