"""What every system must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nbody_surrogate.contracts.capabilities import RANDOM_KICKS
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.violations import array_of
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.testing.case import SystemCase
from nbody_surrogate.testing.check import skip
from nbody_surrogate.testing.needs import (
    NEEDS_CHECKS,
    ROUNDING,
    moved_by_periods,
    relative_difference,
)
from nbody_surrogate.testing.scenery import check_scenery
from nbody_surrogate.testing.system_symmetries import IMPLIED, SYMMETRIES, maps

__all__ = ["SYSTEM_CHECKS"]

BROKEN = 1e-6
"""Relative: a symmetry that is off by less is one; a drift of less than this is none."""

CLOSE = 0.05  # a cloud that is so much smaller has forces that are clipped, where any are

FRAMES = 10  # over which constants of motion must be constant


def check_parameters(case: SystemCase) -> None:
    """Parameters, as a run stores them, make the same system again."""
    stored = case.system.spec.model_dump(mode="json")
    again = make_system(case.origin.name, **stored).spec.model_dump(mode="json")
    case.demand(again == stored, f"must be the same from JSON, {stored} became {again}", "Spec")


def check_starts(case: SystemCase) -> None:
    """Starts are finite, for any N, in two dimensions and in three, with finite forces."""
    for n in (1, 2, 5):
        for dimensions in case.dimensions:
            state, particles = case.system.sample(0, n, 2, dimensions)
            forces = case.forces(state, particles)
            what = f"must be finite at a sampled start of N = {n} in {dimensions} dimensions"
            case.demand(np.isfinite(forces).all(), what, "pair_acceleration")


def check_sampling(case: SystemCase) -> None:
    """A start depends on its seed and its number alone."""
    first, again = (case.system.sample(3, 4, 3)[0] for _ in range(2))
    alone, _ = case.system.sample(3, 4, 1, first=2)
    same = np.array_equal(first.x, again.x) and np.array_equal(first.v, again.v)
    case.demand(same, "must draw from the generator that it is handed only", "_sample")
    same = np.array_equal(first.x[2], alone.x[0]) and np.array_equal(first.v[2], alone.v[0])
    case.demand(same, "must not remember what it drew before", "_sample")
    other, _ = case.system.sample(4, 4, 3)
    what = "must draw another start for another seed"
    case.demand(not np.array_equal(first.x, other.x), what, "_sample")


def check_forces(case: SystemCase) -> None:
    """Forces and energies are the same bits each time, and change nothing that is handed in."""
    state, particles = case.system.sample(1, 4, 2)
    first, again = (case.forces(state, particles) for _ in range(2))
    what = "must be the same bits each time"
    case.demand(np.array_equal(first, again), what, "pair_acceleration")
    x, v = state.x.copy(), state.v.copy()
    opened = replace(particles)
    case.system.acceleration(x, v, opened, state.hidden)
    case.system.invariants(x, v, opened)
    same = np.array_equal(x, state.x) and np.array_equal(v, state.v)
    case.demand(same, "must leave its input as it is, it changed x or v", "pair_acceleration")


def check_batch(case: SystemCase) -> None:
    """Forces and energies of a trajectory do not depend on the others of the batch."""
    state, particles = case.system.sample(2, 4, 3)
    forces = case.forces(state, particles)
    energy = case.system.invariants(state.x, state.v, particles).energy
    for b in range(3):
        one, few = state[b], particles[b]
        off = relative_difference(forces[b : b + 1], case.forces(one, few))
        what = f"must treat each trajectory by itself; alone, trajectory {b} differs by {off:.1e}"
        case.demand(off <= ROUNDING, what, "pair_acceleration")
        if not case.system.has_potential:
            continue
        lone = case.system.invariants(one.x, one.v, few).energy
        off = relative_difference(energy[b : b + 1], lone)
        what = f"must treat each trajectory by itself; alone, trajectory {b} differs by {off:.1e}"
        case.demand(off <= ROUNDING, what, "potential_energy")


def check_velocities(case: SystemCase) -> None:
    """Forces depend on velocities where `velocity_dependent` says so, and nowhere else."""
    state, particles = case.system.sample(4, 4, 2)
    plain = case.forces(state, particles)
    other = case.forces(replace(state, v=2.0 * state.v + 0.3), particles)
    off, said = relative_difference(plain, other), case.system.velocity_dependent
    does = "do" if off > BROKEN else "do not"
    what = f"must say whether forces depend on velocity; it is {said}, and they {does}"
    case.demand(said == (off > BROKEN), what, "velocity_dependent")


def check_laws(case: SystemCase) -> None:
    """Where forces are written as laws too, they are the same forces."""
    laws = case.system.force_laws()
    if laws is None:
        raise skip("forces are not written as laws")
    state, particles = case.system.sample(5, 4, 2)
    wanted = case.system.pair_acceleration(state.x, particles)
    if laws.has_pairs:
        found = np.zeros_like(wanted)
        if laws.pair is not None:
            law = laws.pair.factory(np.sqrt, np.where)
            found += _by_law(law, laws.pair.parameters, state, particles)
        found = np.clip(found, -laws.clip, laws.clip)
        if laws.directed is not None:
            law = laws.directed.factory(np.sqrt, np.where)
            found += _by_directed_law(law, laws.directed.parameters, state, particles)
        off = relative_difference(wanted, found / particles.masses[..., None])
        what = f"must be the forces of `pair_acceleration`, they differ by {off:.1e}"
        case.demand(off <= ROUNDING, what, "force_laws")
    if laws.field is not None:
        off = _field_error(case, state, particles)
        what = f"must be the forces of `one_body_acceleration`, they differ by {off:.1e}"
        case.demand(off <= ROUNDING, what, "force_laws")


def check_directed(case: SystemCase) -> None:
    """Where forces are directed, there is no potential."""
    laws = case.system.force_laws()
    if laws is None or laws.directed is None:
        raise skip("no law is directed")
    what = "must be False where a law is directed, which has no energy"
    case.demand(not case.system.has_potential, what, "has_potential")
    what = "must not hold 'energy' where a law is directed, which has none"
    case.demand("energy" not in case.system.conserved, what, "conserved")


def check_bath(case: SystemCase) -> None:
    """Rates of drag are those of the forces, and there where a bath kicks."""
    state, particles = case.system.sample(9, 4, 2)
    rates = case.system.checked_drag_rates(particles)
    temperature = case.system.bath_temperature
    what = f"must be finite and at least 0, got {temperature}"
    case.demand(np.isfinite(temperature) and temperature >= 0, what, "bath_temperature")
    if rates is None:
        case.demand(temperature == 0, "must return rates where a bath kicks", "drag_rates")
        raise skip("there is no bath")
    what = "must return finite rates of at least 0"
    case.demand((np.isfinite(rates) & (rates >= 0)).all(), what, "drag_rates")
    rest = case.forces(replace(state, v=np.zeros_like(state.v)), particles)
    off = relative_difference(case.forces(state, particles), rest - rates[..., None] * state.v)
    what = f"must tell all that forces do with velocities, they are off by {off:.1e}"
    case.demand(off <= ROUNDING, what, "drag_rates")


def check_conserved(case: SystemCase) -> None:
    """What is declared as conserved is, along a solution by dop853; in a bath nothing is."""
    from nbody_surrogate.integrators.build import make_integrator

    if RANDOM_KICKS in case.system.needs:
        what = "must be empty where `bath_temperature` is not 0, it holds "
        held = ", ".join(map(repr, sorted(case.system.conserved)))
        case.demand(not case.system.conserved, what + held, "conserved")
        return
    solver = make_integrator("dop853", rtol=1e-10, atol=1e-10)
    run = simulate(case.system, *case.system.sample(6, 3), FRAMES, solver)
    case.demand(run.info.success, f"must be solvable, dop853 says {run.info.message[0]!r}", "Spec")
    rows = [case.system.invariants(run.x[:, k], run.v[:, k], run.particles) for k in (0, FRAMES)]
    scale = max(1.0, float(rows[0].kinetic[0]))
    for quantity in sorted(case.system.conserved):
        before, after = (getattr(row, quantity) for row in rows)
        drift = float(np.abs(after - before).max()) / scale
        what = f"must hold constants of motion only, {quantity!r} drifts by {drift:.1e}"
        case.demand(drift <= BROKEN, what, "conserved")


def check_symmetry(case: SystemCase, symmetry: str) -> None:
    """Symmetries of the forces are declared where they hold, and nowhere else."""
    declared = symmetry in case.system.symmetries
    if symmetry == "time-shift":  # no force is handed the time
        case.demand(declared, "must hold 'time-shift': no force is handed the time", "symmetries")
        return
    if case.system.hidden_variables:
        raise skip("what is hidden may change with it, which is not declared")
    off = _violation(case, symmetry)
    if declared:
        what = f"must not hold {symmetry!r}, by which forces are off by {off:.1e}"
        case.demand(off <= ROUNDING, what, "symmetries")
    else:
        what = f"must hold {symmetry!r}, which forces have to {off:.1e}"
        case.demand(off > BROKEN, what, "symmetries")


def check_axial_symmetries(case: SystemCase) -> None:
    """Symmetries about an axis hold where they are declared, about z or about y."""
    declared = case.system.symmetries & IMPLIED.keys()
    if not declared or case.system.hidden_variables:
        raise skip("none is declared")
    for symmetry in sorted(declared):
        off = min(_violation(case, symmetry, axis) for axis in (2, 1))
        what = f"must not hold {symmetry!r}, by which forces are off by {off:.1e}"
        case.demand(off <= ROUNDING, what, "symmetries")


SYSTEM_CHECKS: tuple[tuple[Callable[..., None], tuple[str, ...]], ...] = (
    (check_parameters, ()),
    (check_starts, ()),
    (check_sampling, ()),
    (check_forces, ()),
    (check_batch, ()),
    (check_velocities, ()),
    (check_laws, ()),
    (check_directed, ()),
    (check_bath, ()),
    (check_conserved, ()),
    *((check_symmetry, (symmetry,)) for symmetry in SYMMETRIES),
    (check_axial_symmetries, ()),
    *NEEDS_CHECKS,
    (check_scenery, ()),
)


def _violation(case: SystemCase, symmetry: str, axis: int = 2) -> float:
    """By how much forces of mapped states differ from mapped forces, at sizes of the cloud."""
    state, particles = case.system.sample(7, 4, 2)
    # unlike those of many samplers: unequal, so that what depends on them shows
    rng = np.random.default_rng(8)
    charges = rng.choice([-1.0, 0.5, 2.0], size=particles.charges.shape)
    masses = rng.uniform(0.5, 2.0, size=particles.masses.shape)
    particles = replace(particles, charges=charges, masses=masses)
    if particles.radii is not None:
        radii = particles.radii * rng.uniform(0.7, 1.0, size=particles.radii.shape)
        particles = replace(particles, radii=radii)
    small = particles  # with their distances, particles become smaller
    if particles.radii is not None:
        small = replace(particles, radii=CLOSE * particles.radii)
    worst, box = 0.0, case.system.box
    places = [(state.x, particles), (CLOSE * state.x, small)]
    if box is not None:  # near each other across a face, where no rotation holds
        places.append((moved_by_periods(box, CLOSE * state.x), small))
    for x, sized in places:
        plain = case.system.acceleration(x, state.v, sized)
        for each in maps(symmetry, rng, x.shape[2], 4, axis):
            mapped = case.system.acceleration(*each.states(x, state.v, sized))
            worst = max(worst, relative_difference(each.vectors(plain), mapped))
    return worst


def _by_law(law: Callable, parameters: tuple, state: State, particles: Particles) -> np.ndarray:
    """Sum the forces of a pair law over pairs."""
    x, q, m, bonds = state.x, particles.charges, particles.masses, particles.couplings
    r = x[:, :, None] - x[:, None]
    r2 = (r * r).sum(-1)
    i, j = np.triu_indices(x.shape[1], 1)
    bond = np.ones_like(r2) if bonds is None else bonds
    total = np.zeros_like(x)
    for b in range(len(x)):
        for k, other in zip(i, j, strict=True):
            over, _ = law(
                parameters,
                r2[b, k, other],
                q[b, k],
                q[b, other],
                m[b, k],
                m[b, other],
                bond[b, k, other],
            )
            total[b, k] += over * r[b, k, other]
            total[b, other] -= over * r[b, k, other]
    return total


def _by_directed_law(
    law: Callable, parameters: tuple, state: State, particles: Particles
) -> np.ndarray:
    """Sum the forces of a directed law over ordered pairs."""
    x, q, m = state.x, particles.charges, particles.masses
    total = np.zeros_like(x)
    for b, i, j in np.ndindex(len(x), x.shape[1], x.shape[1]):
        if i != j:
            d = np.zeros(3)
            d[: x.shape[2]] = x[b, i] - x[b, j]
            force = law(parameters, *d, q[b, i], q[b, j], m[b, i], m[b, j])
            total[b, i] += np.array(force)[: x.shape[2]]
    return total


def _field_error(case: SystemCase, state: State, particles: Particles) -> float:
    """By how much the law of the field differs from the forces."""
    laws = case.system.force_laws()
    assert laws is not None
    assert laws.field is not None
    law = laws.field.factory(np.sqrt, np.where)
    wanted = array_of(
        case.origin, case.system.one_body_acceleration, state.x.shape, state.x, state.v, particles
    )
    x, v = (tuple(np.moveaxis(y, -1, 0)) for y in (state.x, state.v))
    found, _ = law(laws.field.parameters, x, v, particles.charges, particles.masses)
    return relative_difference(wanted, np.stack(np.broadcast_arrays(*found, x[0])[:3], -1))
