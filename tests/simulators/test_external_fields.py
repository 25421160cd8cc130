"""All integrators in external fields, and how they count."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import Field

from integrator_runs import FIXED, SCIPY, SOLVER, advanced, assert_one_line
from nbody_surrogate import (
    AbstractSystem,
    InputError,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec


class FieldSpec(SystemSpec):
    field: float = Field(default=2.0, allow_inf_nan=False)


class Magnetic(AbstractSystem):
    """Charges in a uniform magnetic field along z that do not see each other; counts its forces.

    A stranger's: it has forces in NumPy and nothing else.
    """

    name = "magnetic"
    Spec = FieldSpec
    conserved = frozenset({"energy"})
    velocity_dependent = True
    calls = 0

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def one_body_acceleration(self, x, v, particles):
        # not those of pairs alone, which a look ahead for encounters asks for as well
        type(self).calls += 1
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
@pytest.mark.parametrize("method", ["exact-flow", "dop853-compiled"])
def test_what_needs_laws_is_refused_with_what_needs_none(method, system):
    with pytest.raises(InputError, match="laws") as caught:
        make_integrator(method).start(system, *system.sample(19, 3), 0.1)
    assert_one_line(caught, "integrator")
    message = str(caught.value)
    assert message.startswith(f"`integrator` {method} ")
    assert repr(system.name) in message
    assert message.endswith("dop853")


@pytest.mark.parametrize("method", sorted(set(FIXED) - {"exact-flow", "rk4"}))
def test_plain_forces_are_refused_where_they_depend_on_velocity(method):
    make_integrator(method).start(Trapped(), *Trapped().sample(19, 3), 0.1)
    with pytest.raises(InputError, match="do not depend on velocity") as caught:
        make_integrator(method).start(Magnetic(), *Magnetic().sample(19, 3), 0.1)
    assert_one_line(caught, "integrator")


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
    ("method", "options", "per_step", "opening"),
    [
        ("symplectic-euler", {}, 1, 0),
        ("leapfrog", {}, 1, 0),
        ("leapfrog", {"form": "kdk"}, 1, 1),
        ("yoshida4", {}, 3, 1),
        ("srkn4", {}, 6, 1),
        ("srkn6", {}, 11, 1),
        ("exact-flow", {}, 1, 0),
        ("exact-flow", {"order": 4}, 6, 1),
        ("rk4", {}, 4, 1),
    ],
)
def test_fixed_steps_count_by_formula(charged, method, options, per_step, opening):
    segment = advanced(method, charged, charged.sample(21, 2, 3), 5, substeps=7, **options)
    assert segment.counters == {"nfev": 3 * (5 * 7 * per_step + opening)}
