"""Fixed steps: order, reversibility and what is conserved."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fixed_steps import B_FIELD, E_FIELD, ROUNDING, SPLITTING, advanced
from nbody_surrogate import (
    Particles,
    State,
    make_integrator,
    make_system,
    simulate,
)

SLOPE = 0.1  # of log error against log step; higher orders add this much at the longest step


def slope(steps, errors):
    """The exponent p in error ~ step^p."""
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


# Order


def circle(frames):
    """Opposite unit charges, 2 apart: x = (cos t/2, sin t/2), one period in 20 frames."""
    t = 0.2 * math.pi * np.arange(frames + 1) / 2
    arm = np.stack([np.cos(t), np.sin(t)], axis=1)
    turn = np.stack([-np.sin(t), np.cos(t)], axis=1) / 2
    x, v = np.stack([arm, -arm], axis=1), np.stack([turn, -turn], axis=1)
    start = State(0.0, x[:1], v[:1]), Particles([[1.0, -1.0]], [[1.0, 1.0]])
    return make_system("charged", softening=0.0), start, x[1:], 0.2 * math.pi


@pytest.mark.parametrize(
    ("method", "order", "substeps"),
    [
        ("symplectic-euler", 1, (16, 32, 64, 128)),
        ("leapfrog", 2, (8, 16, 32, 64)),
        ("yoshida4", 4, (8, 16, 32, 64)),
        ("srkn4", 4, (4, 6, 8, 12)),
        ("srkn6", 6, (1, 2, 3, 4)),
        ("rk4", 4, (32, 64, 128)),
    ],
)
def test_order_on_a_circle(method, order, substeps):
    system, start, x, dt = circle(40)
    runs = [advanced(method, system, start, 40, dt, substeps=number) for number in substeps]
    errors = [np.abs(run.x[0] - x).max() for run in runs]
    assert slope(1 / np.array(substeps), errors) == pytest.approx(order, abs=SLOPE)


def drifting_gyration(t, x, v, ratio):
    """The exact motion in uniform fields E and B (N, T, 3), for q / m = `ratio` (N,)."""
    e, b = np.array(E_FIELD), np.array(B_FIELD)
    size = np.linalg.norm(b)
    axis = b / size
    drift = np.cross(e, b) / size**2
    t, ratio = t[None, :, None], ratio[:, None, None]
    along = (v @ axis)[:, None, None] * axis
    across = v[:, None] - drift - along
    phase = -ratio * size * t  # a positive charge turns left-handed about B
    sideways = np.cross(axis, across)
    fall = ratio * (e @ axis) * axis
    velocity = drift + along + fall * t + across * np.cos(phase) + sideways * np.sin(phase)
    swing = (across * np.sin(phase) - sideways * (np.cos(phase) - 1)) / (-ratio * size)
    return x[:, None] + (drift + along) * t + fall * t**2 / 2 + swing, velocity


def lonely(plasma, **parameters):
    """Three charges that do not see each other: couplings and gravity are zero."""
    system = plasma(gravity=0.0, trap=0.0, **parameters)
    state, particles = system.sample(1, 3)
    charges = [[1.0, -0.5, 2.0]]
    return system, (state, Particles(charges, particles.masses, np.zeros((1, 3, 3))))


def test_boris_is_of_second_order_in_crossed_fields(plasma):
    system, start = lonely(plasma, electric=E_FIELD, magnetic=B_FIELD)
    ratio = (start[1].charges / start[1].masses)[0]
    x, v = drifting_gyration(0.1 * np.arange(1, 51), start[0].x[0], start[0].v[0], ratio)
    substeps, errors = (1, 2, 4, 8), []
    for number in substeps:
        run = advanced("boris", system, start, 50, substeps=number)
        errors.append(np.abs(run.x[0].swapaxes(0, 1) - x).max())
        assert np.abs(run.v[0].swapaxes(0, 1) - v).max() < 10 * errors[-1]
    assert slope(1 / np.array(substeps), errors) == pytest.approx(2, abs=SLOPE)


def test_dop853_and_rk4_confirm_that_closed_form(plasma):
    system, start = lonely(plasma, electric=E_FIELD, magnetic=B_FIELD)
    ratio = (start[1].charges / start[1].masses)[0]
    x, v = drifting_gyration(0.1 * np.arange(1, 51), start[0].x[0], start[0].v[0], ratio)
    for method in ("dop853", "rk4"):
        run = advanced(method, system, start, 50)
        np.testing.assert_allclose(run.x[0].swapaxes(0, 1), x, rtol=0, atol=1e-7)
        np.testing.assert_allclose(run.v[0].swapaxes(0, 1), v, rtol=0, atol=1e-7)


# What is conserved, and what returns


def test_boris_keeps_the_speed_in_a_magnetic_field(plasma):
    """However long the step: here a turn takes about one."""
    system, start = lonely(plasma, electric=(0.0, 0.0, 0.0), magnetic=(2.0, 3.0, 5.0))
    run = simulate(system, *start, 1000, make_integrator("boris", substeps=10), dt=10.0)
    speed = np.linalg.norm(run.v[0], axis=2)
    np.testing.assert_allclose(speed, np.broadcast_to(speed[0], speed.shape), rtol=ROUNDING)


def energy_errors(system, run):
    energies = system.invariants(run.x[0], run.v[0], run.particles).energy
    return np.abs(energies - energies[0])


def eccentric_orbit():
    """Two masses on an ellipse of eccentricity 0.5 about their centre, period 2 pi."""
    system = make_system("charged", softening=0.0)
    x = np.array([[[0.25, 0.0, 0.0], [-0.25, 0.0, 0.0]]])
    v = np.array([[[0.0, math.sqrt(3) / 2, 0.0], [0.0, -math.sqrt(3) / 2, 0.0]]])
    return system, (State(0.0, x, v), Particles([[1.0, -1.0]], [[2.0, 2.0]]))


@pytest.mark.parametrize("method", [*SPLITTING, "rk4"])
def test_energy_in_a_long_run(method):
    """It swings within bounds where the method is symplectic, and drifts where it is not."""
    system, start = eccentric_orbit()
    run = simulate(system, *start, 2000, make_integrator(method, substeps=4), dt=0.1)
    errors = energy_errors(system, run)
    growth = errors[1000:].max() / errors[:200].max()
    assert errors.max() < 0.1
    assert growth < 1.5 if method != "rk4" else growth > 4  # 5 to 10 times as long


def test_boris_keeps_the_energy_within_bounds(plasma):
    """Charges that meet each other, in a trap with a magnetic field, over 200 time units."""
    system = plasma(softening=0.5, electric=E_FIELD, magnetic=B_FIELD)
    run = simulate(system, *system.sample(5, 4), 2000, make_integrator("boris", substeps=8))
    errors = energy_errors(system, run)
    kinetic = 0.5 * (run.particles.masses[..., None] * run.v[0] ** 2).sum((1, 2)).mean()
    assert errors.max() < 1e-3 * kinetic
    assert errors[1000:].max() < 1.5 * errors[:1000].max()


@pytest.mark.parametrize("n", [10, 41])
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("method", SPLITTING)
def test_momenta_are_kept_to_rounding(charged, method, dimensions, n):
    state, particles = charged.sample(2, n, dimensions=dimensions)
    particles = Particles(particles.charges, np.linspace(0.5, 3, n)[None])
    run = advanced(method, charged, (state, particles), 20)
    before = charged.invariants(state.x, state.v, particles)
    after = charged.invariants(run.x[:, -1], run.v[:, -1], particles)
    assert np.abs(after.momentum - before.momentum).max() <= ROUNDING
    assert np.abs(after.angular_momentum - before.angular_momentum).max() <= ROUNDING


def there_and_back(method, system, turned_system, start):
    """How far from its start a run ends that was turned round halfway."""
    state, particles = start
    there = advanced(method, system, start, 20)
    turned = State(2.0, there.x[:, -1], -there.v[:, -1])
    back = advanced(method, turned_system, (turned, particles), 20)
    return max(np.abs(back.x[:, -1] - state.x).max(), np.abs(back.v[:, -1] + state.v).max())


def test_time_can_be_reversed(charged):
    """To rounding, where the formula is the same read backwards, and to the error elsewhere."""
    start = charged.sample(3, 8)
    for method in ("leapfrog", "yoshida4", "srkn4", "srkn6", "exact-flow"):
        assert there_and_back(method, charged, charged, start) < ROUNDING
    assert there_and_back("symplectic-euler", charged, charged, start) > 1e-4
    assert there_and_back("rk4", charged, charged, start) > 100 * ROUNDING


@pytest.mark.parametrize("method", ["boris", "exact-flow"])
def test_charges_return_when_the_magnetic_field_is_turned_too(plasma, method):
    there = plasma(electric=E_FIELD, magnetic=B_FIELD)
    back = plasma(electric=E_FIELD, magnetic=tuple(-part for part in B_FIELD))
    start = there.sample(3, 5)
    assert there_and_back(method, there, back, start) < ROUNDING
    assert there_and_back(method, there, there, start) > 0.1
