"""The law as the simulator has it against the equations that were fitted."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.discovery.estimate import Estimate, Smoothness
from nbody_surrogate.discovery.forces import total_force
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.law import SNAPSHOTS, law_of, masses_of
from nbody_surrogate.discovery.normal import normal_equations
from nbody_surrogate.discovery.states import smoothed_states
from watched import problem_of, somewhere, swings

CASES = {
    "flat": lambda: problem_of(swings(100, 4, 2)),
    "directed": lambda: problem_of(swings(100, 4), directed=True),
    "couplings": lambda: problem_of(swings(100, 4), pairs=True),
}


def guessed(problem, **freedom):
    """An estimate that was never fitted."""
    unknowns = somewhere(problem)
    unknowns.part("drag")[:] = 0.2
    normal = normal_equations(problem, unknowns)
    covariance = 1e-4 * np.eye(problem.layout.size)
    return Estimate(
        problem, Freedom("shared", **freedom), unknowns, Smoothness(1, 1), normal, covariance
    )


def simulated(estimate, law, frame, v):
    """Accelerations by the system `discovered` of all particles of the first run."""
    system = nb.make_system("discovered", **law)
    couplings = law["couplings"]
    particles = nb.Particles(
        np.array([law["charges"]]),
        np.array([law["masses"]]),
        None if couplings is None else np.array([couplings]),
    )
    x = estimate.problem.runs[0].x[frame]
    return system.acceleration(x[None], v[None], particles)[0]


def fitted(estimate, frame, v):
    unknowns = estimate.unknowns
    n = estimate.problem.runs[0].n
    force = [total_force(estimate.problem, unknowns, 0, i)[:, frame] for i in range(n)]
    return np.array(force) - unknowns.part("drag")[:n, None] * v


@pytest.mark.parametrize("case", CASES)
def test_the_simulator_moves_by_the_equations_that_were_fitted(case):
    estimate = guessed(CASES[case]())
    law, notes = law_of(estimate)
    assert not notes
    rng = np.random.default_rng(0)
    for frame in (3, 40, 77):
        v = rng.normal(size=estimate.problem.runs[0].x.shape[1:])
        np.testing.assert_allclose(
            simulated(estimate, law, frame, v), fitted(estimate, frame, v), rtol=1e-6, atol=1e-8
        )


def test_charges_and_masses_are_strengths_and_strengths_over_responses(charges):
    q, m, couplings = masses_of(charges.estimate, 0)
    unknowns = charges.estimate.unknowns
    assert couplings is None
    np.testing.assert_array_equal(q, unknowns.part("strengths"))
    np.testing.assert_allclose(q / m, unknowns.part("responses"), rtol=1e-14)
    assert (m > 0).all()
    true = charges.particles
    np.testing.assert_allclose(m / m.mean(), true.masses[0] / true.masses[0].mean(), rtol=1e-3)


def test_masses_that_are_none_are_told_of(charges):
    unknowns = charges.estimate.unknowns.copy()
    unknowns.part("responses")[2] *= -1
    law, notes = law_of(replace(charges.estimate, unknowns=unknowns))
    assert len(notes) == 1 and "particles 2 answer with the other sign" in notes[0]
    assert min(law["masses"]) > 0


def test_couplings_are_those_of_the_pairs(springs):
    law, _ = law_of(springs.estimate)
    couplings = np.array(law["couplings"])
    np.testing.assert_array_equal(couplings, couplings.T)
    assert not couplings.diagonal().any()
    assert law["charges"] == [1.0] * 5
    bonds = springs.particles.couplings[0]
    np.testing.assert_allclose(couplings / couplings.max(), bonds, atol=1e-4)
    told = [0, 1, 3, 4]
    x = springs.estimate.problem.runs[0].x[60]
    found = simulated(springs.estimate, law, 60, np.zeros((5, 3)))
    truth = nb.make_system("springs").acceleration(x[None], 0 * x[None], springs.particles)[0]
    np.testing.assert_allclose(found[told], truth[told], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("power", [-1 / 3, 0.0, 0.8])
def test_the_power_of_the_drag_is_found(dust, power):
    estimate = dust.estimate
    unknowns = estimate.unknowns.copy()
    masses = masses_of(estimate, 0)[1]
    unknowns.part("drag")[:] = 0.3 * masses**power
    law, _ = law_of(replace(estimate, unknowns=unknowns))
    assert law["drag"] == pytest.approx(0.3, rel=1e-6)
    assert law["drag_power"] == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize("freedom", ["shared", "none"])
def test_one_drag_has_no_power(dust, freedom):
    estimate = replace(dust.estimate, freedom=replace(dust.estimate.freedom, drag=freedom))
    unknowns = estimate.unknowns.copy()
    unknowns.part("drag")[:] = 0.2 if freedom == "shared" else 0.0
    law, _ = law_of(replace(estimate, unknowns=unknowns))
    assert (law["drag"], law["drag_power"]) == (pytest.approx(unknowns.part("drag")[0]), 0.0)
    assert (law["temperature"] > 0) == (freedom == "shared")


def test_a_negative_drag_is_none(dust):
    unknowns = dust.estimate.unknowns.copy()
    unknowns.part("drag")[:] = -0.01
    law, _ = law_of(replace(dust.estimate, unknowns=unknowns))
    assert (law["drag"], law["temperature"]) == (0.0, 0.0)
    nb.make_system("discovered", **law)


def test_the_temperature_balances_drag_and_kicks(dust):
    """In the law's units of mass, in which the mean of charges and of charge over mass is 1."""
    law, _ = law_of(dust.estimate)
    q, m = dust.particles.charges[0], dust.particles.masses[0]
    unit = q.mean() / (q / m).mean()
    assert law["temperature"] * unit == pytest.approx(0.1, rel=0.3)


def test_starts_are_states_of_the_tracks(dust):
    law, _ = law_of(dust.estimate)
    x, v = smoothed_states(dust.estimate.problem, dust.estimate.unknowns, 0)
    starts, speeds = np.array(law["starts_x"]), np.array(law["starts_v"])
    assert starts.shape == speeds.shape == (SNAPSHOTS, 5, 2)
    for start, speed in zip(starts, speeds, strict=True):
        frame = int(np.argmin(np.abs(x - start).sum((1, 2))))
        np.testing.assert_array_equal(start, x[frame])
        np.testing.assert_array_equal(speed, v[frame])


def test_a_law_goes_to_another_process(dust):
    """After it has been used, too."""
    system = nb.make_system("discovered", **law_of(dust.estimate)[0])
    system.force_laws()
    assert pickle.loads(pickle.dumps(system)).spec == system.spec


@pytest.mark.parametrize("bath", [{"temperature": 0.0}, pytest.param({}, marks=pytest.mark.slow)])
def test_the_law_runs(dust, bath):
    """Without the kicks that were found, and with them: which is compiled anew."""
    law, _ = law_of(dust.estimate)
    law.update(bath)
    system = nb.make_system("discovered", **law)
    state, particles = system.sample(0, 5, dimensions=2)
    run = nb.simulate(system, state, particles, 50)[0]
    assert np.isfinite(run.x).all()
    assert np.abs(run.x).max() < 2 * np.abs(dust.run.x).max()
