"""All built-in systems: parameters, starts, laws, symmetries, conservation; and closed forms.

What every system must do is tested over the registry, so that a new one is covered, or fails
here until its excuse is written down.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from importlib.metadata import entry_points

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.special import ellipk

from nbody_surrogate import InputError, Particles, State, make_system
from nbody_surrogate.contracts.system_spec import SystemSpec
from nbody_surrogate.testing.system_symmetries import IMPLIED, maps

ROUNDING = 1e-12  # of the largest acceleration: a few terms, but of near particles 0.03 apart
GRADIENT = 1e-9  # of the largest force: fourth-order differences with step 1e-3 at distances > 0.8
STEP = 1e-3
SOLVER = 1e-12  # rtol and atol of the solutions below
CONSERVED = 1e-10  # of the kinetic energy or 1: solver's error over 2 time units
CLOSED_FORM = 1e-9  # solver's error over up to 20 time units
BROKEN = 1e-3  # what is not conserved, or not symmetric, is off by more than this
SIGMAS = 5.0  # a sample statistic lies within so many of its standard deviations

NAMES = sorted(
    point.name
    for point in entry_points(group="nbody_surrogate.systems")
    if point.value.startswith("nbody_simulators.")
)
CASES = [
    *((name, {}) for name in NAMES),
    ("trap", {"frequencies": (0.6, 0.6, 1.3)}),
    ("trap", {"frequencies": (0.6, 0.9, 1.3)}),
    ("charged", {"signs": "equal", "charge_range": (0, 2), "mass_range": (0.5, 3)}),
    ("penning", {"charge_range": (0.5, 2), "mass_range": (0.5, 3)}),
]
AXIS = {"pendulum": 1}  # of the axial symmetries; z for all others

every_system = pytest.mark.parametrize("name", NAMES)
every_case = pytest.mark.parametrize(
    ("name", "parameters"), CASES, ids=["-".join([n, *map(str, p.values())]) for n, p in CASES]
)
both_dimensions = pytest.mark.parametrize("dimensions", [2, 3])


@functools.cache
def class_of(name):
    return type(make_system(name))


def build(name, **parameters):
    """Do as `make_system`, which looks through all that is installed each time."""
    return class_of(name)(**parameters)


def somewhere(system, seed, dimensions, n=4, near=True):
    """Particles of unequal charges and masses, one apart from another; the first two near.

    The couplings are not 0 or 1 alone, where the system has any.
    """
    rng = np.random.default_rng(seed)
    corners = np.array(list(itertools.product((-0.8, 0.8), repeat=dimensions)))[:n]
    x = corners + rng.uniform(-0.3, 0.3, size=corners.shape)
    if near and n > 1:
        towards = rng.normal(size=dimensions)
        x[1] = x[0] + 0.03 * towards / np.linalg.norm(towards)
    charges = rng.choice([-1, 1], size=n) * rng.uniform(0.5, 2, size=n)
    bonds = rng.uniform(-1, 1, size=(n, n))
    bonded = system.sample(0, 1)[1].couplings is not None
    return (
        x[None],
        rng.normal(size=(1, n, dimensions)),
        Particles(charges[None], rng.uniform(0.5, 3, size=(1, n)), (bonds + bonds.T)[None])
        if bonded
        else Particles(charges[None], rng.uniform(0.5, 3, size=(1, n))),
    )


def scale_of(values):
    return max(abs(values).max(), 1.0)


def solution(system, state, particles, times):
    """Positions and velocities (T, N, D) of one trajectory by a solver that knows no system."""
    shape, half = state.x.shape, state.x.size

    def right_hand_side(t, y):
        a = system.acceleration(y[:half].reshape(shape), y[half:].reshape(shape), particles)
        return np.concatenate([y[half:], a.ravel()])

    start = np.concatenate([state.x.ravel(), state.v.ravel()])
    found = solve_ivp(
        right_hand_side,
        (0, times[-1]),
        start,
        method="DOP853",
        t_eval=times,
        rtol=SOLVER,
        atol=SOLVER,
    )
    assert found.success
    x, v = found.y[:half].T, found.y[half:].T
    return x.reshape(-1, *shape[1:]), v.reshape(-1, *shape[1:])


def one_line(caught, *parts):
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


# Parameters

SAMPLER = "sampler: "
"""How the descriptions of parameters begin that do not enter the equations of motion."""

WRONG = {
    "charged": [("softening", -0.1, ">= 0"), ("charge_range", (3, 1), "0 <= lo <= hi")],
    "charged-clipped": [("clip", 0.0, "> 0"), ("spread", 0.0, "> 0"), ("softening", 0.1, "clip")],
    "gravity": [("softening", -0.1, ">= 0"), ("mass_range", (0, 1), "0 < lo <= hi")],
    "oscillator": [("frequency", 0.0, "> 0")],
    "pendulum": [
        ("gravity", 0.0, "> 0"),
        ("length", -1.0, "> 0"),
        ("amplitude", 3.2, "<= 3.14159"),
        ("speed", -0.1, ">= 0"),
    ],
    "penning": [("softening", -0.1, ">= 0"), ("mass_range", (2, 1), "0 < lo <= hi")],
    "springs": [("stiffness", -0.1, ">= 0")],
    "trap": [("frequencies", (1, 1, -1), ">= 0"), ("mass_range", (-1, 1), "0 < lo <= hi")],
}


def own_fields(name):
    """Fields of the system's own, by name."""
    fields = class_of(name).Spec.model_fields
    return {key: field for key, field in fields.items() if key not in SystemSpec.model_fields}


