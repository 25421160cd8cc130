"""Any surrogate under the call of a solver: toy models whose roll-outs are known by hand."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest
import torch

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry, Frames
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import ParticleTensors, SurrogateConfig
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system, register_integrator
from nbody_surrogate.simulation.simulate import simulate
from toy_surrogates import (
    DT,
    EPS,
    FOUR,
    ROUNDING,
    THREE,
    Ballistic,
    ThreeFrames,
    Tiny,
    Windowed,
    integrator_of,
    same_bits,
    set_of,
)

pytestmark = pytest.mark.usefixtures("one_thread")


class Streaming(Windowed):
    """`Windowed` with a cache of its own: running sums over all frames since the start."""

    def forward(self, x, v, particles):
        count = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None, None]
        return self.frame_dt * v.cumsum(1) / count, x.cumsum(1) / count - x

    def start_cache(self, x, v, particles):
        seen = torch.full((x.shape[0], 1, 1), float(x.shape[1]), dtype=torch.float64)
        return {"x": x.sum(1).double(), "v": v.sum(1).double(), "seen": seen}

    def step_cache(self, cache, x, v, particles):
        cache = {"x": cache["x"] + x, "v": cache["v"] + v, "seen": cache["seen"] + 1}
        mean_x, mean_v = cache["x"] / cache["seen"], cache["v"] / cache["seen"]
        return self.frame_dt * mean_v, mean_x - x, cache


class Wall(Ballistic):
    """Gives NaN once any particle of a trajectory has passed x = 1."""

    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        outside = (x[..., :1] > 1.0).any(2, keepdim=True)
        return dx.masked_fill(outside, torch.nan), dv


TOYS = (Ballistic, Windowed, ThreeFrames, Streaming)


def copied(value):
    return value.copy() if isinstance(value, np.ndarray) else value.clone()


# Roll-outs that are known by hand


def test_a_ballistic_model_moves_uniformly(system, start):
    state, particles = start
    run = simulate(system, state, particles, 50, integrator_of(Ballistic()))
    n = np.arange(51)[:, None, None]
    np.testing.assert_allclose(
        run.x, state.x[:, None] + n * DT * state.v[:, None], rtol=0, atol=50 * 4 * EPS
    )
    assert np.array_equal(run.v, np.broadcast_to(state.v[:, None], run.v.shape))
    assert run.info.success
    assert run.info.counters == {"model_calls": 3 * 50}


@pytest.mark.parametrize("config", [SurrogateConfig(), THREE, FOUR], ids=["L1", "L3", "L4"])
@pytest.mark.parametrize("toy", [Windowed, Streaming])
def test_streaming_equals_forward_on_the_growing_window(system, start, toy, config):
    """Of the frames the roll-out itself made; L = 1 has an empty window cache."""
    model = toy(config)
    run = simulate(system, *start, 25, integrator_of(model))
    x, v = torch.from_numpy(run.x), torch.from_numpy(run.v)
    particles = ParticleTensors.from_particles(start[1], "cpu", torch.float64)
    with torch.no_grad():
        dx, dv = model(x[:, :-1], v[:, :-1], particles)
    np.testing.assert_allclose(run.x[:, 1:], (x[:, :-1] + dx).numpy(), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(run.v[:, 1:], (v[:, :-1] + dv).numpy(), rtol=0, atol=ROUNDING)


def test_warm_up_takes_the_frames_of_the_reference_and_then_the_model_goes_on(system, start):
    state, particles = start
    run = simulate(system, state, particles, 25, integrator_of(ThreeFrames()))
    reference = simulate(system, state, particles, 2, make_integrator("dop853", segment=10))
    assert np.array_equal(run.x[:, :3], reference.x)
    assert np.array_equal(run.v[:, :3], reference.v)
    dv = (run.v[:, 2:-1] - run.v[:, :-3]) / 2
    np.testing.assert_allclose(run.v[:, 3:], run.v[:, 2:-1] + dv, rtol=0, atol=ROUNDING)
    dx = run.v[:, 2:-1] * DT + dv * DT / 2
    np.testing.assert_allclose(run.x[:, 3:], run.x[:, 2:-1] + dx, rtol=0, atol=ROUNDING)
    assert run.info.counters["model_calls"] == 3 * 23
    assert run.info.counters["warm_up_nfev"] > 0


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_runs_no_longer_than_the_warm_up(system, start, frames):
    run = simulate(system, *start, frames, integrator_of(ThreeFrames()))
    long = simulate(system, *start, 10, integrator_of(ThreeFrames()))
    assert np.array_equal(run.x, long.x[:, : frames + 1])


def test_a_failing_warm_up_is_a_failure_of_the_trajectory(system, start, own_registry):
    """The reference stops for one trajectory; the model must not go on from where it froze."""

    @register_integrator("toy-stops")
    class Stops(AbstractIntegrator):
        name = "toy-stops"

        def _start(self, problem, state):
            return {}

        def _advance(self, carry, frames, tick):
            x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in ("x", "v"))
            return Frames(x, v, failures={1: (1, "toy failure")}, counters={"nfev": 0})

    run = simulate(system, *start, 25, integrator_of(ThreeFrames(), warm_up="toy-stops"))
    assert run.info.status == (0, -1, 0)
    assert run.info.good == (26, 2, 26)
    assert "toy-stops" in run.info.message[1]
    assert np.array_equal(run.x[1, 2:], np.broadcast_to(run.x[1, 1], run.x[1, 2:].shape))


# Every run is a pure function of the state at a segment boundary


@pytest.mark.parametrize("toy", TOYS)
def test_a_run_goes_on_bitwise_from_a_stored_carry(system, start, toy):
    state, particles = start
    whole = simulate(system, state, particles, 20, integrator_of(toy()))
    first = integrator_of(toy())
    carry = first.advance(first.start(system, state, particles, DT), 10).carry
    assert carry.frame == 10
    stored = {}
    for key, value in carry.arrays.items():
        assert isinstance(value, np.ndarray | torch.Tensor), key
        assert isinstance(value, np.ndarray) or not value.requires_grad, key
        stored[key] = copied(value)
    restored = Carry(carry.problem, carry.frame, MappingProxyType(stored))
    rest = integrator_of(toy()).advance(restored, 10)
    assert np.array_equal(rest.x, whole.x[:, 11:])
    assert np.array_equal(rest.v, whole.v[:, 11:])


@pytest.mark.parametrize("toy", TOYS)
def test_a_shorter_run_is_the_beginning_of_a_longer_one(system, start, toy):
    long = simulate(system, *start, 27, integrator_of(toy()))
    for frames in (1, 2, 9, 10, 11, 20):
        short = simulate(system, *start, frames, integrator_of(toy()))
        assert np.array_equal(short.x, long.x[:, : frames + 1])
        assert np.array_equal(short.v, long.v[:, : frames + 1])


@pytest.mark.parametrize("name", ["charged", "trap"])
def test_frames_do_not_depend_on_where_segments_end(tiny_set, name):
    system = make_system(name)
    runs = [
        simulate(system, *system.sample(0, 4, 3), 25, set_of(tiny_set, segment=segment))
        for segment in (1, 2, 10, 50)
    ]
    assert all(same_bits(run, runs[0]) for run in runs[1:])


@pytest.mark.parametrize("toy", TOYS)
def test_the_same_carry_gives_the_same_frames_again(system, start, toy):
    integrator = integrator_of(toy())
    carry = integrator.start(system, *start, DT)
    kept = {key: copied(value) for key, value in carry.arrays.items()}
    one, other = integrator.advance(carry, 10), integrator.advance(carry, 10)
    assert same_bits(one, other)
    assert same_bits(integrator.advance(one.carry, 7), integrator.advance(other.carry, 7))
    for key, value in carry.arrays.items():
        assert (value == kept[key]).all(), key


@pytest.mark.parametrize("toy", TOYS)
def test_a_batch_equals_its_members(system, start, toy):
    state, particles = start
    together = simulate(system, state, particles, 25, integrator_of(toy()))
    for b in range(3):
        alone = simulate(system, state[b], particles[b], 25, integrator_of(toy()))
        np.testing.assert_allclose(alone.x[0], together.x[b], rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("frames", [6, 25], ids=["within a segment", "over segments"])
def test_a_trajectory_that_becomes_nan_is_frozen_and_the_others_go_on(system, frames):
    x, v = np.zeros((3, 2, 3)), np.zeros((3, 2, 3))
    v[..., 0] = 0.01
    x[1, 0, 0], v[1, 0, 0] = 0.75, 1.0  # passes the wall at frame 3
    state, particles = State(0.0, x, v), Particles(np.ones((3, 2)), np.ones((3, 2)))
    run = simulate(system, state, particles, frames, integrator_of(Wall()))
    assert run.info.status == (0, -1, 0)
    assert run.info.good == (frames + 1, 4, frames + 1)
    assert "non-finite after t = 0.3" in run.info.message[1]
    assert run.info.message[0] == run.info.message[2] == ""
    assert np.isfinite(run.x).all()
    assert np.array_equal(run.x[1, 3:], np.broadcast_to(run.x[1, 3], run.x[1, 3:].shape))
    x[1, 0, 0] = v[1, 0, 0] = 0.0
    healthy = simulate(system, State(0.0, x, v), particles, frames, integrator_of(Wall()))
    assert healthy.info.success
    for b in (0, 2):
        assert np.array_equal(run.x[b], healthy.x[b])
        assert np.array_equal(run.v[b], healthy.v[b])


def test_the_state_is_summed_in_double_precision(system):
    """At x = 1 the increment 1e-9 is far below what float32 resolves."""
    state = State(0.0, np.ones((1, 2, 3)), np.zeros((1, 2, 3)))
    particles = Particles(np.ones((1, 2)), np.ones((1, 2)))
    integrator = integrator_of(Tiny(), segment=100)
    run = simulate(system, state, particles, 500, integrator)
    assert integrator.model.dtype is torch.float32
    assert run.x.dtype == np.float64
    wanted = 1.0 + 500 * float(np.float32(1e-9))
    np.testing.assert_allclose(run.x[0, -1], wanted, rtol=0, atol=500 * EPS)


def test_t0_and_progress(system, start):
    state, particles = start
    late = State(50.0, state.x, state.v)
    ticks = []
    run = simulate(
        system, late, particles, 25, integrator_of(Windowed()), observers=lambda *a: ticks.append(a)
    )
    assert np.array_equal(run.x, simulate(system, *start, 25, integrator_of(Windowed())).x)
    np.testing.assert_allclose(run.t, 50.0 + DT * np.arange(26), rtol=EPS)
    assert ticks == [(n, 25) for n in range(1, 26)]
