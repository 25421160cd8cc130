"""What a guard measures drifts by: no boost, no shift, no clock and no explosion changes it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from guarded_runs import COMPUTED, FRAMES, OFF, Free, method_of, start_of
from nbody_surrogate import Guard, Particles, State, make_integrator, make_system, simulate
from nbody_surrogate.simulation.guard.conserved_quantities import ConservedQuantities
from nbody_surrogate.simulation.guard.start_scales import StartScales

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:guard"),
]

MOVED = [(np.zeros(3), 3.0), (np.zeros(3), 10.0), (np.full(3, 1e4), 10.0)]
"""A shift, and a boost along x."""
SAME = 1e-6
"""Of a shift of 1e4, float64 leaves 12 digits of a distance; errors are differences of those."""


def moved(state, shift, boost):
    return State(state.t, state.x + shift, state.v + np.array([boost, 0.0, 0.0]))


def scales_of(system, state, particles):
    return StartScales.of(system, state.x, state.v, particles)


def test_the_scales_of_two_charges_by_hand():
    system = make_system("charged")
    x = np.array([[[0.0, 0, 0], [1.0, 0, 0]]])
    v = np.array([[[0.0, 2, 0], [0.0, 1, 0]]])
    particles = Particles([[1.0, -2.0]], [[1.0, 3.0]])
    found = scales_of(system, State(0.0, x, v), particles).scales
    # about the centre of mass: velocities of 3/4 and -1/4, distances of 3/4 and 1/4
    kinetic = 0.5 * (1.0 * 0.75**2 + 3.0 * 0.25**2)
    energy = kinetic + 2.0 / math.sqrt(1.0 + system.spec.softening**2)
    speed = math.sqrt(2.0 * energy / 4.0)
    np.testing.assert_allclose(found["energy"], [energy], rtol=1e-12)
    np.testing.assert_allclose(found["momentum"], [4.0 * speed], rtol=1e-12)
    np.testing.assert_allclose(found["angular_momentum"], [1.5 * speed], rtol=1e-12)


def test_particles_of_a_field_have_its_energy():
    """One ion at rest in a trap; and two that do not see each other add up."""
    system = make_system("trap", coupling=0.0)
    x = np.array([[[1.0, 0, 0], [0.0, 2.0, 0]]])
    found = scales_of(
        system, State(0.0, x, np.zeros_like(x)), Particles([[1.0, 1.0]], [[1.0, 1.0]])
    )
    np.testing.assert_allclose(found.scales["energy"], [0.5 * 0.25 * (1 + 4)], rtol=1e-12)


@pytest.mark.parametrize("name", ["charged", "gravity", "springs"])
def test_neither_a_boost_nor_a_shift_changes_them(name):
    system = make_system(name)
    state, particles = system.sample(3, 6, 4)
    before = scales_of(system, state, particles)
    values = ConservedQuantities.of(system, state.x[:, None], state.v[:, None], particles).values
    for shift, boost in MOVED:
        other = moved(state, shift, boost)
        after = scales_of(system, other, particles)
        again = ConservedQuantities.of(system, other.x[:, None], other.v[:, None], particles).values
        for key, scale in before.scales.items():
            np.testing.assert_allclose(after.scales[key], scale, rtol=1e-9)
            if key != "momentum":  # that of the laboratory, of which a change is what counts
                np.testing.assert_allclose(again[key], values[key], atol=1e-9 * scale.max())


def test_many_pairs_are_judged_by_some():
    system = make_system("charged")
    state, particles = system.sample(1, 500)
    found = scales_of(system, state, particles).scales["energy"][0]
    i, j = np.triu_indices(500, 1)
    apart = np.sqrt(((state.x[0, i] - state.x[0, j]) ** 2).sum(1) + system.spec.softening**2)
    v = state.v[0] - state.v[0].mean(0)
    exact = 0.5 * (v * v).sum() + np.sqrt((1 / apart**2).sum())
    assert found == pytest.approx(exact, rel=0.05)


def test_a_cold_crystal_is_left_in_peace():
    """Two ions at rest where trap and repulsion cancel: the kinetic energy is that of rounding."""
    system = make_system("trap")
    spec, w2 = system.spec, system.spec.frequencies[0] ** 2
    half = brentq(
        lambda d: spec.coupling * 2 * d / (4 * d * d + spec.softening**2) ** 1.5 - w2 * d, 0.1, 10.0
    )
    x = np.array([[[half, 0, 0], [-half, 0, 0]]])
    state, particles = State(0.0, x, np.zeros_like(x)), Particles([[1.0, 1.0]], [[1.0, 1.0]])
    for method in ("dop853", "leapfrog"):
        run = simulate(system, state, particles, 100, method, guard="stop")
        assert abs(run.x - x[:, None]).max() < 1e-9
        assert run.info.success
        assert run.info.guard.events == ()


@pytest.mark.parametrize("boost", [0.0, 10.0])
def test_a_particle_alone_loses_nothing(boost):
    """It has neither energy nor momentum of its own: only rounding is left."""
    system = make_system("charged")
    state = State(0.0, np.full((1, 1, 3), 1e4), np.full((1, 1, 3), boost))
    run = simulate(system, state, Particles([[1.0]], [[0.7]]), 60, "leapfrog", guard="stop")
    assert run.info.success
    assert run.info.guard.events == ()


@pytest.mark.parametrize(("shift", "boost"), MOVED)
def test_what_trips_is_the_same_in_another_frame(shift, boost):
    system = make_system("charged")
    state, particles = system.sample(3, 5, 12)
    method = make_integrator("leapfrog", substeps=1, segment=10)

    def events(start):
        found = []
        for own in ({"energy": 0.01}, {"closest": 0.5}, {"fastest": 1.0}, {"local": 0.1}):
            guard = Guard("warn", **(OFF | own))
            run = simulate(system, start, particles, 40, method, guard=guard)
            found += run.info.guard.events
        return found

    at_rest, flying = events(state), events(moved(state, shift, boost))
    assert {event.reason for event in at_rest} == {"energy", "distance", "speed", "local error"}
    for one, other in zip(at_rest, flying, strict=True):
        assert (one.trajectory, one.frame, one.reason) == (
            *(other.trajectory, other.frame, other.reason),
        )
        assert one.value == pytest.approx(other.value, rel=SAME, abs=SAME)


def test_an_explosion_is_not_measured_by_itself():
    """The energy grows by 2.25 in each frame; over the run's own it would read as 1."""
    method = method_of(lambda x, v: (0.1 * v, 0.5 * v))
    guard = Guard("warn", **(OFF | {"energy": 0.01}))
    run = simulate(Free(), *start_of(), FRAMES, method, guard=guard)
    values = [event.value for event in run.info.guard.events]
    assert values[0] == pytest.approx(1.25)
    # each is told of the first frame of its segment
    assert values[1:] == pytest.approx([1.5**10 - 1, 1.5**20 - 1])


@pytest.mark.parametrize("t", [0.0, 100.0, 1.7e9])
def test_only_the_time_since_the_start_counts(t):
    state, particles = start_of(marked=False)
    guard = Guard("warn", longest=1.25, **COMPUTED)
    method = make_integrator("leapfrog", segment=5)
    start = State(t, state.x, state.v)
    system = make_system("charged")
    (first, *_) = simulate(system, start, particles, 15, method, guard=guard).info.guard.events
    assert (first.reason, first.frame) == ("time", 13)
    assert first.detail == "time 1.3 since the start, the limit is 1.25"
