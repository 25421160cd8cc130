"""A plugin that breaks its contract in an ordinary run: one line that names it, and no harm."""

from __future__ import annotations

import re

import pytest

from commands import FAILURE, good, nbody_sim
from misbehaving import INTEGRATORS, SURROGATES, WRONG_INTEGRATORS, WRONG_SYSTEMS, provided
from nbody_surrogate import (
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.surrogates.weights import save_weights

pytestmark = pytest.mark.usefixtures("folder")

WRONG_SURROGATES = {
    "shaped": "`forward` must return dx and dv, both float32 of shape (B, T, N, D) = "
    "(1, 1, 4, 3), .* got float32 of shape (1, 1, 3) and float32 of shape (1, 1, 4, 3)",
    "double": "`forward` must return dx and dv, both float32 .* got float64 of shape",
    "single": "`forward` must return dx and dv, .* got float32 of shape (1, 1, 4, 3)",
    "writing": "`step_cache` must leave its input as it is, it changed `x`",
    "raising": "`forward` raised IndexError: no such frame",
    "hoarding": "`start_cache` must return a cache that is a flat dict of tensors, got a list of 2",
}


@pytest.fixture
def weights(install, folder):
    """A function that names the weights of a surrogate, after writing them."""
    install("acme-m", provided(WRONG_SURROGATES, "straight", "nan"), SURROGATES, kind="surrogates")

    def write(name):
        cls = surrogate_class(name)
        spec = make_system("charged").spec.of_forces()
        card = Card(
            systems=(CardSystem(system="charged", spec=spec, time_range=(0, 10)),),
            frame_dt=0.1,
            particles=(1, 8),
            charges=(0, 1),
            masses=(1, 1),
            symmetries=(),
            training_data_hash="none",
        )
        save_weights(folder / "weights", cls(cls.Config()), name, card)
        return folder / "weights"

    return write


def pattern(words):
    return ".*".join(map(re.escape, words.split(" .* ")))


SHORT = ("run", "-n", 4, "--duration", 0.2, "--no-reference", "--json")


def complaint(*arguments):
    """The line with which a run ends; only frames that are whole may be left, in a .part."""
    result = nbody_sim(*SHORT, *arguments)
    assert result.exit_code == FAILURE, result.output
    (line,) = result.stderr.splitlines()
    assert not line.startswith("Error: unexpected")
    return line


@pytest.mark.parametrize("name", WRONG_INTEGRATORS)
def test_a_misbehaving_integrator_is_named(acme, name):
    line = complaint("--integrator", name)
    assert line.startswith(f"Error: integrator {name!r} of acme-i 1.0")
    assert re.search(pattern(WRONG_INTEGRATORS[name]), line), line


@pytest.mark.parametrize("name", WRONG_SYSTEMS)
def test_a_misbehaving_system_is_named(acme, name):
    line = complaint("--system", name, "--integrator", "rk45")
    assert line.startswith(f"Error: system {name!r} of acme-s 1.0: ")
    assert re.search(pattern(WRONG_SYSTEMS[name]), line), line


@pytest.mark.parametrize("name", WRONG_SURROGATES)
def test_a_misbehaving_surrogate_is_named(weights, name):
    line = complaint("--integrator", name, "--weights", weights(name))
    assert line.startswith(f"Error: surrogate {name!r} of acme-m 1.0: ")
    assert re.search(pattern(WRONG_SURROGATES[name]), line), line


def test_nan_of_a_plugin_is_a_failed_trajectory_that_names_it(acme):
    assert complaint("--integrator", "nan").endswith(
        "the state became non-finite after t = 0.1: "
        "`_advance` of integrator 'nan' of acme-i 1.0 must return finite numbers"
    )


def test_nan_of_a_surrogate(weights):
    assert complaint("--integrator", "nan", "--weights", weights("nan")).endswith(
        "`forward` of surrogate 'nan' of acme-m 1.0 must return finite numbers"
    )


def test_nan_of_a_system(acme):
    assert complaint("--system", "nan").endswith(
        "dop853: the force is not finite after t = 0: "
        "`pair_acceleration` of system 'nan' of acme-s 1.0 must return finite numbers"
    )


def test_the_sound_ones_run_all_the_same(acme, weights):
    good(*SHORT, "--system", "free", "--integrator", "still")
    for name in ("straight", "acme-m:straight"):
        options = ("--integrator", name, "--weights", weights("straight"), "--device", "cpu")
        good(*SHORT, *options)


@pytest.mark.parametrize(
    ("name", "words"), [("secretive", "SystemExit: 0"), ("shy", "RuntimeError: never ask")]
)
def test_a_property_that_raises_is_named(install, name, words):
    install("acme", provided([name]), INTEGRATORS)
    result = nbody_sim(*SHORT, "--integrator", name)
    assert result.exit_code == FAILURE
    assert result.stderr == f"Error: integrator {name!r} of acme 1.0: unexpected {words}\n"


def test_a_caller_may_cancel_a_plugin_by_an_error_of_any_kind(acme):
    def stop(done, total):
        raise KeyError("enough")

    system = make_system("charged")
    with pytest.raises(KeyError, match="enough"):
        simulate(system, *system.sample(0, 2), 5, make_integrator("still"), observers=stop)


def test_training_names_a_misbehaving_surrogate(weights, folder):
    (folder / "recipe.toml").write_text(
        'surrogate = "shaped"\nsteps = 1\nchunk = 4\n[[data]]\nbatch = 2\n'
        'spec = { particles = 2, trajectories = 10, frames = 6, integrator = "rk45" }\n'
    )
    result = nbody_sim("train", "recipe.toml", "-o", "out", "-q", "--workers", 1)
    assert result.exit_code == FAILURE
    assert "surrogate 'shaped' of acme-m 1.0: `forward` must return dx and dv" in result.stderr
