"""Names: built-ins and strangers come through one door, and a broken plugin harms nobody."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

import pytest

from nbody_surrogate import (
    AbstractIntegrator,
    InputError,
    NBodyWarning,
    PluginError,
    make_integrator,
    make_system,
    register_integrator,
    register_surrogate,
    register_system,
)
from nbody_surrogate.integrators.build import find_method
from nbody_surrogate.registry.lookup import is_surrogate, names
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.surrogates.trained_models import shipped_models

BUILT_IN = {
    "systems": {
        "charged",
        "charged-clipped",
        "gravity",
        "oscillator",
        "pendulum",
        "penning",
        "springs",
        "trap",
    },
    "integrators": {
        "boris",
        "dop853",
        "dop853-compiled",
        "exact-flow",
        "hermite4",
        "leapfrog",
        "rk4",
        "rk45",
        "srkn4",
        "srkn6",
        "symplectic-euler",
        "yoshida4",
    },
    "surrogates": {"set"},
}

STEPPER = """
from nbody_surrogate import AbstractIntegrator

class Stepper(AbstractIntegrator):
    name = "{name}"

    def _start(self, problem, state):
        return {{}}

    def _advance(self, carry, frames, tick):
        raise NotImplementedError
"""


def refused(kind, call, *arguments):
    """The one line with which a call is refused."""
    with pytest.raises(kind) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Built-ins


@pytest.mark.parametrize("kind", BUILT_IN)
def test_built_ins_are_listed_in_order(kind):
    assert set(names(kind)) >= BUILT_IN[kind]
    assert names(kind) == sorted(names(kind))


def test_several_kinds_are_listed_together():
    both = names("integrators", "surrogates")
    assert both == sorted([*names("integrators"), *names("surrogates")])


@pytest.mark.parametrize("name", sorted(BUILT_IN["integrators"]))
def test_integrators_are_made_by_name(name):
    integrator = make_integrator(name, segment=7)
    assert integrator.name == name
    assert integrator.options.segment == 7
    assert integrator.description["integrator"] == name
    assert find_method(name).options == set(type(integrator).Options.model_fields)


def test_systems_are_made_by_name():
    system = make_system("charged", softening=0.2)
    assert system.name == "charged"
    assert system.spec.softening == 0.2


def test_a_distribution_may_stand_before_the_name():
    assert make_integrator("nbody-surrogate:rk45").name == "rk45"
    assert make_system("nbody-surrogate:charged").name == "charged"
    refused(InputError, make_integrator, "numpy:rk45")


# Unknown names


@pytest.mark.parametrize(
    ("call", "name", "close", "others"),
    [
        (make_integrator, "leepfrog", "leapfrog", ("dop853", "rk45", "set")),
        (make_integrator, "rk455", "rk45", ("dop853", "leapfrog", "set")),
        (make_system, "chargd", "charged", ()),
    ],
)
def test_an_unknown_name_lists_what_there_is(call, name, close, others):
    message = refused(InputError, call, name)
    assert repr(name) in message
    assert f"did you mean '{close}'?" in message
    for known in (close, *others):
        assert known in message.split("there are: ")[1]


@pytest.mark.parametrize("call", [make_integrator, make_system, surrogate_class])
def test_nothing_is_suggested_where_nothing_is_close(call):
    message = refused(InputError, call, "zzz")
    assert "did you mean" not in message
    assert "there are: " in message


def test_an_integrator_is_not_offered_where_a_surrogate_is_asked_for():
    message = refused(InputError, surrogate_class, "dop853")
    assert "'dop853' is an integrator, no surrogate" in message
    assert "did you mean" not in message
    offered = message.split("there are: ")[1]
    assert "set-symplectic" in offered
    assert "leapfrog" not in offered


@pytest.mark.parametrize("name", ["", ":", "nbody-surrogate:", ":dop853:"])
def test_odd_names_are_unknown_names(name):
    refused(InputError, make_integrator, name)


# Strangers


def test_a_plugin_is_found_and_made_like_a_built_in(install):
    install("alpha", {"euler": "Stepper"}, STEPPER.format(name="euler"))
    assert "euler" in names("integrators")
    assert make_integrator("euler", segment=3).options.segment == 3
    assert make_integrator("alpha:euler").name == "euler"
    assert "did you mean 'euler'?" in refused(InputError, make_integrator, "eulr")


def test_nothing_is_imported_before_it_is_asked_for(install):
    install("alpha", {"euler": "Stepper"}, STEPPER.format(name="euler"))
    names("integrators")
    make_integrator("rk45")
    assert "alpha_of_a_test" not in sys.modules
    make_integrator("euler")
    assert "alpha_of_a_test" in sys.modules


def test_a_name_that_two_provide_names_both(install):
    for distribution in ("alpha", "beta"):
        install(distribution, {"euler": "Stepper"}, STEPPER.format(name=distribution))
    message = refused(PluginError, make_integrator, "euler")
    assert "alpha:euler" in message
    assert "beta:euler" in message
    assert make_integrator("alpha:euler").name == "alpha"
    assert make_integrator("beta:euler").name == "beta"
    assert make_integrator("rk45").name == "rk45"


def test_a_plugin_cannot_take_the_name_of_a_built_in(install):
    install("alpha", {"dop853": "Stepper"}, STEPPER.format(name="other"))
    message = refused(PluginError, make_integrator, "dop853")
    assert "alpha:dop853" in message
    assert "nbody-surrogate:dop853" in message


def test_a_name_cannot_be_an_integrator_and_a_surrogate(install):
    install("alpha", {"euler": "Stepper"}, STEPPER.format(name="euler"))
    install("beta", {"euler": "Stepper"}, STEPPER.format(name="euler"), kind="surrogates")
    message = refused(PluginError, make_integrator, "euler")
    assert "integrator" in message
    assert "surrogate" in message


def test_a_plugin_may_provide_a_system(install):
    source = (
        "import numpy as np\n"
        "from nbody_surrogate import AbstractSystem\n"
        "from nbody_surrogate.contracts.system import SystemSpec\n"
        "class Empty(AbstractSystem):\n"
        "    name, Spec = 'empty', SystemSpec\n"
        "    def pair_acceleration(self, x, particles): return np.zeros_like(x)\n"
        "    def potential_energy(self, x, particles): return np.zeros(len(x))\n"
        "    def _sample(self, rng, n, dimensions): raise NotImplementedError\n"
    )
    install("alpha", {"empty": "Empty"}, source, kind="systems")
    assert make_system("empty", frame_dt=0.5).spec.frame_dt == 0.5


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import a_module_that_nobody_has", "a_module_that_nobody_has"),
        ("raise RuntimeError('no licence')", "no licence"),
        ("def broken(:", "SyntaxError"),
        ("", "Stepper"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_others_go_on(install, source, why):
    install("broken-plugin", {"euler": "Stepper"}, source)
    install("alpha", {"heun": "Stepper"}, STEPPER.format(name="heun"))
    message = refused(PluginError, make_integrator, "euler")
    assert "broken-plugin" in message
    assert why in message
    assert make_integrator("heun").name == "heun"
    assert make_integrator("rk45").name == "rk45"
    assert set(names("integrators")) >= {"euler", "heun", "rk45"}


def test_a_distribution_tells_an_integrator_from_a_surrogate(install):
    install("alpha", {"euler": "Stepper"}, STEPPER.format(name="euler"))
    install("beta", {"euler": "Stepper"}, STEPPER.format(name="euler"), kind="surrogates")
    assert make_integrator("alpha:euler").name == "euler"
    assert not is_surrogate("alpha:euler")
    assert is_surrogate("beta:euler")


@pytest.mark.parametrize("spelt", ["My_Plugin", "my.plugin", "my-plugin"])
def test_distributions_are_spelt_as_an_index_spells_them(install, monkeypatch, spelt):
    install("my-plugin", {"euler": "Stepper"}, STEPPER.format(name="euler"))
    monkeypatch.setenv("NBODY_SURROGATE_PLUGINS", spelt)
    assert make_integrator(f"{spelt}:euler").name == "euler"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("api_version = 0", "`api_version` 0, this release has 1; update the plugin"),
        ("api_version = 2", "`api_version` 2, this release has 1; update nbody-surrogate"),
    ],
)
def test_a_plugin_for_another_version_of_the_contracts(install, line, said):
    install("alpha", {"euler": "Stepper"}, STEPPER.format(name="euler") + f"    {line}\n")
    message = refused(PluginError, make_integrator, "euler")
    assert message.startswith("integrator 'euler' of alpha 1.0 is written for ")
    assert said in message


def test_what_is_no_class_of_its_kind_is_not_taken(registered):
    message = refused(PluginError, register_surrogate("mine"), Stepper)
    assert "must be a subclass of AbstractSurrogate, it is class Stepper" in message
    assert "mine" not in names("surrogates")


def test_a_broken_surrogate_does_not_hide_the_models_of_others(install):
    install("broken", {"lost": "Lost"}, "import nothing_of_the_kind", kind="surrogates")
    with pytest.warns(NBodyWarning, match="'lost' of broken 1.0 cannot be imported"):
        listed = [model.name for model in shipped_models()]
    assert "set" in listed


def test_damaged_metadata_of_one_distribution_do_not_hide_the_others(install, tmp_path):
    install("alpha", {"euler": "Stepper"}, STEPPER.format(name="euler"))
    install("damaged", {}, "")
    (tmp_path / "damaged-1.0.dist-info" / "entry_points.txt").write_text("[a.group]\nno value\n")
    (tmp_path / "touched").mkdir()
    with pytest.warns(NBodyWarning, match="entry points of damaged cannot be read"):
        listed = names("integrators")
    assert {"euler", "dop853"} <= set(listed)


# NBODY_SURROGATE_PLUGINS


@pytest.mark.parametrize(
    ("allowed", "found"),
    [
        (None, {"euler", "heun"}),
        ("", set()),
        (" , ", set()),
        ("alpha", {"euler"}),
        ("beta, alpha", {"euler", "heun"}),
        ("gamma", set()),
    ],
)
def test_the_environment_limits_which_plugins_are_seen(install, monkeypatch, allowed, found):
    install("alpha", {"euler": "Stepper"}, STEPPER.format(name="euler"))
    install("beta", {"heun": "Stepper"}, STEPPER.format(name="heun"))
    if allowed is None:
        monkeypatch.delenv("NBODY_SURROGATE_PLUGINS")
    else:
        monkeypatch.setenv("NBODY_SURROGATE_PLUGINS", allowed)
    listed = set(names("integrators"))
    assert listed & {"euler", "heun"} == found
    assert listed >= BUILT_IN["integrators"]
    for name in {"euler", "heun"} - found:
        refused(InputError, make_integrator, name)


# Registered for a session


class Stepper(AbstractIntegrator):
    name: ClassVar[str] = "mine"

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        raise NotImplementedError


def test_an_integrator_can_be_registered(registered):
    assert register_integrator("mine")(Stepper) is Stepper
    assert "mine" in names("integrators")
    assert isinstance(make_integrator("mine", segment=3), Stepper)
    assert find_method("mine").options == {"segment"}
    assert not is_surrogate("mine")


def test_a_system_can_be_registered(registered, charged):
    register_system("plasma")(type("Plasma", (type(charged),), {"name": "plasma"}))
    assert make_system("plasma", softening=0.3).spec.softening == 0.3
    assert "plasma" in names("systems")


def test_a_surrogate_can_be_registered(registered):
    cls = surrogate_class("set")
    register_surrogate("mine")(cls)
    assert surrogate_class("mine") is cls
    assert is_surrogate("mine")
    assert "mine" in names("surrogates")


@pytest.mark.parametrize(
    ("register", "name"),
    [
        (register_system, "charged"),
        (register_integrator, "dop853"),
        (register_surrogate, "set"),
        (register_integrator, "mine"),
        (register_integrator, "set"),
        (register_surrogate, "leapfrog"),
    ],
)
def test_a_taken_name_cannot_be_registered(registered, register, name):
    register_integrator("mine")(Stepper)
    message = refused(InputError, register(name), Stepper)
    assert message.startswith("`name` ")
    assert repr(name) in message


def test_a_taken_name_says_by_whom(registered, install):
    install("alpha", {"euler": "Stepper"}, STEPPER.format(name="euler"))
    message = refused(InputError, register_surrogate("euler"), Stepper)
    assert message.endswith("by alpha:euler")


def test_a_cell_of_a_notebook_can_be_run_again(registered):
    first, second = (type("Mine", (Stepper,), {"__module__": "__main__"}) for _ in range(2))
    register_integrator("mine")(first)
    register_integrator("mine")(second)
    assert type(make_integrator("mine")) is second
    other = type("Other", (Stepper,), {"__module__": "__main__"})
    refused(InputError, register_integrator("mine"), other)


# What importing costs


HEAVY = ["torch", "pyvista", "vtk", "numba", "scipy", "h5py", "pydantic"]
LOOKED_AT = """
import nbody_surrogate
nbody_surrogate.__version__, dir(nbody_surrogate)
from nbody_surrogate.registry.registry import names
names('systems', 'integrators', 'surrogates')
"""


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [(LOOKED_AT, HEAVY), ("from nbody_surrogate import simulate", HEAVY[:-1])],
    ids=["package", "simulate"],
)
def test_importing_the_package_imports_nothing_heavy(statement, heavy):
    check = f"import sys; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{check}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_public_names_are_there():
    import nbody_surrogate

    for name in nbody_surrogate.__all__:
        assert getattr(nbody_surrogate, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = nbody_surrogate.nothing_of_the_kind
