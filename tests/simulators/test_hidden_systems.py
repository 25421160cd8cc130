"""Systems whose states hold more than positions and velocities: closed forms, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

import nbody_surrogate as nb
from built_in_systems import HIDDEN, build, every_hidden_one
from nbody_simulators.systems.ties import strength
from nbody_surrogate.contracts import InputError, Particles, State
from nbody_surrogate.registry.registry import names

SOLVER = {"rtol": 1e-11, "atol": 1e-11}
CLOSE = 1e-8
AWAY = np.array([5.0, -3.0, 2.0])


def run(system, state, particles, frames, dt, method="dop853", **options):
    """All frames, the first included: x, v, and what is hidden."""
    options = options or SOLVER
    integrator = nb.make_integrator(method, segment=frames, **options)
    carry = integrator.start(system, state, particles, dt)
    made = integrator.advance(carry, frames)
    assert (made.status == 0).all(), made.message
    first = {name: y[:, None] for name, y in state.hidden.items()}
    hidden = {name: np.concatenate([first[name], y], 1) for name, y in made.hidden.items()}
    x, v = (np.concatenate([y[:, None], z], 1) for y, z in ((state.x, made.x), (state.v, made.v)))
    return x, v, hidden


def one(x, v, charges=None, masses=None, **hidden):
    """One trajectory, without its axis."""
    x, v = np.asarray(x, float), np.asarray(v, float)
    n = len(x)
    state = State(0.0, x, v, hidden={name: np.asarray(y, float) for name, y in hidden.items()})
    ones = np.ones((1, n))
    return state, Particles(
        ones if charges is None else np.array([charges]),
        ones if masses is None else np.array([masses]),
    )


def turned(dimensions=3, seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dimensions, dimensions)))
    return q  # a rotation or a reflection: both are symmetries


@every_hidden_one
@pytest.mark.parametrize("dimensions", [2, 3])
def test_turned_starts_turn_the_motion(name, dimensions):
    system, q = build(name), turned(dimensions)
    state, particles = system.sample(3, 4, dimensions=dimensions)
    vectors = {each.name for each in system.hidden_variables if "D" in each.shape}
    hidden = {key: y @ q.T if key in vectors else y for key, y in state.hidden.items()}
    other = State(0.0, state.x @ q.T, state.v @ q.T, hidden=hidden)
    x, v, _ = run(system, state, particles, 10, 0.1)
    y, u, _ = run(system, other, particles, 10, 0.1)
    np.testing.assert_allclose(y, x @ q.T, atol=CLOSE)
    np.testing.assert_allclose(u, v @ q.T, atol=CLOSE)


@every_hidden_one
def test_renumbered_particles_move_alike(name):
    system, order = build(name), [2, 0, 3, 1]
    state, particles = system.sample(4, 4)
    of_pairs = {each.name for each in system.hidden_variables if "N" in each.shape}
    hidden = {
        key: y[:, order][:, :, order] if key in of_pairs else y[:, order]
        for key, y in state.hidden.items()
    }
    other = State(0.0, state.x[:, order], state.v[:, order], hidden=hidden)
    renumbered = Particles(particles.charges[:, order], particles.masses[:, order])
    x, _, _ = run(system, state, particles, 10, 0.1)
    y, _, _ = run(system, other, renumbered, 10, 0.1)
    np.testing.assert_allclose(y, x[:, :, order], atol=CLOSE)


@every_hidden_one
def test_open_space_has_no_origin(name):
    system = build(name, frequency=0.0)
    assert "translation" in system.symmetries
    state, particles = system.sample(5, 4)
    other = State(0.0, state.x + AWAY, state.v, hidden=dict(state.hidden))
    x, _, _ = run(system, state, particles, 10, 0.1)
    y, _, _ = run(system, other, particles, 10, 0.1)
    np.testing.assert_allclose(y, x + AWAY, atol=CLOSE)


@pytest.mark.parametrize("name", ["charging", "ties"])
def test_angular_momentum_is_kept_and_momentum_without_a_trap(name):
    system = build(name)
    assert system.conserved == {"angular_momentum"} and not system.has_potential
    state, particles = system.sample(6, 5)
    x, v, _ = run(system, state, particles, 20, 0.1)
    turning = np.cross(x, v).sum(2)
    np.testing.assert_allclose(turning, turning[:, :1].repeat(21, 1), atol=CLOSE)
    x, v, _ = run(build(name, frequency=0.0), state, particles, 20, 0.1)
    np.testing.assert_allclose(v.sum(2), v[:, :1].sum(2).repeat(21, 1), atol=CLOSE)


@every_hidden_one
def test_runge_kutta_is_of_order_four_and_ends_where_dop853_does(name):
    system = build(name)
    state, particles = system.sample(7, 4, trajectories=2)
    truth, *_ = run(system, state, particles, 5, 0.1)
    errors = []
    for substeps in (8, 16):
        x, *_ = run(system, state, particles, 5, 0.1, "rk4", substeps=substeps)
        errors.append(np.abs(x - truth).max())
    assert errors[1] < 1e-6 and errors[0] / errors[1] == pytest.approx(16.0, rel=0.5)


@every_hidden_one
@pytest.mark.parametrize("n", [2, 5, 7])
def test_bits_do_not_depend_on_the_batch(name, n):
    system, method = build(name), nb.make_integrator("rk4", substeps=4)
    assert system.batch_invariant and method.batch_invariant_for(system)
    for dimensions in (2, 3):
        state, particles = system.sample(0, n, trajectories=9, dimensions=dimensions)
        whole = nb.simulate(system, state, particles, 5, method)
        for b in (0, 4, 8):
            alone = nb.simulate(system, state[b : b + 1], particles[b : b + 1], 5, method)
            np.testing.assert_array_equal(whole.x[b], alone.x[0])
            for key, y in whole.hidden.items():
                np.testing.assert_array_equal(y[b], alone.hidden[key][0])


@every_hidden_one
def test_a_device_needs_laws(name):
    system = build(name)
    with pytest.raises(
        InputError, match=r"^`backend` 'torch' needs forces that are written as laws"
    ):
        nb.simulate(system, *system.sample(0, 3), 1, nb.make_integrator("rk4", backend="torch"))


@every_hidden_one
def test_a_start_without_what_is_hidden_is_refused(name):
    system = build(name)
    state, particles = system.sample(0, 3)
    bare = State(0.0, state.x, state.v)
    with pytest.raises(InputError, match=r"^`state` must hold the hidden variables of system "):
        nb.simulate(system, bare, particles, 1, "dop853")


# charging


def test_a_lone_grain_charges_exponentially():
    system = build("charging", delay=0.7)
    state, particles = one([[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]], charges=[1.5], charge=[0.2])
    _, _, hidden = run(system, state, particles, 20, 0.1)
    times = 0.1 * np.arange(21)
    np.testing.assert_allclose(
        hidden["charge"][0, :, 0], 1.5 - 1.3 * np.exp(-times / 0.7), atol=CLOSE
    )


def test_forces_are_coulombs_by_the_charges_that_grains_have():
    system = build("charging", coupling=1.3, frequency=0.0, softening=0.2)
    state, particles = system.sample(1, 4)
    q = np.array([[0.5, 1.2, -0.3, 2.0]])
    heavy = Particles(particles.charges, np.array([[1.0, 2.0, 3.0, 0.5]]))
    a = system.acceleration(state.x, state.v, heavy, {"charge": q})
    same = nb.make_system("charged", coupling=1.3, softening=0.2)
    np.testing.assert_allclose(
        a, same.acceleration(state.x, state.v, Particles(q, heavy.masses)), atol=1e-12
    )


def test_a_neighbour_discharges_and_charges_settle_where_grains_are_held():
    spec = {"depletion": 0.4, "range": 1.5, "coupling": 1e-12, "frequency": 0.0, "delay": 0.2}
    system = build("charging", **spec)
    state, particles = one([[0.0, 0, 0], [0.9, 0, 0]], np.zeros((2, 3)), charge=[1.0, 1.0])
    _, _, hidden = run(system, state, particles, 60, 0.1)
    s = np.hypot(0.9, 0.1)
    settled = 1.0 / (1.0 + 0.4 * 1.5 * np.exp(-s / 1.5) / s)
    np.testing.assert_allclose(hidden["charge"][0, -1], settled, rtol=1e-9)


def test_without_a_delay_worth_the_name_charges_are_those_of_the_places():
    system = build("charging", delay=0.005, scatter=0.0)
    state, particles = system.sample(2, 4)
    x, _, hidden = run(system, state, particles, 10, 0.1, rtol=1e-8, atol=1e-8)
    lag = hidden["charge"][0] - system.equilibrium(x[0], particles[np.zeros(11, int)])
    assert np.abs(lag).max() < 0.005
    slow = build("charging", delay=1.0, scatter=0.0)
    x, _, hidden = run(slow, state, particles, 10, 0.1)
    lag = hidden["charge"][0] - slow.equilibrium(x[0], particles[np.zeros(11, int)])
    assert np.abs(lag[-1]).max() > 0.01


# bath


def test_the_whole_of_particles_and_oscillators_keeps_its_energy():
    system = build("bath", oscillators=3)
    state, particles = system.sample(8, 4)
    x, v, hidden = run(system, state, particles, 30, 0.1)
    energy = [
        system.whole_energy(x[:, f], v[:, f], particles, {k: y[:, f] for k, y in hidden.items()})[0]
        for f in range(31)
    ]
    np.testing.assert_allclose(energy, energy[0], atol=CLOSE)
    seen = 0.5 * (v**2).sum((2, 3))[0]
    assert np.ptp(seen) > 0.1


def test_one_particle_moves_as_the_linear_equations_say():
    """y' = A y for x, v and the oscillators of one particle along one axis, by its exponential."""
    system = build("bath", frequency=0.8, friction=1.5, memory_time=0.6, oscillators=3)
    state, particles = system.sample(9, 1)
    w, c, count = system.frequencies, system.tie, 3
    a = np.zeros((2 + 2 * count, 2 + 2 * count))
    a[0, 1] = 1.0
    a[1, 0] = -(0.8**2)
    a[1, 2 : 2 + count] = c
    a[2 : 2 + count, 1] = -1.0
    for k in range(count):
        a[2 + k, 2 + count + k] = 1.0
        a[2 + count + k, 2 + k] = -(w[k] ** 2)
    start = np.concatenate(
        [state.x[0], state.v[0], state.hidden["place"][0, 0], state.hidden["speed"][0, 0]]
    )
    x, v, _ = run(system, state, particles, 20, 0.1)
    for frame in (1, 7, 20):
        y = expm(0.1 * frame * a) @ start
        np.testing.assert_allclose(x[0, frame, 0], y[0], atol=CLOSE)
        np.testing.assert_allclose(v[0, frame, 0], y[1], atol=CLOSE)


