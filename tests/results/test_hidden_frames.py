"""Runs keep hidden variables frame by frame, so that any frame is a start."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate import InputError, make_integrator, simulate
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.results.trajectory import RunInfo, Trajectory, as_ensemble
from nbody_surrogate.testing.probes import Relaxing
from small_methods import SmallRK4
from tests.hidden_systems import Bonding

# of models that see the present alone, as the small ones here do
pytestmark = pytest.mark.filterwarnings("ignore:.* memoryless floor")
NEAR = 1e-7  # of closed forms: what dop853 at its default tolerance of 1e-9 is off by


@pytest.fixture(scope="module")
def run():
    state, particles = Relaxing().sample(3, 4, 2)
    return simulate(Relaxing(), state, particles, 12, "dop853")


def relaxed(initial, t):
    """Closed form q = 1 + (q0 - 1) exp(-t), shape (B, T, ...) for an initial (B, ...)."""
    decay = np.exp(-t).reshape(1, -1, *[1] * (initial.ndim - 1))
    return 1.0 + (initial[:, None] - 1.0) * decay


# What a run holds


def test_a_run_holds_them_in_every_frame(run):
    assert run.hidden["charge"].shape == (2, 13, 4)
    assert run.hidden["charge"].dtype == np.float64
    wanted = relaxed(run.hidden["charge"][:, 0], run.t)
    np.testing.assert_allclose(run.hidden["charge"], wanted, atol=NEAR)


def test_those_of_pairs_too():
    system = Bonding()
    run = simulate(system, *system.sample(5, 3, 2, 2), 10)
    assert run.hidden["strength"].shape == (2, 11, 3, 3)
    wanted = relaxed(run.hidden["strength"][:, 0], run.t)
    np.testing.assert_allclose(run.hidden["strength"], wanted, atol=NEAR)


def test_a_run_without_any_has_an_empty_mapping():
    from nbody_surrogate import make_system

    system = make_system("charged")
    run = simulate(system, *system.sample(0, 3), 2)
    assert dict(run.hidden) == {}
    assert dict(run[0].hidden) == {}


# Parts of it


def test_parts_of_a_run_hold_their_parts(run):
    charge = run.hidden["charge"]
    for part, wanted in (
        (run[1], charge[1]),
        (run[[1, 0]], charge[[1, 0]]),
        (run[:, ::5], charge[:, ::5]),
        (run[0][2:], charge[0, 2:]),
        (run[1, ::3], charge[1, ::3]),
        (as_ensemble(run[1]), charge[1:]),
    ):
        np.testing.assert_array_equal(part.hidden["charge"], wanted)


def test_a_state_of_a_frame_holds_those_of_the_frame(run):
    for state, wanted in (
        (run.state(5), run.hidden["charge"][:, 5]),
        (run[:, -1], run.hidden["charge"][:, -1]),
        (run[0][-1], run.hidden["charge"][:1, -1]),
        (run[1].state(0), run.hidden["charge"][1:, 0]),
    ):
        np.testing.assert_array_equal(state.hidden["charge"], wanted)


def test_copies_and_pickles_are_whole(run):
    for each in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        np.testing.assert_array_equal(each.hidden["charge"], run.hidden["charge"])


def test_a_run_goes_on_from_any_frame(run):
    rest = simulate(Relaxing(), run.state(5), run.particles, 7, "dop853")
    np.testing.assert_allclose(rest.x, run.x[:, 5:], atol=NEAR)
    np.testing.assert_allclose(rest.hidden["charge"], run.hidden["charge"][:, 5:], atol=NEAR)


# Trajectories that stop


class Losing(AbstractIntegrator):
    """Stands still, and fails in trajectory 1 after three frames."""

    name = "losing"
    capabilities = frozenset({"hidden-variables"})

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in "xv")
        ages = np.arange(carry.frame + 1, carry.frame + frames + 1)
        charge = carry.hidden["charge"][:, None] + 0 * x[..., 0] + ages[:, None] - carry.frame
        failures = {1: (3, "lost")} if carry.frame == 0 else {}
        return Frames(x, v, failures=failures, hidden={"charge": charge})


def test_what_has_stopped_stands_still_and_is_no_data():
    state, particles = Relaxing().sample(3, 4, 2)
    run = simulate(Relaxing(), state, particles, 12, Losing(segment=5))
    charge = run.hidden["charge"]
    np.testing.assert_array_equal(charge[1, 4:], np.broadcast_to(charge[1, 3], (9, 4)))
    np.testing.assert_allclose(charge[0, 12], state.hidden["charge"][0] + 12, atol=1e-12)
    valid = run.valid_part()
    assert np.isnan(valid.hidden["charge"][1, 4:]).all()
    assert np.isfinite(valid.hidden["charge"][1, :4]).all()


# A guard that changes frames


def test_a_guard_that_stops_holds_them_with_the_rest():
    state, particles = Bonding().sample(3, 4, 2)
    guard_run = simulate(Bonding(), state, particles, 12, Losing2(segment=5), guard="stop")
    stopped = guard_run.info.good[1]
    strength = guard_run.hidden["strength"]
    assert stopped < 13
    assert (strength[1, stopped:] == strength[1, stopped - 1]).all()
    assert (np.diff(strength[0, :, 0, 1]) > 0).all()


class Losing2(SmallRK4):
    """Throws the particles of trajectory 1 about; all else is as it should be."""

    name = "losing2"

    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        made.v[1, 2:] *= 1e3
        return made


# What does not fit


T, N = 4, 3


def of_hidden(hidden):
    x = np.zeros((T, N, 3))
    info = RunInfo({"system": "relaxing"}, {"integrator": "dop853"})
    return Trajectory(np.arange(4.0), x, x, Particles(np.ones(N), np.ones(N)), info, hidden=hidden)


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        ({"charge": np.ones((T, N), "f4")}, "`hidden` 'charge' must be an array of float64, got f"),
        ({"charge": np.ones((T, 2))}, r"`hidden` 'charge' must have shape \(T, N, ...\) with the "),
        (
            {"x": np.ones((T, N))},
            "`hidden` must have words for names, and neither x nor v, got",
        ),
    ],
)
def test_what_is_none_of_the_runs_is_refused(hidden, words):
    with pytest.raises(InputError, match=f"^{words}"):
        of_hidden(hidden)


def test_an_ensemble_refuses_as_a_trajectory_does():
    fine = as_ensemble(of_hidden({"charge": np.ones((T, N))}))
    with pytest.raises(InputError, match=r"`hidden` 'charge' must have shape \(B, T, N, ...\) wit"):
        replace(fine, hidden={"charge": np.ones((T, N))})


# Methods that go on from frames


def test_a_method_goes_on_from_frames_with_what_is_hidden(run):
    method = make_integrator("dop853", segment=5)
    problem = method.start(Relaxing(), run.state(0), run.particles, 0.1).problem
    hidden = {"charge": run.hidden["charge"][:, 5]}
    carry = method.restart(problem, 5, run.x[:, 5:6], run.v[:, 5:6], hidden)
    made = method.advance(carry, 5)
    np.testing.assert_allclose(made.hidden["charge"], run.hidden["charge"][:, 6:11], atol=NEAR)
    with pytest.raises(InputError, match=r"^`state` must hold the hidden variables of system 'rel"):
        method.restart(problem, 5, run.x[:, 5:6], run.v[:, 5:6])
