"""Fixed steps with laws that nobody compiled before, or that are constants."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from fixed_steps import METHODS, ROUNDING, Given, advanced, assert_one_line
from nbody_simulators.kernels.known_laws import register_law
from nbody_surrogate import (
    InputError,
    Particles,
    State,
    simulate,
)
from nbody_surrogate.contracts.force_laws import FieldLaw, ForceLaws, PairLaw

# Laws that are constants: nothing of numba is compiled for them


class Number(NamedTuple):
    value: float


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

    register_law(PairLaw(Other(0.0), push))
    for pair in (PairLaw(Other(0.0), pull), PairLaw((1.0,), push)):
        with pytest.raises(InputError) as caught:
            run(pair)
        assert_one_line(caught, "parameters")


@pytest.mark.parametrize("name", [*METHODS, "leapfrog kdk", "exact-flow 4"])
def test_every_evaluation_of_the_force_is_counted(name):
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
    method, _, choice = name.partition(" ")
    options = {"kdk": {"form": "kdk"}, "4": {"order": 4}}.get(choice, {})
    start = system.sample(8, 2, 3)
    run = advanced(method, system, start, 4, substeps=5, backend="torch", **options)
    assert run.counters == {"nfev": 3 * len(calls)}
    per_step = {"yoshida4": 3, "rk4": 4, "srkn4": 6, "srkn6": 11, "exact-flow 4": 6}.get(name, 1)
    opening = name in ("leapfrog kdk", "yoshida4", "rk4", "srkn4", "srkn6", "exact-flow 4")
    assert len(calls) == 4 * 5 * per_step + opening


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
