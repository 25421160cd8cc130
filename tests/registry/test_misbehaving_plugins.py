"""A plugin that breaks its contract in an ordinary run: one line that names it, and no harm."""

from __future__ import annotations

import re

import pytest

from commands import FAILURE, MISUSE, bad, good, nbody_sim
from nbody_surrogate import (
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.registry.registry import surrogate_class
from nbody_surrogate.surrogates.weights import save_weights

INTEGRATORS = '''
import numpy as np
from nbody_surrogate import AbstractIntegrator
from nbody_surrogate.contracts.integrator import Frames

class Still(AbstractIntegrator):
    """Copies the start."""
    name = "still"
    def _start(self, problem, state):
        return {}
    def _advance(self, carry, frames, tick):
        x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in "xv")
        tick(frames)
        return Frames(x, v)

class Lacking(AbstractIntegrator):
    name = "lacking"
    def _start(self, problem, state):
        return {}

class Nameless(AbstractIntegrator):
    _start, _advance = Still._start, Still._advance

class Unlisted(Still):
    Options = dict

class Newer(Still):
    api_version = 99

class Shaped(Still):
    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        return Frames(made.x[:, 0], made.v[:, 0])

class Single(Still):
    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        return Frames(made.x.astype("float32"), made.v)

class Listing(Still):
    def _advance(self, carry, frames, tick):
        return [1, 2, 3]

class Nan(Still):
    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        made.x[0, -1:] = np.nan
        return made

class Writing(Still):
    def _advance(self, carry, frames, tick):
        carry.arrays["v"][:] = 0
        return super()._advance(carry, frames, tick)

class Raising(Still):
    def _advance(self, carry, frames, tick):
        return 1 / 0

class Unready(Still):
    def _start(self, problem, state):
        raise OSError("no\\nlicence")

class Failing(Still):
    def _advance(self, carry, frames, tick):
        made = super()._advance(carry, frames, tick)
        made.failures = {7: (0, "lost")}
        return made

no_class = 3

for made in list(globals().values()):
    if isinstance(made, type) and issubclass(made, Still):
        made.name = made.__name__.lower()
'''

SYSTEMS = '''
import numpy as np
from nbody_surrogate import AbstractSystem
from nbody_surrogate.contracts.system import Draw, SystemSpec

class Free(AbstractSystem):
    """No forces."""
    name, Spec = "free", SystemSpec
    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)
    def potential_energy(self, x, particles):
        return np.zeros(len(x))
    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.ones(n), np.ones(n))

class Shaped(Free):
    def pair_acceleration(self, x, particles):
        return np.zeros(x.shape[1:])

class Single(Free):
    def one_body_acceleration(self, x, v, particles):
        return np.zeros(x.shape, "float32")

class Nothing(Free):
    def pair_acceleration(self, x, particles):
        pass

class Nan(Free):
    def pair_acceleration(self, x, particles):
        return np.full(x.shape, np.nan)

class Writing(Free):
    def pair_acceleration(self, x, particles):
        x -= x.mean(1, keepdims=True)
        return -x

class Raising(Free):
    def pair_acceleration(self, x, particles):
        raise KeyError("mass")

class Energetic(Free):
    def potential_energy(self, x, particles):
        return 0.0

class Sampling(Free):
    def _sample(self, rng, n, dimensions):
        return super()._sample(rng, n + 1, dimensions)

class Infinite(Free):
    def _sample(self, rng, n, dimensions):
        draw = super()._sample(rng, n, dimensions)
        return draw._replace(masses=np.full(n, np.inf))

for made in list(globals().values()):
    if isinstance(made, type) and issubclass(made, Free):
        made.name = made.__name__.lower()

class Misnamed(Free):
    pass
'''

SURROGATES = '''
import torch
from torch import nn
from nbody_surrogate import AbstractSurrogate
from nbody_surrogate.contracts.surrogate import SurrogateConfig

class Straight(AbstractSurrogate):
    """Uniform motion."""
    Config = SurrogateConfig
    def __init__(self, config):
        super().__init__(config)
        self.dt = nn.Parameter(torch.tensor(0.1))
    def forward(self, x, v, particles):
        v = v.to(self.dtype)
        return self.dt * v, torch.zeros_like(v)

class Shaped(Straight):
    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        return dx[:, :, 0], dv

class Double(Straight):
    def forward(self, x, v, particles):
        return 0.1 * v, 0 * v

class Single(Straight):
    def forward(self, x, v, particles):
        return super().forward(x, v, particles)[0]

class Nan(Straight):
    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        return dx / 0 - dx / 0, dv

class Writing(Straight):
    def step_cache(self, cache, x, v, particles):
        x += 1
        return super().step_cache(cache, x, v, particles)

class Raising(Straight):
    def forward(self, x, v, particles):
        raise IndexError("no such frame")

class Hoarding(Straight):
    def start_cache(self, x, v, particles):
        return [x, v]
'''

WRONG_INTEGRATORS = {
    "lacking": "class Lacking lacks `_advance`, which AbstractIntegrator asks for",
    "nameless": "`__init__` raised AttributeError: 'Nameless' object has no attribute 'name'",
    "unlisted": "class Unlisted must set `Options` to a subclass of IntegratorOptions",
    "newer": "is written for `api_version` 99, this release has 1; update nbody-surrogate",
    "shaped": "`_advance` must return `x` as a float64 array of shape .* = (1, 1, 4, 3), "
    "got float64 of shape (1, 4, 3)",
    "single": "`_advance` must return `x` as a float64 array .* got float32 of shape",
    "listing": "`_advance` must return `Frames`, got a list of 3",
    "writing": "`_advance` must leave its input as it is",
    "raising": "`_advance` raised ZeroDivisionError: division by zero",
    "unready": "`_start` raised OSError: no licence",
    "failing": "`_advance` must report failures of trajectories 0 to 0",
    "no-class": "must be a subclass of AbstractIntegrator, it is a int",
}

WRONG_SYSTEMS = {
    "shaped": "`pair_acceleration` must return a float64 array of shape (1, 4, 3), "
    "got float64 of shape (4, 3)",
    "single": "`one_body_acceleration` must return a float64 array .* got float32",
    "nothing": "`pair_acceleration` must return a float64 array .* got None",
    "writing": "`pair_acceleration` must leave its input as it is",
    "raising": "`pair_acceleration` raised KeyError: 'mass'",
    "energetic": "`potential_energy` must return a float64 array of shape (1,), got a float",
    "sampling": "`_sample` must draw `x` of shape (4, 3), got float64 of shape (5, 3)",
    "misnamed": "class Misnamed must set `name` to 'misnamed', got 'free'",
    "infinite": "`_sample` must draw finite `masses`, got NaN or infinity",
}

WRONG_SURROGATES = {
    "shaped": "`forward` must return dx and dv, both float32 of shape (B, T, N, D) = "
    "(1, 1, 4, 3), .* got float32 of shape (1, 1, 3) and float32 of shape (1, 1, 4, 3)",
    "double": "`forward` must return dx and dv, both float32 .* got float64 of shape",
    "single": "`forward` must return dx and dv, .* got float32 of shape (1, 1, 4, 3)",
    "writing": "`step_cache` must leave its input as it is, it changed `x`",
    "raising": "`forward` raised IndexError: no such frame",
    "hoarding": "`start_cache` must return a cache that is a flat dict of tensors, got a list of 2",
}


def provided(table, *more):
    return {name: name.title() for name in (*table, *more)} | (
        {"no-class": "no_class"} if "no-class" in table else {}
    )


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    inside = tmp_path / "work"
    inside.mkdir()
    monkeypatch.chdir(inside)
    return inside


@pytest.fixture
def acme(install):
    """A distribution of plugins, one of each kind of which is sound."""
    install("acme-i", provided(WRONG_INTEGRATORS, "still", "nan"), INTEGRATORS)
    install("acme-s", provided(WRONG_SYSTEMS, "free", "nan"), SYSTEMS, kind="systems")


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


# The command line about plugins


def test_a_plugin_is_listed_without_being_imported(acme):
    import json
    import sys

    rows = json.loads(good("plugins", "list", "--json"))
    found = {(row["kind"], row["name"]): row for row in rows}
    assert found["integrator", "still"] == {
        "name": "still",
        "kind": "integrator",
        "distribution": "acme-i",
        "version": "1.0",
        "target": "acme_i_of_a_test:Still",
        "status": "installed",
    }
    assert found["system", "charged"]["status"] == "built-in"
    assert "acme_i_of_a_test" not in sys.modules
    assert re.search(r"still +integrator +acme-i +1.0 +installed", good("plugins", "list"))


def test_the_status_of_a_plugin_that_cannot_be_had(install, monkeypatch):
    import json

    install("alpha", {"one": "A", "two": "A"}, "")
    install("beta", {"two": "A"}, "", surrogates={"three": "A"})
    install("gamma", {"four": "A"}, "")
    monkeypatch.setenv("NBODY_SURROGATE_PLUGINS", "alpha,beta")
    rows = json.loads(good("plugins", "list", "--json"))
    status = {(row["distribution"], row["name"]): row["status"] for row in rows}
    assert status["alpha", "one"] == "installed"
    assert status["alpha", "two"] == status["beta", "two"] == "duplicate"
    assert status["beta", "three"] == "installed"
    assert status["gamma", "four"] == "hidden"
    line = bad(MISUSE, "run", "--integrator", "four")
    assert "hidden by NBODY_SURROGATE_PLUGINS: gamma has it" in line
    assert "gamma 1.0 (hidden)" in good("plugins", "show", "four")


def test_what_a_plugin_is(acme):
    shown = good("plugins", "show", "still")
    assert "integrator still, of acme-i 1.0 (installed)" in shown
    assert "Copies the start." in shown
    assert "segment = 50" in shown
    shown = good("plugins", "show", "charged")
    assert "system charged, of nbody-surrogate" in shown
    assert "coupling = 1.0  k, the force constant" in shown
    assert "preset charged" in shown
    assert "preset" not in good("plugins", "show", "charged", "--kind", "system")
    assert "weights that ship: set, set-kernel, set-small" in good("plugins", "show", "set")
    assert "lacks `_advance`" in bad(FAILURE, "plugins", "show", "lacking")
    assert "there are: " in bad(MISUSE, "plugins", "show", "nobody")


def test_checking_a_plugin(acme):
    passed = good("plugins", "check", "charged", "--kind", "system")
    assert "passed  sampling" in passed
    assert "skipped axial-symmetries" in passed
    passed = good("plugins", "check", "still")  # it moves nothing, which no check forbids
    assert "passed  batch" in passed
    line = bad(FAILURE, "plugins", "check", "lacking")
    assert "lacks `_advance`" in line


def test_a_failed_check_is_told_in_lines_and_in_json(acme):
    import json

    result = nbody_sim("plugins", "check", "energetic")
    assert result.exit_code == FAILURE
    assert re.search("FAILED  forces +system 'energetic' of acme-s 1.0: `potential", result.stdout)
    assert result.stderr.startswith("Error: 'energetic' fails ")
    result = nbody_sim("plugins", "check", "energetic", "--json")
    rows = {row["check"]: row["result"] for row in json.loads(result.stdout)}
    assert rows["forces"] == "FAILED"
    assert rows["sampling"] == "passed"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nothing"], "`name` 'nothing' is unknown"),
        (["check", "charged", "--weights", "set"], "`weights` does not apply to system"),
        (["check", "set", "--weights", "none"], "`model` 'none' is neither"),
        (["check", "leapfrog", "--system", "none"], "`system` 'none' is unknown"),
        (["new", "Bad Name"], "`name` must be of lower-case letters"),
        (["new", "leapfrog"], "`name` 'leapfrog' is taken: nbody-surrogate has integrator"),
        (["new", "set", "--kind", "integrator"], "has surrogate 'set'"),
        (["new", "good", "--output", "."], "`output` '.' is there already"),
    ],
)
def test_bad_input(folder, arguments, words):
    assert words in bad(MISUSE, "plugins", *arguments)