def test_its_memory_decays_the_better_the_more_oscillators_there_are():
    t = np.linspace(0.0, 1.5, 61)

    def off(count):
        system = build("bath", friction=2.0, memory_time=0.5, oscillators=count)
        memory = system.tie * np.cos(system.frequencies * t[:, None]).sum(1)
        return np.sqrt(((memory - 4.0 * np.exp(-t / 0.5)) ** 2).mean())

    assert off(64) < 0.1 and off(8) > 3 * off(64)


def test_velocities_keep_the_temperature_of_their_starts():
    """A trap alone: all is linear, and a canonical start stays one."""
    system = build("bath", coupling=0.0, temperature=0.4)
    state, particles = system.sample(10, 3, trajectories=300)
    rng = np.random.default_rng(0)
    x = np.sqrt(0.4) / system.spec.frequency * rng.normal(size=state.x.shape)
    start = State(0.0, x, state.v, hidden=dict(state.hidden))
    x, v, _ = run(system, start, particles, 20, 0.1, "rk4", substeps=8)
    error = 0.4 * np.sqrt(2.0 / (300 * 9))
    for frame in (0, 10, 20):
        assert (v[:, frame] ** 2).mean() == pytest.approx(0.4, abs=4 * error)
        assert (x[:, frame] ** 2).mean() == pytest.approx(0.4, abs=4 * error)