@every_system
def test_an_unknown_parameter_is_one_line_with_the_known_ones(name):
    with pytest.raises(InputError) as caught:
        build(name, nonsense=1.0)
    one_line(caught, "`nonsense`", f"system {name!r}", *own_fields(name), "frame_dt")


@every_system
def test_parameters_out_of_range_are_one_line(name):
    for key, value, range_ in WRONG[name]:
        with pytest.raises(InputError) as caught:
            build(name, **{key: value})
        one_line(caught, f"`{key}", f"system {name!r}", range_)


@every_system
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "much"])
def test_every_parameter_must_be_a_finite_number_or_of_its_kind(name, value):
    for key, field in own_fields(name).items():
        wrong = (value,) * len(field.default) if isinstance(field.default, tuple) else value
        with pytest.raises(InputError) as caught:
            build(name, **{key: wrong})
        one_line(caught, f"`{key}", f"system {name!r}")


@every_system
def test_every_parameter_is_described(name):
    assert all(field.description for field in own_fields(name).values())


@every_case
def test_parameters_survive_json(name, parameters):
    spec = build(name, **parameters).spec
    assert type(spec)(**json.loads(spec.model_dump_json())) == spec


def altered(value):
    """Another valid value of a parameter."""
    if isinstance(value, tuple):
        return tuple(1.3 * part + 0.1 * k for k, part in enumerate(value))
    if isinstance(value, bool):
        return not value
    return 1.3 * value if isinstance(value, float) else "equal"


@every_system
def test_every_parameter_acts_on_the_forces_or_on_the_starts_as_described(name):
    system = build(name)
    x, v, particles = somewhere(system, 1, 3)
    forces, starts = system.acceleration(x, v, particles), drawn(system)
    for key, field in own_fields(name).items():
        other = build(name, **{key: altered(field.default)})
        of_sampler = field.description.startswith(SAMPLER)
        same = np.array_equal(other.acceleration(x, v, particles), forces)
        assert same == of_sampler, key
        assert np.array_equal(drawn(other), starts) != of_sampler, key


