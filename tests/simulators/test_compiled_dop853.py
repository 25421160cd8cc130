"""DOP853 compiled: SciPy's numbers, on threads, without leaks, and its failures."""

from __future__ import annotations

import math
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate import (
    InputError,
    Particles,
    State,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.integrators.reference import default_reference

COMPILED = "dop853-compiled"

SAME_STEPS = 1e-10  # rounding, times the growth of errors over a segment
KINKED = 1e-7  # what is left at tolerances of 1e-11 where steps meet kinks
ALL_FIELDS = {"electric": (0.4, -0.3, 0.5), "magnetic": (0.7, -0.4, 1.1)}
FLAT_FIELDS = {"electric": (0.4, -0.3, 0.0), "magnetic": (0.0, 0.0, 1.3)}


def advanced(method, system, start, frames, dt=0.1, **options):
    """The frames of one segment."""
    integrator = make_integrator(method, **options)
    return integrator.advance(integrator.start(system, *start, dt), frames)


def assert_same_bits(first, second):
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.v, second.v)


# SciPy's numbers


@pytest.mark.thinned
@pytest.mark.parametrize("norm", ["particle", "rms"])
@pytest.mark.parametrize("tolerance", [1e-6, 1e-9])
@pytest.mark.parametrize(("n", "dimensions"), [(1, 2), (2, 3), (5, 2), (12, 3)])
def test_it_takes_scipys_steps(charged, n, dimensions, tolerance, norm):
    """The same frames and the same number of evaluations, in a segment as long as the run."""
    start = charged.sample(1, n, 2, dimensions)
    options = {"rtol": tolerance, "atol": tolerance, "segment": 20, "norm": norm}
    first, second = (
        advanced(method, charged, start, 20, **options) for method in ("dop853", COMPILED)
    )
    np.testing.assert_allclose(second.x, first.x, rtol=0, atol=SAME_STEPS)
    np.testing.assert_allclose(second.v, first.v, rtol=0, atol=SAME_STEPS)
    assert second.counters == first.counters


@pytest.mark.parametrize(("dimensions", "fields"), [(2, FLAT_FIELDS), (3, ALL_FIELDS)])
def test_it_takes_scipys_steps_with_any_law(plasma, dimensions, fields):
    """Pairs with couplings, and fields with velocities; the laws are smooth, unlike the next."""
    system = plasma(reach=1e3, **fields)
    start = system.sample(2, 5, 2, dimensions)
    first, second = (
        advanced(method, system, start, 20, segment=20) for method in ("dop853", COMPILED)
    )
    np.testing.assert_allclose(second.x, first.x, rtol=0, atol=SAME_STEPS)
    np.testing.assert_allclose(second.v, first.v, rtol=0, atol=SAME_STEPS)
    assert second.counters == first.counters


@pytest.mark.parametrize(("dimensions", "fields"), [(2, FLAT_FIELDS), (3, ALL_FIELDS)])
def test_it_clips_as_scipy_does(plasma, dimensions, fields):
    """Where a force has a kink, rounding decides which steps are accepted: not the same ones."""
    start = plasma().sample(2, 5, 2, dimensions)
    clipped, free = plasma(clip=0.4, **fields), plasma(**fields)
    first, second, other = (
        advanced(method, system, start, 10, rtol=1e-11, atol=1e-11)
        for method, system in (("dop853", clipped), (COMPILED, clipped), (COMPILED, free))
    )
    np.testing.assert_allclose(second.x, first.x, rtol=0, atol=KINKED)
    assert (np.abs(other.x - first.x).max((1, 2, 3)) > 1e3 * KINKED).all()


def test_two_dimensions_leave_out_what_points_elsewhere(plasma):
    """A field across the plane pulls nobody out of it, nor changes any distance."""
    across = {"electric": (0.4, -0.3, 5.0), "magnetic": (0.7, -0.4, 1.3)}
    start = plasma().sample(2, 5, 2, 2)
    first, second = (
        advanced(COMPILED, plasma(reach=1e3, **fields), start, 10)
        for fields in (FLAT_FIELDS, across)
    )
    np.testing.assert_allclose(second.x, first.x, rtol=0, atol=SAME_STEPS)


def test_it_counts_what_it_computed(charged):
    """A segment is computed to its end, however few of its frames are wanted."""
    start = charged.sample(3, 4, 3)
    counts = [
        advanced(COMPILED, charged, start, frames, segment=20).counters for frames in (1, 19, 20)
    ]
    steps = {count["steps"] for count in counts}
    assert len(steps) == 1
    assert counts[0]["nfev"] <= counts[1]["nfev"] <= counts[2]["nfev"]  # more for dense output
    assert counts[0]["nfev"] >= 12 * counts[0]["steps"]
    alone = sum(
        advanced(COMPILED, charged, (start[0][b], start[1][b]), 20, segment=20).counters["nfev"]
        for b in range(3)
    )
    assert counts[2]["nfev"] == alone


