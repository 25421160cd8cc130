"""Guards: each way to go wrong trips them, and what becomes of it is what the policy says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from guarded_runs import (
    CASES,
    COMPUTED,
    DT,
    FRAMES,
    OFF,
    Free,
    Uniform,
    assert_the_others_are_untouched,
    heated,
    hurried,
    method_of,
    run_of,
    start_of,
    truth,
)
from nbody_surrogate import (
    Guard,
    InputError,
    NBodyWarning,
    make_integrator,
    read_h5md,
    simulate,
)
from nbody_surrogate.contracts.model_card import CardSystem
from nbody_surrogate.results.metrics import closest_pair, fastest

pytestmark = pytest.mark.usefixtures("one_thread")
ONSET = 12  # the frame from which a misbehaving surrogate is wrong, in the third segment
TRIPPED = 2
TRIGGERS = pytest.mark.parametrize("reason", CASES)


# What is noticed, and what becomes of it


@TRIGGERS
def test_a_tripped_segment_is_replayed_by_the_reference(reason):
    run = run_of(reason, "fallback")
    report = run.info.guard
    assert run.info.success
    first = report.events[0]
    assert (first.trajectory, first.segment, first.frame) == (1, TRIPPED, ONSET)
    assert first.reason == reason
    assert {event.trajectory for event in report.events} == {1}
    # it is wrong from there on: every segment that follows trips and is replayed
    assert [event.segment for event in report.events] == [2, 3, 4]
    assert report.fallen_back == (0, 15, 0)
    assert report.fallback_share == 15 / 75
    assert report.reference["integrator"] == "uniform"
    np.testing.assert_allclose(run.x, truth(), atol=1e-9)
    assert_the_others_are_untouched(run)
    assert run.info.counters["fallback_nfev"] > 0
    assert 0 < report.check_time + report.replay_time < run.info.wall_time


@TRIGGERS
def test_a_tripped_trajectory_is_stopped(reason):
    run = run_of(reason, "stop")
    (event,) = run.info.guard.events
    assert event.reason == reason
    assert run.info.status == (0, -1, 0)
    assert run.info.good == (FRAMES + 1, ONSET, FRAMES + 1)
    assert f"after t = {DT * (ONSET - 1):g}" in run.info.message[1]
    if reason != "non-finite":
        assert run.info.message[1].startswith(f"the guard found {event.detail}")
    np.testing.assert_allclose(run.x[1, :ONSET], truth()[1, :ONSET], atol=1e-9)
    assert (run.x[1, ONSET:] == run.x[1, ONSET - 1]).all()
    assert_the_others_are_untouched(run)


@TRIGGERS
def test_a_warning_changes_nothing(reason):
    with pytest.warns(NBodyWarning, match="trajectory 1, segment 2, frame 12") as caught:
        run = run_of(reason, "warn")
    assert len([each for each in caught if each.category is NBodyWarning]) == 1
    plain = run_of(reason, None)
    np.testing.assert_array_equal(run.x, plain.x)
    np.testing.assert_array_equal(run.v, plain.v)
    assert run.info.status == plain.info.status
    assert run.info.guard.events[0].reason == reason
    assert run.info.guard.fallen_back == (0, 0, 0)
    assert plain.info.guard is None


@pytest.mark.parametrize("policy", ["warn", "stop", "fallback"])
def test_nothing_happens_to_a_run_that_behaves(policy):
    run = run_of("energy", policy, marked=False)
    plain = run_of("energy", None, marked=False)
    np.testing.assert_array_equal(run.x, plain.x)
    assert run.info.guard.events == ()
    assert run.info.guard.fallback_share == 0


@pytest.mark.parametrize("limit", [{"particles": (1, 1)}, {"particles": (1, 8)}])
@pytest.mark.parametrize("policy", ["warn", "stop", "fallback"])
@pytest.mark.filterwarnings("ignore:toy is outside")
@pytest.mark.filterwarnings("ignore:guard")
def test_more_particles_or_a_longer_time_than_the_card_allows(policy, limit):
    until = 1.55 if limit["particles"][1] > 1 else 100.0
    systems = (CardSystem(system="free", spec={}, time_range=(0.0, until)),)
    reason, frame = ("time", 16) if until < 100 else ("particles", 1)
    run = run_of("energy", policy, marked=False, systems=systems, **limit)
    report = run.info.guard
    assert {event.reason for event in report.events} == {reason}
    assert report.events[0].frame == frame
    if policy == "fallback":
        assert run.info.success
        assert report.fallback_share == (10 / 25 if reason == "time" else 1)
        calls = run.info.counters.get("model_calls", 0)  # the model does not even try
        assert calls == (3 * 15 if reason == "time" else 0)
        np.testing.assert_allclose(run.x, truth(), atol=1e-9)
    if policy == "stop":
        assert run.info.good == (frame,) * 3
    if policy == "warn":
        assert run.info.success


def test_limits_come_from_the_card_unless_they_are_given():
    def events(**given):
        guard = Guard("warn", **OFF, **given)
        method = method_of(hurried, fastest=5.0, closest=0.1)
        return simulate(Free(), *start_of(), FRAMES, method, guard=guard).info.guard.events

    with pytest.warns(NBodyWarning, match="the limit is 5"):
        assert {event.reason for event in events()} == {"speed"}
    assert events(fastest=math.inf) == ()


def test_what_the_system_does_not_keep_is_not_watched():
    class Leaky(Free):
        conserved = frozenset({"momentum"})

    method = method_of(heated)
    run = simulate(Leaky(), *start_of(), FRAMES, method, guard=Guard("stop", **COMPUTED))
    assert run.info.guard.events == ()
    assert "energy" not in run.info.guard.thresholds


# Files


def test_the_report_is_stored_with_the_run(tmp_path):
    guard = Guard("fallback", reference=Uniform())
    method = method_of(heated)
    run = simulate(Free(), *start_of(), FRAMES, method, guard=guard, output=tmp_path / "run.h5")
    stored = read_h5md(tmp_path / "run.h5")
    assert stored.info == run.info
    assert stored[1].info.guard.fallen_back == (15,)
    assert [event.trajectory for event in stored[1].info.guard.events] == [0, 0, 0]
    assert stored[0].info.guard.events == ()


def test_the_report_of_a_run_that_always_trips_fits_into_its_file(tmp_path):
    guard = Guard("fallback", reference=Uniform(), longest=1e-3)
    method = Uniform(segment=1)
    run = simulate(Free(), *start_of(), 100, method, guard=guard, output=tmp_path / "run.h5")
    assert len(run.info.guard.events) == 3 * 100
    assert read_h5md(tmp_path / "run.h5").info == run.info


# What is measured


def test_the_closest_pair_and_the_fastest_particle():
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(2, 2, 3, 5, 3))
    near = [
        [
            min(np.linalg.norm(f[i] - f[j]) for i, j in itertools.combinations(range(5), 2))
            for f in b
        ]
        for b in x
    ]
    np.testing.assert_allclose(closest_pair(x), near, rtol=1e-14)
    np.testing.assert_allclose(fastest(v), np.sqrt((v**2).sum(3)).max(2), rtol=1e-14)
    assert closest_pair(x[:, :, :1]).tolist() == [[math.inf] * 3] * 2


# What a guard is told


@pytest.mark.parametrize("policy", ["warn", "stop"])
@pytest.mark.parametrize("reference", ["leapfrog", Uniform()])
def test_a_reference_that_replays_nothing_is_refused(policy, reference):
    words = f"`reference` of the guard goes with policy 'fallback' only: '{policy}'"
    with pytest.raises(InputError, match=words):
        Guard(policy, reference=reference)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("enrgy", "energy"),
        ("momentun", "momentum"),
        ("referense", "reference"),
        ("nonsense", None),
        ("Closest", "closest"),
    ],
)
def test_an_unknown_threshold_is_refused_and_the_near_one_named(misspelt, meant):
    with pytest.raises(InputError, match=f"`{misspelt}` is not a parameter of the guard") as caught:
        Guard("fallback", **{misspelt: 1.0})
    assert (f"did you mean `{meant}`?" in str(caught.value)) == (meant is not None)


def test_an_unknown_option_of_a_method_is_refused_and_the_near_one_named():
    with pytest.raises(InputError, match=r"integrator 'dop853'.*did you mean `rtol`"):
        make_integrator("dop853", rtoll=1e-6)
