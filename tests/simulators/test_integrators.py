"""All integrators: time, segments, progress, failures inside a run and misuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrator_runs import (
    ADAPTIVE,
    BLOCK,
    FIXED,
    METHODS,
    ROUNDING,
    SCIPY,
    SOLVER,
    advanced,
    assert_one_line,
)
from nbody_surrogate import (
    InputError,
    Particles,
    State,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.contracts.segment import Problem


def assert_same_bits(first, second):
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.v, second.v)


# Time


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 10), st.integers(1, 60))
def test_time_of_a_frame_is_never_a_sum(charged, t0, dt, frames):
    state, particles = State(t0, [[[1.0, 0.0]]], [[[0.0, 1.0]]]), Particles([[1.0]], [[1.0]])
    run = simulate(charged, state, particles, frames, "leapfrog", dt=dt)
    problem = Problem(charged, particles, t0, dt)
    assert run.t.tolist() == [t0 + n * dt for n in range(frames + 1)]
    assert run.t.tolist() == [problem.time(n) for n in range(frames + 1)]


def test_frames_are_where_the_times_say(charged, method):
    """A late start with a spacing that no float holds exactly: x = v (t - t0) on every frame."""
    t0, dt = 1000.1, 0.1
    state, particles = State(t0, [[[0.0, 0.0]]], [[[1.0, -2.0]]]), Particles([[1.0]], [[1.0]])
    run = simulate(charged, state, particles, 120, method, dt=dt)
    # methods of many stages take some twenty thousand drifts until then
    rounding = 4 * ROUNDING if method in ("srkn4", "srkn6") else ROUNDING
    np.testing.assert_allclose(run.x[0, :, 0, 0], run.t - t0, rtol=0, atol=rounding)


@pytest.mark.thinned
def test_runs_do_not_depend_on_when_they_start(charged, method):
    state, particles = charged.sample(7, 5)
    later = State(128.0, state.x, state.v)
    error = 0 if method in FIXED else SOLVER
    run, other = (advanced(method, charged, (start, particles), 50) for start in (state, later))
    np.testing.assert_allclose(run.x, other.x, rtol=0, atol=error)


# A run is a pure function of its start: most of it is in test_conformance.py


@pytest.mark.parametrize("method", SCIPY)
def test_a_boundary_hands_on_the_step_size(charged, method):
    """Starting anew from the same frame must search for it again, which takes evaluations."""
    state, particles = charged.sample(25, 4, 2)
    first = advanced(method, charged, (state, particles), 5, segment=5)
    assert (first.carry.arrays["h"] > 0).all()
    goes_on = make_integrator(method, segment=5).advance(first.carry, 5)
    anew = State(0.5, first.x[:, -1], first.v[:, -1])
    starts_again = advanced(method, charged, (anew, particles), 5, segment=5)
    assert goes_on.counters["nfev"] < starts_again.counters["nfev"]
    np.testing.assert_allclose(goes_on.x, starts_again.x, rtol=0, atol=SOLVER)


def test_only_a_whole_segment_can_be_continued(charged, method):
    start = charged.sample(14, 3)
    assert advanced(method, charged, start, 4, segment=5).carry is None
    assert advanced(method, charged, start, 5, segment=5).carry.frame == 5


@pytest.mark.parametrize("method", FIXED)
def test_fixed_steps_do_not_depend_on_segments(charged, method):
    start = charged.sample(15, 5)
    runs = [
        simulate(charged, *start, 30, make_integrator(method, segment=length))
        for length in (1, 7, 50)
    ]
    assert_same_bits(runs[0], runs[1])
    assert_same_bits(runs[0], runs[2])


# Progress


def test_progress_rises_to_the_frames(charged, method):
    ticks = []
    integrator = make_integrator(method)
    integrator.advance(integrator.start(charged, *charged.sample(26, 3, 3), 0.1), 8, ticks.append)
    assert ticks == sorted(ticks)
    assert ticks[0] > 0
    assert ticks[-1] == 8


class CancelError(Exception):
    pass


def test_progress_may_cancel(charged, method):
    def cancel(done):
        raise CancelError

    integrator = make_integrator(method)
    carry = integrator.start(charged, *charged.sample(26, 3, 3), 0.1)
    with pytest.raises(CancelError):
        integrator.advance(carry, 8, cancel)


# Failure inside a run


def near_pair(x, v):
    """Squares of their distance underflow to 0, and the forces of the pair are infinite."""
    x[1, 0], x[1, 1] = (0.0, 1e-170, 0.0), (0.0, 0.0, 0.0)
    v[1, 0] = v[1, 1]  # nor does a drift take them apart


def too_fast(x, v):
    """Not at once, but after two frames of 1, coordinates overflow."""
    x[1], v[1] = 0.0, 0.0
    x[1, :, 0], v[1, :, 0] = (0.0, 1.0, 2.0), 1e308


@pytest.mark.thinned
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of overflows, which are meant
@pytest.mark.parametrize("spoil", [near_pair, too_fast])
def test_a_failing_trajectory_leaves_the_others_alone(method, spoil):
    system = make_system("charged", softening=0.0)
    state, _ = system.sample(22, 3, 3)
    particles = Particles([[1.0, -1.0, 1.0]] * 3, np.ones((3, 3)))
    x, v = np.array(state.x), np.array(state.v)
    spoil(x, v)
    state = State(0.0, x, v)
    integrator = make_integrator(method, segment=4)
    run = simulate(system, state, particles, 10, integrator, dt=1.0)
    good = run.info.good[1]
    assert run.info.status == (0, -1, 0)
    assert (run.info.good[0], run.info.good[2]) == (11, 11)
    assert good == 1 or (good == 2 and spoil is too_fast)  # an adaptive solver sees it coming
    assert not run.info.success
    assert run.info.message[0] == run.info.message[2] == ""
    assert run.info.message[1].endswith(f" after t = {good - 1}")
    assert np.isfinite(run.x).all()
    assert np.isfinite(run.v).all()
    for values in (run.x[1], run.v[1]):
        np.testing.assert_array_equal(
            values[good:], np.broadcast_to(values[good - 1], values[good:].shape)
        )
    for b in (0, 2):
        alone = simulate(system, state[b], particles[b], 10, integrator, dt=1.0)
        assert alone.info.success
        np.testing.assert_array_equal(run.x[b], alone.x[0])
        np.testing.assert_array_equal(run.v[b], alone.v[0])


@pytest.mark.parametrize("method", [*ADAPTIVE, *BLOCK])
def test_a_collision_ends_a_run_where_it_happens(method):
    """Two unit charges at rest, 2 apart, meet after (pi / 2) sqrt(mu r0^3 / 2 k) = 2.22."""
    system = make_system("charged", softening=0.0)
    x = np.array([[[0.6, 0.0, 0.8], [-0.6, 0.0, -0.8]]])
    start = State(0.0, x, np.zeros_like(x)), Particles([[1.0, -1.0]], [[1.0, 1.0]])
    segment = advanced(method, system, start, 30)
    collision = math.pi / 2 * math.sqrt(0.5 * 8 / 2)
    frames = math.floor(collision / 0.1)
    assert segment.status.tolist() == [-1]
    assert segment.good.tolist() == [frames]
    assert segment.message[0].startswith(f"{method}: ")
    assert segment.message[0].endswith(" after t = 2.2")
    assert "step size" in segment.message[0]
    last = segment.x[:, frames - 1 : frames]
    np.testing.assert_array_equal(segment.x[:, frames:], np.repeat(last, 30 - frames, axis=1))
    assert np.isfinite(segment.x).all()


# Misuse


def start_with(charged, **changes):
    state, particles = charged.sample(23, 3, 2)
    values: dict[str, Any] = {"state": state, "particles": particles, "dt": 0.1, **changes}
    return make_integrator("leapfrog").start(charged, **values)


@pytest.mark.parametrize("dt", [0.0, -0.1, math.nan, math.inf])
def test_wrong_frame_spacing(charged, dt):
    with pytest.raises(InputError) as caught:
        start_with(charged, dt=dt)
    assert_one_line(caught, "dt")


def test_a_frame_spacing_that_the_time_would_swallow(charged):
    with pytest.raises(InputError, match="t = 100e15") as caught:
        start_with(charged, state=State(1e17, *charged.sample(23, 3, 2)[0].x[None].repeat(2, 0)))
    assert_one_line(caught, "dt")


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (1.0, 2.0, 3.0)])
def test_charges_at_the_same_place_without_softening(method, place):
    system = make_system("charged", softening=0.0)
    state, particles = system.sample(22, 4, 3)
    x = np.array(state.x)
    x[1, [0, 3]] = place
    state = State(0.0, x, state.v)
    integrator = make_integrator(method)
    with pytest.raises(InputError, match="particles 0 and 3 of trajectory 1") as caught:
        integrator.start(system, state, particles, 0.1)
    assert_one_line(caught, "state")
    assert "'charged'" in str(caught.value)
    integrator.start(make_system("charged"), state, particles, 0.1)  # with softening they may


@pytest.mark.parametrize("shape", [(1, 3), (2, 4), (3, 2)])
def test_particles_that_do_not_fit_the_state(charged, shape):
    with pytest.raises(InputError, match=r"\(2, 3\)") as caught:
        start_with(charged, particles=Particles(np.ones(shape), np.ones(shape)))
    assert_one_line(caught, "particles")


@pytest.mark.parametrize("frames", [-1, 0, 6])
def test_wrong_number_of_frames(charged, method, frames):
    with pytest.raises(InputError, match="5") as caught:
        advanced(method, charged, charged.sample(24, 2), frames, segment=5)
    assert_one_line(caught, "frames")


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        *((name, "stride", 2) for name in METHODS),
        *((name, "segment", 0) for name in METHODS),
        *((name, "rtol", 1e-9) for name in FIXED),
        *((name, "substeps", value) for name in FIXED for value in (0, -1, 1.5, 10**400)),
        *((name, "step", value) for name in FIXED for value in (0.0, -0.1, math.nan, math.inf)),
        *((name, "threads", 0) for name in (*FIXED, *BLOCK, "dop853-compiled")),
        *((name, "threads", 2) for name in SCIPY),
        ("leapfrog", "backend", "jax"),
        *((name, "substeps", 4) for name in ADAPTIVE),
        *((name, "rtol", value) for name in ADAPTIVE for value in (0.0, -1e-9, 1e-15, math.nan)),
        *((name, "eta", value) for name in BLOCK for value in (0.0, -1.0, 2.0, math.nan)),
        *((name, "smallest_step", value) for name in BLOCK for value in (0.0, -1.0, math.inf)),
        *((name, "atol", value) for name in ADAPTIVE for value in (0.0, -1e-9, math.inf)),
    ],
)
def test_wrong_options(method, option, value):
    with pytest.raises(InputError, match=method) as caught:
        make_integrator(method, **{option: value})
    assert_one_line(caught, option)
