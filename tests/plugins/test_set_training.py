"""Training SET by compiled sub-steps: results and gradients are those of torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nbody_set.domain import LARGEST
from nbody_set.model import SETConfig
from nbody_set.training import attention, blocks, edges, edges_backward, kernel, lanes, tiles
from nbody_surrogate.errors import NBodyWarning
from set_windows import TRAP, make_window, perturbed_set

pytestmark = pytest.mark.usefixtures("one_thread")
KERNELS = (attention, blocks, edges, edges_backward, kernel, lanes, tiles)
SMALL = {"width": 4, "heads": 2, "substeps": 2, "basis": 3, "history": 3}
KINDS = {
    "coulomb": {},
    "bounded": {"bound": 0.05},
    "never above the bound": {"bound": 50.0},
    "kernel": {"prior": "kernel"},
    "none": {"prior": "none", "bound": 0.5},
    "odd sizes": {"width": 5, "heads": 1, "basis": 19, "substeps": 3},
}
ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-3}
"""Relative to the largest entry. In single precision gradients are sums of larger terms of both
signs, so that either way has an error of some 1e-4."""


@pytest.fixture
def interpreted(monkeypatch):
    """The kernels as plain Python: the same statements, without the time to compile them."""
    for module in KERNELS:
        for name, value in vars(module).items():
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)


def training_set(kind, dtype=torch.float64):
    """A model that trains, with centres as its dtype has them, and messages that matter."""
    model = perturbed_set(SETConfig(**kind)).to(dtype).train()
    lowest, highest = math.log(0.1), math.log(20.0)
    count = model.config.basis
    model.pair_features.centres = torch.linspace(lowest, highest, count, dtype=dtype)
    return model


def answers(forward, model, window, frames):
    """Increments of some frames in a row, and the gradients of what they are weighed by."""
    x, v = (y.clone().requires_grad_() for y in (window.x, window.v))
    model.zero_grad()
    made = []
    later_x, later_v = x, v
    for _ in range(frames):
        dx, dv = forward(model, later_x, later_v, window.particles)
        made += [dx, dv]
        later_x, later_v = later_x[:, :-1] + dx[:, :-1], later_v[:, :-1] + dv[:, :-1]
    rng = np.random.default_rng(3)
    sum((y * torch.tensor(rng.normal(size=y.shape)).to(y)).sum() for y in made).backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return {**dict(enumerate(made)), "x": x.grad, "v": v.grad, **gradients}


def by_torch(model, x, v, particles):
    model.training_engine = "torch"
    return model(x, v, particles)


def by_kernel(model, x, v, particles):
    return kernel.forward(model, x, v, particles, LARGEST)


def assert_same_answers(kind, window, frames, dtype=torch.float64):
    model = training_set(kind, dtype)
    wanted = answers(by_torch, model, window, frames)
    for name, got in answers(by_kernel, model, window, frames).items():
        scale = max(wanted[name].abs().max().item(), 1e-3)
        worst = (got - wanted[name]).abs().max().item() / scale
        assert worst < ROUNDING[dtype], (name, worst)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("kind", KINDS)
def test_results_and_gradients_are_those_of_torch(kind):
    assert_same_answers(SMALL | KINDS[kind], make_window(2, batch=1, frames=3, n=3), 1)


@pytest.mark.usefixtures("interpreted")
def test_gradients_go_through_frames_in_a_row_and_through_a_field():
    window = make_window(2, batch=2, frames=3, n=3, field=TRAP)
    assert_same_answers(SMALL, window, 2)


@pytest.mark.slow  # compiles for a minute
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_too(kind, dtype):
    window = make_window(2, batch=7, frames=6, n=6, field=TRAP)
    assert_same_answers(
        KINDS[kind], window if dtype is torch.float64 else window.single(), 2, dtype
    )


@pytest.mark.usefixtures("interpreted")
def test_threads_do_not_change_a_bit(monkeypatch):
    monkeypatch.setattr(kernel, "SAMPLES", 2)
    window, model = make_window(2, batch=7, frames=1, n=3), training_set(SMALL)
    alone = answers(by_kernel, model, window, 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)  # of the kernel's own; 4 blocks
    for name, got in answers(by_kernel, model, window, 1).items():
        assert torch.equal(got, alone[name])


@pytest.mark.usefixtures("interpreted")
def test_which_code_a_model_trains_by(monkeypatch):
    """The compiled code while it trains and is told to, on two particles or more."""
    calls, real = [], kernel.forward
    monkeypatch.setattr(kernel, "forward", lambda *a: calls.append(a[1].shape) or real(*a))
    kernel._compiled.cache_clear()
    model, window = training_set(SMALL), make_window(2, batch=1, frames=2, n=2)
    lone = make_window(2, batch=1, frames=2, n=1)
    wanted = model(*window)
    assert calls == []
    model.training_engine = "fused"
    got = model(*window)
    assert calls[-1] == window.shape
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    count = len(calls)
    model(*lone)
    model.eval()(*window)
    assert len(calls) == count


@pytest.mark.usefixtures("interpreted")
def test_code_that_cannot_be_compiled_is_one_line_and_torch(monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("cannot cache function\nno locator available")

    kernel._compiled.cache_clear()
    monkeypatch.setattr(kernel, "substep_forward", refuse)
    model, window = training_set(SMALL), make_window(2, batch=1, frames=2, n=2)
    wanted = model(*window)
    model.training_engine = "fused"
    state = torch.random.get_rng_state()
    with pytest.warns(NBodyWarning, match="without its compiled code.*no locator") as caught:
        got = model(*window)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))
    model(*window)  # said once
    kernel._compiled.cache_clear()