def drawn(system):
    """All numbers of a start in one row; with spread 1, N = 40 reaches the walls."""
    state, particles = system.sample(2, 40)
    parts = (state.x, state.v, particles.charges, particles.masses)
    return np.concatenate([part.ravel() for part in parts])


# Starts


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
    for value in system.invariants(state.x, state.v, particles):
        assert np.isfinite(value).all()


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


# The laws


def dense(laws, x, v, particles, library):
    """Accelerations (B, N, D) and energies (B,) from dense arrays of a library."""
    total, energy = [library.zeros_like(x[0]) for _ in range(3)], library.zeros_like(x[0])
    q, m = particles["charges"], particles["masses"]
    if laws.pair is not None:
        law = laws.pair.factory(library.sqrt, library.where)
        separation = [c[:, :, None] - c[:, None, :] for c in x]
        r2 = sum(c * c for c in separation)
        per_i, per_j = (slice(None), slice(None), None), (slice(None), None, slice(None))
        bonds = particles.get("couplings", library.ones_like(r2))
        force, pairs = law(laws.pair.parameters, r2, q[per_i], q[per_j], m[per_i], m[per_j], bonds)
        other = ~library.eye(r2.shape[1], dtype=bool)
        force, zero = force + 0 * bonds, library.zeros_like(r2)  # Hooke's does not depend on r2
        force, pairs = library.where(other, force, zero), library.where(other, pairs, zero)
        total = [library.clip((force * c).sum(2), -laws.clip, laws.clip) / m for c in separation]
        energy = energy + 0.5 * pairs.sum(2)
    if laws.field is not None:
        law = laws.field.factory(library.sqrt, library.where)
        field, own = law(laws.field.parameters, x, v, q, m)
        total = [a + b for a, b in zip(total, field, strict=True)]
        energy = energy + own
    return np.stack([np.asarray(c) for c in total], 2), np.asarray(energy.sum(1))


def components(values):
    """Bring (B, N, D) to three arrays (B, N)."""
    padded = np.zeros((*values.shape[:2], 3))
    padded[..., : values.shape[2]] = values
    return tuple(np.ascontiguousarray(padded[..., d]) for d in range(3))


def arrays_of(particles):
    return {key: value.copy() for key, value in vars(particles).items() if value is not None}


def one_by_one(laws, x, v, particles):
    """Accelerations (N, 3) and energy of the first trajectory in plain floats."""

    def where(condition, yes, no):
        return yes if condition else no

    q, m = particles.charges[0].tolist(), particles.masses[0].tolist()
    places, velocities = (np.stack([c[0] for c in each], 1).tolist() for each in (x, v))
    n, energy, accelerations = len(q), 0.0, []
    for i in range(n):
        force, a = [0.0] * 3, [0.0] * 3
        for j in range(n) if laws.pair is not None else ():
            if i != j:
                law = laws.pair.factory(math.sqrt, where)
                r = [places[i][d] - places[j][d] for d in range(3)]
                bond = 1.0 if particles.couplings is None else float(particles.couplings[0, i, j])
                r2 = sum(c * c for c in r)
                size, own = law(laws.pair.parameters, r2, q[i], q[j], m[i], m[j], bond)
                force = [f + size * c for f, c in zip(force, r, strict=True)]
                energy += 0.5 * own
        if laws.field is not None:
            law = laws.field.factory(math.sqrt, where)
            a, own = law(laws.field.parameters, tuple(places[i]), tuple(velocities[i]), q[i], m[i])
            energy += own
        clipped = [min(max(f, -laws.clip), laws.clip) / m[i] for f in force]
        accelerations.append([f + c for f, c in zip(clipped, a, strict=True)])
    return np.array(accelerations), energy


