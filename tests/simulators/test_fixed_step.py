"""Fixed steps: order, reversibility, what is conserved, the formulas, bits, options, refusals."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import torch

from nbody_surrogate import (
    AbstractSystem,
    InputError,
    Particles,
    State,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.contracts.force_laws import FieldLaw, ForceLaws, PairLaw
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec

SPLITTING = ["symplectic-euler", "leapfrog", "yoshida4"]
METHODS = [*SPLITTING, "rk4", "boris"]

ROUNDING = 1e-12  # of coordinates of order 1 after some hundred additions
SLOPE = 0.1  # of log error against log step; higher orders add this much at the longest step

E_FIELD, B_FIELD = (0.4, -0.3, 0.5), (0.7, -0.4, 1.1)

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def advanced(method, system, start, frames, dt=0.1, **options):
    """The frames of one segment."""
    integrator = make_integrator(method, **options)
    return integrator.advance(integrator.start(system, *start, dt), frames)


def assert_one_line(caught, parameter):
    message = str(caught.value)
    assert message.startswith(f"`{parameter}` ")
    assert "\n" not in message


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
    energies = [
        system.invariants(run.x[:, n], run.v[:, n], run.particles).energy[0]
        for n in range(len(run.t))
    ]
    return np.abs(np.array(energies) - energies[0])


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
    for method in ("leapfrog", "yoshida4"):
        assert there_and_back(method, charged, charged, start) < ROUNDING
    assert there_and_back("symplectic-euler", charged, charged, start) > 1e-4
    assert there_and_back("rk4", charged, charged, start) > 100 * ROUNDING


def test_boris_returns_when_the_field_is_turned_too(plasma):
    there = plasma(electric=E_FIELD, magnetic=B_FIELD)
    back = plasma(electric=E_FIELD, magnetic=tuple(-part for part in B_FIELD))
    start = there.sample(3, 5)
    assert there_and_back("boris", there, back, start) < ROUNDING
    assert there_and_back("boris", there, there, start) > 0.1


# The formulas, written out in NumPy


def kick_drift(a, x, v, h):
    v = v + h * a(x, v)
    return x + h * v, v


def verlet(a, x, v, h):
    v = v + h / 2 * a(x, v)
    x = x + h * v
    return x, v + h / 2 * a(x, v)


def three_verlets(a, x, v, h):
    outer = 1 / (2 - 2 ** (1 / 3))
    for part in (outer, 1 - 2 * outer, outer):
        x, v = verlet(a, x, v, part * h)
    return x, v


def kutta(a, x, v, h):
    k1 = v, a(x, v)
    k2 = v + h / 2 * k1[1], a(x + h / 2 * k1[0], v + h / 2 * k1[1])
    k3 = v + h / 2 * k2[1], a(x + h / 2 * k2[0], v + h / 2 * k2[1])
    k4 = v + h * k3[1], a(x + h * k3[0], v + h * k3[1])
    dx, dv = (h / 6 * (k1[y] + 2 * k2[y] + 2 * k3[y] + k4[y]) for y in range(2))
    return x + dx, v + dv


def boris_of(system, particles):
    """The rotation is solved for, as (v' - v) = (v' + v) x t: a Cayley transform.

    In two dimensions only the field across the plane turns velocities within it.
    """
    bx, by, bz = system.spec.magnetic
    cross = np.array([[0, bz, -by], [-bz, 0, bx], [by, -bx, 0]])  # cross @ v = v x B

    def step(a, x, v, h):
        x = x + h / 2 * v
        kick = h / 2 * a(x, 0 * v)
        turn = h / 2 * (particles.charges / particles.masses)[..., None, None] * cross
        dimensions = x.shape[2]
        turn, one = turn[..., :dimensions, :dimensions], np.eye(dimensions)
        after = np.linalg.solve(one - turn, (one + turn) @ (v + kick)[..., None])
        v = after[..., 0] + kick
        return x + h / 2 * v, v

    return step


FORMULAS = {
    "symplectic-euler": kick_drift,
    "leapfrog": verlet,
    "yoshida4": three_verlets,
    "rk4": kutta,
}

WHERE = [
    {"backend": "numba"},
    {"backend": "torch"},
    pytest.param({"device": "cuda"}, marks=[pytest.mark.cuda, needs_cuda]),
]


def crowded(plasma, method, dimensions, batch=3, **parameters):
    """A start with couplings, in all fields that the method takes."""
    magnetic = {} if method in SPLITTING else {"magnetic": B_FIELD}
    system = plasma(electric=E_FIELD, **magnetic, **parameters)
    return system, system.sample(6, 5, batch, dimensions)


@pytest.mark.parametrize("where", WHERE, ids=str)
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_steps_are_those_of_the_formula(plasma, method, dimensions, where):
    """Numba and torch to rounding, with pairs, couplings, fields and a clip."""
    system, (state, particles) = crowded(plasma, method, dimensions, clip=0.2)
    formula = FORMULAS.get(method) or boris_of(system, particles)
    x, v = state.x, state.v
    for _ in range(3):
        x, v = formula(lambda x, v: system.acceleration(x, v, particles), x, v, 0.1 / 3)
    run = advanced(method, system, (state, particles), 1, substeps=3, **where)
    np.testing.assert_allclose(run.x[:, 0], x, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(run.v[:, 0], v, rtol=0, atol=ROUNDING)


def test_the_clip_of_that_test_bites(plasma):
    system, start = crowded(plasma, "leapfrog", 3, clip=0.2)
    other, _ = crowded(plasma, "leapfrog", 3)
    clipped, free = (advanced("leapfrog", each, start, 1).v for each in (system, other))
    assert (np.abs(clipped - free).max((1, 2, 3)) > 1e-3).all()


@pytest.mark.parametrize("method", METHODS)
def test_torch_and_numba_agree_over_many_segments(plasma, method):
    system, start = crowded(plasma, method, 3)
    first, second = (
        simulate(system, *start, 6, make_integrator(method, segment=4, substeps=3, backend=backend))
        for backend in ("numba", "torch")
    )
    np.testing.assert_allclose(first.x, second.x, rtol=0, atol=100 * ROUNDING)
    assert first.info.counters == second.info.counters


# Laws that are constants: nothing of numba is compiled for them


class Number(NamedTuple):
    value: float


class Given(AbstractSystem):
    """NumPy forces of its own; the laws are whatever a test says."""

    name = "given"
    Spec = SystemSpec
    laws = ForceLaws()

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def potential_energy(self, x, particles):
        return np.zeros(len(x))

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, rng.uniform(0.5, 1, size=n), rng.uniform(1, 2, size=n))

    def force_laws(self):
        return self.laws


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_uniform_field_makes_parabolas_in_torch(dimensions):
    def falling(p, x, v, charge, mass):
        return (0, -p.value, 0.0), mass * p.value * x[1]

    class Falling(Given):
        laws = ForceLaws(None, FieldLaw(Number(0.7), lambda sqrt, where: falling))

    system = Falling()
    start = system.sample(7, 3, 2, dimensions)
    run = advanced("rk4", system, start, 10, backend="torch", substeps=2)
    t = 0.1 * np.arange(1, 11)[:, None, None]
    down = np.eye(3)[1, :dimensions] * -0.7
    expected = start[0].x[:, None] + start[0].v[:, None] * t + down * t**2 / 2
    np.testing.assert_allclose(run.x, expected, rtol=0, atol=ROUNDING)


def test_a_spring_of_constant_strength_keeps_its_digits_in_torch():
    """Two masses on a spring: the separation turns by cos(w t), w^2 = 2 k / m."""

    def spring(p, r2, *pair):
        return -p.value, p.value * r2 / 2

    class Spring(Given):
        laws = ForceLaws(PairLaw(Number(0.3), lambda sqrt, where: spring))

    x = np.array([[[1.0, 0.0], [-1.0, 0.0]]])
    start = State(0.0, x, np.zeros_like(x)), Particles([[0.0, 0.0]], [[1.0, 1.0]])
    run = advanced("yoshida4", Spring(), start, 10, backend="torch", substeps=64)
    t = 0.1 * np.arange(1, 11)
    expected = np.cos(math.sqrt(0.6) * t)
    # float32 anywhere would leave 1e-8
    np.testing.assert_allclose(run.x[0, :, 0, 0], expected, rtol=0, atol=1e-11)


def test_a_law_may_take_roots_of_parameters_and_choose_between_them_in_torch():
    """Springs of one strength near and of another far, as floats."""

    def factory(sqrt, where):
        def law(p, r2, *pair):
            return where(p.value > 0, where(r2 < 9.0, -sqrt(p.value), -0.1), 0.0), r2

        return law

    class Spring(Given):
        laws = ForceLaws(PairLaw(Number(0.09), factory))

    x = np.array([[[1.0, 0.0], [-1.0, 0.0]]])
    start = State(0.0, x, np.zeros_like(x)), Particles([[0.0, 0.0]], [[1.0, 1.0]])
    run = advanced("yoshida4", Spring(), start, 10, backend="torch", substeps=64)
    expected = np.cos(math.sqrt(0.6) * 0.1 * np.arange(1, 11))
    np.testing.assert_allclose(run.x[0, :, 0, 0], expected, rtol=0, atol=1e-11)


class Other(NamedTuple):
    value: float


def push(sqrt, where):
    return lambda p, r2, *pair: (p.value, 0.0)


def pull(sqrt, where):
    return lambda p, r2, *pair: (-p.value, 0.0)


def test_a_class_of_parameters_stands_for_one_law():
    """The kernels know a law by it: a second one would silently have the forces of the first."""

    def system_of(pair):
        class System(Given):
            def force_laws(self):
                return ForceLaws(pair)

        return System()

    def run(pair):
        system = system_of(pair)
        return simulate(system, *system.sample(15, 2), 1, "leapfrog")

    run(PairLaw(Other(0.0), push))
    for pair in (PairLaw(Other(0.0), pull), PairLaw((1.0,), push)):
        with pytest.raises(InputError) as caught:
            run(pair)
        assert_one_line(caught, "parameters")


@pytest.mark.parametrize("method", METHODS)
def test_every_evaluation_of_the_force_is_counted(method):
    """By a law that counts its calls, one for a whole batch."""
    calls = []

    def counting(p, r2, *pair):
        calls.append(r2)
        return -r2, r2 * r2 / 4

    class Counting(Given):
        laws = ForceLaws(PairLaw(Number(1.0), lambda sqrt, where: counting))

        def magnetic_field(self):
            return (0.0, 0.0, 1.0)

    system = Counting()
    run = advanced(method, system, system.sample(8, 2, 3), 4, substeps=5, backend="torch")
    assert run.counters == {"nfev": 3 * len(calls)}
    per_step = {"yoshida4": 3, "rk4": 4}.get(method, 1)
    assert len(calls) == 4 * 5 * per_step + (method != "boris")


# Bits


BATCHES = (1, 7, 8, 9, 64, 65, 130)  # around the widths of vectors and blocks


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_bits_do_not_depend_on_the_batch(charged, plasma, method, threads):
    system = charged if method in ("leapfrog", "rk4") else plasma(magnetic=B_FIELD)
    if method in SPLITTING and system is not charged:
        system = plasma(electric=E_FIELD)
    state, particles = system.sample(9, 4, max(BATCHES))
    whole = advanced(method, system, (state, particles), 2, substeps=3)
    for batch in BATCHES:
        some = State(0.0, state.x[-batch:], state.v[-batch:])
        bonds = particles.couplings
        bonds = None if bonds is None else bonds[-batch:]
        others = Particles(particles.charges[-batch:], particles.masses[-batch:], bonds)
        part = advanced(method, system, (some, others), 2, substeps=3, threads=threads)
        np.testing.assert_array_equal(part.x, whole.x[-batch:])
        np.testing.assert_array_equal(part.v, whole.v[-batch:])


@pytest.mark.parametrize("n", [1, 39, 40, 41, 60])
def test_bits_do_not_depend_on_the_batch_where_particles_are_many(charged, n):
    state, particles = charged.sample(10, n, 9)
    for method in ("leapfrog", "rk4"):
        whole = advanced(method, charged, (state, particles), 2, substeps=2)
        for b in (0, 8):
            one = advanced(method, charged, (state[b], particles[b]), 2, substeps=2, threads=2)
            np.testing.assert_array_equal(one.x[0], whole.x[b])
            np.testing.assert_array_equal(one.v[0], whole.v[b])


@pytest.mark.parametrize("n", [40, 41])  # from where one trajectory is a block by itself
def test_many_particles_move_as_few_do(charged, n):
    state, particles = charged.sample(10, n, 2)
    run = advanced("yoshida4", charged, (state, particles), 2, substeps=4)
    x, v = state.x, state.v
    for _ in range(8):
        x, v = three_verlets(lambda x, v: charged.acceleration(x, v, particles), x, v, 0.025)
    np.testing.assert_allclose(run.x[:, 1], x, rtol=0, atol=10 * ROUNDING)
    np.testing.assert_allclose(run.v[:, 1], v, rtol=0, atol=10 * ROUNDING)


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("frames", [1, 4, 5])
def test_a_shorter_run_is_the_beginning_in_any_field(plasma, frames, backend):
    for method in ("leapfrog", "boris"):
        system, start = crowded(plasma, method, 3)
        integrator = make_integrator(method, segment=4, backend=backend)
        longer = simulate(system, *start, 6, integrator)
        shorter = simulate(system, *start, frames, integrator)
        np.testing.assert_array_equal(shorter.x, longer.x[:, : frames + 1])
        np.testing.assert_array_equal(shorter.v, longer.v[:, : frames + 1])


def test_segments_leave_no_trace(plasma):
    system, start = crowded(plasma, "boris", 3)
    first, second = (
        simulate(system, *start, 6, make_integrator("boris", segment=length)) for length in (2, 6)
    )
    np.testing.assert_array_equal(first.x, second.x)


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("method", METHODS)
def test_two_dimensions_leave_out_what_points_elsewhere(plasma, method, backend):
    """A field across the plane pulls nobody out of it, nor changes any distance."""
    magnetic = {} if method in SPLITTING else {"magnetic": (0.7, -0.4, 1.1)}
    system = plasma(reach=1e3, electric=(0.4, -0.3, 5.0), **magnetic)
    start = system.sample(2, 5, 2, 2)
    options = {"segment": 5, "backend": backend, "substeps": 8 if method != SPLITTING[0] else 500}
    run = simulate(system, *start, 10, make_integrator(method, **options))
    exact = simulate(system, *start, 10, "dop853")
    np.testing.assert_allclose(run.x, exact.x, rtol=0, atol=1e-3)
    if backend == "numba":
        whole = simulate(system, *start, 10, make_integrator(method, **{**options, "segment": 10}))
        np.testing.assert_array_equal(run.x, whole.x)


# Options


def test_a_step_is_a_number_of_substeps(charged):
    start = charged.sample(11, 4)
    first = advanced("leapfrog", charged, start, 5, step=0.1 / 7)
    second = advanced("leapfrog", charged, start, 5, substeps=7)
    np.testing.assert_array_equal(first.x, second.x)
    third = advanced("leapfrog", charged, start, 5)
    np.testing.assert_array_equal(third.x, advanced("leapfrog", charged, start, 5, substeps=16).x)


@pytest.mark.parametrize("step", [0.03, 0.07, 0.016, 0.0143, 0.1001, 1.0, 1e300])
def test_a_step_must_divide_the_frame_spacing(charged, step):
    """And the one that the message names does."""
    start = charged.sample(11, 2)
    with pytest.raises(InputError, match=re.escape("frame spacing 0.1,")) as caught:
        make_integrator("rk4", step=step).start(charged, *start, 0.1)
    assert_one_line(caught, "step")
    assert f"got {step:g};" in str(caught.value)
    advice = float(str(caught.value).rpartition("use ")[2])
    make_integrator("rk4", step=advice).start(charged, *start, 0.1)


@pytest.mark.parametrize(
    ("options", "t", "dt"),
    [
        ({"step": 1e-13}, 0.0, 0.1),
        ({"step": 1e-320}, 0.0, 0.1),
        ({"step": 5e-324}, 0.0, 1e300),
        ({"step": 1e-7}, 1e6, 0.1),
        ({"substeps": 10**12}, 0.0, 0.1),
        ({"substeps": 1000}, 1e9, 0.1),
    ],
)
def test_a_step_that_vanishes(charged, options, t, dt):
    state, particles = charged.sample(11, 2)
    with pytest.raises(InputError, match="lost in the rounding") as caught:
        make_integrator("leapfrog", **options).start(
            charged, State(t, state.x, state.v), particles, dt
        )
    assert_one_line(caught, next(iter(options)))


def test_a_step_far_too_short_for_its_frames(charged):
    with pytest.raises(InputError) as caught:
        make_integrator("leapfrog", step=1e-3).start(charged, *charged.sample(11, 2), 1e307)
    assert_one_line(caught, "step")


@pytest.mark.parametrize("method", METHODS)
def test_step_and_substeps_together(method):
    with pytest.raises(InputError, match="not both") as caught:
        make_integrator(method, step=0.1, substeps=1)
    message = str(caught.value)
    assert "\n" not in message
    assert f"{method!r}" in message
    assert "`substeps` or `step`" in message


def test_auto_is_a_device_and_the_fitting_backend(charged):
    start = charged.sample(12, 4)
    run = advanced("leapfrog", charged, start, 5, device="auto")
    there = "cpu" if not torch.cuda.is_available() else "cuda"
    again = advanced("leapfrog", charged, start, 5, device=there)
    np.testing.assert_array_equal(run.x, again.x)


@pytest.mark.parametrize("device", ["tpu", "cuda:7", ""])
def test_an_unknown_device(charged, device):
    with pytest.raises(InputError, match="auto, cpu, cuda, mps") as caught:
        make_integrator("leapfrog", device=device).start(charged, *charged.sample(11, 2), 0.1)
    assert_one_line(caught, "device")


@pytest.mark.parametrize("backend", ["auto", "numba", "torch"])
def test_a_device_that_is_not_there(charged, monkeypatch, backend):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="not available") as caught:
        make_integrator("leapfrog", device="cuda", backend=backend).start(
            charged, *charged.sample(11, 2), 0.1
        )
    assert_one_line(caught, "device")


def test_a_device_without_double_precision(charged, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(InputError, match="float64") as caught:
        make_integrator("leapfrog", device="mps").start(charged, *charged.sample(11, 2), 0.1)
    assert_one_line(caught, "device")
    assert str(caught.value).endswith("use cpu")


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_numba_runs_on_the_cpu_only(charged, monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(InputError, match="'cuda'") as caught:
        make_integrator("leapfrog", device=device, backend="numba").start(
            charged, *charged.sample(11, 2), 0.1
        )
    assert_one_line(caught, "backend")


# Threads


class CancelError(Exception):
    pass


def test_progress_on_threads(charged):
    ticks = []
    integrator = make_integrator("leapfrog", threads=2)
    carry = integrator.start(charged, *charged.sample(13, 3, 7), 0.1)
    integrator.advance(carry, 6, ticks.append)
    assert ticks == sorted(ticks)
    assert ticks[-1] == 6

    def cancel(done):
        raise CancelError

    with pytest.raises(CancelError):
        integrator.advance(carry, 6, cancel)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_failing_trajectory_leaves_its_block_alone(charged, backend, threads):
    state, particles = charged.sample(14, 3, 10)
    v = np.array(state.v)
    v[4, 0, 1] = 1e308
    spoilt = State(0.0, state.x, v)
    options = {"backend": backend, "threads": threads}
    run = advanced("yoshida4", charged, (spoilt, particles), 40, **options)
    good = advanced("yoshida4", charged, (state, particles), 40, **options)
    others = [b for b in range(10) if b != 4]
    assert run.status.tolist() == [-1 if b == 4 else 0 for b in range(10)]
    assert run.message[4] == f"the state became non-finite after t = {0.1 * run.good[4]:g}"
    assert np.isfinite(run.x).all()
    np.testing.assert_array_equal(run.x[others], good.x[others])
    np.testing.assert_array_equal(run.v[others], good.v[others])


# Refusals


class Dragged(Given):
    """Velocities matter, and there is no magnetic field."""

    name = "dragged"
    velocity_dependent = True


class Gyrating(Dragged):
    name = "gyrating"

    def magnetic_field(self):
        return (0.0, 0.0, 1.0)


class Lawless(Gyrating):
    name = "lawless"

    def force_laws(self):
        return None


@pytest.mark.parametrize(
    ("method", "system", "why", "fitting"),
    [
        *((name, Dragged, "velocity", {"rk4", "dop853"}) for name in SPLITTING),
        *((name, Gyrating, "velocity", {"boris", "rk4", "dop853"}) for name in SPLITTING),
        ("boris", Given, "magnetic field", {"leapfrog", "dop853"}),
        ("boris", Dragged, "magnetic field", {"rk4", "dop853"}),
        *((name, Lawless, "laws", {"dop853"}) for name in METHODS),
    ],
)
def test_refusals_name_what_fits(method, system, why, fitting):
    system = system()
    start = system.sample(15, 2)
    with pytest.raises(InputError, match=why) as caught:
        make_integrator(method).start(system, *start, 0.1)
    assert_one_line(caught, "integrator")
    message = str(caught.value)
    assert message.startswith(f"`integrator` {method} ")
    assert repr(system.name) in message
    named = set(re.split(r", | or ", message.rpartition("use ")[2]))
    assert named == fitting
    for name in named:
        make_integrator(name).start(system, *start, 0.1)


# Laws that nobody compiled before


STRANGER = """
from typing import NamedTuple
import numpy as np
from nbody_surrogate import AbstractSystem, Particles, State, make_integrator, simulate
from nbody_surrogate.contracts.system import FieldLaw, ForceLaws, PairLaw, SystemSpec