# ties


def held(system, r, g, frames, dt=0.05):
    """The progress of a pair that is held r apart."""
    state, particles = one([[0.0, 0, 0], [r, 0, 0]], np.zeros((2, 3)), tie=[[-1.0, g], [g, -1.0]])
    _, _, hidden = run(system, state, particles, frames, dt)
    assert (hidden["tie"][..., 0, 1] == hidden["tie"][..., 1, 0]).all()
    return hidden["tie"][0, :, 0, 1]


def test_a_pair_binds_and_lets_go_after_the_waiting_time():
    still = {"coupling": 0.0, "stiffness": 0.0, "frequency": 0.0, "edge": 0.01, "softening": 1e-6}
    system = build("ties", waiting=0.5, near=0.9, far=1.4, **still)
    binding = held(system, 0.5, -1.0, 20)
    assert binding[10] == pytest.approx(0.0, abs=1e-4)  # at 0.5
    letting_go = held(system, 2.0, 1.0, 20)
    np.testing.assert_allclose(letting_go, -binding, atol=1e-4)


def test_in_between_a_pair_stays_what_it_was():
    still = {"coupling": 0.0, "stiffness": 0.0, "frequency": 0.0, "edge": 0.05}
    system = build("ties", **still)
    for g in (-1.0, 1.0):
        np.testing.assert_allclose(held(system, 1.15, g, 40), g, atol=0.02)


