"""Integrators: closed forms, order, oracles, and a run as a pure function of its start."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from nbody_surrogate import (
    AbstractSystem,
    InputError,
    Particles,
    State,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec

SCIPY = ["dop853", "rk45"]
ADAPTIVE = [*SCIPY, "dop853-compiled"]
ORDERS = {"symplectic-euler": 1, "leapfrog": 2, "yoshida4": 4, "rk4": 4}
FIXED = list(ORDERS)
METHODS = [*ADAPTIVE, *FIXED]  # boris needs a magnetic field: test_fixed_step.py

ROUNDING = 1e-12  # of coordinates of order 1 after some thousand additions
SOLVER = 1e-6  # default tolerances of 1e-9 times the growth of errors over a few periods
TIGHT = {"rtol": 1e-12, "atol": 1e-12}
TIGHT_ERROR = 1e-9  # the same growth at these tolerances
ENERGY = 1e-6  # of the mean kinetic energy: what dop853 is trusted with as the reference
MOMENTUM = 1e-10  # a sum of all velocities, kept by every method to rounding


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


def orthogonal(seed, dimensions):
    """A rotation or a reflection."""
    matrix = np.random.default_rng(seed).normal(size=(dimensions, dimensions))
    return np.linalg.qr(matrix)[0]


def advanced(method, system, start, frames, dt=0.1, **options):
    """The frames of one segment."""
    integrator = make_integrator(method, **options)
    return integrator.advance(integrator.start(system, *start, dt), frames)


def fine(method):
    """Options for a comparison with an exact solution, and the error that they leave.

    A step is 5e-4 and the frequencies of these tests are below 6, so that a method of order p
    leaves (3e-3)^p, times the length of the run.
    """
    if method in ADAPTIVE:
        return TIGHT, TIGHT_ERROR
    error = {1: 1e-2, 2: 1e-5, 4: 1e-9}[ORDERS[method]]
    return {"substeps": 200}, error


def assert_same_bits(first, second):
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.v, second.v)


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
        "yoshida4": angle**4 * phase,
        "rk4": angle**4 * phase / 20,
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


# Time


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 10), st.integers(1, 60))
def test_time_of_a_frame_is_never_a_sum(charged, t0, dt, frames):
    state, particles = State(t0, [[[1.0, 0.0]]], [[[0.0, 1.0]]]), Particles([[1.0]], [[1.0]])
    run = simulate(charged, state, particles, frames, "leapfrog", dt=dt)
    problem = Problem(charged, particles, t0, dt)
    assert run.t.tolist() == [t0 + n * dt for n in range(frames + 1)]
    assert run.t.tolist() == [problem.time(n) for n in range(frames + 1)]


def test_frames_are_where_the_times_say(charged, method):
    """A late start with a spacing that no float holds exactly: x = v (t - t0) on every frame."""
    t0, dt = 1000.1, 0.1
    state, particles = State(t0, [[[0.0, 0.0]]], [[[1.0, -2.0]]]), Particles([[1.0]], [[1.0]])
    run = simulate(charged, state, particles, 120, method, dt=dt)
    np.testing.assert_allclose(run.x[0, :, 0, 0], run.t - t0, rtol=0, atol=ROUNDING)


def test_runs_do_not_depend_on_when_they_start(charged, method):
    state, particles = charged.sample(7, 5)
    later = State(128.0, state.x, state.v)
    error = 0 if method in FIXED else SOLVER
    run, other = (advanced(method, charged, (start, particles), 50) for start in (state, later))
    np.testing.assert_allclose(run.x, other.x, rtol=0, atol=error)


# A run is a pure function of its start: most of it is in test_conformance.py


@pytest.mark.parametrize("method", SCIPY)
def test_a_boundary_hands_on_the_step_size(charged, method):
    """Starting anew from the same frame must search for it again, which takes evaluations."""
    state, particles = charged.sample(25, 4, 2)
    first = advanced(method, charged, (state, particles), 5, segment=5)
    assert (first.carry.arrays["h"] > 0).all()
    goes_on = make_integrator(method, segment=5).advance(first.carry, 5)
    anew = State(0.5, first.x[:, -1], first.v[:, -1])
    starts_again = advanced(method, charged, (anew, particles), 5, segment=5)
    assert goes_on.counters["nfev"] < starts_again.counters["nfev"]
    np.testing.assert_allclose(goes_on.x, starts_again.x, rtol=0, atol=SOLVER)


def test_only_a_whole_segment_can_be_continued(charged, method):
    start = charged.sample(14, 3)
    assert advanced(method, charged, start, 4, segment=5).carry is None
    assert advanced(method, charged, start, 5, segment=5).carry.frame == 5


@pytest.mark.parametrize("method", FIXED)
def test_fixed_steps_do_not_depend_on_segments(charged, method):
    start = charged.sample(15, 5)
    runs = [
        simulate(charged, *start, 30, make_integrator(method, segment=length))
        for length in (1, 7, 50)
    ]
    assert_same_bits(runs[0], runs[1])
    assert_same_bits(runs[0], runs[2])


# External fields


class FieldSpec(SystemSpec):
    field: float = Field(default=2.0, allow_inf_nan=False)


class Magnetic(AbstractSystem):
    """Charges in a uniform magnetic field along z that do not see each other; counts its calls.

    A stranger's: it has forces in NumPy and nothing else.
    """

    name = "magnetic"
    Spec = FieldSpec
    conserved = frozenset({"energy"})
    velocity_dependent = True
    calls = 0

    def pair_acceleration(self, x, particles):
        type(self).calls += 1
        return np.zeros_like(x)

    def one_body_acceleration(self, x, v, particles):
        turn = (self.spec.field * particles.charges / particles.masses)[..., None]
        return turn * np.stack([v[..., 1], -v[..., 0], np.zeros_like(v[..., 0])], axis=-1)

    def potential_energy(self, x, particles):
        return np.zeros(len(x))

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, rng.uniform(0.5, 1, size=n), rng.uniform(1, 2, size=n))


class Trapped(AbstractSystem):
    """Softened charges in a harmonic trap of frequency 1, in NumPy only."""

    name = "trapped"
    Spec = SystemSpec
    charges = make_system("charged")

    def pair_acceleration(self, x, particles):
        return self.charges.pair_acceleration(x, particles)

    def one_body_acceleration(self, x, v, particles):
        return -x

    def potential_energy(self, x, particles):
        trap = 0.5 * (particles.masses[..., None] * x**2).sum((1, 2))
        return self.charges.potential_energy(x, particles) + trap

    def _sample(self, rng, n, dimensions):
        return self.charges._sample(rng, n, dimensions)


@pytest.mark.parametrize("method", SCIPY)
def test_charges_gyrate_in_a_magnetic_field(method):
    system = Magnetic(field=3.0)
    state, particles = system.sample(17, 3)
    run = simulate(system, state, particles, 60, method)
    phase = (3.0 * particles.charges / particles.masses)[..., None] * run.t  # (B, N, T)
    vx, vy, vz = (state.v[..., axis, None] for axis in range(3))
    expected = np.stack(
        [
            vx * np.cos(phase) + vy * np.sin(phase),
            vy * np.cos(phase) - vx * np.sin(phase),
            vz + 0 * phase,
        ],
        axis=-1,
    ).swapaxes(1, 2)
    np.testing.assert_allclose(run.v, expected, rtol=0, atol=SOLVER)


@pytest.mark.parametrize("method", SCIPY)
def test_a_trap_conserves_energy_and_swings_the_centre(method):
    system = Trapped()
    state, particles = system.sample(18, 5)
    run = simulate(system, state, particles, 60, method)
    centre = state.x.mean(1)[:, None] * np.cos(run.t)[:, None]
    centre = centre + state.v.mean(1)[:, None] * np.sin(run.t)[:, None]
    np.testing.assert_allclose(run.x.mean(2), centre, rtol=0, atol=SOLVER)
    before, after = (system.invariants(run.x[:, n], run.v[:, n], particles) for n in (0, -1))
    np.testing.assert_allclose(after.energy, before.energy, rtol=0, atol=10 * SOLVER)


@pytest.mark.parametrize("system", [Magnetic(), Trapped()], ids=lambda system: system.name)
@pytest.mark.parametrize("method", [*FIXED, "boris", "dop853-compiled"])
def test_without_laws_only_scipys_solvers_fit(method, system):
    with pytest.raises(InputError, match="laws") as caught:
        make_integrator(method).start(system, *system.sample(19, 3), 0.1)
    assert_one_line(caught, "integrator")
    message = str(caught.value)
    assert message.startswith(f"`integrator` {method} ")
    assert repr(system.name) in message
    assert message.endswith("use dop853")


@pytest.mark.parametrize("method", SCIPY)
def test_every_force_evaluation_is_counted(method):
    system = Magnetic()
    integrator = make_integrator(method, segment=4)
    carry = integrator.start(system, *system.sample(20, 2, 3), 0.1)
    Magnetic.calls = counted = 0
    while carry is not None:  # two segments, and half of a third
        segment = integrator.advance(carry, 4 if carry.frame < 8 else 2)
        counted, carry = counted + segment.counters["nfev"], segment.carry
        assert 0 < segment.counters["steps"] < segment.counters["nfev"]
    assert counted == Magnetic.calls


@pytest.mark.parametrize(
    ("method", "per_step"),
    [("symplectic-euler", 1), ("leapfrog", 1), ("yoshida4", 3), ("rk4", 4)],
)
def test_fixed_steps_count_by_formula(charged, method, per_step):
    segment = advanced(method, charged, charged.sample(21, 2, 3), 5, substeps=7)
    assert segment.counters == {"nfev": 3 * (5 * 7 * per_step + 1)}


# Progress


def test_progress_rises_to_the_frames(charged, method):
    ticks = []
    integrator = make_integrator(method)
    integrator.advance(integrator.start(charged, *charged.sample(26, 3, 3), 0.1), 8, ticks.append)
    assert ticks == sorted(ticks)
    assert ticks[0] > 0
    assert ticks[-1] == 8


class CancelError(Exception):
    pass


def test_progress_may_cancel(charged, method):
    def cancel(done):
        raise CancelError

    integrator = make_integrator(method)
    carry = integrator.start(charged, *charged.sample(26, 3, 3), 0.1)
    with pytest.raises(CancelError):
        integrator.advance(carry, 8, cancel)


# Failure inside a run


def near_pair(x, v):
    """Squares of their distance underflow to 0, and the forces of the pair are infinite."""
    x[1, 0], x[1, 1] = (0.0, 1e-170, 0.0), (0.0, 0.0, 0.0)


def too_fast(x, v):
    """Not at once, but after two frames of 1, coordinates overflow."""
    x[1], v[1] = 0.0, 0.0
    x[1, :, 0], v[1, :, 0] = (0.0, 1.0, 2.0), 1e308


@pytest.mark.timeout(60)  # a solver may never come back from a force that is not a number
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of overflows, which are meant
@pytest.mark.parametrize("spoil", [near_pair, too_fast])
def test_a_failing_trajectory_leaves_the_others_alone(method, spoil):
    system = make_system("charged", softening=0.0)
    state, _ = system.sample(22, 3, 3)
    particles = Particles([[1.0, -1.0, 1.0]] * 3, np.ones((3, 3)))
    x, v = np.array(state.x), np.array(state.v)
    spoil(x, v)
    state = State(0.0, x, v)
    integrator = make_integrator(method, segment=4)
    run = simulate(system, state, particles, 10, integrator, dt=1.0)
    good = run.info.good[1]
    assert run.info.status == (0, -1, 0)
    assert (run.info.good[0], run.info.good[2]) == (11, 11)
    assert good == 1 or (good == 2 and spoil is too_fast)  # an adaptive solver sees it coming
    assert not run.info.success
    assert run.info.message[0] == run.info.message[2] == ""
    assert run.info.message[1].endswith(f" after t = {good - 1}")
    assert np.isfinite(run.x).all()
    assert np.isfinite(run.v).all()
    for values in (run.x[1], run.v[1]):
        np.testing.assert_array_equal(
            values[good:], np.broadcast_to(values[good - 1], values[good:].shape)
        )
    for b in (0, 2):
        alone = simulate(system, state[b], particles[b], 10, integrator, dt=1.0)
        assert alone.info.success
        np.testing.assert_array_equal(run.x[b], alone.x[0])
        np.testing.assert_array_equal(run.v[b], alone.v[0])


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_collision_ends_a_run_where_it_happens(method):
    """Two unit charges at rest, 2 apart, meet after (pi / 2) sqrt(mu r0^3 / 2 k) = 2.22."""
    system = make_system("charged", softening=0.0)
    x = np.array([[[0.6, 0.0, 0.8], [-0.6, 0.0, -0.8]]])
    start = State(0.0, x, np.zeros_like(x)), Particles([[1.0, -1.0]], [[1.0, 1.0]])
    segment = advanced(method, system, start, 30)
    collision = math.pi / 2 * math.sqrt(0.5 * 8 / 2)
    frames = math.floor(collision / 0.1)
    assert segment.status.tolist() == [-1]
    assert segment.good.tolist() == [frames]
    assert segment.message[0].startswith(f"{method}: ")
    assert segment.message[0].endswith(" after t = 2.2")
    assert "step size" in segment.message[0]
    last = segment.x[:, frames - 1 : frames]
    np.testing.assert_array_equal(segment.x[:, frames:], np.repeat(last, 30 - frames, axis=1))
    assert np.isfinite(segment.x).all()


# Misuse


def start_with(charged, **changes):
    state, particles = charged.sample(23, 3, 2)
    values: dict[str, Any] = {"state": state, "particles": particles, "dt": 0.1, **changes}
    return make_integrator("leapfrog").start(charged, **values)


def assert_one_line(caught, parameter):
    message = str(caught.value)
    assert message.startswith(f"`{parameter}` ")
    assert "\n" not in message


@pytest.mark.parametrize("dt", [0.0, -0.1, math.nan, math.inf])
def test_wrong_frame_spacing(charged, dt):
    with pytest.raises(InputError) as caught:
        start_with(charged, dt=dt)
    assert_one_line(caught, "dt")


def test_a_frame_spacing_that_the_time_would_swallow(charged):
    with pytest.raises(InputError, match="t = 1e\\+17") as caught:
        start_with(charged, state=State(1e17, *charged.sample(23, 3, 2)[0].x[None].repeat(2, 0)))
    assert_one_line(caught, "dt")


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (1.0, 2.0, 3.0)])
def test_charges_at_the_same_place_without_softening(method, place):
    system = make_system("charged", softening=0.0)
    state, particles = system.sample(22, 4, 3)
    x = np.array(state.x)
    x[1, [0, 3]] = place
    state = State(0.0, x, state.v)
    integrator = make_integrator(method)
    with pytest.raises(InputError, match="particles 0 and 3 of trajectory 1") as caught:
        integrator.start(system, state, particles, 0.1)
    assert_one_line(caught, "state")
    assert "'charged'" in str(caught.value)
    integrator.start(make_system("charged"), state, particles, 0.1)  # with softening they may


@pytest.mark.parametrize("shape", [(1, 3), (2, 4), (3, 2)])
def test_particles_that_do_not_fit_the_state(charged, shape):
    with pytest.raises(InputError, match=r"\(2, 3\)") as caught:
        start_with(charged, particles=Particles(np.ones(shape), np.ones(shape)))
    assert_one_line(caught, "particles")


@pytest.mark.parametrize("frames", [-1, 0, 6])
def test_wrong_number_of_frames(charged, method, frames):
    with pytest.raises(InputError, match="5") as caught:
        advanced(method, charged, charged.sample(24, 2), frames, segment=5)
    assert_one_line(caught, "frames")


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        *((name, "stride", 2) for name in METHODS),
        *((name, "segment", 0) for name in METHODS),
        *((name, "rtol", 1e-9) for name in FIXED),
        *((name, "substeps", value) for name in FIXED for value in (0, -1, 1.5, 10**400)),
        *((name, "step", value) for name in FIXED for value in (0.0, -0.1, math.nan, math.inf)),
        *((name, "threads", 0) for name in (*FIXED, "dop853-compiled")),
        *((name, "threads", 2) for name in SCIPY),
        ("leapfrog", "backend", "jax"),
        *((name, "substeps", 4) for name in ADAPTIVE),
        *((name, "rtol", value) for name in ADAPTIVE for value in (0.0, -1e-9, 1e-15, math.nan)),
        *((name, "atol", value) for name in ADAPTIVE for value in (0.0, -1e-9, math.inf)),
    ],
)
def test_wrong_options(method, option, value):
    with pytest.raises(InputError, match=method) as caught:
        make_integrator(method, **{option: value})
    assert_one_line(caught, option)