class Stiffness(NamedTuple):
    k: float

class Gravity(NamedTuple):
    g: float

def spring(sqrt, where):
    def law(p, r2, charge_i, charge_j, mass_i, mass_j, coupling):
        return -p.k, 0.5 * p.k * r2
    return law

def gravity(sqrt, where):
    def law(p, x, v, charge, mass):
        return (0.0, 0.0, -p.g), mass * p.g * x[2]
    return law

class Springs(AbstractSystem):
    name, Spec = "springs", SystemSpec
    def force_laws(self):
        return ForceLaws(PairLaw(Stiffness(2.0), spring), FieldLaw(Gravity(0.5), gravity))
    def pair_acceleration(self, x, particles):
        r = x[:, :, None] - x[:, None]
        return -2.0 * r.sum(2) / particles.masses[..., None]
    def one_body_acceleration(self, x, v, particles):
        return np.broadcast_to([0.0, 0.0, -0.5], x.shape)
    def potential_energy(self, x, particles): return np.zeros(len(x))
    def _sample(self, rng, n, dimensions): raise NotImplementedError

x, v = np.random.default_rng(0).normal(size=(2, 1, 4, 3))
start = State(0.0, x, v), Particles(np.ones((1, 4)), np.ones((1, 4)))
exact = simulate(Springs(), *start, 10, "dop853").x
torch = make_integrator("rk4", backend="torch")
for method in ("leapfrog", "rk4", "dop853-compiled", torch):
    print(np.abs(simulate(Springs(), *start, 10, method).x - exact).max())
"""

CHARGES = """
from nbody_surrogate import make_system, simulate
system = make_system("charged")
for method in ("leapfrog", "rk4", "dop853-compiled"):
    print(simulate(system, *system.sample(0, 3), 2, method).info.success)
"""


@pytest.mark.slow  # compiles everything again, in a cache of its own
def test_a_strangers_laws_are_compiled_and_leave_no_trace(tmp_path):
    """They run everywhere, and once their module is gone, everything else still runs."""

    def output_of(code):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.split()

    module = tmp_path / "stranger.py"
    module.write_text(STRANGER)
    # (omega tau)^2 over 24 with omega^2 = k N / m = 8 and tau = 0.1 / 16, over a phase of 3
    leapfrog, rk4, compiled, torch = map(float, output_of("import stranger"))
    assert leapfrog < 1e-3
    assert rk4 < 1e-6
    assert compiled < 1e-9
    assert torch < 1e-6
    module.unlink()
    assert output_of(CHARGES) == ["True"] * 3
