"""The error norm of particles: bystanders, axes, and what CyRK and SciPy need not know."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import Particles, State, make_integrator, make_system, simulate

SOLVERS = ("dop853", "rk45", "dop853-compiled")
SEPARATION = 0.05
TURNED, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
FRAMES = 5


def pair_beside(idle, turn=TURNED):
    """A circular pair of opposite charges, and neutral particles at rest."""
    n, speed = idle + 2, np.sqrt(2 / SEPARATION)
    x, v, charges = np.zeros((n, 3)), np.zeros((n, 3)), np.zeros(n)
    x[:2, 0] = 0.5 * SEPARATION, -0.5 * SEPARATION
    v[:2, 1] = 0.5 * speed, -0.5 * speed
    x[2:] = np.random.default_rng(1).normal(size=(idle, 3)) + 5.0
    charges[:2] = 1.0, -1.0
    start = State(0.0, (x @ turn.T)[None], (v @ turn.T)[None])
    return start, Particles(charges[None], np.ones((1, n)))


def error(method, idle, turn=TURNED, **options):
    """Largest distance of the first particle from its circle's closed form."""
    system = make_system("charged", softening=0.0)
    state, particles = pair_beside(idle, turn)
    run = simulate(system, state, particles, FRAMES, make_integrator(method, **options))
    phase = np.sqrt(2 / SEPARATION) / SEPARATION * run.t
    circle = 0.5 * SEPARATION * np.stack([np.cos(phase), np.sin(phase), 0 * phase], axis=1)
    return np.linalg.norm(run.x[0, :, 0] - circle @ turn.T, axis=1).max()


@pytest.mark.parametrize(
    "method", ["dop853", pytest.param("rk45", marks=pytest.mark.slow), "dop853-compiled"]
)
def test_bystanders_do_not_loosen_the_error_of_a_pair(method):
    alone, few, many = (error(method, idle) for idle in (0, 10, 100))
    assert 0.5 * alone < few < 2 * alone
    assert 0.5 * alone < many < 2 * alone
    # which is no accident: it is what the norm over all components does
    assert error(method, 100, norm="rms") > 2 * error(method, 0, norm="rms")


@pytest.mark.slow
@pytest.mark.parametrize("method", SOLVERS)
def test_a_thousand_bystanders_do_not_either(method):
    alone, crowd = error(method, 0), error(method, 1000)
    assert 0.5 * alone < crowd < 2 * alone


@pytest.mark.parametrize("method", SOLVERS)
def test_the_error_does_not_depend_on_the_axes(method):
    """By vectors the steps are the same whatever the axes; by components they are not."""
    system = make_system("charged", softening=0.0)
    counts = []
    for turn in (np.eye(3), TURNED):
        state, particles = pair_beside(3, turn)
        run = simulate(system, state, particles, FRAMES, make_integrator(method))
        counts.append(run.info.counters["steps"])
    assert counts[0] == counts[1]


@pytest.mark.parametrize("method", SOLVERS)
def test_no_step_is_longer_than_the_longest(charged, method):
    start = charged.sample(0, 2)
    coarse = {"rtol": 1e-3, "atol": 1e-3, "segment": 10}
    free, bound = (
        simulate(charged, *start, 10, make_integrator(method, **coarse, max_step=longest))
        for longest in (None, 0.01)
    )
    assert free.info.counters["steps"] < 50
    assert bound.info.counters["steps"] >= 100
