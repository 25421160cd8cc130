"""Splittings with exact flows of fields: closed forms, orders, symplecticity, refusals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy.linalg import expm

from fixed_steps import Given, advanced, assert_one_line
from nbody_simulators.integrators.linear_flows import is_linear, linear_flows
from nbody_surrogate import InputError, Particles, State, make_integrator, make_system, simulate
from nbody_surrogate.contracts.force_laws import FieldLaw, ForceLaws

CLOSED = 1e-13  # of one particle over five time units: rounding, and that of the closed form


def alone(system, dimensions, charge=1.0, mass=1.0):
    """One particle, since charges would meet."""
    x, v = np.random.default_rng(4).normal(size=(2, 1, 1, dimensions))
    return State(0.0, x, v), Particles([[charge]], [[mass]])


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_particle_in_a_trap_swings_exactly(dimensions, order):
    w = np.array((0.5, 1.7, 0.0)[:dimensions])
    system = make_system("trap", frequencies=(0.5, 1.7, 0.0))
    start = alone(system, dimensions, -1.0, 2.5)
    run = advanced("exact-flow", system, start, 50, substeps=1, order=order)
    x, v = start[0].x[0, 0], start[0].v[0, 0]
    t = 0.1 * np.arange(1, 51)[:, None]
    # sin(w t) / w, which is t where there is no trap
    along = t * np.sinc(w * t / math.pi)
    expected = x * np.cos(w * t) + v * along
    np.testing.assert_allclose(run.x[0, :, 0], expected, rtol=0, atol=CLOSED)
    turned = v * np.cos(w * t) - x * w * w * along
    np.testing.assert_allclose(run.v[0, :, 0], turned, rtol=0, atol=CLOSED)


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize(("charge", "mass"), [(1.0, 1.0), (2.0, 0.7)])
def test_a_particle_in_a_penning_trap_has_its_three_frequencies(order, charge, mass):
    """As in Brown and Gabrielse: z'' = -w_z^2 z, and x + i y of two rotations."""
    system = make_system("penning")
    start = alone(system, 3, charge, mass)
    run = advanced("exact-flow", system, start, 50, substeps=2, order=order)
    cyclotron = charge * system.spec.magnetic_field / mass
    axial = math.sqrt(charge * system.spec.quadrupole / mass)
    half = math.sqrt(cyclotron**2 / 4 - axial**2 / 2)
    fast, slow = cyclotron / 2 + half, cyclotron / 2 - half
    x, v = start[0].x[0, 0], start[0].v[0, 0]
    u, rate = complex(x[0], x[1]), complex(v[0], v[1])
    # u = a exp(-i fast t) + b exp(-i slow t), by u and u' at the start
    a = (1j * rate - slow * u) / (fast - slow)
    t = 0.1 * np.arange(1, 51)
    flat = a * np.exp(-1j * fast * t) + (u - a) * np.exp(-1j * slow * t)
    height = x[2] * np.cos(axial * t) + v[2] * np.sin(axial * t) / axial
    expected = np.stack([flat.real, flat.imag, height], axis=1)
    np.testing.assert_allclose(run.x[0, :, 0], expected, rtol=0, atol=CLOSED)


@pytest.mark.parametrize("time", [0.05, -0.3, 40.0])
def test_flows_are_exponentials(plasma, time):
    """Of SciPy, in units where numbers are far from one, of either sign, per charge and mass."""
    law = plasma(trap=0.3, electric=(3.0, -2.0, 1.0), magnetic=(0.7, -0.4, 1.1)).force_laws().field
    charges, masses = np.array([[1.0, -2.0, 1.0]]), np.array([[2.0, 1.0, 2.0]])
    flows = linear_flows(law, charges, masses, (time,), 3)
    assert flows.shape == (1, 1, 3, 6, 7)
    np.testing.assert_array_equal(flows[0, 0, 0], flows[0, 0, 2])
    cross = np.array([[0, 1.1, 0.4], [-1.1, 0, 0.7], [-0.4, -0.7, 0]])
    for i, (q, m) in enumerate(zip(charges[0], masses[0], strict=True)):
        rate = np.zeros((7, 7))
        rate[:3, 3:6] = np.eye(3)
        rate[3:6] = np.column_stack(
            [-0.3 * np.eye(3), q / m * cross, q / m * np.array([3.0, -2.0, 1.0])]
        )
        wanted = expm(time * rate)[:6]
        np.testing.assert_allclose(flows[0, 0, i], wanted, rtol=1e-12, atol=1e-12)


def test_a_flow_does_not_depend_on_units():
    """A frequency of 1e9 over 1e-9, in metres that are micrometres: as of one over one."""
    near = linear_flows(trap_of(1.0), np.ones(1), np.ones(1), (0.7,), 3)[0, 0]
    far = linear_flows(trap_of(1e9), np.ones(1), np.ones(1), (0.7e-9,), 3)[0, 0]
    far[:3, 3:6] *= 1e9
    far[3:, :3] *= 1e-9
    np.testing.assert_allclose(far, near, rtol=0, atol=1e-15)


def trap_of(frequency):
    return make_system("trap", frequencies=(frequency,) * 3).force_laws().field


# Steps


@pytest.mark.thinned
@pytest.mark.parametrize("name", ["trap", "penning"])
@pytest.mark.parametrize(
    ("order", "substeps"), [(2, (4, 8, 16)), (4, (6, 8, 12)), (6, (4, 5, 6, 8))]
)
def test_steps_are_of_their_order_where_charges_meet(name, order, substeps):
    system = make_system(name, softening=1.0)
    start = system.sample(11, 4, 8)
    truth = advanced("dop853-compiled", system, start, 8, dt=0.5, rtol=1e-13, atol=1e-14)
    errors = []
    for number in substeps:
        run = advanced("exact-flow", system, start, 8, dt=0.5, substeps=number, order=order)
        errors.append(np.sqrt(np.mean((run.x[:, -1] - truth.x[:, -1]) ** 2)))
    slope = -np.polyfit(np.log(substeps), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.25)


def two_forms(system, particles):
    """The symplectic form in (x, v): dx ^ d(m v), less q B dx ^ dy where a magnetic field is."""
    n = particles.masses.shape[1]
    mass = np.kron(np.diag(particles.masses[0]), np.eye(2))
    turn = np.kron(np.diag(particles.charges[0]), [[0.0, -1.0], [1.0, 0.0]])
    field = system.magnetic_field()
    turn = 0 * turn if field is None else field[2] * turn
    return np.block([[turn, mass], [-mass, np.zeros((2 * n, 2 * n))]])


@pytest.mark.parametrize(
    ("name", "method", "options", "kept"),
    [
        ("charged", "leapfrog", {"form": "dkd"}, True),
        ("charged", "leapfrog", {"form": "kdk"}, True),
        ("charged", "srkn4", {}, True),
        ("charged", "srkn6", {}, True),
        *((name, "exact-flow", {"order": k}, True) for name in ("trap", "penning") for k in (2, 4)),
        ("charged", "rk4", {}, False),
    ],
)
def test_a_step_is_symplectic(name, method, options, kept):
    """J^T W J = W for the Jacobian J of a frame, by central differences of a batch of starts."""
    system = make_system(name, softening=0.3)
    start, particles = system.sample(5, 2, 1, 2)
    particles = Particles([[1.0, 0.7]], [[1.0, 2.0]])
    y, delta = np.concatenate([start.x.ravel(), start.v.ravel()]), 1e-4
    # of fourth order, so that rounding, 1e-16 over 1e-4, is all that is left
    moves = np.array([1.0, -1.0, 2.0, -2.0])[:, None, None] * delta * np.eye(len(y))
    starts = (y + moves).reshape(-1, len(y))
    x, v = (part.reshape(-1, 2, 2) for part in np.split(starts, 2, axis=1))
    many = Particles(*(np.repeat(a, len(x), 0) for a in (particles.charges, particles.masses)))
    run = advanced(method, system, (State(0.0, x, v), many), 1, substeps=1, dt=0.5, **options)
    ends = np.concatenate([run.x.reshape(len(x), -1), run.v.reshape(len(x), -1)], 1)
    one, less, two, lesser = ends.reshape(4, len(y), len(y))
    jacobian = ((8 * (one - less) - (two - lesser)) / (12 * delta)).T
    form = two_forms(system, particles)
    wrong = np.abs(jacobian.T @ form @ jacobian - form).max()
    assert wrong < 1e-8 if kept else wrong > 1e-5


def test_the_energy_of_a_plasma_does_not_drift():
    system = make_system("penning")
    run = simulate(system, *system.sample(6, 4), 2000, make_integrator("exact-flow", substeps=4))
    energies = system.invariants(run.x[0, ::5], run.v[0, ::5], run.particles).energy
    errors = np.abs(energies / energies[0] - 1)
    assert errors.max() < 1e-3
    assert errors[200:].max() < 2 * errors[:200].max()


# Fields


class Number(NamedTuple):
    value: float


def well(sqrt, where):
    """A wall at distance 3, and nothing within."""

    def law(p, x, v, q, m):
        return (where(x[0] > 3.0, 3.0 - x[0], 0.0), 0.0, 0.0), 0.0

    return law


def drag(sqrt, where):
    def law(p, x, v, q, m):
        return (-p.value * v[0] / m, -p.value * v[1] / m, 9.81 - p.value * v[2] / m), 0.0

    return law


def test_what_is_linear_is_seen(plasma):
    one = np.ones((1, 2))
    for system in (make_system("trap"), make_system("penning"), plasma(magnetic=(1.0, 2.0, 3.0))):
        assert is_linear(system.force_laws().field, one, 2 * one)
    assert is_linear(FieldLaw(Number(0.5), drag), one, one)
    assert not is_linear(FieldLaw(Number(0.5), well), one, one)
    assert not is_linear(make_system("pendulum").force_laws().field, one, one)


def test_drag_and_weight_are_solved_exactly():
    """v = v0 exp(-t c / m) + terminal velocity: no magnetic field, no energy kept, an offset."""

    class Falling(Given):
        laws = ForceLaws(None, FieldLaw(Number(0.5), drag))
        velocity_dependent = True

    system = Falling()
    state, particles = system.sample(2, 3)
    run = advanced("exact-flow", system, (state, particles), 20, substeps=1)
    rate = 0.5 / particles.masses[0][:, None]
    last = np.array([0.0, 0.0, 9.81]) / rate
    t = 2.0
    v = last + (state.v[0] - last) * np.exp(-rate * t)
    x = state.x[0] + last * t + (state.v[0] - last) * (1 - np.exp(-rate * t)) / rate
    np.testing.assert_allclose(run.v[0, -1], v, rtol=0, atol=1e-11)
    np.testing.assert_allclose(run.x[0, -1], x, rtol=0, atol=1e-11)


class Walled(Given):
    name = "walled"
    laws = ForceLaws(None, FieldLaw(Number(0.5), well))


@pytest.mark.parametrize(
    ("system", "fitting"),
    [(make_system("pendulum"), "rk4 or dop853"), (Walled(), "leapfrog, rk4 or dop853")],
    ids=["pendulum", "walled"],
)
def test_other_fields_are_refused_with_what_would_do(system, fitting):
    start = system.sample(1, 1)
    with pytest.raises(InputError, match="linear in positions and velocities") as caught:
        make_integrator("exact-flow").start(system, *start, 0.1)
    assert_one_line(caught, "integrator")
    assert str(caught.value).endswith(f"use {fitting}")


@pytest.mark.parametrize("method", ["leapfrog", "srkn6"])
def test_it_is_named_where_velocities_matter_and_the_field_is_linear(method):
    system = make_system("penning")
    with pytest.raises(InputError, match="use exact-flow, boris, rk4 or dop853") as caught:
        make_integrator(method).start(system, *system.sample(1, 2), 0.1)
    assert_one_line(caught, "integrator")
