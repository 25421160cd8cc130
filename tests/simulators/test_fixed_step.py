"""Fixed steps: their options, threads and refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from fixed_steps import METHODS, SPLITTING, Given, advanced, assert_one_line
from nbody_surrogate import (
    InputError,
    State,
    make_integrator,
)

# Options


def test_a_step_is_a_number_of_substeps(charged):
    start = charged.sample(11, 4)
    first = advanced("leapfrog", charged, start, 5, step=0.1 / 7)
    second = advanced("leapfrog", charged, start, 5, substeps=7)
    np.testing.assert_array_equal(first.x, second.x)
    third = advanced("leapfrog", charged, start, 5)
    np.testing.assert_array_equal(third.x, advanced("leapfrog", charged, start, 5, substeps=16).x)


@pytest.mark.parametrize("step", [0.03, 0.07, 0.016, 0.0143, 0.1001, 1.0, 1e300])
def test_a_step_must_divide_the_frame_spacing(charged, step):
    """And the one that the message names does."""
    start = charged.sample(11, 2)
    with pytest.raises(InputError, match=re.escape("frame spacing 0.1,")) as caught:
        make_integrator("rk4", step=step).start(charged, *start, 0.1)
    assert_one_line(caught, "step")
    assert f"got {step:g};" in str(caught.value)
    advice = float(str(caught.value).rpartition("use ")[2])
    make_integrator("rk4", step=advice).start(charged, *start, 0.1)


@pytest.mark.parametrize(
    ("options", "t", "dt"),
    [
        ({"step": 1e-13}, 0.0, 0.1),
        ({"step": 1e-320}, 0.0, 0.1),
        ({"step": 5e-324}, 0.0, 1e300),
        ({"step": 1e-20}, 1e3, 1e-9),
        ({"substeps": 10**12}, 0.0, 0.1),
        ({"substeps": 2}, 0.0, 1e-308),
    ],
)
def test_a_step_that_vanishes(charged, options, t, dt):
    state, particles = charged.sample(11, 2)
    with pytest.raises(InputError, match="lost in the rounding") as caught:
        make_integrator("leapfrog", **options).start(
            charged, State(t, state.x, state.v), particles, dt
        )
    assert_one_line(caught, next(iter(options)))


def test_a_step_far_too_short_for_its_frames(charged):
    with pytest.raises(InputError) as caught:
        make_integrator("leapfrog", step=1e-3).start(charged, *charged.sample(11, 2), 1e307)
    assert_one_line(caught, "step")


@pytest.mark.parametrize("method", METHODS)
def test_step_and_substeps_together(method):
    with pytest.raises(InputError, match="not both") as caught:
        make_integrator(method, step=0.1, substeps=1)
    message = str(caught.value)
    assert "\n" not in message
    assert f"{method!r}" in message
    assert "`substeps` or `step`" in message


def test_auto_is_a_device_and_the_fitting_backend(charged):
    start = charged.sample(12, 4)
    run = advanced("leapfrog", charged, start, 5, device="auto")
    there = "cpu" if not torch.cuda.is_available() else "cuda"
    again = advanced("leapfrog", charged, start, 5, device=there)
    np.testing.assert_array_equal(run.x, again.x)


@pytest.mark.parametrize("device", ["tpu", "cuda:7", ""])
def test_an_unknown_device(charged, device):
    with pytest.raises(InputError, match="auto, cpu, cuda, mps") as caught:
        make_integrator("leapfrog", device=device).start(charged, *charged.sample(11, 2), 0.1)
    assert_one_line(caught, "device")


@pytest.mark.parametrize("backend", ["auto", "numba", "torch"])
def test_a_device_that_is_not_there(charged, monkeypatch, backend):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="not available") as caught:
        make_integrator("leapfrog", device="cuda", backend=backend).start(
            charged, *charged.sample(11, 2), 0.1
        )
    assert_one_line(caught, "device")


def test_a_device_without_double_precision(charged, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(InputError, match="float64") as caught:
        make_integrator("leapfrog", device="mps").start(charged, *charged.sample(11, 2), 0.1)
    assert_one_line(caught, "device")
    assert str(caught.value).endswith("use cpu")


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_numba_runs_on_the_cpu_only(charged, monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(InputError, match="'cuda'") as caught:
        make_integrator("leapfrog", device=device, backend="numba").start(
            charged, *charged.sample(11, 2), 0.1
        )
    assert_one_line(caught, "backend")


# Threads


class CancelError(Exception):
    pass


def test_progress_on_threads(charged):
    ticks = []
    integrator = make_integrator("leapfrog", threads=2)
    carry = integrator.start(charged, *charged.sample(13, 3, 7), 0.1)
    integrator.advance(carry, 6, ticks.append)
    assert ticks == sorted(ticks)
    assert ticks[-1] == 6

    def cancel(done):
        raise CancelError

    with pytest.raises(CancelError):
        integrator.advance(carry, 6, cancel)


@pytest.mark.thinned
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_failing_trajectory_leaves_its_block_alone(charged, backend, threads):
    state, particles = charged.sample(14, 3, 10)
    v = np.array(state.v)
    v[4, 0, 1] = 1e308
    spoilt = State(0.0, state.x, v)
    options = {"backend": backend, "threads": threads}
    run = advanced("yoshida4", charged, (spoilt, particles), 40, **options)
    good = advanced("yoshida4", charged, (state, particles), 40, **options)
    others = [b for b in range(10) if b != 4]
    assert run.status.tolist() == [-1 if b == 4 else 0 for b in range(10)]
    assert run.message[4] == f"the state became non-finite after t = {0.1 * run.good[4]:g}"
    assert np.isfinite(run.x).all()
    np.testing.assert_array_equal(run.x[others], good.x[others])
    np.testing.assert_array_equal(run.v[others], good.v[others])


# Refusals


class Dragged(Given):
    """Velocities matter, and there is no magnetic field."""

    name = "dragged"
    velocity_dependent = True


class Gyrating(Dragged):
    name = "gyrating"

    def magnetic_field(self):
        return (0.0, 0.0, 1.0)


class Lawless(Given):
    name = "lawless"

    def force_laws(self):
        return None


class LawlessGyrating(Gyrating):
    name = "lawless-gyrating"

    def force_laws(self):
        return None


NEED_LAWS = ["exact-flow", "hermite4"]


@pytest.mark.parametrize(
    ("method", "system", "why", "fitting"),
    [
        *((name, Dragged, "velocity", {"rk4", "dop853"}) for name in SPLITTING),
        *((name, Gyrating, "velocity", {"boris", "rk4", "dop853"}) for name in SPLITTING),
        ("boris", Given, "magnetic field", {"leapfrog", "dop853"}),
        ("boris", Dragged, "magnetic field", {"rk4", "dop853"}),
        *((name, Lawless, "laws", {"leapfrog", "srkn4", "srkn6", "dop853"}) for name in NEED_LAWS),
        *((name, LawlessGyrating, "laws", {"boris", "rk4", "dop853"}) for name in NEED_LAWS),
        *((name, LawlessGyrating, "velocity", {"boris", "rk4", "dop853"}) for name in SPLITTING),
    ],
)
def test_refusals_name_what_fits(method, system, why, fitting):
    system = system()
    start = system.sample(15, 2)
    with pytest.raises(InputError, match=why) as caught:
        make_integrator(method).start(system, *start, 0.1)
    assert_one_line(caught, "integrator")
    message = str(caught.value)
    assert message.startswith(f"`integrator` {method} ")
    assert repr(system.name) in message
    named = set(re.split(r", | or ", message.rpartition("use ")[2]))
    assert named == fitting
    for name in named:
        make_integrator(name).start(system, *start, 0.1)