def test_late_times_and_odd_spacings(charged):
    """Every frame is there, whatever the times: x = x0 + v (t - t0), where nothing acts."""
    rng = np.random.default_rng(4)
    particles = Particles(np.zeros((1, 2)), np.ones((1, 2)))
    x, v = rng.normal(size=(2, 1, 2, 3))
    for _ in range(50):
        t0 = float(rng.choice([0.0, 1.0, -1e3, 1e6, 1e9]) * rng.normal())
        dt, length = float(10 ** rng.uniform(-3, 1)), int(rng.integers(1, 60))
        start = State(t0, x, v), particles
        run = advanced(COMPILED, charged, start, length, dt, segment=length)
        assert run.status.tolist() == [0]
        problem = Problem(charged, particles, t0, dt)
        since = np.array([problem.time(n) for n in range(1, length + 1)]) - t0
        expected = x[:, None] + v[:, None] * since[:, None, None]
        resolution = 1e-15 * abs(t0) + 1e-13 * since[-1]
        np.testing.assert_allclose(run.x, expected, rtol=0, atol=10 * resolution)


@pytest.mark.parametrize("options", [{"rtol": 3e-14, "atol": 1e-14}, {"rtol": 0.1, "atol": 0.1}])
def test_the_ends_of_the_range_of_tolerances(charged, options):
    start = charged.sample(5, 3)
    run = advanced(COMPILED, charged, start, 10, segment=10, **options)
    exact = advanced("dop853", charged, start, 10, segment=10, rtol=1e-12, atol=1e-12)
    error = np.abs(run.x - exact.x).max()
    assert error < 1e-10 if options["rtol"] < 1e-10 else 1e-9 < error < 1


# Threads


@pytest.mark.parametrize("threads", [2, 3, 64])
def test_bits_do_not_depend_on_threads(charged, threads):
    start = charged.sample(6, 4, 13)
    one = simulate(charged, *start, 8, make_integrator(COMPILED, segment=5))
    many = simulate(charged, *start, 8, make_integrator(COMPILED, segment=5, threads=threads))
    assert_same_bits(one, many)
    assert one.info.counters == many.info.counters


@pytest.mark.parametrize("threads", [1, 2])
def test_other_threads_go_on_meanwhile(charged, threads):
    """It holds no lock of the interpreter while it solves, for longer than any switch takes."""
    advanced(COMPILED, charged, charged.sample(7, 1), 1)  # compiles
    integrator = make_integrator(COMPILED, threads=threads, rtol=1e-12, atol=1e-12)
    carry = integrator.start(charged, *charged.sample(7, 100, threads), 0.1)
    beats: list[float] = []
    done = threading.Event()

    def beat():
        while not done.wait(0.001):
            beats.append(time.perf_counter())

    other = threading.Thread(target=beat)
    other.start()
    began = time.perf_counter()
    integrator.advance(carry, 50)
    took = time.perf_counter() - began
    done.set()
    other.join()
    within = [at for at in beats if began < at < began + took]
    gaps = np.diff([began, *within, began + took])
    assert took > 0.05  # each thread makes one call; a lock would be held for all of this
    assert gaps.max() < 0.5 * took


def test_progress_on_threads(charged):
    ticks = []
    integrator = make_integrator(COMPILED, threads=2)
    integrator.advance(integrator.start(charged, *charged.sample(8, 3, 40), 0.1), 6, ticks.append)
    assert ticks == sorted(ticks)
    assert len(ticks) > 8
    assert ticks[-1] == 6


class CancelError(Exception):
    pass


def test_cancelling_on_threads(charged):
    def cancel(done):
        raise CancelError

    integrator = make_integrator(COMPILED, threads=2)
    carry = integrator.start(charged, *charged.sample(8, 3, 40), 0.1)
    with pytest.raises(CancelError):
        integrator.advance(carry, 6, cancel)
    integrator.advance(carry, 6)  # nothing is left behind


# Memory


def resident():
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_results_are_freed(charged):
    """2000 solves: 80 MB, if their results were kept."""
    start = charged.sample(9, 4, 500)
    integrator = make_integrator(COMPILED, segment=50, rtol=1e-3, atol=1e-3)
    carry = integrator.start(charged, *start, 0.02)
    integrator.advance(carry, 50)
    before = resident()
    for _ in range(4):
        integrator.advance(carry, 50)
    assert resident() - before < 20


# Failures


