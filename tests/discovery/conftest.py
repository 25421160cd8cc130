"""Estimates that several tests look at; none changes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.discovery.estimate import Estimate, Smoothness, improve
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.problem import problem_of
from nbody_surrogate.discovery.splines import Envelope
from nbody_surrogate.discovery.start import begin
from nbody_surrogate.tracks.observe import observe


class Found(NamedTuple):
    """An estimate, and the truth."""

    estimate: Estimate
    run: nb.Trajectory
    particles: Particles


def found(
    system, n, frames, seed, freedom, envelope, knots=12, dimensions=3, noise=0.0, pairs=False
):
    state, particles = system.sample(seed, n, dimensions=dimensions)
    run = nb.simulate(system, state, particles, frames)[0]
    tracks = observe(run, noise=noise, seed=seed + 1000)
    start = begin(problem_of([tracks], None, pairs, False, knots), (envelope,))[-1]
    return Found(
        improve(start.problem, start.unknowns, freedom, Smoothness(1e-3, 1e-3)), run, particles
    )


PAIRS_ALONE = Freedom(directed=False, fields=(), drag="none")


@pytest.fixture(scope="session")
def dust():
    """Five grains of noisy dust in the plane, without wakes; 3.1 s of CPU with what is compiled."""
    system = nb.make_system("dust", wake_charge=0.0, temperature=0.1, charge_spread=0.3)
    freedom = Freedom(directed=False, fields=("gradient_by_charge",))
    return found(system, 5, 1500, 3, freedom, Envelope(-2.0, 1.0), 8, 2, noise=1e-3)


@pytest.fixture(scope="session")
def charges():
    """Five unlike charges of both signs and unlike masses, as they were computed."""
    ranges = {"charge_range": (0.5, 1.5), "mass_range": (0.5, 2.0), "softening": 0.5}
    system = nb.make_system("charged", frame_dt=0.05, **ranges)
    return found(system, 5, 600, 6, PAIRS_ALONE, Envelope(-2.0, np.inf, 0.12))


@pytest.fixture(scope="session")
def springs():
    # exact tracks have twice as many knots as asked for
    return found(nb.make_system("springs"), 5, 200, 0, PAIRS_ALONE, Envelope(1.0), 4, pairs=True)
