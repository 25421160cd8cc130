"""Spot checks and the companion run: they see what no conserved quantity does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from guarded_runs import DT, KEPT, Free, card, start_of
from nbody_surrogate import (
    Guard,
    Observer,
    State,
    SurrogateIntegrator,
    make_integrator,
    make_system,
    resume,
    simulate,
)
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.metrics import spread_at_start
from nbody_surrogate.simulation.file_writer import Output
from nbody_surrogate.simulation.guard.spot_checks import CheckPlan
from toy_surrogates import Turning

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:guard"),
]

FRAMES, SEGMENT, ANGLE = 20, 5, 0.05
ONLY_ENERGY = KEPT | {"energy": 1e-6}


def turning(**options):
    method = SurrogateIntegrator(
        "toy", model=Turning(ANGLE), card=card(), device="cpu", segment=SEGMENT
    )
    start = start_of(marked=False)
    return simulate(Free(), *start, FRAMES, method, guard=Guard("warn", **options))


def reasons(run):
    return {event.reason for event in run.info.guard.events}


# A surrogate that keeps all speeds, and turns


def test_what_keeps_its_energy_and_is_wrong_is_not_caught_by_energy():
    run = turning(**ONLY_ENERGY, position=math.inf, spot_checks=0)
    assert reasons(run) == set()
    assert run.info.guard.spot_checked == 0


def test_spot_checks_catch_it():
    run = turning(**ONLY_ENERGY, position=math.inf, spot_checks=0.2)
    assert reasons(run) == {"local error"}
    first = run.info.guard.events[0]
    # the velocities turn, and the positions follow a frame later
    error = 2 * math.sin(ANGLE / 2) / math.sqrt(3)
    left = DT * (FRAMES - first.frame)
    spread = spread_at_start(start_of()[0].x[:, None])[0]
    assert first.value == pytest.approx(left * error / spread, rel=1e-6)
    assert run.info.guard.spot_checked == 3 * 4
    assert "12 spot checks (20 % of frames)" in str(run.info.guard)


def test_the_companion_catches_it():
    run = turning(**ONLY_ENERGY, spot_checks=0)
    assert reasons(run) == {"position"}
    first = run.info.guard.events[0]
    gap = run.x[0, first.frame] - free(run)[0, first.frame]
    expected = np.sqrt((gap**2).mean()) / spread_at_start(start_of()[0].x[:, None])[0]
    assert first.value == pytest.approx(expected, rel=1e-6)
    assert "companion run: " in str(run.info.guard)


def free(run):
    t = DT * np.arange(FRAMES + 1)[:, None, None]
    return run.x[:, :1] + t * run.v[:, :1]


def test_a_solver_has_no_companion():
    """Its own tolerance may be tighter."""
    system = make_system("charged")
    method = make_integrator("leapfrog", substeps=1)
    run = simulate(system, *system.sample(0, 5), 50, method, guard="warn")
    assert "position" not in run.info.guard.thresholds
    assert run.info.guard.companion_time == 0


def test_a_replay_begins_where_the_companion_is():
    """What was lost before the guard tripped is mended, too."""
    method = SurrogateIntegrator(
        "toy", model=Turning(0.004), card=card(), device="cpu", segment=SEGMENT
    )
    guard = Guard("fallback", **KEPT, local=math.inf, reference="dop853", position=5e-3)
    run = simulate(Free(), *start_of(marked=False), FRAMES, method, guard=guard)
    error = abs(run.x - free(run)).max((2, 3))
    last = max(event.segment for event in run.info.guard.events)
    assert last > 0
    assert error[:, SEGMENT * last].min() > 1e-4
    assert error[:, SEGMENT * last + 1 : SEGMENT * (last + 1) + 1].max() < 1e-9


def test_what_the_reference_takes_as_a_whole_has_no_need_of_a_companion():
    """Beyond the age that the surrogate is for: the replays go on where the last one ended."""
    method = SurrogateIntegrator(
        "toy", model=Turning(0.004), card=card(), device="cpu", segment=SEGMENT
    )
    state, particles = start_of(marked=False)
    far = State(0.0, state.x + 1e3, state.v)
    guard = Guard("fallback", **KEPT, local=math.inf, reference="dop853", longest=1.0)
    run = simulate(Free(), far, particles, FRAMES, method, guard=guard)
    assert reasons(run) == {"time"}
    assert run.info.guard.fallen_back == (10,) * 3
    error = abs(run.x - free(run)).max((2, 3))
    assert error[:, 10].min() > 1e-4
    assert error[:, 11:].max() < 1e-9


# Which frames are checked, and how many


@pytest.mark.parametrize("share", [0.02, 0.1, 0.31, 1.0])
@pytest.mark.parametrize("length", [1, 7, 50])
def test_there_are_never_more_checks_than_asked_for(share, length):
    plan, rng, total = CheckPlan(share, 400, length, 3), np.random.default_rng(0), 0
    for begin in range(0, 400, length):
        count = min(length, 400 - begin)
        closest = rng.uniform(size=(3, count))
        rows, places = plan.places(begin, closest, np.array([True, False, True]))
        assert set(rows) <= {0, 2}
        assert len(set(zip(rows, places, strict=True))) == len(rows)  # none twice
        assert (places < count).all()
        total += len(rows) // 2
        assert total <= math.ceil(share * (begin + count))
        assert begin > 0 or total >= 1
    assert total == math.ceil(share * 400)


def test_the_closest_frames_are_checked_and_random_ones():
    plan = CheckPlan(0.08, 200, 50, 3)
    closest = np.arange(50.0)[None, ::-1]
    for segment in range(4):
        _, places = plan.places(50 * segment, closest, np.ones(1, dtype=bool))
        assert list(places[:2]) == [49, 48]
        assert len(set(places[2:])) == 2
        assert (places[2:] < 48).all()


def test_the_choice_does_not_depend_on_the_batch():
    closest = np.random.default_rng(1).uniform(size=(5, 50))
    plan, alive = CheckPlan(0.1, 100, 50, 7), np.ones(5, dtype=bool)
    rows, places = plan.places(50, closest, alive)
    few = plan.places(50, closest[:2], alive[:2])[1]
    np.testing.assert_array_equal(places[rows < 2], few)


def test_a_run_is_checked_alike_in_any_batch():
    system = make_system("charged")
    state, particles = system.sample(3, 5, 4)

    def found(b):
        method = make_integrator("set", device="cpu", dtype="float64", segment=10)
        guard = Guard("warn", position=1e-5, local=1e-5, spot_checks=0.2)
        run = simulate(system, state[b], particles[b], 30, method, guard=guard)
        return [
            (e.frame, e.reason, pytest.approx(e.value, rel=1e-6))
            for e in run.info.guard.events
            if e.trajectory == 0
        ]

    assert found(slice(0, 1)) == found(slice(0, 4))


class Stop(Observer):
    def on_segment(self, run, new):
        if run.done == 20:
            raise KeyboardInterrupt


@pytest.mark.parametrize("policy", ["warn", "fallback"])
def test_a_resumed_run_is_checked_as_if_it_had_not_been_interrupted(tmp_path, monkeypatch, policy):
    monkeypatch.chdir(tmp_path)
    system = make_system("charged")

    def run_of(**options):
        method = make_integrator("set", device="cpu", segment=10)
        guard = Guard(policy, position=1e-3, local=1e-3, spot_checks=0.2)
        return simulate(system, *system.sample(4, 5, 3), 50, method, guard=guard, **options)

    whole = run_of()
    with pytest.raises(KeyboardInterrupt):
        run_of(output=Output("run.h5", checkpoint="run.restart"), observers=Stop())
    again = resume("run.restart")
    np.testing.assert_array_equal(again.x, whole.x)
    assert again.info.guard.events == whole.info.guard.events
    assert again.info.guard.spot_checked == whole.info.guard.spot_checked == 3 * 10
    assert {"position", "local error"} & reasons(whole)


@pytest.mark.parametrize(
    "kind", ["cloud of 5, 0.1 of its size", "like charges at rest, 0.001 apart"]
)
def test_wild_starts_that_end_badly_are_caught(kind):
    from nbody_surrogate.testing.wild_starts import wild_starts

    system = make_system("charged")
    state, particles = wild_starts(kind, 4, seed=11)
    method = make_integrator("set", device="cpu", segment=10)
    guard = Guard("warn", closest=0.0, fastest=math.inf, **KEPT)
    # the guard alone: the domain has a say at the start, and a test of its own
    run = simulate(system, state, particles, 20, method, guard=guard, outside=None)
    truth = simulate(system, state, particles, 20, "dop853-compiled")
    error = np.sqrt(((run.x[:, -1] - truth.x[:, -1]) ** 2).mean((1, 2))) / spread_at_start(
        state.x[:, None]
    )
    flagged = np.isin(np.arange(4), run.info.guard.gathered.trajectory)
    np.testing.assert_array_equal(flagged, ~(error <= 0.1))


# What a guard is told


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="`spot_checks`"):
        Guard("warn", spot_checks=share)


def test_a_guard_shows_what_is_not_the_default():
    assert repr(Guard("warn")) == "Guard('warn')"
    guard = Guard("warn", spot_checks=0.1, position=0.2)
    assert repr(guard) == "Guard('warn', spot_checks=0.1, position=0.2)"
