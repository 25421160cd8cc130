"""Models in memory, by name and in folders; compiled, and on a GPU."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from nbody_set.model import SET
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from nbody_surrogate.surrogates.weights import save_weights
from toy_surrogates import (
    ROUNDING,
    Ballistic,
    ThreeFrames,
    Tiny,
    Windowed,
    integrator_of,
    make_card,
    same_bits,
    set_of,
)

pytestmark = pytest.mark.usefixtures("one_thread")
COMPILED = 1e-11
"""Compiled frames against eager ones: roundings in another order, grown over 20 frames."""


# Models in memory and in folders


def test_a_model_in_memory_is_left_as_it_was(system, start):
    model = Tiny().train()
    integrator = integrator_of(model, dtype="float64")
    simulate(system, *start, 5, integrator)
    assert integrator.model.dtype is torch.float64
    assert model.dtype is torch.float32
    assert model.training


def test_a_registered_surrogate_is_built_by_name(system, start, toy_name, tmp_path):
    save_weights(tmp_path / "model", Windowed(), toy_name, make_card(dtype="float64"))
    integrator = make_integrator(toy_name, weights=str(tmp_path / "model"), device="cpu")
    assert isinstance(integrator, SurrogateIntegrator)
    run = simulate(system, *start, 20, integrator)
    assert same_bits(run, simulate(system, *start, 20, integrator_of(Windowed(), segment=50)))
    assert run.info.method["integrator"] == toy_name
    assert run.info.method["device"] == "cpu"
    assert run.info.method["dtype"] == "float64"
    assert len(run.info.method["weights_hash"]) == 64


def test_shipped_weights_by_name_and_by_folder(tmp_path):
    folder = shutil.copytree(SET.shipped_weights["set-small"], tmp_path / "set")
    named, copied_ones, default, first = (
        make_integrator("set", device="cpu", **weights)
        for weights in (
            {"weights": "set-small"},
            {"weights": str(folder)},
            {},
            {"weights": "set"},
        )
    )
    assert named.model.evaluations_per_frame == 4
    assert named.digest == copied_ones.digest != default.digest == first.digest
    assert named.description["weights"] == "set-small"
    assert named.description["weights_hash"] == named.digest


def test_weights_that_are_neither_shipped_nor_a_folder():
    with pytest.raises(InputError) as caught:
        make_integrator("set", weights="set-large")
    assert str(caught.value) == (
        "`weights` must be set, set-small, set-kernel or a folder, got 'set-large'"
    )


def test_a_surrogate_without_shipped_weights_asks_for_a_folder(toy_name):
    with pytest.raises(InputError, match=f"`weights`.*'{toy_name}' ships none"):
        make_integrator(toy_name)


# Compiled by torch


def not_compiled(*args, **kwargs):
    raise RuntimeError("no compiler\nhere")


@pytest.mark.parametrize(
    "compiler",
    [not_compiled, lambda *args, **kwargs: not_compiled],
    ids=["there is none", "it fails"],
)
def test_where_nothing_can_be_compiled_the_run_goes_on(
    tiny_set, system, start, monkeypatch, caplog, compiler
):
    eager = simulate(system, *start, 25, set_of(tiny_set, engine="torch"))
    monkeypatch.setattr(torch, "compile", compiler)
    with caplog.at_level(logging.WARNING, logger="nbody_surrogate"):
        run = simulate(system, *start, 25, set_of(tiny_set, compile=True, segment=10))
    assert same_bits(run, eager)
    assert caplog.messages == ["set runs without torch.compile: no compiler here"]


COMPILE = """
import sys, numpy as np, torch
from nbody_set.model import SET, SETConfig
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from nbody_surrogate.surrogates.weights import load_weights
torch.manual_seed(0)
model, card = SET(SETConfig(width=4, substeps=2)).double(), load_weights(sys.argv[1], "set", SET)[1]
system = make_system(sys.argv[2])
one, other = (
    simulate(
        system,
        *system.sample(0, 5, 2),
        20,
        SurrogateIntegrator("set", model=model, card=card, device="cpu", **options),
    )
    for options in ({"engine": "torch"}, {"compile": True, "segment": 7})
)
for eager, compiled in ((one.x, other.x), (one.v, other.v)):
    np.testing.assert_allclose(compiled, eager, rtol=0, atol=float(sys.argv[3]))
print(torch._dynamo.utils.counters["stats"]["unique_graphs"], "compiled")
"""


@pytest.mark.slow  # the compiler takes 10 s and more for each
@pytest.mark.parametrize("name", ["charged", "trap"])
def test_compiled_steps_give_what_eager_ones_give(name):
    """In a process of its own: the checks of annotations here would be compiled too."""
    command = [sys.executable, "-c", COMPILE, str(SET.shipped_weights["set"]), name, str(COMPILED)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "1 compiled\n", done.stderr
    assert "without torch.compile" not in done.stderr


# On a GPU

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("toy", [Ballistic, Windowed, ThreeFrames])
def test_a_gpu_gives_what_the_cpu_gives(system, start, toy):
    here = simulate(system, *start, 25, integrator_of(toy()))
    there = simulate(system, *start, 25, integrator_of(toy(), device="cuda"))
    np.testing.assert_allclose(there.x, here.x, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("weights", SET.shipped_weights)
@pytest.mark.parametrize("frames", [1, 20])
def test_the_shipped_weights_on_a_gpu(weights, frames):
    system = make_system("trap")
    here, there = (
        simulate(
            system,
            *system.sample(0, 5, 4),
            frames,
            make_integrator("set", weights=weights, device=device, dtype="float64"),
        )
        for device in ("cpu", "cuda")
    )
    # rounding, grown by close pairs over 20 frames
    np.testing.assert_allclose(there.x, here.x, rtol=0, atol=1e-12 if frames == 1 else 1e-9)
    assert make_integrator("set").device.type == "cuda"
