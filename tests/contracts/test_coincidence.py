"""Two particles at one place are told before a run, and forces are computed only for that."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import State, make_integrator, make_system
from nbody_surrogate.contracts.enforcement import refuse_coincidence
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.errors import InputError


def checked(system, state, particles):
    refuse_coincidence(Problem(system, particles, 0.0, 0.1), state)


def start_of(place, trajectories=3, n=6):
    system = make_system("charged", softening=0.0)
    state, particles = system.sample(0, n, trajectories)
    x = np.array(state.x)
    place(x)
    return system, State(0.0, x, state.v), particles


def no_forces(monkeypatch, system):
    def computed(*arguments):
        raise AssertionError("forces are computed")

    monkeypatch.setattr(type(system), "pair_acceleration", computed)


def on_a_line(x):
    x[:, :, 1:] = 0.0


def in_a_plane(x):
    x[:, :, 0] = 1.0
    x[:, 1, 1] = x[:, 4, 1]


@pytest.mark.parametrize("place", [lambda x: None, on_a_line, in_a_plane])
def test_forces_are_not_computed_where_particles_are_apart(monkeypatch, place):
    system, state, particles = start_of(place)
    no_forces(monkeypatch, system)
    make_integrator("leapfrog").check(system, state, particles, 0.1)


def test_one_particle_coincides_with_none(monkeypatch):
    system, state, particles = start_of(lambda x: None, n=1)
    no_forces(monkeypatch, system)
    checked(system, state, particles)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_the_two_are_named_with_their_trajectory(zero):
    def place(x):
        x[1, 4], x[1, 2] = [1.0, 0.0, 2.0], [1.0, zero, 2.0]

    with pytest.raises(InputError, match="particles 2 and 4 of trajectory 1 at the same place"):
        checked(*start_of(place))


def test_the_same_place_in_two_trajectories_is_none():
    def place(x):
        x[1, 4] = x[0, 4]

    checked(*start_of(place))


def test_where_forces_stay_finite_particles_may_coincide(charged):
    _, state, particles = start_of(lambda x: np.copyto(x[:, 1], x[:, 0]))
    checked(charged, state, particles)