def with_a_collision():
    """Six trajectories without softening; in the fourth, two charges meet at t = 2.22."""
    system = make_system("charged", softening=0.0)
    state, particles = system.sample(10, 3, 6)
    x, v = np.array(state.x), np.array(state.v)
    charges = np.array(particles.charges)
    x[3], v[3] = [[0.6, 0.0, 0.8], [-0.6, 0.0, -0.8], [50.0, 0.0, 0.0]], 0.0
    charges[3] = [1.0, -1.0, 0.0]
    charges[[0, 1, 2, 4, 5]] = 1.0  # these repel each other
    return system, State(0.0, x, v), Particles(charges, particles.masses)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_collision_ends_its_own_trajectory(threads):
    system, state, particles = with_a_collision()
    integrator = make_integrator(COMPILED, segment=20, threads=threads)
    run = simulate(system, state, particles, 45, integrator)
    frames = math.floor(math.pi / 2 * math.sqrt(0.5 * 8 / 2) / 0.1)
    assert run.info.status == (0, 0, 0, -1, 0, 0)
    assert run.info.good[3] == frames + 1
    message = run.info.message[3]
    assert message.startswith(f"{COMPILED}: ")
    assert message.endswith(f" after t = {0.1 * frames:g}")
    assert "step size" in message
    assert "\n" not in message
    assert np.isfinite(run.x).all()
    exact = simulate(system, state[3], particles[3], frames, "dop853")
    np.testing.assert_allclose(run.x[3, : frames + 1], exact.x[0], rtol=0, atol=1e-5)
    held = np.broadcast_to(run.x[3, frames], run.x[3, frames:].shape)
    np.testing.assert_array_equal(run.x[3, frames:], held)
    for b in (0, 5):
        alone = simulate(system, state[b], particles[b], 45, integrator)
        np.testing.assert_array_equal(run.x[b], alone.x[0])
        np.testing.assert_array_equal(run.v[b], alone.v[0])


def test_a_collision_later_in_the_segment_does_not_matter(charged):
    """A run that ends before it is whole, though its segment is computed to the end."""
    system, state, particles = with_a_collision()
    run = advanced(COMPILED, system, (state, particles), 22, segment=50)
    assert run.status.tolist() == [0] * 6
    assert run.good.tolist() == [22] * 6


@pytest.mark.parametrize("threads", [1, 2])
def test_forces_that_are_not_numbers_end_a_run(plasma, threads):
    """At once, and when particles meet: within a distance of 1 the law has no value."""
    system = plasma(softening=-1.0, trap=0.0, electric=(0.0, 0.0, 0.0))
    x = np.zeros((3, 2, 3))
    x[:, 0, 0], x[0, 0, 0] = 3.0, 0.5
    v = np.zeros_like(x)
    v[1, 0, 0] = -2.0
    particles = Particles(np.zeros((3, 2)), np.ones((3, 2)), np.zeros((3, 2, 2)))
    run = advanced(COMPILED, system, (State(0.0, x, v), particles), 12, threads=threads)
    assert run.status.tolist() == [-1, -1, 0]
    assert run.good[0] == 0
    assert 8 <= run.good[1] <= 9  # from 3 to 1 at speed 2, and a little faster
    assert "after t = 0: `pair_acceleration` of system 'plasma'" in run.message[0]
    assert run.message[1].startswith(f"{COMPILED}: ")
    assert np.isfinite(run.x).all()


# Without CyRK


@pytest.fixture
def without_cyrk(monkeypatch):
    monkeypatch.setitem(sys.modules, "CyRK", None)
    monkeypatch.setitem(sys.modules, "CyRK.nb", None)


def refusal(charged):
    """The one line with which it does not start."""
    with pytest.raises(InputError) as caught:
        make_integrator(COMPILED, norm="rms").start(charged, *charged.sample(0, 2), 0.1)
    message = str(caught.value)
    assert message.startswith(f"`integrator` {COMPILED} ")
    assert "\n" not in message
    assert "CyRK" in message
    assert "use dop853" in message
    return message


def test_without_cyrk_it_says_so(charged, without_cyrk):
    assert "pip install CyRK" in refusal(charged)


def test_without_cyrk_the_norm_of_particles_runs(charged, without_cyrk):
    assert default_reference(charged, 4) == COMPILED
    assert advanced(COMPILED, charged, charged.sample(0, 2), 2).status.tolist() == [0]


def test_it_is_the_reference_of_many_starts(charged):
    assert default_reference(charged, 4) == COMPILED
    assert default_reference(charged, 1) == "dop853"


@pytest.mark.parametrize(
    "error",
    [
        ImportError("numpy.core.multiarray failed to import\n\nA module that was compiled ..."),
        ValueError("numpy.dtype size changed, may indicate binary incompatibility."),
        AttributeError("module 'numba' has no attribute 'cfunc'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_broken_cyrk_is_one_line_too(charged, monkeypatch, error):
    class Broken(types.ModuleType):
        def __getattr__(self, name):
            raise error

    monkeypatch.setitem(sys.modules, "CyRK.nb", Broken("CyRK.nb"))
    monkeypatch.delitem(sys.modules, "CyRK.nb.numba_solver", raising=False)
    refusal(charged)


def test_another_version_of_cyrk(charged, monkeypatch):
    module = types.ModuleType("CyRK.nb")
    module.numba_solver = types.ModuleType("CyRK.nb.numba_solver")
    monkeypatch.setitem(sys.modules, "CyRK.nb", module)
    assert "this version of CyRK" in refusal(charged)
