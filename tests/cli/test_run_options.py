"""Which options of `run` reach which method, and the reference where none is named."""

from __future__ import annotations

import numpy as np
import pytest

from command_run import SHORT, HardwareOptions, good_json, register_failing, write_npz
from nbody_surrogate.contracts.integrator import IntegratorOptions
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec
from nbody_surrogate.formats.h5md import read_h5md
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import register_system

# The methods and the system


@pytest.mark.parametrize(
    ("arguments", "role", "wanted"),
    [
        (["--rtol", "1e-6", "--atol", "1e-7"], 0, {"rtol": 1e-6, "atol": 1e-7}),
        (["--integrator", "leapfrog", "--substeps", "3"], 0, {"substeps": 3}),
        (["--integrator", "leapfrog", "--reference-rtol", "1e-7"], 1, {"rtol": 1e-7}),
        (["--integrator", "set", "-n", "5", "--dtype", "float64"], 0, {"dtype": "float64"}),
        (["--integrator", "set", "-n", "5"], 0, {"engine": "fused"}),
        (["--integrator", "set", "-n", "5", "--engine", "torch"], 0, {"engine": "torch"}),
        (["--integrator", "set", "-n", "5", "--device", "cpu"], 0, {"device": "cpu"}),
        (["--integrator", "leapfrog", "--reference", "rk45"], 1, {"integrator": "rk45"}),
    ],
)
def test_options_reach_the_methods(arguments, role, wanted):
    found = good_json(*SHORT, *arguments)
    assert found["methods"][role].items() >= wanted.items()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--softening", 0.3, "--frame-dt", 0.25],
        ["-p", "softening=0.3", "--parameter", "frame_dt=0.25"],
    ],
)
def test_options_reach_the_system(arguments):
    found = good_json(*SHORT, *arguments)
    assert found["system"]["softening"] == 0.3
    assert found["system"]["frame_dt"] == 0.25
    assert found["frames"] == 2


def test_a_parameter_is_json_where_it_can_be_read_as_such_and_text_elsewhere():
    parameters = ["-p", "mass_range=[0.5, 2]", "-p", " signs =equal", "-p", "coupling=-1e-1"]
    found = good_json("-n", 4, "--duration", 0.1, *parameters, "-o", "out.h5")
    wanted = {"mass_range": [0.5, 2.0], "signs": "equal", "coupling": -0.1}
    assert found["system"].items() >= wanted.items()
    masses = read_h5md("out.h5").particles.masses
    assert ((masses >= 0.5) & (masses <= 2.0) & (masses != 1.0)).all()


def test_the_frame_spacing_is_the_systems_own():
    register_still("still")
    register_system("slow")(Slow)
    arguments = ["--system", "slow", "--integrator", "still", "--no-reference", "--duration", 10]
    assert good_json(*arguments)["frames"] == 5


class SlowSpec(SystemSpec):
    frame_dt: float = 2.0


class Slow(AbstractSystem):
    """Particles without forces, in frames that are far apart."""

    name = "slow"
    Spec = SlowSpec

    def pair_acceleration(self, x, particles):
        return 0.0 * x

    def potential_energy(self, x, particles):
        return 0.0 * x[:, 0, 0]

    def _sample(self, rng, n, dimensions):
        x = rng.normal(size=(n, dimensions))
        return Draw(x, x, np.ones(n), np.ones(n))


# Which hardware the methods are told to use


class ToleranceOptions(IntegratorOptions):
    rtol: float = 1e-9


def stand_still(segment):
    pass


def register_still(name, options=IntegratorOptions):
    register_failing(name, stand_still, options)


@pytest.fixture
def compiled(monkeypatch):
    """In place of the compiled solver, whether it is there or not."""
    register_still("stand-in", ToleranceOptions)
    cls = lookup.registered["integrators", "stand-in"]
    monkeypatch.setattr(cls, "name", "dop853-compiled")
    monkeypatch.setitem(lookup.registered, ("integrators", "dop853-compiled"), cls)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], {"threads": 3, "device": "best"}),
        (["--threads", 2], {"threads": 2, "device": "best"}),
        (["--device", "cpu"], {"threads": 3, "device": "cpu"}),
        (["--device", "auto"], {"threads": 3, "device": "best"}),
    ],
)
@pytest.mark.parametrize(
    ("methods", "roles"),
    [
        (["--integrator", "hard", "--reference", "hard"], {0, 1}),
        (["--integrator", "still", "--reference", "hard"], {1}),
        (["--integrator", "hard", "--no-reference"], {0}),
    ],
)
def test_threads_and_device_reach_the_methods_that_take_them(given, wanted, methods, roles):
    register_still("hard", HardwareOptions)
    register_still("still")
    found = good_json(*SHORT, *given, *methods)
    for role, method in enumerate(found["methods"]):
        assert (method.items() >= wanted.items()) == (role in roles)
        assert role in roles or method.keys().isdisjoint(wanted)


# The reference where none is named


@pytest.mark.parametrize(
    ("arguments", "reference"),
    [
        (["-n", 4], "dop853"),
        (["-n", 4, "--trajectories", 2], "dop853-compiled"),
        (["-n", 4, "--trajectories", 2, "--reference", "dop853"], "dop853"),
        (["-n", 4, "--reference", "dop853-compiled"], "dop853-compiled"),
        (["--initial", "two.npz"], "dop853-compiled"),
    ],
)
def test_the_reference_of_several_starts_is_the_compiled_solver(compiled, arguments, reference):
    register_still("still")
    write_npz("two.npz", batch=(2,))
    found = good_json("--integrator", "still", "--duration", 0.5, *arguments)
    assert [method["integrator"] for method in found["methods"]] == ["still", reference]


@pytest.mark.parametrize("integrator", ["dop853", "dop853-compiled", "nbody-surrogate:dop853"])
@pytest.mark.parametrize("trajectories", [1, 2])
def test_both_forms_of_dop853_are_held_against_a_sharper_self(compiled, integrator, trajectories):
    found = good_json(*SHORT, "--integrator", integrator, "--trajectories", trajectories)
    name = integrator.split(":")[-1]
    assert [method["integrator"] for method in found["methods"]] == [name] * 2
    assert [method["rtol"] for method in found["methods"]] == [1e-9, pytest.approx(1e-11)]
