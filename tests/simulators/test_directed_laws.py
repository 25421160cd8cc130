"""Directed laws: summed alike by all engines, for each ordered pair, and by none that has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baths import Flock, Following, following
from fixed_steps import advanced
from nbody_surrogate import InputError, Particles, State, make_integrator, simulate
from nbody_surrogate.comparison.bound_pairs import pair_law_of
from nbody_surrogate.contracts import DirectedLaw, ForceLaws, directed_force
from nbody_surrogate.evaluation.work_precision.numpy_force import NumpyForce

ROUNDING = 1e-12
SOLVER = 1e-9  # of dop853 at 1e-12, over a few time units
LAW = following(np.sqrt, np.where)
ALIKE = [pytest.param(name, marks=pytest.mark.slow) for name in ("exact-flow", "baoab")]
"""Each is compiled for this law, and asks for forces as the splittings do."""


def by_loops(x, particles):
    """The accelerations (N, D) of one configuration, pair by pair."""
    total = np.zeros_like(x)
    q, m = particles.charges[0], particles.masses[0]
    for i in range(len(x)):
        for j in set(range(len(x))) - {i}:
            d = np.zeros(3)
            d[: x.shape[1]] = x[i] - x[j]
            force = LAW(Following(0.7, 0.3), *d, q[i], q[j], m[i], m[j])
            total[i] += np.array(force)[: x.shape[1]] / m[i]
    return total


@pytest.mark.parametrize("dimensions", [2, 3])
def test_each_particle_feels_each_other_one(dimensions):
    system = Flock()
    state, particles = system.sample(0, 6, 1, dimensions)
    found = system.pair_acceleration(state.x, particles)[0]
    np.testing.assert_allclose(found, by_loops(state.x[0], particles), rtol=0, atol=ROUNDING)
    net = (particles.masses[0][:, None] * found).sum(0)
    assert np.abs(net).max() > 0.1  # so that it is no law that adds up to nothing


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n", [1, 5, 41])  # 41: row by row
@pytest.mark.parametrize("method", ["leapfrog", "rk4", *ALIKE])
def test_fixed_steps_take_the_same_forces(method, n, dimensions):
    system = Flock()
    start = system.sample(1, n, 2, dimensions)
    found = advanced(method, system, start, 2, substeps=40)
    wanted = advanced(method, system, start, 2, substeps=40, backend="torch")
    np.testing.assert_allclose(found.x, wanted.x, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_fixed_steps_come_to_the_solution(dimensions):
    system = Flock()
    start = system.sample(1, 5, 2, dimensions)
    exact = simulate(system, *start, 4, make_integrator("dop853", rtol=1e-12, atol=1e-12))
    found = advanced("rk4", system, start, 4, substeps=40)
    np.testing.assert_allclose(found.x, exact.x[:, 1:], rtol=0, atol=SOLVER)


@pytest.mark.parametrize("norm", ["particle", "rms"])
def test_the_compiled_solver_takes_the_same_forces(norm):
    system = Flock()
    start = system.sample(2, 5, 2)
    runs = [
        simulate(system, *start, 20, make_integrator(name, rtol=1e-12, atol=1e-12, norm=norm))
        for name in ("dop853", "dop853-compiled")
    ]
    np.testing.assert_allclose(runs[0].x, runs[1].x, rtol=0, atol=SOLVER)


@pytest.mark.parametrize("method", ["leapfrog", "rk4", ALIKE[-1]])
def test_bits_do_not_depend_on_the_batch(method):
    system = Flock()
    state, particles = system.sample(3, 4, 70)
    whole = advanced(method, system, (state, particles), 2, substeps=3)
    for some in (slice(69, 70), slice(61, 70), slice(0, 65)):
        few = State(0.0, state.x[some], state.v[some])
        part = advanced(method, system, (few, particles[some]), 2, substeps=3)
        np.testing.assert_array_equal(part.x, whole.x[some])
        np.testing.assert_array_equal(part.v, whole.v[some])


def test_it_comes_beside_a_central_law_and_a_clip(charged):
    laws = charged.force_laws()
    both = type("Both", (Flock,), {"force_laws": lambda self: laws._replace(
        clip=0.5, directed=Flock().force_laws().directed
    )})()  # fmt: skip
    state, particles = both.sample(4, 5, 2)
    central = charged.pair_acceleration(state.x, particles) * particles.masses[..., None]
    wanted = np.clip(central, -0.5, 0.5) / particles.masses[..., None]
    assert (np.abs(central) > 0.5).any()
    wanted += Flock().pair_acceleration(state.x, particles)
    found = both.pair_acceleration(state.x, particles)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING)


def test_in_torch_it_has_the_dtype_of_the_separations():
    law = Flock().force_laws().directed
    d = torch.tensor([[0.3, -0.4], [1.0, 2.0]], dtype=torch.float32)
    ones = torch.ones(2, dtype=torch.float32)
    force = directed_force(law, d, (ones, 2 * ones), (ones, ones))
    assert force.dtype == torch.float32
    wanted = LAW(law.parameters, *np.array([[0.3, 1.0], [-0.4, 2.0], [0.0, 0.0]]), 1, 2, 1, 1)[:2]
    np.testing.assert_allclose(force, np.stack(wanted, 1), rtol=1e-6)


def test_in_plain_numpy_it_is_the_same():
    system = Flock()
    plain = NumpyForce(of="charged")
    vars(plain).update(_system=system, _laws=system.force_laws())
    for dimensions in (2, 3):
        state, particles = system.sample(5, 5, 2, dimensions)
        found = plain.pair_acceleration(state.x, particles)
        wanted = system.pair_acceleration(state.x, particles)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING)


def test_there_is_no_energy_and_nobody_is_bound():
    system = Flock()
    state, particles = system.sample(6, 3, 2)
    assert not system.has_potential
    assert np.isnan(system.invariants(state.x, state.v, particles).energy).all()
    assert pair_law_of(system) is None
    assert ForceLaws().has_pairs is False
    assert ForceLaws(directed=system.force_laws().directed).has_pairs


def test_hermite_says_who_takes_it():
    system = Flock()
    with pytest.raises(InputError) as caught:
        simulate(system, *system.sample(7, 3), 1, "hermite4")
    assert str(caught.value) == (
        "`integrator` hermite4 needs pair forces that are central, system 'flock' has directed "
        "ones; use rk4, dop853 or dop853-compiled"
    )


def test_a_class_of_parameters_stands_for_one_law():
    def other(sqrt, where):
        return lambda p, dx, dy, dz, qi, qj, mi, mj: (0.0, 0.0, 0.0)

    laws = ForceLaws(directed=DirectedLaw(Following(0.7, 0.3), other))
    system = type("Other", (Flock,), {"force_laws": lambda self: laws})()
    Flock().pair_acceleration(np.zeros((1, 1, 3)), Particles([[1.0]], [[1.0]]))
    with pytest.raises(InputError, match="which stands for another law"):
        system.pair_acceleration(np.zeros((1, 1, 3)), Particles([[1.0]], [[1.0]]))
