"""Each check of the conformance kit fails what is broken in one way."""

from __future__ import annotations

import re
from unittest import SkipTest

import pytest
import torch

from broken_integrators import INTEGRATORS, Mute
from broken_surrogates import SURROGATES, OneShot, Wild
from broken_systems import SYSTEMS, named, system_with
from examples import Pairnet, Verlet, Yukawa
from nbody_surrogate.registry.registry import (
    register_integrator,
    register_surrogate,
    register_system,
)
from nbody_surrogate.testing import ConformanceError, checks
from nbody_surrogate.testing.system_symmetries import SYMMETRIES

pytestmark = pytest.mark.usefixtures("one_thread")


# Integrators, each broken in one way


def failure(kind, check, method):
    """The message of a check that fails, after what every message begins with."""
    with pytest.raises(ConformanceError) as caught:
        named(check, kind)()
    message = str(caught.value)
    assert "\n" not in message
    start = f"{kind} 'broken' of this session: "
    assert message.startswith(start + f"`{method}` ") or f"`{method}` of {start[:-2]}" in message
    return message


@pytest.mark.parametrize("check", INTEGRATORS)
def test_a_broken_integrator_fails(registered, check):
    cls, method, words = INTEGRATORS[check]
    register_integrator("broken")(
        type("Broken", (cls,), {"name": "broken" if cls.name == "verlet" else cls.name})
    )
    assert re.search(words, failure("integrator", check, method))


def test_a_refusal_has_to_name_the_integrator(registered):
    register_integrator("broken")(type("Broken", (Mute,), {"name": "broken"}))
    assert "'no'" in failure("integrator", "refusals", "_check")


def test_a_capability_has_a_name_that_systems_need(registered):
    cls = type("Broken", (Verlet,), {"name": "broken", "capabilities": frozenset({"neighbors"})})
    register_integrator("broken")(cls)
    assert "it holds ['neighbors']" in failure("integrator", "capabilities", "capabilities")


# Surrogates


@pytest.mark.parametrize("check", SURROGATES)
def test_a_broken_surrogate_fails(registered, check):
    cls, method, words = SURROGATES[check]
    register_surrogate("broken")(cls)
    assert re.search(words, failure("surrogate", check, method))


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_a_surrogate_must_declare_what_it_has(registered, symmetry):
    left_out = {"symmetries": Pairnet.symmetries - {symmetry}}
    register_surrogate("broken")(type("Broken", (Pairnet,), left_out))
    message = failure("surrogate", f"symmetry:{symmetry}", "symmetries")
    assert f"must hold '{symmetry}'" in message


@pytest.mark.parametrize("cls", [OneShot, Wild])
def test_other_sorts_of_surrogates_are_sound(registered, cls):
    symmetries = Pairnet.symmetries - {"time-reversal"}
    register_surrogate("broken")(type("Sound", (cls,), {"symmetries": symmetries}))
    skipped = set()
    for check in checks("broken"):
        try:
            check()
        except SkipTest:
            skipped.add(check.name)
    only = {"causality", "history"} if cls is OneShot else set()
    assert skipped == only | {"axial-symmetries", "fused-steps"}


def test_a_one_shot_model_says_so(registered):
    register_surrogate("broken")(type("Broken", (OneShot,), {"one_shot": False}))
    assert "it is True" in failure("surrogate", "increments", "one_shot")


class AskingForMemory(Pairnet):
    def __init__(self, config):
        super().__init__(config)
        self.scale = float(torch.ones(()))


def test_a_model_is_built_without_memory_first(registered):
    register_surrogate("broken")(AskingForMemory)
    assert "device meta" in failure("surrogate", "saving", "__init__")


def test_a_config_without_defaults_asks_for_weights(registered):
    class Asking(Pairnet.Config):
        depth: int

    register_surrogate("broken")(type("Broken", (Pairnet,), {"Config": Asking}))
    assert "give `config` with `depth`" in failure("surrogate", "shapes", "Config")
    checks("broken", config={"depth": 3, "width": 4})[0]()


# Systems


@pytest.mark.parametrize("check", SYSTEMS)
def test_a_broken_system_fails(registered, check):
    changes, method, words = SYSTEMS[check]
    register_system("broken")(system_with(**changes))
    assert re.search(words, failure("system", check, method))


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_a_system_must_declare_what_it_has(registered, symmetry):
    register_system("broken")(system_with(symmetries=Yukawa.symmetries - {symmetry}))
    message = failure("system", f"symmetry:{symmetry}", "symmetries")
    assert f"must hold '{symmetry}'" in message