def test_what_is_tied_is_a_spring():
    system = build("ties", coupling=0.0, frequency=0.0, stiffness=2.0, length=0.8, softening=0.05)
    state, particles = one(
        [[0.0, 0, 0], [1.1, 0, 0]], np.zeros((2, 3)), masses=[1.0, 4.0], tie=np.ones((2, 2))
    )
    a = system.acceleration(state.x, state.v, particles, state.hidden)
    s = np.hypot(1.1, 0.05)
    pull = 2.0 * (s - 0.8) * 1.1 / s
    np.testing.assert_allclose(a[0], [[pull, 0, 0], [-pull / 4, 0, 0]], atol=1e-12)
    free = system.acceleration(state.x, state.v, particles, {"tie": -np.ones((1, 2, 2))})
    assert not free.any()


def test_the_strength_of_a_tie_is_a_smooth_step():
    g = np.linspace(-1.5, 1.5, 3001)
    b = strength(g)
    assert b[0] == b[1500] == 0.0 and b[-1] == 1.0 and strength(np.array(0.5)) == 0.5
    slope = np.gradient(b, g)
    assert (slope >= 0).all() and np.abs(np.gradient(slope, g)).max() < 6.0  # no jump in slopes


def test_ties_form_and_break_and_are_drawn():
    system = build("ties")
    state, particles = system.sample(0, 5, trajectories=20)
    _, _, hidden = run(system, state, particles, 60, 0.1, "rk4", substeps=8)
    tied = np.triu(hidden["tie"] > 0.5, 1)
    assert (tied[:, 1:] & ~tied[:, :-1]).any() and (tied[:, :-1] & ~tied[:, 1:]).any()
    (bonds,) = system.scenery(state[:1], particles[:1])
    wanted = np.argwhere(np.triu(strength(state.hidden["tie"][0]), 1))
    np.testing.assert_array_equal(bonds.pairs, wanted)


def test_all_of_them_are_hidden_systems():
    every = names("systems")
    assert set(HIDDEN) == {name for name in every if nb.make_system(name).hidden_variables}


def test_a_pair_has_one_progress_and_none_beyond_where_distances_lead():
    system = build("ties")
    state, particles = system.sample(0, 3)
    uneven = np.array([[[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [-1.0, 1.0, 0.0]]])
    for g, words in ((uneven, "must be symmetric"), (np.full((1, 3, 3), 1e6), "must be from -2")):
        start = State(0.0, state.x, state.v, hidden={"tie": g})
        with pytest.raises(InputError, match=words):
            nb.simulate(system, start, particles, 1, "dop853")


def test_what_another_system_hides_is_told():
    state, particles = build("charging").sample(0, 3)
    with pytest.raises(InputError, match=r"holds the hidden variables `charge`, .* has none; name"):
        nb.simulate(nb.make_system("charged"), state, particles, 1, "dop853")
    with pytest.raises(
        InputError, match=r"^`hidden` must be a mapping of names to arrays, got None"
    ):
        State(0.0, state.x, state.v, hidden=None)
