"""GFN1-xTB by tblite on a cluster of salt: forces, conservation, and the same bits again."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import make_integrator, make_system, simulate

pytest.importorskip("ase")
pytest.importorskip("tblite")

CONVERGED = 2e-5
"""Of the largest force: tblite ends its cycles there, and forces feel it to first order."""


@pytest.fixture(scope="module")
def salt():
    system = make_system(
        "ase", calculator="tblite", structure="rocksalt:NaCl:5.64", displacement=0.05
    )
    return system, *system.sample(0, 8)


def test_forces_are_the_gradient_of_the_energy(salt):
    system, state, particles = salt
    force = particles.masses[..., None] * system.pair_acceleration(state.x, particles)
    h, gaps = 1e-3, []
    for way in np.random.default_rng(1).normal(size=(3, *state.x.shape)):
        ahead, behind = (system.potential_energy(state.x + s * h * way, particles) for s in (1, -1))
        gaps.append(((behind - ahead) / (2 * h) - (force * way).sum((1, 2)))[0])
    assert np.abs(gaps).max() < 10 * CONVERGED * np.abs(force).max()
    assert np.abs(force.sum(1)).max() < 1e-12 * np.abs(force).max()


def test_a_run_conserves_its_energy_and_is_the_same_again(salt):
    system, state, particles = salt
    method = make_integrator("leapfrog", form="kdk", substeps=1)
    run = simulate(system, state, particles, 20, method)
    # of a kinetic energy of 0.3 eV; h^2 of steps of 1 fs is 3e-4 of the period's square
    assert np.ptp(run.energy) < 1e-3 and run.info.success
    assert run.info.counters["force_calls"] <= run.info.counters["nfev"] + 6 + 3
    # what the calculator has seen in between changes no bit
    again = simulate(system, state, particles, 20, method)
    np.testing.assert_array_equal(run.x, again.x)


def test_methods_are_told_by_options(salt):
    _, state, particles = salt
    options = {"method": "GFN2-xTB", "accuracy": 0.1}
    other = make_system("ase", calculator="tblite", symbols="NaClNaClNaClNaCl", options=options)
    energy = other.potential_energy(state.x, particles)
    assert abs(energy - salt[0].potential_energy(state.x, particles)) > 1