@every_case
@both_dimensions
def test_the_law_is_the_same_in_python_numpy_torch_and_numba(name, parameters, dimensions):
    system = build(name, **parameters)
    x, v, particles = somewhere(system, 14, dimensions)
    laws, place, velocity = system.force_laws(), components(x), components(v)
    arrays = arrays_of(particles)
    with np.errstate(divide="ignore", invalid="ignore"):  # of a particle with itself
        by_numpy = dense(laws, place, velocity, arrays, np)
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
    by_torch = dense(
        laws, *(tuple(map(torch.from_numpy, each)) for each in (place, velocity)), tensors, torch
    )
    by_python = one_by_one(laws, place, velocity, particles)
    a = system.acceleration(x, v, particles)
    energy = system.potential_energy(x, particles)
    for found, total in (by_numpy, by_torch, (by_python[0][None], by_python[1])):
        np.testing.assert_allclose(
            found[..., :dimensions], a, rtol=0, atol=ROUNDING * scale_of(a), err_msg=name
        )
        np.testing.assert_allclose(total, energy, rtol=0, atol=ROUNDING * scale_of(energy))
        assert (found[..., dimensions:] == 0).all()


@every_system
def test_own_laws_are_known_to_compiled_code_and_can_be_cached(name):
    from nbody_simulators.kernels.compiled_laws import _laws, is_own

    laws = build(name).force_laws()
    parts = [law.parameters for law in (laws.pair, laws.field) if law is not None]
    assert parts
    assert is_own(*parts)
    for parameters in parts:
        assert type(parameters) in _laws
        assert all(type(value) is float for value in parameters)


CONSTRAINED = {"pendulum": "the rod's force has no potential; its energy is tested by solution"}


@every_case
@both_dimensions
def test_force_is_minus_the_gradient_of_the_energy(name, parameters, dimensions):
    if name in CONSTRAINED:
        pytest.skip(CONSTRAINED[name])
    system = build(name, **parameters)
    x, _, particles = somewhere(system, 15, dimensions, near=False)  # nothing is clipped
    gradient = np.empty_like(x)
    for at in np.ndindex(x.shape):
        energies = []
        for by in (1, -1, 2, -2):
            moved = x.copy()
            moved[at] += by * STEP
            energies.append(system.potential_energy(moved, particles)[0])
        gradient[at] = (8 * (energies[0] - energies[1]) - energies[2] + energies[3]) / (12 * STEP)
    at_rest = system.acceleration(x, np.zeros_like(x), particles)
    forces = particles.masses[..., None] * at_rest
    assert abs(forces).max() > 0.1
    np.testing.assert_allclose(forces, -gradient, rtol=0, atol=GRADIENT * scale_of(forces))


@every_case
@both_dimensions
def test_dependence_on_velocity_is_as_declared(name, parameters, dimensions):
    system = build(name, **parameters)
    x, v, particles = somewhere(system, 16, dimensions)
    change = system.acceleration(x, v, particles) - system.acceleration(x, 0 * v, particles)
    assert (abs(change).max() > BROKEN) == system.velocity_dependent
    field = system.magnetic_field()
    if field is not None:
        padded = np.stack(components(v), 2)
        ratio = (particles.charges / particles.masses)[..., None]
        turning = ratio * np.cross(padded, field)
        np.testing.assert_allclose(change, turning[..., :dimensions], rtol=0, atol=ROUNDING)
        power = particles.masses[..., None] * change * v
        np.testing.assert_allclose(power.sum(2), 0, atol=ROUNDING)


def test_systems_with_a_magnetic_field():
    assert [name for name in NAMES if build(name).magnetic_field()] == ["penning"]
    assert build("penning", magnetic_field=-2.5).magnetic_field() == (0.0, 0.0, -2.5)


# Symmetries


SYMMETRIES = [
    "axial-reflection",
    "axial-rotation",
    "boost",
    "charge-conjugation",
    "midplane-reflection",
    "permutation",
    "reflection",
    "rotation",
    "time-reversal",
    "translation",
]
BY_SIGNATURE = {"time-shift"}  # no law is handed the time


def holds(system, symmetry):
    return bool({symmetry, IMPLIED.get(symmetry, symmetry)} & system.symmetries)


