"""What computes the steps of a surrogate: chosen, refused, fallen back from; and the same run."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from nbody_set.model import SET
from nbody_surrogate.contracts.fused_steps import AbstractFusedSteps
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.build import find_method, method_from
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.engine import Engine
from nbody_surrogate.surrogates.options import SurrogateOptions
from toy_surrogates import Windowed, integrator_of, same_bits, set_of

pytestmark = pytest.mark.usefixtures("one_thread")
GROWN = 1e-11
"""Rounding, grown over 25 frames."""


def engine_of(method):
    return method.description["engine"]


def test_a_models_own_steps_run_by_default_on_the_cpu(tiny_set):
    assert engine_of(set_of(tiny_set)) == "fused"
    assert set_of(tiny_set).batch_invariant
    for engine in ("fused", "torch", "inductor"):
        assert engine_of(set_of(tiny_set, engine=engine)) == engine
    assert not set_of(tiny_set, engine="torch").batch_invariant
    assert engine_of(integrator_of(Windowed())) == "torch"


@pytest.mark.parametrize("name", ["charged", "trap"])
def test_a_run_is_that_of_torch_to_rounding(tiny_set, name):
    system = make_system(name)
    start = system.sample(0, 4, 3)
    one, other = (
        simulate(system, *start, 25, set_of(tiny_set, engine=engine))
        for engine in ("torch", "fused")
    )
    np.testing.assert_allclose(other.x, one.x, rtol=0, atol=GROWN)
    np.testing.assert_allclose(other.v, one.v, rtol=0, atol=GROWN)
    assert other.info.method["engine"] == "fused"
    assert other.info.counters["model_calls"] == one.info.counters["model_calls"] == 75


def test_a_run_has_the_same_bits_in_other_segments_batches_threads_and_calls(
    tiny_set, system, start, monkeypatch
):
    state, particles = start
    whole = simulate(system, *start, 25, set_of(tiny_set))
    assert same_bits(whole, simulate(system, *start, 25, set_of(tiny_set, segment=7, threads=2)))
    monkeypatch.setattr("nbody_surrogate.surrogates.engine.CALL", 1)
    assert same_bits(whole, simulate(system, *start, 25, set_of(tiny_set)))
    alone = simulate(system, state[1:2], particles[1:2], 25, set_of(tiny_set))
    np.testing.assert_array_equal(alone.x[0], whole.x[1])


@pytest.mark.parametrize("engines", [("fused", "fused"), ("fused", "torch"), ("torch", "fused")])
def test_a_run_goes_on_from_what_is_stored_of_it(tiny_set, system, start, engines):
    """To the same bits by the same engine, to rounding by the other: the cache is the same."""
    one, other = (set_of(tiny_set, engine=engine, segment=5) for engine in engines)
    state, particles = start
    segment = one.advance(one.start(system, state, particles, 0.1), 5)
    carry = other.restored(segment.carry, other.stored(segment.carry))
    wanted, got = one.advance(segment.carry, 5), other.advance(carry, 5)
    allowed = 0.0 if engines[0] == engines[1] else GROWN
    np.testing.assert_allclose(got.x, wanted.x, rtol=0, atol=allowed)
    np.testing.assert_allclose(got.v, wanted.v, rtol=0, atol=allowed)


# Refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "fast"}, ["`engine`", "auto, fused, torch or inductor", "fast"]),
        ({"engine": "fused", "compile": True}, ["`engine` 'inductor'", "leave one out"]),
    ],
)
def test_what_is_no_engine_or_two(tiny_set, options, words):
    with pytest.raises(InputError) as caught:
        set_of(tiny_set, **options)
    assert all(word in str(caught.value) for word in words), caught.value


def test_messages_name_weights_that_ship():
    method = find_method("set").build(weights="set-small", device="cpu", engine="torch")
    assert (method.label, method.name) == ("set-small", "set")
    folder = str(SET.shipped_weights["set-small"])
    assert find_method("set").build(weights=folder, device="cpu").label == "set"


def test_compiled_steps_that_there_are_not():
    with pytest.raises(InputError, match=r"`engine` 'fused': .* has no compiled steps"):
        integrator_of(Windowed(), engine="fused")


def test_compiled_steps_are_for_the_cpu(tiny_set):
    options, cuda = SurrogateOptions(engine="fused"), torch.device("cuda")
    with pytest.raises(InputError, match="are for the CPU, got `device` 'cuda'"):
        Engine(tiny_set, "set", options, cuda, 4)
    assert Engine(tiny_set, "set", SurrogateOptions(), cuda, 4).name == "torch"


def test_a_problem_for_which_there_are_none(tiny_set, system, start, monkeypatch):
    monkeypatch.setattr(SET, "fused_steps", lambda *arguments: None)
    with pytest.raises(InputError, match=r"`engine` 'fused'.*in float64 and 3 dimensions; take"):
        simulate(system, *start, 1, set_of(tiny_set, engine="fused"))
    run = simulate(system, *start, 1, set_of(tiny_set))
    assert run.info.method["engine"] == "torch"


def test_a_problem_without_them_is_not_the_last_of_a_method(tiny_set, system, start, monkeypatch):
    """One method, problems in turn: each by its own engine, which its run says."""
    wanted = {engine: simulate(system, *start, 6, set_of(tiny_set, engine=engine))
              for engine in ("fused", "torch")}  # fmt: skip
    made, none = SET.fused_steps, []
    monkeypatch.setattr(SET, "fused_steps", lambda *given: None if none else made(*given))
    method = set_of(tiny_set, segment=3)
    first = method.start(system, *start, 0.1)
    none.append("for this problem")
    for engine in ("torch", "fused", "torch"):
        none[:] = [] if engine == "fused" else ["for this problem"]
        run = simulate(system, *start, 6, method)
        assert run.info.method["engine"] == engine_of(method) == engine
        assert method.batch_invariant == (engine == "fused")
        assert same_bits(run, wanted[engine])
    np.testing.assert_array_equal(method.advance(first, 3).x, wanted["fused"].x[:, 1:4])
    assert engine_of(method) == "fused"


# Not to be compiled


class Broken(AbstractFusedSteps):
    def advance(self, *arguments):
        raise RuntimeError("no compiler\nhere")


def no_steps(*arguments):
    raise RuntimeError("no compiler\nhere")


@pytest.mark.parametrize("steps", [no_steps, lambda *arguments: Broken()], ids=["made", "called"])
def test_where_nothing_can_be_compiled_torch_takes_over(
    tiny_set, system, start, monkeypatch, caplog, steps
):
    wanted = simulate(system, *start, 12, set_of(tiny_set, engine="torch"))
    monkeypatch.setattr(SET, "fused_steps", steps)
    method = set_of(tiny_set, segment=5)
    with caplog.at_level(logging.WARNING, logger="nbody_surrogate"):
        run = simulate(system, *start, 12, method)
    assert same_bits(run, wanted)
    line = "set runs by torch, without compiled steps: no compiler here"
    assert caplog.messages == [line]
    assert engine_of(method) == "torch"


# Of before


def test_methods_of_before_run_as_they_did(tiny_set):
    assert find_method("set").of_before == {"engine": "torch"}
    before = {"integrator": "set", "weights": "set-small", "device": "cpu"}
    assert engine_of(method_from(before)) == "torch"
    compiled = method_from(before | {"compile": True})
    assert compiled._engine.name == "inductor"
    # a restart file holds these, and is refused where they are others
    assert compiled.description.items() >= {"engine": "torch", "compile": True}.items()
    assert engine_of(set_of(tiny_set, compile=True)) == "inductor"
    assert engine_of(method_from(before | {"compile": False})) == "torch"
    assert engine_of(method_from(before | {"engine": "fused"})) == "fused"
