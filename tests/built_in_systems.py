"""All built-in systems, and states of theirs in general position."""

from __future__ import annotations

import functools
import itertools
from importlib.metadata import entry_points

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nbody_surrogate import Particles, make_system

ROUNDING = 1e-12  # of the largest acceleration: a few terms, but of near particles 0.03 apart
SOLVER = 1e-12  # rtol and atol of the solutions below
EVERY = sorted(
    point.name
    for point in entry_points(group="nbody_surrogate.systems")
    if point.value.startswith("nbody_simulators.")
    and point.name != "ase"  # whose forces are another program's: tests/simulators/test_ase.py
)
HIDDEN = ("bath", "charging", "ties")
"""Those whose states hold more than positions and velocities: see test_hidden_systems.py."""
NAMES = [name for name in EVERY if name not in HIDDEN]
CASES = [
    *((name, {}) for name in NAMES),
    ("trap", {"frequencies": (0.6, 0.6, 1.3)}),
    ("trap", {"frequencies": (0.6, 0.9, 1.3)}),
    ("charged", {"signs": "equal", "charge_range": (0, 2), "mass_range": (0.5, 3)}),
    ("penning", {"charge_range": (0.5, 2), "mass_range": (0.5, 3)}),
    ("dust", {"wake_charge": 0.0}),
    ("dust", {"wake_charge": 0.0, "drag": 0.0}),
    ("dust", {"wake_charge": 0.0, "drag": 0.0, "gravity": 0.0}),
    ("dust", {"wake_charge": 0.0, "drag": 0.0, "gravity": 0.0, "vertical": 0.6}),
    ("dust", {"drag": 0.0, "gravity": 0.0, "radial": 0.0, "vertical": 0.0}),
    ("dust", {"wake_charge": 0.0, "drag": 5.0, "gravity": 0.0, "radial": 0.0, "vertical": 0.0}),
    ("dust", dict.fromkeys(("wake_charge", "drag", "gravity", "radial", "vertical"), 0.0)),
]
every_system = pytest.mark.parametrize("name", NAMES)
with_hidden_ones = pytest.mark.parametrize("name", EVERY)
every_hidden_one = pytest.mark.parametrize("name", HIDDEN)
BETWEEN = CASES[-6:-1]
"""Dust with some of its forces; with all, without wakes and without any it is tested fast."""
every_case = pytest.mark.parametrize(
    ("name", "parameters"),
    [
        pytest.param(
            *case,
            id="-".join([case[0], *map(str, case[1].values())]),
            marks=[pytest.mark.slow] if case in BETWEEN else [],
        )
        for case in CASES
    ],
)
both_dimensions = pytest.mark.parametrize("dimensions", [2, 3])


@functools.cache
def class_of(name):
    return type(make_system(name))


def build(name, **parameters):
    """Do as `make_system`, which looks through all that is installed each time."""
    return class_of(name)(**parameters)


def somewhere(system, seed, dimensions, n=4, near=True):
    """Particles of unequal charges and masses, one apart from another; the first two near.

    The couplings are not 0 or 1 alone, where the system has any.
    """
    rng = np.random.default_rng(seed)
    corners = np.array(list(itertools.product((-0.8, 0.8), repeat=dimensions)))[:n]
    x = corners + rng.uniform(-0.3, 0.3, size=corners.shape)
    if near and n > 1:
        towards = rng.normal(size=dimensions)
        x[1] = x[0] + 0.03 * towards / np.linalg.norm(towards)
    charges = rng.choice([-1, 1], size=n) * rng.uniform(0.5, 2, size=n)
    bonds = rng.uniform(-1, 1, size=(n, n))
    bonded = system.sample(0, 1)[1].couplings is not None
    # near spheres are half a radius apart
    radii = np.full((1, n), 0.012) if system.needs_radii else None
    return (
        x[None],
        rng.normal(size=(1, n, dimensions)),
        Particles(charges[None], rng.uniform(0.5, 3, size=(1, n)), (bonds + bonds.T)[None])
        if bonded
        else Particles(charges[None], rng.uniform(0.5, 3, size=(1, n)), radii=radii),
    )


def solution(system, state, particles, times):
    """Positions and velocities (T, N, D) of one trajectory by a solver that knows no system."""
    shape, half = state.x.shape, state.x.size

    def right_hand_side(t, y):
        a = system.acceleration(y[:half].reshape(shape), y[half:].reshape(shape), particles)
        return np.concatenate([y[half:], a.ravel()])

    start = np.concatenate([state.x.ravel(), state.v.ravel()])
    found = solve_ivp(
        right_hand_side,
        (0, times[-1]),
        start,
        method="DOP853",
        t_eval=times,
        rtol=SOLVER,
        atol=SOLVER,
    )
    assert found.success
    x, v = found.y[:half].T, found.y[half:].T
    return x.reshape(-1, *shape[1:]), v.reshape(-1, *shape[1:])
