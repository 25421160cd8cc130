"""Parareal: what it makes is the fine method's, whoever makes the slices, and what it took."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.contracts.surrogate import SurrogateConfig
from nbody_surrogate.errors import InputError, NBodyWarning, RunError
from nbody_surrogate.integrators.parareal.change import relative_change
from nbody_surrogate.integrators.parareal.critical_path import CriticalPath
from nbody_surrogate.integrators.parareal.integrator import Parareal
from nbody_surrogate.integrators.parareal.slices import SliceStart
from nbody_surrogate.results.parareal_report import parareal_notes
from refusals import refused
from toy_surrogates import Ballistic, ThreeFrames, integrator_of

FRAMES, SLICES = 24, 6
FINE = "rk4:32"
OPTIONS = {"coarse": "leapfrog:4", "fine": FINE, "slices": SLICES}


@pytest.fixture(scope="module")
def start():
    system = nb.make_system("charged")
    return system, *system.sample(3, 5)


def serial(start, frames=FRAMES, length=FRAMES // SLICES, fine=("rk4", {"substeps": 32})):
    name, options = fine
    return nb.simulate(*start, frames, nb.make_integrator(name, segment=length, **options))


def same(one, other):
    return one.x.tobytes() == other.x.tobytes() and one.v.tobytes() == other.v.tobytes()


# The result


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
def test_the_result_is_the_fine_methods_to_the_tolerance(start, tolerance):
    run = nb.parareal(*start, FRAMES, **OPTIONS, tolerance=tolerance)
    wanted = serial(start)
    off = np.abs(run.x - wanted.x).max() / np.abs(wanted.x).max()
    assert off <= 10 * tolerance  # within a slice, errors of its start grow
    assert run.info.success
    (window,) = run.info.parareal.windows
    assert max(window.defects[-1]) <= tolerance
    assert window.iterations < SLICES  # in fewer than the fine method takes alone


def test_a_tighter_tolerance_takes_more_iterations_and_comes_closer(start):
    wanted, found = serial(start), []
    for tolerance in (1e-3, 1e-6, 1e-9):
        run = nb.parareal(*start, FRAMES, **OPTIONS, tolerance=tolerance)
        found.append((run.info.parareal.iterations, -np.abs(run.x - wanted.x).max()))
    assert found == sorted(found)
    assert found[0][0] < found[-1][0]


@pytest.mark.parametrize("fine", [("rk4", {"substeps": 32}), ("dop853", {"rtol": 1e-7})])
def test_without_a_tolerance_it_is_the_fine_methods_bits(start, fine):
    length = FRAMES // SLICES
    method = nb.make_integrator(fine[0], segment=length // 2, **fine[1])  # two to a slice
    run = nb.parareal(*start, FRAMES, coarse="leapfrog:4", fine=method, slices=6, tolerance=0)
    assert same(run, serial(start, length=length // 2, fine=fine))


def test_so_it_is_over_windows_and_where_a_run_ends_in_a_slice(start):
    """Steps of an adaptive method are handed on from slice to slice and window to window."""
    method = Parareal(coarse="leapfrog:4", fine="dop853", slices=3, segment=9, tolerance=0.0)
    run = nb.simulate(*start, 22, method)
    assert same(run, serial(start, 22, 3, ("dop853", {})))
    assert [(e.frame, e.slices) for e in run.info.parareal.windows] == [(0, 3), (9, 3), (18, 2)]


def test_after_k_iterations_the_first_k_slices_are_the_fine_methods(start):
    (window,) = nb.parareal(*start, FRAMES, **OPTIONS, tolerance=0).info.parareal.windows
    assert window.iterations == SLICES
    for k, changes in enumerate(window.defects):
        # the start of slice n is entry n - 1; the first iteration changes all of them
        assert not any(changes[:k])
        assert all(changes[k:])


def test_each_trajectory_runs_by_itself(start):
    system = start[0]
    state, particles = system.sample(1, 4, 3)
    runs = nb.parareal(system, state, particles, 12, coarse="srkn6:1", fine=FINE, slices=4)
    for b in range(3):
        alone = nb.parareal(
            system, state[b], particles[b], 12, coarse="srkn6:1", fine=FINE, slices=4
        )
        assert same(runs[[b]], alone)
        assert runs.info.parareal.windows[b].defects == alone.info.parareal.windows[0].defects


def test_momentum_is_kept_by_corrections_too(start):
    """The correction is linear in the state: of starts that are far from settled it is the same."""
    run = nb.parareal(*start, FRAMES, **OPTIONS, tolerance=0.1)
    (window,) = run.info.parareal.windows
    assert max(window.defects[0]) > 1e-6  # they are not the fine method's
    assert np.abs(run.momentum - run.momentum[:, :1]).max() < 1e-13


# Whoever makes the slices


class Sent(Executor):
    """Does at once what it is handed, as it would arrive in another process."""

    def submit(self, function, /, *arguments, **named):
        done: Future = Future()
        function, arguments = pickle.loads(pickle.dumps((function, arguments)))
        done.set_result(pickle.loads(pickle.dumps(function(*arguments, **named))))
        return done


@pytest.mark.parametrize("executor", [lambda: ThreadPoolExecutor(3), Sent])
@pytest.mark.parametrize("fine", [FINE, "dop853:1e-7"])
def test_any_executor_makes_the_same_bits(start, executor, fine):
    options = OPTIONS | {"fine": fine, "tolerance": 1e-8}
    here = nb.parareal(*start, 6, **options)
    with executor() as workers:
        there = nb.parareal(*start, 6, **options, executor=workers)
    assert same(here, there)
    assert here.info.parareal == there.info.parareal


@pytest.mark.slow
def test_processes_make_the_same_bits(start):
    here = nb.parareal(*start, FRAMES, **OPTIONS)
    assert same(here, nb.parareal(*start, FRAMES, **OPTIONS, workers=2))
    with ProcessPoolExecutor(2) as workers:
        assert same(here, nb.parareal(*start, FRAMES, **OPTIONS, executor=workers))


class Dying(Executor):
    def submit(self, function, /, *arguments, **named):
        from concurrent.futures.process import BrokenProcessPool

        done: Future = Future()
        done.set_exception(BrokenProcessPool("gone"))
        return done


def test_a_worker_that_dies_is_told_in_a_line(start):
    with refused(RunError, "a worker of parareal was killed"):
        nb.parareal(*start, FRAMES, **OPTIONS, executor=Dying())


def test_a_run_can_be_cancelled_between_slices(start):
    told = []

    def stop(done, total):
        told.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nb.parareal(*start, FRAMES, **OPTIONS, observers=stop)
    assert len(told) == 1


def test_progress_is_that_of_settled_slices(start):
    told = []
    nb.parareal(*start, FRAMES, **OPTIONS, observers=lambda *now: told.append(now))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (FRAMES, FRAMES)


# What it took


def test_the_critical_path_of_equal_slices_is_that_of_the_literature():
    """Slices of 10 and a coarse method of 1, by hand: N G, and k times F and G."""
    path, number = CriticalPath(3), 0
    for n in range(3):
        path.hand_out(number)
        path.cost(number, 10)
        number += 1
        if n < 2:
            path.coarse()
    assert path.length(1.0) == 2.0  # nobody waits yet
    path.wait_for(2)
    assert path.length(1.0) == 12.0
    path.wait_for(0)
    assert path.length(1.0) == 12.0
    path.coarse()
    path.hand_out(number)
    path.cost(number, 10)
    path.wait_for(number)
    assert path.length(1.0) == 23.0
    assert path.length(0.0) == 20.0


def test_too_few_workers_do_slices_one_after_the_other():
    path = CriticalPath(2)
    for number in range(4):
        path.hand_out(number)
        path.cost(number, 5)
    path.wait_for(3)
    assert path.length(0.0) == 10.0


def test_calls_are_counted(start):
    run = nb.parareal(*start, FRAMES, **OPTIONS, tolerance=1e-5)
    report, (window,) = run.info.parareal, run.info.parareal.windows
    each = FRAMES // SLICES * 32 * 4 + 1  # RK4 of 32 steps to a frame, and one to begin
    assert report.serial_calls == SLICES * each
    made = sum(sum(change is None or change > 0 for change in row) for row in window.defects)
    assert report.fine_calls % each == 0
    assert SLICES * each < report.fine_calls <= (SLICES + made) * each
    assert report.coarse_calls % (FRAMES // SLICES * 4) == 0  # leapfrog
    assert run.info.counters["nfev"] == report.fine_calls + report.coarse_calls
    assert report.speed_up == report.serial_calls / report.critical_calls
    assert report.efficiency == report.speed_up / SLICES
    assert 1 < report.speed_up <= SLICES / report.iterations


def test_a_fine_method_that_counts_no_calls_has_no_speed_up(start):
    fine = integrator_of(Ballistic(SurrogateConfig()), segment=4)
    coarse = nb.make_integrator("leapfrog", substeps=1)
    report = nb.parareal(*start, 8, coarse=coarse, fine=fine, slices=2).info.parareal
    assert report.coarse_calls > report.serial_calls == 0
    assert (report.speed_up, report.efficiency) == (None, None)
    assert "force evaluations" not in "".join(parareal_notes(report))


def test_a_surrogate_counts_by_its_time(start, monkeypatch):
    """By a clock of which each frame of the fine method takes 9 seconds, and else each look 1."""
    now = [0.0]

    def look():
        now[0] += 0.5
        return now[0]

    monkeypatch.setattr(time, "thread_time", look)
    advance = type(nb.make_integrator("rk4"))._advance

    def slow(self, carry, frames, tick):
        now[0] += 9.0 * frames
        return advance(self, carry, frames, tick)

    monkeypatch.setattr(type(nb.make_integrator("rk4")), "_advance", slow)
    coarse = integrator_of(Ballistic(), dtype="float64")
    run = nb.parareal(*start, 12, coarse=coarse, fine="rk4:8", slices=3, tolerance=0)
    (window,) = run.info.parareal.windows
    frame = 8 * 4  # force evaluations
    slice_calls, coarse_calls = 4 * frame, 0.5 / (36.5 / (4 * frame))
    assert window.coarse_calls == 0
    # three iterations, each after two or one of the coarse method's slices
    assert window.critical_calls == pytest.approx(3 * slice_calls + 2 * coarse_calls, rel=0.02)


def test_a_repr_and_a_label_are_short(start):
    run = nb.parareal(*start, FRAMES, **OPTIONS)
    assert run.info.label == "parareal (rk4 over leapfrog)"
    assert len(repr(run.info.parareal)) < 400
    assert "slices=6" in repr(Parareal(**OPTIONS))


# Where it does not converge


@pytest.fixture
def wild():
    """Close encounters, which the coarse method steps over."""
    system = nb.make_system("charged")
    return system, *system.sample(0, 6)


def test_where_errors_grow_it_gives_up_and_is_the_fine_method_still(wild):
    options = {"coarse": "symplectic-euler:1", "fine": "dop853:1e-7", "slices": 8}
    with pytest.warns(NBodyWarning, match=r"Parareal gave up in 1 window, .* errors grow too fast"):
        run = nb.parareal(*wild, 40, **options, tolerance=1e-9)
    wanted = serial(wild, 40, 5, ("dop853", {"rtol": 1e-7, "atol": 1e-7}))
    assert np.abs(run.x - wanted.x).max() < 1e-6
    report = run.info.parareal
    assert report.given_up == 1
    assert report.fine_calls < 8 * report.serial_calls / 2  # slices in vain are few


def test_iterations_can_be_bounded(start):
    wanted = serial(start)
    with pytest.warns(NBodyWarning, match="`max_iterations` 2 were made"):
        run = nb.parareal(*start, FRAMES, **OPTIONS, tolerance=1e-13, max_iterations=2)
    assert np.abs(run.x - wanted.x).max() < 1e-12
    (window,) = run.info.parareal.windows
    assert window.serial_from == 2


def test_a_trajectory_that_fails_does_so_where_the_fine_method_does():
    """Released at a distance of 2, two unit charges meet after 2.22 time units."""
    system = nb.make_system("charged", softening=0.0)
    x = np.array([[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]])
    state, particles = nb.State(0.0, x, 0 * x), nb.Particles([[1.0, -1.0]], [[1.0, 1.0]])
    method = Parareal(coarse="leapfrog:4", fine="dop853:1e-6", slices=6, segment=30, tolerance=0.0)
    run = nb.simulate(system, state, particles, 30, method)
    wanted = serial((system, state, particles), 30, 5, ("dop853", {"rtol": 1e-6, "atol": 1e-6}))
    assert run.info.status == wanted.info.status == (-1,)
    assert run.info.good == wanted.info.good == (23,)
    assert run.info.message == wanted.info.message
    assert same(run, wanted)


# What a change is


def at(x, v, frame=0):
    return SliceStart(frame, np.array([x], float), np.array([v], float))


def test_a_change_is_relative_to_the_spread_of_places_and_of_velocities():
    first = at([[-1, 0], [1, 0]], [[0, -3], [0, 3]])
    moved = at([[-1, 0], [1, 0.1]], [[0, -3], [0, 3]])
    root = np.sqrt(0.01 / 4)
    assert relative_change(moved, first, first) == pytest.approx(root / np.sqrt(2.01 / 4), rel=1e-2)
    faster = at([[-1, 0], [1, 0]], [[0, -3], [0, 3.1]])
    assert relative_change(faster, first, first) == pytest.approx(root / np.sqrt(18 / 4), rel=2e-2)
    assert relative_change(first, first, first) == 0


def test_a_change_does_not_depend_on_origin_or_frame_of_reference():
    rng = np.random.default_rng(0)
    a, b, c = (at(*rng.normal(size=(2, 4, 3))) for _ in range(3))
    shift, boost = 7.0, -2.0
    moved = [at(e.x[0] + shift, e.v[0] + boost) for e in (a, b, c)]
    assert relative_change(*moved) == pytest.approx(relative_change(a, b, c), rel=1e-12)


def test_one_particle_and_particles_at_rest_have_a_change_too():
    rest, moving = at([[0, 0]], [[0, 0]]), at([[1, 0]], [[1, 0]])
    assert relative_change(rest, rest, rest) == 0
    assert 0.9 < relative_change(moving, rest, rest) < 1.1
    assert relative_change(at([[0, 0]], [[1, 0]]), rest, rest) == 1
    assert relative_change(at([[np.nan, 0]], [[1, 0]]), rest, rest) == np.inf


# Bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"coarse": "rk4:64"}, ("`coarse` rk4", "must cost less than `fine`", "257", "129 force")),
        ({"coarse": "lepfrog"}, ("`coarse` 'lepfrog'", "did you mean 'leapfrog'")),
        ({"fine": "dop853:x"}, ("`fine` 'dop853:x'", "must be a number")),
        ({"slices": 25}, ("`slices` must be at most 24 for 24 frames", "got 25")),
        ({"slices": 0}, ("`slices`", "0")),
        ({"tolerance": -1.0}, ("`tolerance`", "-1")),
        ({"max_iterations": 0}, ("`max_iterations`", "0")),
        ({"workers": 10**6}, ("`workers`", "1000000")),
        ({"slice": 5}, ("`slices`",)),
    ],
)
def test_bad_input_is_one_line(start, options, words):
    with refused(InputError, *words):
        nb.parareal(*start, FRAMES, **(OPTIONS | options))


def test_slices_are_at_least_a_segment_of_the_fine_method(start):
    fine = nb.make_integrator("rk4", substeps=32, segment=10)
    words = "`slices` must be at most 3 for 24 frames, which are 3 segments of 10", "got 4"
    with refused(InputError, *words):
        nb.parareal(*start, FRAMES, coarse="leapfrog:4", fine=fine, slices=4)
    with refused(InputError, "`segment`", "must be a multiple of the 10", "got 24"):
        Parareal(fine=fine, segment=24)
    assert Parareal(fine=fine, segment=80, slices=6).slice_frames == 20  # four equal ones


def test_a_method_that_begins_with_several_frames_is_refused(start):
    coarse = integrator_of(ThreeFrames(), dtype="float64")
    with refused(InputError, "`coarse`", "begins with 3 frames", "a single frame"):
        nb.parareal(*start, FRAMES, coarse=coarse, fine=FINE, slices=6)


def test_a_fine_method_that_looks_back_is_refused(start):
    with refused(InputError, "`fine`", "looks back on 3 frames", "looks back on none"):
        nb.parareal(
            *start,
            FRAMES,
            coarse="leapfrog:4",
            fine=integrator_of(Ballistic(), segment=4),
            slices=2,
        )


def test_a_surrogate_in_single_precision_is_refused_and_one_by_name_is_not_made_so(start):
    with refused(InputError, "`coarse`", "float32", "dtype='float64'"):
        nb.parareal(*start, FRAMES, coarse=integrator_of(Ballistic(), dtype="float32"))
    pair = Parareal(coarse="set", fine=FINE).pair(start[0])
    assert pair.coarse.description["dtype"] == "float64"


def test_what_cannot_be_sent_is_refused_before_it_is(start):
    fine = integrator_of(Ballistic(SurrogateConfig()), dtype="float64")
    with refused(InputError, "`fine`", "model in memory", "use threads"):
        nb.parareal(*start, FRAMES, coarse="leapfrog:1", fine=fine, slices=1, workers=2)

    class Mine(type(start[0])):
        name = "mine"

    with refused(InputError, "`system` 'mine'", "use threads"):
        nb.parareal(Mine(), *start[1:], FRAMES, **OPTIONS, workers=2)


def test_a_coarse_method_that_takes_more_time_is_refused(start, monkeypatch):
    clock = iter(np.cumsum([0, 3, 0, 1, 0, 3, 0, 1] * 4).astype(float))
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))
    with refused(InputError, "`coarse`", "must cost less", "takes it 3.00 s", "fine method 1.00 s"):
        nb.parareal(*start, FRAMES, coarse=integrator_of(Ballistic(), dtype="float64"), fine=FINE)
