"""Who can do what: methods refuse, in one line, a system that needs more than they can."""

from __future__ import annotations

from contextlib import suppress
from unittest import SkipTest

import numpy as np
import pytest
import torch

from commands import good
from examples import Verlet, Yukawa
from nbody_surrogate import InputError, make_integrator, make_system, simulate
from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.evaluation.work_precision.numpy_force import with_numpy_force
from nbody_surrogate.registry.lookup import names
from nbody_surrogate.registry.registry import (
    register_integrator,
    register_surrogate,
    register_system,
)
from nbody_surrogate.testing import checks
from nbody_surrogate.testing.probes import Relaxing, SoftSpheres
from nbody_surrogate.testing.surrogate_case import surrogate_case
from small_methods import SmallRK4
from small_systems import Dragged

NEEDS = {
    "a periodic box": (SoftSpheres(skin=None), {"periodic-box"}),
    "forces by lists of neighbours": (SoftSpheres(period=None), {"neighbours"}),
    "forces by lists of neighbours and a periodic box": (
        SoftSpheres(),
        {"neighbours", "periodic-box"},
    ),
    "hidden variables in its state": (Relaxing(), {"hidden-variables"}),
}
BOX = Box((5.0, 5.0, 5.0))
ABLE = {"dop853", "rk45"}
SOLVERS = sorted(set(names("integrators")) - ABLE)


@pytest.mark.parametrize("words", NEEDS)
def test_needs_follow_from_the_declarations(words):
    system, needs = NEEDS[words]
    assert system.needs == needs


def test_systems_without_declarations_need_nothing():
    needy = {name: make_system(name).needs for name in names("systems") if make_system(name).needs}
    hidden = {name: {"hidden-variables"} for name in ("bath", "charging", "ties")}
    assert needy == {"dust": {"random-kicks"}, **hidden}
    assert Yukawa().needs == Dragged().needs == frozenset()
    assert type("Open", (Yukawa,), {"box": Box((None, None, None))})().needs == frozenset()


@pytest.mark.usefixtures("registered")
def test_a_force_in_plain_numpy_knows_no_box():
    boxed = type("Boxed", (make_system("charged").__class__,), {"name": "boxed", "box": BOX})
    register_system("boxed")(boxed)
    with pytest.raises(InputError, match=r"^`system` 'boxed' has no laws to be written in NumPy"):
        with_numpy_force(boxed())


@pytest.mark.usefixtures("registered")
def test_what_is_needed_and_can_be_done_is_shown():
    register_system("soft-spheres")(SoftSpheres)
    printed = good("plugins", "show", "soft-spheres")
    assert "needs: neighbours, periodic-box\n" in printed
    assert "potential energy: yes\n" in printed
    for name, can in (
        ("dop853", "hidden-variables, neighbours, periodic-box"),
        ("rk4", "hidden-variables"),
        ("leapfrog", "none"),
    ):
        assert f"capabilities: {can}\n" in good("plugins", "show", name)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("words", NEEDS)
def test_a_solver_refuses_what_it_cannot_do(name, words):
    system, needs = NEEDS[words]
    if name == "rk4" and needs == {"hidden-variables"}:
        pytest.skip("which it can do")
    with pytest.raises(InputError) as caught:
        simulate(system, *system.sample(0, 3), 1, name)
    assert str(caught.value) == (
        f"`integrator` {name} cannot do what system {system.name!r} needs: {words}; "
        f"use one with the capabilities {', '.join(sorted(needs))}, such as dop853"
    )


def test_a_plugin_of_before_can_do_none_of_it():
    with pytest.raises(InputError, match=r"^`integrator` verlet cannot do what system 'relaxing' "):
        simulate(Relaxing(), *Relaxing().sample(0, 3), 1, Verlet())


class Drifting(AbstractSurrogate):
    """Uniform motion."""

    Config = SurrogateConfig
    symmetries = frozenset({"translation", "permutation", "time-shift"})

    def __init__(self, config):
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, x, v, particles):
        dv = (0.0 * v).to(self.dtype)
        return 0.1 * v.to(self.dtype) + 0.0 * self.scale, dv


class Blind(Drifting):
    capabilities = frozenset({"hidden-variables"})


@pytest.mark.usefixtures("registered", "one_thread")
@pytest.mark.parametrize("probe", [Relaxing, SoftSpheres])
def test_a_surrogate_refuses_what_it_is_not_made_for(probe):
    register_system(probe.name)(probe)
    register_surrogate("drifting")(Drifting)
    method = surrogate_case("drifting", probe.name).make()
    system = probe()
    with pytest.raises(
        InputError, match=r"^`integrator` drifting cannot do what system '"
    ) as caught:
        simulate(system, *system.sample(0, 4), 1, method)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.* memoryless floor")
@pytest.mark.usefixtures("registered", "one_thread")
def test_a_surrogate_that_is_made_for_it_runs_without_seeing_what_is_hidden():
    register_system("relaxing")(Relaxing)
    register_surrogate("blind")(Blind)
    state, particles = Relaxing().sample(0, 4)
    run = simulate(
        Relaxing(), state, particles, 7, surrogate_case("blind", "relaxing").make(segment=5)
    )
    np.testing.assert_allclose(run.x[:, 7], state.x + 0.7 * state.v, rtol=1e-12)


# The conformance kit, on methods and systems that have all of it

OF_METHODS = {
    "small-rk4": {"shapes", "batch", "inputs-unchanged", "shorter-runs", "restart", "nonfinite"},
    "dop853": {"batch", "restart"},
}
"""What a list of neighbours or a hidden variable could break; the rest takes time."""


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("system", [SoftSpheres, Relaxing])
@pytest.mark.parametrize("method", OF_METHODS)
def test_a_method_that_can_do_it_keeps_its_contract(method, system):
    register_integrator("small-rk4")(SmallRK4)
    register_system(system.name)(system)
    for check in checks(method, kind="integrator", system=system.name):
        if check.name in OF_METHODS[method]:
            check()


@pytest.mark.usefixtures("registered")
def test_a_small_method_does_what_it_says():
    register_integrator("small-rk4")(SmallRK4)
    (check,) = (each for each in checks("small-rk4") if each.name == "capabilities")
    check()


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("system", [SoftSpheres, Relaxing, Dragged])
def test_a_system_that_needs_it_keeps_its_contract(system):
    register_system(system.name)(system)
    for check in checks(system.name):
        with suppress(SkipTest):
            check()


def test_solvers_that_can_do_all_of_it_say_so():
    for name in ABLE:
        assert make_integrator(name).capabilities == {
            "periodic-box",
            "neighbours",
            "hidden-variables",
        }
