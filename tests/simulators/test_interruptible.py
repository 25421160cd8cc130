"""Long work in compiled code is done in parts, between which Python hears of Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from commands import wait_until
from nbody_simulators.integrators import compiled_dop853, cyrk, fixed_step
from nbody_simulators.integrators.particle_dop853 import ParticleSolver
from nbody_simulators.kernels import forces
from nbody_surrogate import make_integrator, make_system, simulate

METHODS = {
    "leapfrog": "charged",
    "yoshida4": "charged",
    "symplectic-euler": "charged",
    "rk4": "charged",
    "boris": "penning",
    "exact-flow": "trap",
}


@pytest.mark.parametrize("most", [1, 3, 10**9])
@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("substeps", [1, 2, 7])
def test_marches_take_every_step_of_every_frame_once(frames, substeps, most):
    taken = np.zeros(frames, int)
    for some, steps in fixed_step.marches(frames, substeps, most):
        assert steps * len(taken[some]) <= max(most, 1)
        taken[some] += steps
    assert (taken == substeps).all()


@pytest.mark.parametrize("n", [3, 45])
@pytest.mark.parametrize("method", METHODS)
def test_a_fixed_step_run_in_parts_has_the_bits_of_one_in_one_go(monkeypatch, method, n):
    system = make_system(METHODS[method])
    integrator = make_integrator(method, substeps=5, segment=4)
    start = system.sample(1, n, 10)
    whole = simulate(system, *start, 6, integrator)
    # two steps to a call
    monkeypatch.setattr(fixed_step, "MOST_FORCES", 2 * integrator.evaluations * n * n * 10)
    parts = simulate(system, *start, 6, integrator)
    np.testing.assert_array_equal(parts.x, whole.x)
    np.testing.assert_array_equal(parts.v, whole.v)


@pytest.mark.parametrize("name", ["charged", "springs", "trap"])
def test_forces_and_energies_in_parts_have_the_bits_of_those_in_one_go(monkeypatch, name):
    system = make_system(name)
    state, particles = system.sample(2, 9, 4)
    whole = system.pair_acceleration(state.x, particles)
    energy = system.potential_energy(state.x, particles)
    for most in (20, 200):  # two rows to a call, two trajectories to a call
        monkeypatch.setattr(forces, "MOST_PAIRS", most)
        assert len(list(forces.pieces(4, 9))) > 1
        np.testing.assert_array_equal(system.pair_acceleration(state.x, particles), whole)
        np.testing.assert_array_equal(system.potential_energy(state.x, particles), energy)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("norm", "solver"), [("particle", ParticleSolver), ("rms", cyrk.Solver)])
def test_ctrl_c_ends_the_compiled_solver_within_its_call(monkeypatch, norm, solver, threads):
    """Each of these calls would take hours."""
    outcomes, run = [], solver.run

    def watched(self, b):
        begun.wait()
        outcomes.append(run(self, b))
        return outcomes[-1]

    def press():
        begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    begun = threading.Barrier(threads + 1)
    monkeypatch.setattr(solver, "run", watched)
    monkeypatch.setattr(compiled_dop853, "MOMENTARY", 1)
    system = make_system("trap")  # where particles stay, and steps small
    integrator = make_integrator("dop853-compiled", norm=norm, threads=threads, segment=5)
    carry = integrator.start(system, *system.sample(3, 20, threads), 1e6)
    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        integrator.advance(carry, 5)
    presser.join()
    # no thread is left behind that still computes; one that was just starting is not waited for
    wait_until(lambda: len(outcomes) == threads)
    assert [each.failure is None for each in outcomes] == [False] * threads
