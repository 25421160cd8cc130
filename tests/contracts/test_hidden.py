"""Hidden variables: part of the state, kept by solvers, lost by nothing without a word."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from nbody_surrogate import InputError, PluginError, State, make_integrator, simulate
from nbody_surrogate.contracts.hidden_variables import HiddenVariable
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.testing.probes import Relaxing
from small_methods import SmallRK4

SEGMENT = 5
NEAR = 1e-7  # of both methods, over the times below

B, N, D = 2, 3, 3
ZEROS = np.zeros((B, N, D))


@pytest.fixture(scope="module")
def start():
    return Relaxing().sample(0, 4, 2)


def exact(state, t):
    """Positions along the field, and charges, at some times (F,)."""
    t = np.asarray(t)[:, None]
    q = state.hidden["charge"][:, None] - 1.0
    slope = t**2 / 2 + q * (t - (1.0 - np.exp(-t)))
    return state.x[:, None, :, 0] + state.v[:, None, :, 0] * t + slope, 1.0 + q * np.exp(-t)


# States


def test_a_state_holds_frozen_copies():
    given = np.ones((B, N))
    state = State(0.0, ZEROS, ZEROS, hidden={"charge": given, "bond": np.ones((B, N, N))})
    given[:] = 2
    assert state.hidden["charge"].max() == 1
    assert not state.hidden["charge"].flags.writeable
    with pytest.raises(TypeError):
        state.hidden["charge"] = given
    assert State(0.0, ZEROS, ZEROS).hidden == {}


def test_a_part_of_a_state_has_its_part_of_what_is_hidden():
    charge = np.arange(6.0).reshape(B, N)
    one = State(0.0, ZEROS, ZEROS, hidden={"charge": charge})[1]
    np.testing.assert_array_equal(one.hidden["charge"], charge[1:])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_state_can_be_copied_and_sent(copied, start):
    state = copied(start[0])
    np.testing.assert_array_equal(state.hidden["charge"], start[0].hidden["charge"])
    np.testing.assert_array_equal(state.x, start[0].x)
    with pytest.raises(TypeError):
        state.hidden["charge"] = 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones((N, B)), r"must have shape \(B, N, ...\) with \(B, N\) = \(2, 3\), got \(3, 2\)"),
        (np.ones(N), r"must have shape \(B, N\), got \(3,\)"),
        (np.full((B, N), np.nan), "must be finite"),
        (np.full((B, N), "a"), "must hold real numbers"),
    ],
)
def test_what_is_no_hidden_variable_is_refused(values, words):
    with pytest.raises(InputError, match=rf"^`hidden\['charge'\]` {words}"):
        State(0.0, ZEROS, ZEROS, hidden={"charge": values})


def test_a_declaration_gives_the_shape():
    assert HiddenVariable("q").axes(4, 3) == (4,)
    assert HiddenVariable("bond", ("N",)).axes(4, 3) == (4, 4)
    assert HiddenVariable("bath", (8, "D")).axes(4, 2) == (4, 8, 2)
    for name, shape in (("a b", ()), ("v", ()), ("q", (0,))):
        with pytest.raises(InputError):
            HiddenVariable(name, shape)
    for axis in ("K", 1.5):  # annotations, which tests execute, may refuse it before we do
        with pytest.raises((InputError, TypeCheckError)):
            HiddenVariable("q", (axis,))


# Runs


@pytest.mark.parametrize("make", [SmallRK4, lambda **o: make_integrator("dop853", **o)])
def test_the_motion_is_the_known_one(make, start):
    state, particles = start
    run = simulate(Relaxing(), state, particles, 12, make(segment=SEGMENT))
    x, _ = exact(state, run.t)
    np.testing.assert_allclose(run.x[..., 0], x, atol=NEAR)
    np.testing.assert_allclose(run.x[:, -1, :, 1:], (state.x + 1.2 * state.v)[..., 1:], atol=NEAR)


@pytest.mark.parametrize("make", [SmallRK4, lambda **o: make_integrator("dop853", **o)])
def test_a_carry_that_is_stored_goes_on_with_the_same_bits(make, start):
    state, particles = start
    method = make(segment=SEGMENT)
    first = method.advance(method.start(Relaxing(), state, particles, 0.1), SEGMENT)
    _, charge = exact(state, 0.1 * np.arange(1, SEGMENT + 1))
    np.testing.assert_allclose(first.hidden["charge"], charge, atol=NEAR)
    stored = method.stored(first.carry)
    np.testing.assert_array_equal(stored["hidden.charge"], first.hidden["charge"][:, -1])
    fresh = make(segment=SEGMENT)
    second = method.advance(first.carry, SEGMENT)
    again = fresh.advance(fresh.restored(first.carry, stored), SEGMENT)
    np.testing.assert_array_equal(again.x, second.x)
    np.testing.assert_array_equal(again.hidden["charge"], second.hidden["charge"])


def test_a_trajectory_alone_is_that_of_a_batch(start):
    state, particles = start
    together = simulate(Relaxing(), state, particles, 6, "dop853")
    alone = simulate(Relaxing(), state[1], particles[1], 6, "dop853")
    np.testing.assert_array_equal(together.x[1], alone.x[0])


class Steady(AbstractIntegrator):
    """Stands still; what is hidden does as it is told."""

    name = "steady"
    capabilities = frozenset({"hidden-variables"})
    told = staticmethod(lambda hidden: hidden)

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in "xv")
        hidden = {key: np.repeat(y[:, None], frames, 1) for key, y in carry.hidden.items()}
        return Frames(x, v, hidden=self.told(hidden))


def test_a_trajectory_whose_hidden_variable_is_lost_fails_alone(start):
    def lost(hidden):
        hidden["charge"][1, 3:] = math.inf
        return hidden

    method = Steady(segment=SEGMENT)
    method.told = lost
    segment = method.advance(method.start(Relaxing(), *start, 0.1), SEGMENT)
    assert segment.good.tolist() == [SEGMENT, 3]
    assert "non-finite" in segment.message[1]
    np.testing.assert_array_equal(segment.hidden["charge"][1, 3:], segment.hidden["charge"][1, :2])


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (lambda hidden: {}, "must give the hidden variables `charge`, got none"),
        (lambda hidden: hidden | {"more": ZEROS}, "`charge`, got `charge`, `more`"),
        (lambda hidden: {"charge": hidden["charge"][:, 0]}, r"of shape \(2, 5, 4\), got float64 "),
        (lambda hidden: {"charge": hidden["charge"].astype("f4")}, "float64 array .* got float32"),
    ],
)
def test_a_method_that_loses_what_is_hidden_is_named(told, words, start):
    method = Steady(segment=SEGMENT)
    method.told = told
    carry = method.start(Relaxing(), *start, 0.1)
    with pytest.raises(PluginError, match=f"'steady' .*`_advance` {words}|{words}"):
        method.advance(carry, SEGMENT)


def relaxing_with(**changes):
    return type("Broken", (Relaxing,), changes)()


def test_a_system_that_breaks_its_word_is_named(start):
    state, particles = start
    rates = relaxing_with(_hidden_rate=lambda self, *given: {"charge": np.zeros(3)})
    with pytest.raises(PluginError, match=r"'relaxing' .*`_hidden_rate` must give `charge` as a "):
        simulate(rates, state, particles, 1)
    silent = relaxing_with(_sample=lambda *given: Relaxing._sample(*given)._replace(hidden={}))
    with pytest.raises(PluginError, match="`_sample` must give the hidden variables `charge`, got"):
        silent.sample(0, 3)


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        (
            {},
            "must hold the hidden variables of system 'relaxing', `charge`, got none; frames ",
        ),
        (
            {"q": np.ones((2, 4))},
            "holds the hidden variables `q`, and system 'relaxing' has `charge`",
        ),
        (
            {"charge": np.ones((2, 4, 3))},
            r"must hold `charge` .* in shape \(2, 4\), got \(2, 4, 3\)",
        ),
    ],
)
def test_a_state_of_another_system_is_refused(hidden, words, start):
    state, particles = start
    other = State(0.0, state.x, state.v, hidden=hidden)
    with pytest.raises(InputError, match=f"^`state` {words}"):
        simulate(Relaxing(), other, particles, 1)
