"""Starts of all built-in systems: shapes, spreads and how many are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from built_in_systems import ROUNDING, both_dimensions, build, every_case

SIGMAS = 5.0  # a sample statistic lies within so many of its standard deviations


@every_case
@both_dimensions
@pytest.mark.parametrize("n", [1, 2, 5])
def test_starts_have_their_shapes_and_finite_forces(name, parameters, n, dimensions):
    system = build(name, **parameters)
    state, particles = system.sample(3, n, 2, dimensions)
    assert state.t == 0
    assert state.x.shape == state.v.shape == (2, n, dimensions)
    assert particles.charges.shape == particles.masses.shape == (2, n)
    for values in (state.x, state.v, particles.charges, particles.masses):
        assert values.dtype == np.float64
    assert (particles.masses > 0).all()
    if particles.couplings is not None:
        assert particles.couplings.shape == (2, n, n)
    a = system.acceleration(state.x, state.v, particles)
    assert a.shape == state.x.shape
    assert np.isfinite(a).all()
    for name, value in system.invariants(state.x, state.v, particles)._asdict().items():
        assert np.isfinite(value).all() == (name != "energy" or system.has_potential)


@every_case
def test_a_start_does_not_depend_on_how_many_are_drawn(name, parameters):
    system = build(name, **parameters)
    (few, some), (many, others) = system.sample(4, 3, 2), system.sample(4, 3, 5)
    np.testing.assert_array_equal(many.x[:2], few.x)
    np.testing.assert_array_equal(many.v[:2], few.v)
    np.testing.assert_array_equal(others.charges[:2], some.charges)
    np.testing.assert_array_equal(others.masses[:2], some.masses)
    if some.couplings is not None:
        np.testing.assert_array_equal(others.couplings[:2], some.couplings)
    assert len({x.tobytes() for x in many.x}) == 5


ISOTROPIC = ["charged", "charged-clipped", "oscillator", "penning", "springs", "trap"]
"""Gravity's velocities are shifted, the pendulum's are tangential."""


@pytest.mark.parametrize("name", ISOTROPIC)
@both_dimensions
def test_velocities_are_isotropic_and_of_length_one_half(name, dimensions):
    state, _ = build(name).sample(5, 4, 300, dimensions)
    np.testing.assert_allclose(np.linalg.norm(state.v, axis=2), 0.5, rtol=ROUNDING)
    count = 4 * 300
    assert abs(state.v.mean((0, 1))).max() < SIGMAS * 0.5 / math.sqrt(dimensions * count)
    second = np.einsum("bni,bnj->ij", state.v, state.v) / count
    np.testing.assert_allclose(
        second, 0.25 / dimensions * np.eye(dimensions), rtol=0, atol=SIGMAS * 0.25 / count**0.5
    )


@pytest.mark.parametrize(
    ("name", "sigma"), [("oscillator", 1.0), ("springs", 0.5), ("penning", 2.0), ("gravity", None)]
)
def test_positions_are_normal_of_the_spread_announced(name, sigma):
    state, particles = build(name).sample(6, 40, 100)
    if sigma is None:  # about the centre of mass, which takes away one particle's worth of weight
        share = particles.masses / particles.masses.sum(1, keepdims=True)
        sigma = 2 * math.sqrt(1 - 2 / 40 + (share**2).sum(1).mean())
    assert abs(state.x.std() / sigma - 1) < SIGMAS / math.sqrt(2 * state.x.size)
    kurtosis = (state.x**4).mean() / state.x.var() ** 2
    assert abs(kurtosis - 3) < SIGMAS * math.sqrt(24 / state.x.size)


def test_gravity_starts_at_rest_as_a_whole():
    state, particles = build("gravity").sample(7, 30, 20)
    weights = particles.masses[..., None]
    assert abs((weights * state.x).sum(1)).max() < 1e-13
    assert abs((weights * state.v).sum(1)).max() < 1e-13
    assert 0.1 <= particles.masses.min() < 0.11
    assert 0.99 < particles.masses.max() <= 1
    assert (particles.charges == 0).all()


def test_springs_join_every_second_pair():
    _, particles = build("springs").sample(8, 20, 50)
    bonds = particles.couplings
    assert set(bonds.flat) == {0.0, 1.0}
    np.testing.assert_array_equal(bonds, bonds.swapaxes(1, 2))
    assert (np.diagonal(bonds, axis1=1, axis2=2) == 0).all()
    above = bonds[:, *np.triu_indices(20, 1)]
    assert abs(above.mean() - 0.5) < SIGMAS * 0.5 / math.sqrt(above.size)


def test_the_trap_starts_as_the_free_cloud():
    options = {"charge_range": (0.5, 2), "mass_range": (1, 4), "signs": "equal"}
    for given in ({}, options):
        free, charges = build("charged", **given).sample(9, 6, 2)
        state, particles = build("trap", **given).sample(9, 6, 2)
        np.testing.assert_array_equal(state.x, free.x)
        np.testing.assert_array_equal(state.v, free.v)
        np.testing.assert_array_equal(particles.charges, charges.charges)
        np.testing.assert_array_equal(particles.masses, charges.masses)


def test_charges_in_the_penning_trap_are_positive():
    assert (build("penning").sample(10, 5, 20)[1].charges == 1).all()
    _, particles = build("penning", charge_range=(0.5, 2)).sample(10, 50, 20)
    assert 0.5 <= particles.charges.min() < 0.51
    assert 1.99 < particles.charges.max() <= 2


@both_dimensions
@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_clipped_charges_start_within_walls(spread, dimensions):
    n = 5 if spread == 1 else 20  # all inside, or some outside
    sigma = spread * (n / 5) ** (1 / 3)
    state, particles = build("charged-clipped", spread=spread).sample(11, n, 40, dimensions)
    rng = np.random.default_rng(np.random.SeedSequence(11, spawn_key=(0,)))
    np.testing.assert_array_equal(particles.charges[0], rng.choice([-1.0, 1.0], size=n))
    free = rng.normal(size=(n, dimensions)) * sigma
    direction = rng.normal(size=(n, dimensions))
    speed = abs(0.5 * direction / np.linalg.norm(direction, axis=1, keepdims=True))
    inwards = -np.sign(free) * speed
    outside = abs(free) > 5
    np.testing.assert_allclose(state.x[0][~outside], free[~outside], rtol=ROUNDING)
    np.testing.assert_allclose(
        state.x[0][outside], (np.sign(free) * (10 - abs(free)))[outside], rtol=ROUNDING
    )
    np.testing.assert_allclose(state.v[0][outside], inwards[outside], rtol=ROUNDING)
    np.testing.assert_allclose(abs(state.v[0]), speed, rtol=ROUNDING)
    assert outside.any() == (spread == 2.0)
    assert abs(state.x).max() <= 5


@both_dimensions
def test_pendulums_start_on_their_rods(dimensions):
    system = build("pendulum", length=1.7, amplitude=2.5, speed=0.4)
    state, _ = system.sample(12, 50, 20, dimensions)
    x, v = state.x, state.v
    np.testing.assert_allclose(np.linalg.norm(x, axis=2), 1.7, rtol=ROUNDING)
    np.testing.assert_allclose((x * v).sum(2), 0, atol=ROUNDING)
    np.testing.assert_allclose(np.linalg.norm(v, axis=2), 0.4, rtol=ROUNDING)
    angles = np.arccos(np.clip(-x[..., 1] / 1.7, -1, 1))
    assert 2.45 < angles.max() <= 2.5 + 1e-9
    assert abs(angles.mean() - 1.25) < SIGMAS * 2.5 / math.sqrt(12 * angles.size)
    for sideways in (0, 2)[: dimensions - 1]:
        assert abs(np.sign(x[..., sideways]).mean()) < SIGMAS / math.sqrt(1000)
        assert abs(np.sign(v[..., sideways]).mean()) < SIGMAS / math.sqrt(1000)


def test_pendulums_may_start_at_rest():
    state, _ = build("pendulum", speed=0.0).sample(13, 5, 4)
    assert (state.v == 0).all()
