"""The conformance kit: all that ships passes it, and every check is seen to fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from unittest import SkipTest

import pytest

from broken_integrators import INTEGRATORS
from broken_surrogates import SURROGATES, adding, inside
from broken_systems import SYSTEMS, named, system_with
from examples import Pairnet, Verlet
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.lookup import entries
from nbody_surrogate.registry.registry import (
    register_integrator,
    register_surrogate,
    register_system,
)
from nbody_surrogate.testing import Check, ConformanceError, KnownFailure, checks
from nbody_surrogate.testing.suite import kind_of
from nbody_surrogate.testing.system_symmetries import SYMMETRIES

pytestmark = pytest.mark.usefixtures("one_thread")
BUILT_IN = [
    (entry.kind, entry.name)
    for entry in entries()
    if entry.status == "built-in" and entry.kind != "preset"
]
CONFIGS = {
    "egnn": {"width": 8, "layers": 2},
    "lstm": {"width": 16, "particles": 4},
    "mlp": {"width": 16, "particles": 4},
    "set-paper": {"width": 8, "blocks": 2, "layers": 1, "history": 4},
}
"""Of models that have no default for everything, or are large by default."""


SLOW = {
    "surrogate-set-spheres-inputs-unchanged",
    *(
        f"integrator-parareal-{check}"
        for check in ("nonfinite", "shorter-runs", "determinism", "inputs-unchanged", "shapes")
    ),
}
"""The first compiles the frames of spheres a second time, for arrays that can be written to.
Parareal runs two methods, several times."""


def of_what_ships():
    for kind, name in BUILT_IN:
        for check in checks(name, kind=kind, config=CONFIGS.get(name)):
            called = f"{kind}-{name}-{check}"
            yield pytest.param(check, id=called, marks=[pytest.mark.slow] * (called in SLOW))


@pytest.mark.parametrize("check", list(of_what_ships()))
def test_what_ships_keeps_its_contract(check):
    try:
        check()
    except KnownFailure as known:
        pytest.xfail(str(known))


@pytest.mark.parametrize("weights", ["set", "set-small", "set-kernel"])
def test_trained_weights_can_be_checked_too(weights):
    (known,) = (c for c in checks("set", weights=weights) if c.name == "known-symmetries")
    known()
    (streaming,) = (c for c in checks("set", weights=weights) if c.name == "streaming")
    streaming()


def test_every_check_is_seen_to_fail(registered):
    register_integrator("one")(Verlet)
    register_surrogate("two")(Pairnet)
    register_system("three")(system_with(name="three"))
    of_integrators, of_surrogates, of_systems = (
        {check.name for check in checks(name)} for name in ("one", "two", "three")
    )
    assert of_integrators == INTEGRATORS.keys()
    assert of_surrogates == INTEGRATORS.keys() | SURROGATES.keys()
    undeclared = {f"symmetry:{symmetry}" for symmetry in SYMMETRIES}
    assert of_systems == SYSTEMS.keys() | undeclared


def test_a_check_says_what_it_demands():
    for kind, name in (("integrator", "leapfrog"), ("surrogate", "set"), ("system", "charged")):
        for check in checks(name, kind=kind):
            assert isinstance(check, Check)
            assert check.demand.endswith(".")
            assert str(check) == check.name


def test_a_check_that_does_not_apply_is_skipped(registered):
    register_system("broken")(system_with())
    with pytest.raises(SkipTest, match="not written as laws"):
        named("laws", "system")()


class Near(Pairnet):
    """Says of a check that it keeps that it fails it."""

    known_failures: ClassVar[Mapping[str, str]] = {"remote": "none"}


class Far(adding(lambda x, v, p: inside(x).tanh())):
    known_failures: ClassVar[Mapping[str, str]] = {"remote": "a constant pull"}


@pytest.mark.parametrize(
    ("model", "outcome"),
    [
        (Far, pytest.raises(KnownFailure, match="a constant pull")),
        (Near, pytest.raises(ConformanceError, match=r"`known_failures` must not name 'remote'")),
    ],
)
def test_a_known_failure_is_skipped_with_its_reason_and_must_be_one(registered, model, outcome):
    register_surrogate("broken")(model)
    with outcome:
        named("remote", "surrogate")()


def test_checks_are_for_what_can_be_checked(registered):
    register_system("both")(system_with(name="both"))
    register_integrator("both")(Verlet)
    with pytest.raises(InputError, match="`name` 'nothing' is unknown; there are: "):
        checks("nothing")
    with pytest.raises(InputError, match="`kind` is needed: 'both' is a integrator and a system"):
        checks("both")
    assert kind_of("both", "system") == "system"
    with pytest.raises(InputError, match="there is no surrogate 'both'"):
        checks("both", kind="surrogate")
    with pytest.raises(InputError, match="`weights` does not apply to integrator 'leapfrog'"):
        checks("leapfrog", weights="set")
