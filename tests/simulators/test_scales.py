"""Starting times and units that are far from one: what a run may not depend on."""

from __future__ import annotations

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.contracts import Particles, State
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system

pytestmark = pytest.mark.slow  # narrow orbits take many steps

CALENDAR = 1.7e9  # seconds since 1970, where float64 has steps of 2.4e-7
ADAPTIVE = ("dop853", "rk45", "dop853-compiled")
FIXED = ("leapfrog", "yoshida4", "symplectic-euler", "rk4", "srkn4", "srkn6", "exact-flow")


def kepler(eccentricity: float, t0: float = 0.0) -> tuple[State, Particles]:
    """Two masses of 1/2 at the far ends of an orbit of period 2 pi."""
    far = 1 + eccentricity
    slow = np.sqrt((1 - eccentricity) / far)
    x, v = 0.5 * np.array([[far, 0, 0]]), 0.5 * np.array([[0, slow, 0]])
    return (
        State(t0, np.stack([x[0], -x[0]])[None], np.stack([v[0], -v[0]])[None]),
        Particles(np.zeros((1, 2)), np.full((1, 2), 0.5)),
    )


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_narrow_orbit_is_finished_at_any_starting_time_with_the_same_bits(method):
    gravity = make_system("gravity", softening=0.0)
    runs = [
        nb.simulate(gravity, *kepler(0.9999, t0), 40, make_integrator(method, segment=15), dt=0.1)
        for t0 in (0.0, CALENDAR)
    ]
    for run in runs:
        assert run.info.status == (0,)
    np.testing.assert_array_equal(runs[0].x, runs[1].x)
    np.testing.assert_array_equal(runs[1].t, CALENDAR + 0.1 * np.arange(41))


@pytest.mark.parametrize("method", [*FIXED, "boris"])
@pytest.mark.parametrize(("t0", "dt"), [(0.0, 1e-13), (CALENDAR, 1.6e-3), (0.0, 1e-200)])
def test_fixed_steps_of_any_length_move_particles(method, t0, dt):
    """What float64 resolves is done: free particles go v dt in a frame, in units as short as it."""
    system = make_system("penning" if method == "boris" else "charged")
    x = np.array([[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]]) * dt
    v = np.array([[[1.0, -2.0, 0.5], [0.25, 0.0, -1.0]]])
    start = State(t0, x, v), Particles(np.zeros((1, 2)), np.ones((1, 2)))
    run = nb.simulate(system, *start, 5, make_integrator(method, substeps=4), dt=dt)
    way = dt * np.arange(6)[:, None, None] * v
    np.testing.assert_allclose(run.x[0], x[0] + way, rtol=1e-12, atol=1e-12 * dt)


@pytest.mark.parametrize("method", [*ADAPTIVE, "leapfrog"])
def test_ions_in_si_units_move_as_in_reduced_ones(method):
    """Two ions: metres, seconds and kilograms against units in which all is of order one."""
    coulomb, charge, mass = 8.9875517923e9, 1.602176634e-19, 6.6551e-26  # of calcium
    length = 5e-6
    unit = np.sqrt(mass * length**3 / (coulomb * charge**2))  # of time, 5.6 microseconds
    x = np.array([[[0.5, 0.0, 0.1], [-0.5, 0.2, 0.0]]])
    v = np.array([[[0.1, 0.3, 0.0], [0.0, -0.2, 0.1]]])
    ones = Particles([[1.0, 1.0]], [[1.0, 1.0]])
    ions = Particles(charge * ones.charges, mass * ones.masses)
    reduced, si = {"substeps": 20}, {"substeps": 20}
    if method != "leapfrog":
        reduced, si = {"rtol": 1e-10, "atol": 1e-12}, {"rtol": 1e-10, "atol": 1e-12 * length}
    runs = [
        nb.simulate(system, State(0.0, *y), particles, 30, make_integrator(method, **o), dt=dt)
        for system, y, particles, o, dt in (
            (make_system("charged", softening=0.0), (x, v), ones, reduced, 0.1),
            (
                make_system("charged", softening=0.0, coupling=coulomb),
                (length * x, length / unit * v), ions, si, 0.1 * unit,
            ),
        )
    ]  # fmt: skip
    np.testing.assert_allclose(runs[1].x / length, runs[0].x, rtol=0, atol=1e-8)


def test_an_absolute_tolerance_that_controls_nothing_is_told():
    x = 1e-10 * np.array([[[0.5, 0.0, 0.1], [-0.5, 0.2, 0.0]]])
    start = State(0.0, x, 0 * x), Particles(np.zeros((1, 2)), np.ones((1, 2)))
    system = make_system("charged")
    for method in ADAPTIVE:
        with pytest.warns(nb.NBodyWarning, match=r"`atol` of 1e-09.*positions.*--atol 5e-20"):
            nb.simulate(system, *start, 1, method, dt=1e-13)