def violation(system, symmetry, dimensions, seed):
    """By how much accelerations and energies do not follow a symmetry, over their size."""
    x, v, particles = somewhere(system, seed, dimensions)
    a, energy = system.acceleration(x, v, particles), system.potential_energy(x, particles)
    rng, axis = np.random.default_rng(seed), AXIS.get(system.name, 2)
    of_forces, of_energy = [0.0], [0.0]
    for each in maps(symmetry, rng, dimensions, x.shape[1], axis):
        y, w, others = each.states(x, v, particles)
        b, other = system.acceleration(y, w, others), system.potential_energy(y, others)
        of_forces.append(abs(b - each.vectors(a)).max() / scale_of(a))
        of_energy.append(abs(other - energy).max() / scale_of(energy))
    return max(of_forces), max(of_energy)


@every_case
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_symmetries_hold_where_declared_and_nowhere_else(name, parameters, symmetry):
    system = build(name, **parameters)
    if holds(system, symmetry):
        for dimensions, seed in itertools.product((2, 3), (17, 18)):
            of_forces, of_energy = violation(system, symmetry, dimensions, seed)
            assert of_forces < 10 * ROUNDING  # a turn takes a few more operations
            assert of_energy < 10 * ROUNDING
    else:
        assert max(violation(system, symmetry, 3, seed)[0] for seed in (17, 18)) > BROKEN


@every_case
def test_every_declared_symmetry_is_tested_and_declared_once(name, parameters):
    declared = build(name, **parameters).symmetries
    assert declared <= {*SYMMETRIES, *BY_SIGNATURE}
    assert {"permutation", *BY_SIGNATURE} <= declared
    assert not {weak for weak, strong in IMPLIED.items() if {weak, strong} <= declared}


def test_symmetries_of_the_trap_follow_its_frequencies():
    def of(*frequencies):
        return build("trap", frequencies=frequencies)

    assert "rotation" in of(0.7, 0.7, 0.7).symmetries
    assert "axial-rotation" in of(0.7, 0.7, 0.2).symmetries
    for other in (of(0.2, 0.7, 0.7), of(0.7, 0.2, 0.7), of(0.1, 0.2, 0.3)):
        assert not {"rotation", "axial-rotation"} & other.symmetries
        assert other.conserved == {"energy"}
    assert of(0.7, 0.7, 0.2).conserved == {"energy"}
    assert of(0.7, 0.7, 0.7).conserved == {"energy", "angular_momentum"}


# Conservation


def eventful(system, dimensions):
    """A start in which all that can change does: clipped charges begin at a close encounter."""
    state, particles = system.sample(19, 3, 1, dimensions)
    if system.name == "charged-clipped":
        x = [[0.0, 0.0, 0.0], [0.03, 0.02, 0.01], [-0.2, 0.3, 0.4]]
        state = State(0.0, np.array([x])[..., :dimensions], state.v)
        particles = Particles([[1.0, 1.0, -1.0]], [[1.0, 1.0, 1.0]])
    return state, particles


@every_case
@both_dimensions
def test_constants_of_motion_are_those_declared(name, parameters, dimensions):
    system = build(name, **parameters)
    state, particles = eventful(system, dimensions)
    x, v = solution(system, state, particles, np.linspace(0, 2, 21))
    rows = [system.invariants(x[k][None], v[k][None], particles) for k in range(21)]
    scale = max(1.0, max(row.kinetic[0] for row in rows))
    for quantity in ("energy", "momentum", "angular_momentum"):
        values = np.array([getattr(row, quantity) for row in rows])
        drift = abs(values - values[0]).max() / scale
        if quantity in system.conserved:
            assert drift < CONSERVED, quantity
        elif dimensions == 3:  # in the plane, an axis is a point, and more is conserved
            assert drift > BROKEN, quantity


# Closed forms


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
