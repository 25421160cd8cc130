"""Laws of all built-in systems: in every library the same, symmetric and conserving as declared."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from built_in_systems import (
    NAMES,
    ROUNDING,
    both_dimensions,
    build,
    every_case,
    every_system,
    solution,
    somewhere,
)
from nbody_surrogate import Particles, State
from nbody_surrogate.testing.system_symmetries import IMPLIED, maps

GRADIENT = 1e-9  # of the largest force: fourth-order differences with step 1e-3 at distances > 0.8
STEP = 1e-3
CONSERVED = 1e-10  # of the kinetic energy or 1: solver's error over 2 time units
BROKEN = 1e-3  # what is not conserved, or not symmetric, is off by more than this
AXIS = {"pendulum": 1}  # of the axial symmetries; z for all others


def scale_of(values):
    return max(abs(values).max(), 1.0)


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
    if laws.directed is not None:
        law = laws.directed.factory(library.sqrt, library.where)
        gaps = [c[:, :, None] - c[:, None, :] for c in x]
        both = q[:, :, None], q[:, None, :], m[:, :, None], m[:, None, :]
        other = ~library.eye(gaps[0].shape[1], dtype=bool)
        pulls = [each * other for each in law(laws.directed.parameters, *gaps, *both)]
        total = [a + pull.sum(2) / m for a, pull in zip(total, pulls, strict=True)]
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
        pull = directed_by_hand(laws, places, q, m, i)
        accelerations.append([f + g + c for f, g, c in zip(clipped, pull, a, strict=True)])
    return np.array(accelerations), energy


def directed_by_hand(laws, places, q, m, i):
    """The acceleration of particle i by a directed law, in plain floats."""
    total = [0.0] * 3
    for j in range(len(q)) if laws.directed is not None else ():
        if i != j:
            law = laws.directed.factory(
                math.sqrt, lambda condition, yes, no: yes if condition else no
            )
            d = [places[i][k] - places[j][k] for k in range(3)]
            force = law(laws.directed.parameters, *d, q[i], q[j], m[i], m[j])
            total = [a + f / m[i] for a, f in zip(total, force, strict=True)]
    return total


@every_case
@both_dimensions
def test_the_law_is_the_same_in_python_numpy_torch_and_numba(name, parameters, dimensions):
    system = build(name, **parameters)
    x, v, particles = somewhere(system, 14, dimensions)
    if (laws := system.force_laws()) is None:
        pytest.skip("forces are not written as laws")
    place, velocity = components(x), components(v)
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
        if system.has_potential:
            np.testing.assert_allclose(total, energy, rtol=0, atol=ROUNDING * scale_of(energy))
        if name != "dust":  # whose wakes and weights pull out of a plane, which is left out
            assert (found[..., dimensions:] == 0).all()


@every_system
def test_own_laws_are_known_to_compiled_code_and_can_be_cached(name):
    from nbody_simulators.kernels.compiled_laws import is_own
    from nbody_simulators.kernels.known_laws import factory_of

    if (laws := build(name).force_laws()) is None:
        pytest.skip("forces are not written as laws")
    every = (laws.pair, laws.field, laws.directed)
    parts = [law.parameters for law in every if law is not None]
    assert parts
    assert is_own(*parts)
    for parameters in parts:
        assert factory_of(type(parameters)) is not None
        assert all(type(value) is float for value in parameters)


CONSTRAINED = {"pendulum": "the rod's force has no potential; its energy is tested by solution"}


@every_case
@both_dimensions
def test_force_is_minus_the_gradient_of_the_energy(name, parameters, dimensions):
    if name in CONSTRAINED:
        pytest.skip(CONSTRAINED[name])
    system = build(name, **parameters)
    if not system.has_potential:
        pytest.skip("directed forces have none")
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
        if system.has_potential:
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


def test_dust_without_wakes_alone_has_the_symmetries_of_charges_in_its_pairs():
    assert build("dust", wake_charge=0.0).pair_symmetries == build("charged").symmetries
    free = dict.fromkeys(("drag", "gravity", "radial", "vertical"), 0.0)
    assert build("dust", **free).symmetries == build("dust").pair_symmetries


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
    energy = ("energy",) if system.has_potential else ()
    for quantity in (*energy, "momentum", "angular_momentum"):
        values = np.array([getattr(row, quantity) for row in rows])
        drift = abs(values - values[0]).max() / scale
        if quantity in system.conserved:
            assert drift < CONSERVED, quantity
        elif dimensions == 3:  # in the plane, an axis is a point, and more is conserved
            assert drift > BROKEN, quantity
