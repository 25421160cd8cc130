"""Guards: each way to go wrong trips them, and what becomes of it is what the policy says."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn

from commands import FAILURE, MISUSE, bad, good, nbody_sim, no_constant
from nbody_set.model import SET, SETConfig
from nbody_surrogate import (
    AbstractIntegrator,
    AbstractSurrogate,
    AbstractSystem,
    Card,
    Guard,
    NBodyWarning,
    Particles,
    State,
    SurrogateIntegrator,
    make_integrator,
    read_h5md,
    simulate,
)
from nbody_surrogate.contracts.model_card import CardSystem
from nbody_surrogate.contracts.segment import Carry, Frames
from nbody_surrogate.contracts.surrogate import SurrogateConfig
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec
from nbody_surrogate.errors import PluginError
from nbody_surrogate.results.metrics import closest_pair, fastest, mean_kinetic
from nbody_surrogate.simulation.guard.drift_budget import ConservedQuantities, DriftBudget

pytestmark = pytest.mark.usefixtures("one_thread")

DT, FRAMES, SEGMENT, HISTORY = 0.1, 25, 5, 3
ONSET = 12  # the frame from which a misbehaving surrogate is wrong, in the third segment
TRIPPED = 2


class Free(AbstractSystem):
    """No forces, so that uniform motion is the truth and everything is kept."""

    name = "free"
    Spec = SystemSpec
    conserved = frozenset({"energy", "momentum", "angular_momentum"})

    def pair_acceleration(self, x, particles):
        return np.zeros_like(x)

    def potential_energy(self, x, particles):
        return np.zeros(len(x))

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.ones(n), np.ones(n))


class Uniform(AbstractIntegrator):
    """The truth of `Free`; it knows no way for particles of charge 0.5 beyond t = 1.85."""

    name = "uniform"

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        t = DT * np.arange(1, frames + 1)[:, None, None]
        x, v = (carry.arrays[key][:, None] for key in ("x", "v"))
        made = Frames(x + t * v, np.repeat(v, frames, axis=1), counters={"nfev": 1})
        lost = carry.problem.particles.charges[:, 1] == 0.5
        if carry.problem.time(frames) > 1.85:
            made.failures = {int(b): (3, "no way") for b in np.flatnonzero(lost)}
        return made


class Misbehaving(AbstractSurrogate):
    """Uniform motion, until the first particle of a trajectory of negative charge passes x = 1.05.

    It looks back on three frames, over which velocities are averaged.
    """

    Config = SurrogateConfig

    def __init__(self, harm):
        super().__init__(SurrogateConfig(history=HISTORY))
        self.unused = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.harm = harm

    def forward(self, x, v, particles):
        windows = [v[:, max(0, t + 1 - HISTORY) : t + 1].mean(1) for t in range(x.shape[1])]
        dx, dv = DT * torch.stack(windows, 1), torch.zeros_like(v)
        wrong_x, wrong_v = self.harm(x, v)
        marked = particles.charges[:, None, :1] < 0
        wrong = (marked & (x[:, :, :1, 0] > 1.05))[..., None]
        return torch.where(wrong, wrong_x, dx), torch.where(wrong, wrong_v, dv)


def blown_up(x, v):
    return torch.full_like(x, torch.nan), torch.zeros_like(v)


def heated(x, v):
    """Opposite velocities grow: energy, but no momentum."""
    return DT * v, 0.05 * v


def turned(x, v):
    """The second particle is turned: no energy, but momentum."""
    dv = torch.zeros_like(v)
    dv[:, :, 1] = v[:, :, 1].roll(1, -1) - v[:, :, 1]
    return DT * v, dv


def shifted(x, v):
    """The second particle is beside itself: neither energy nor momentum, but angular momentum."""
    dx = DT * v
    dx[:, :, 1, 1] += 0.1
    return dx, torch.zeros_like(v)


def met(x, v):
    """The second particle jumps to the first."""
    dx = DT * v
    dx[:, :, 1] = x[:, :, 0] + DT * v[:, :, 0] + 0.01 - x[:, :, 1]
    return dx, torch.zeros_like(v)


def hurried(x, v):
    return DT * v, 10.0 * v


OFF = {"energy": math.inf, "momentum": math.inf, "angular_momentum": math.inf}
CASES = {
    "non-finite": (blown_up, OFF),
    "energy": (heated, OFF | {"energy": 1e-2}),
    "momentum": (turned, OFF | {"momentum": 1e-3}),
    "angular momentum": (shifted, OFF | {"angular_momentum": 1e-3}),
    "distance": (met, OFF | {"closest": 0.5}),
    "speed": (hurried, OFF | {"fastest": 2.0}),
}
"""Reason to how the surrogate misbehaves and which thresholds notice."""

TRIGGERS = pytest.mark.parametrize("reason", CASES)


def card(**changes):
    values = {
        "systems": (CardSystem(system="free", spec={}, time_range=(0.0, 100.0)),),
        "frame_dt": DT,
        "particles": (1, 8),
        "charges": (0.0, 1.0),
        "masses": (1.0, 1.0),
        "symmetries": (),
        "training_data_hash": "none",
    }
    return Card(**(values | changes))


def method_of(harm, **limits):
    model = Misbehaving(harm)
    options = {"device": "cpu", "segment": SEGMENT}
    return SurrogateIntegrator("toy", model=model, card=card(**limits), **options)


def start_of(marked=True):
    """Three trajectories of two particles that part; the second one may be marked to go wrong."""
    x = np.zeros((3, 2, 3))
    x[:, 1] = [0.0, 3.0, 0.0]
    v = np.zeros((3, 2, 3))
    v[:, 0, 0], v[:, 1, 0] = 1.0, -1.0
    charges = np.ones((3, 2))
    charges[1] = -1.0 if marked else 1.0
    return State(0.0, x, v), Particles(charges, np.ones((3, 2)))


def run_of(reason, policy, marked=True, frames=FRAMES, **limits):
    harm, thresholds = CASES[reason]
    guard = None if policy is None else Guard(policy, reference=Uniform(), **thresholds)
    return simulate(Free(), *start_of(marked), frames, method_of(harm, **limits), guard=guard)


def truth():
    state, _ = start_of()
    t = DT * np.arange(FRAMES + 1)[:, None, None]
    return state.x[:, None] + t * state.v[:, None]


def assert_the_others_are_untouched(run):
    healthy = run_of("non-finite", None, marked=False)
    for b in (0, 2):
        np.testing.assert_array_equal(run.x[b], healthy.x[b])
        np.testing.assert_array_equal(run.v[b], healthy.v[b])


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
@pytest.mark.filterwarnings("ignore:toy was trained")
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
    run = simulate(Leaky(), *start_of(), FRAMES, method, guard="stop")
    assert run.info.guard.events == ()
    assert "energy" not in run.info.guard.thresholds


# The account


def readings(energies):
    """Energies (B, F) of unit kinetic energy."""
    values = np.array(energies, dtype=float)
    return ConservedQuantities({"energy": values}, {"energy": np.ones_like(values)})


def test_an_error_that_was_made_stays_counted_after_a_replay():
    budget = DriftBudget({"energy": 1.0}, readings([[0.0], [0.0]]))
    assert budget.errors("energy", readings([[0.25, -0.5], [0.0, 1.0]])).tolist() == [
        [0.25, 0.5],
        [0.0, 1.0],
    ]
    # trajectory 0 is replayed from where it had lost 0.25, and the replay loses 0.125
    budget.reopen(0, readings([[0.25]]), readings([[0.25, 0.375]]))
    later = budget.errors("energy", readings([[0.375, 0.0], [0.0, 1.0]]))
    assert later.tolist() == [[0.375, 0.75], [0.0, 1.0]]  # errors of either sign add up
    assert budget.scale("energy", readings([[1.0] * 3] * 2), before=1).tolist() == [1.0, 1.0]


def test_the_budget_grows_with_time():
    """A steady loss trips where it is steeper than the budget, and only there."""

    def steady(x, v):
        return DT * v, 1e-4 * v  # 2e-4 of the kinetic energy in each frame

    def events(threshold):
        guard = Guard("fallback", reference=Uniform(), **(OFF | {"energy": threshold}))
        run = simulate(Free(), *start_of(), FRAMES, method_of(steady), guard=guard)
        kinetic = mean_kinetic(run.v, run.particles)
        lost = abs(0.5 * (run.v**2).sum((2, 3)) - 1.0) / kinetic[:, None]
        assert lost.max() <= threshold
        return [event.segment for event in run.info.guard.events]

    # It begins in the third segment: 8e-4 are lost there, 10e-4 in each of the next two, and the
    # budget at their ends is 0.6, 0.8 and 1 of the threshold.
    assert events(29e-4) == []
    assert events(24e-4) == [4]
    assert events(22e-4) == [3]
    assert events(13e-4) == [2, 4]


def test_a_guarded_surrogate_ends_within_its_budget(charged):
    """SET of random weights, and a budget that it overspends in some segments and not in all."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = SET(SETConfig(width=4, substeps=2)).double()
    spec = {"coupling": 1.0, "softening": 0.1}
    own = card(systems=(CardSystem(system="charged", spec=spec, time_range=(0.0, 100.0)),))
    method = SurrogateIntegrator("set", model=model, card=own, device="cpu", segment=10)
    state, particles = charged.sample(5, 4, 4)
    reference = make_integrator("leapfrog", substeps=256)
    guard = Guard("fallback", reference=reference, energy=0.01)
    run = simulate(charged, state, particles, 40, method, guard=guard)
    first, last = (charged.invariants(run.x[:, f], run.v[:, f], particles) for f in (0, -1))
    lost = abs(last.energy - first.energy) / mean_kinetic(run.v, particles)
    assert (lost <= 0.01).all()
    assert 0 < run.info.guard.fallback_share < 1
    plain = simulate(charged, state, particles, 40, method)
    tripped = {event.trajectory for event in run.info.guard.events}
    assert 0 < len(tripped) < 4
    for b in set(range(4)) - tripped:
        np.testing.assert_array_equal(run.x[b], plain.x[b])


# The history after a replay


class Remembering(AbstractSurrogate):
    """Depends on its last four frames, and goes wrong now and then."""

    Config = SurrogateConfig

    def __init__(self, config):
        super().__init__(config)
        self.unused = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x, v, particles):
        length = self.config.history
        windows = [slice(max(0, t + 1 - length), t + 1) for t in range(x.shape[1])]
        dv = torch.stack([v[:, w].mean(1) - v[:, w.stop - 1] for w in windows], 1)
        dx = torch.stack([DT * v[:, w].mean(1) for w in windows], 1)
        late = (x[:, :, :1, :1] > 1.15) & (x[:, :, :1, :1] < 1.3)
        return torch.where(late, torch.nan, dx), dv


@pytest.mark.parametrize("segment", [2, 5], ids=["shorter than the history", "longer"])
def test_the_history_is_refilled_from_the_replayed_frames(segment):
    model = Remembering(SurrogateConfig(history=4))
    method = SurrogateIntegrator("toy", model=model, card=card(), device="cpu", segment=segment)
    state, particles = start_of()
    v = state.v.copy()
    v[:, 1, 1] = [0.0, 0.3, 0.6]
    v[2, 0, 0] = 0.0  # never goes wrong
    guard = Guard("fallback", reference=Uniform(), **OFF)
    run = simulate(Free(), State(0.0, state.x, v), particles, 24, method, guard=guard)
    last = max(event.segment for event in run.info.guard.events)
    frame = segment * (last + 1)
    assert 10 < frame < 20
    window = slice(frame - 3, frame + 1)
    x, v = (torch.tensor(y[:, window]) for y in (run.x, run.v))
    dx, dv = model(x, v, method._particles(method.start(Free(), *start_of(), DT).problem))
    expected = run.x[:, frame] + dx[:, -1].detach().numpy()
    np.testing.assert_allclose(run.x[:, frame + 1], expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        run.v[:, frame + 1], run.v[:, frame] + dv[:, -1].detach().numpy(), rtol=0, atol=1e-12
    )


def test_set_goes_on_from_replayed_frames_as_from_its_own(charged):
    """What its cache holds after a restart agrees to rounding with what it streamed."""
    method = make_integrator("set", device="cpu", dtype="float64", segment=10)
    carry = method.start(charged, *charged.sample(1, 5, 3), DT)
    segment = method.advance(carry, 10)
    x, v = (y[:, -method.history :] for y in (segment.x, segment.v))
    problem = segment.carry.problem
    again = method.restart(problem, 10, x, v)
    assert again.arrays.keys() == segment.carry.arrays.keys()
    for key, value in again.arrays.items():
        np.testing.assert_allclose(value, segment.carry.arrays[key], atol=1e-12)
    alone = method.restart(replace(problem, particles=problem.particles[1]), 10, x[1:2], v[1:2])
    mixed = segment.carry.with_row(1, alone)
    for key, value in mixed.arrays.items():
        kept = segment.carry.arrays[key]
        axis = 1 if key == "cache.past" else 0
        for b, expected in enumerate((kept, alone.arrays[key], kept)):
            one, other = (np.moveaxis(np.asarray(y), axis, 0) for y in (value, expected))
            np.testing.assert_array_equal(one[b], other[0 if b == 1 else b])


def test_a_cache_without_an_axis_of_trajectories_is_named():
    method = method_of(heated)
    carry = method.start(Free(), *start_of(), DT)
    arrays = {**carry.arrays, "cache.x": torch.zeros(7)}
    broken = Carry(carry.problem, 0, MappingProxyType(arrays))
    rows = {key: y[:1] for key, y in carry.arrays.items()}
    alone = Carry(carry.problem, 0, MappingProxyType(rows))
    with pytest.raises(PluginError, match=r"'cache\.x' must have one axis of length 3"):
        broken.with_row(1, alone)


# A reference that cannot help


def test_where_the_replay_fails_too_the_trajectory_fails():
    state, particles = start_of()
    charges = particles.charges.copy()
    charges[1, 1] = 0.5
    guard, start = (
        Guard("fallback", reference=Uniform(), **OFF),
        (state, Particles(charges, particles.masses)),
    )
    run = simulate(Free(), *start, FRAMES, method_of(blown_up), guard=guard)
    assert run.info.status == (0, -1, 0)
    # the third segment is replayed, of the fourth three frames are good
    assert run.info.good[1] == 1 + 3 * SEGMENT + 3
    assert run.info.message[1] == "no way after t = 1.8"
    assert run.info.guard.fallen_back == (0, SEGMENT + 3, 0)
    np.testing.assert_allclose(run.x[1, :19], truth()[1, :19], atol=1e-9)
    assert (run.x[1, 19:] == run.x[1, 18]).all()
    assert_the_others_are_untouched(run)


# Files, and the command line


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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


GUARDED = ["run", "--integrator", "set", "-n", 5, "--duration", 1, "--guard", "fallback"]
TIGHT = ["--threshold", "energy=1e-6"]


@pytest.mark.usefixtures("folder")
def test_the_command_line_says_what_tripped_and_what_it_cost():
    printed = good(*GUARDED, *TIGHT, "-o", "a.h5")
    assert "set, guard fallback" in printed
    (line,) = (each for each in printed.splitlines() if each.startswith("Guard"))
    assert "fell back on dop853" in line
    assert "ms for checks" in line
    assert "trajectory 0, segment 0, frame " in printed
    report = json.loads(good(*GUARDED, *TIGHT, "-o", "b.h5", "--json"), parse_constant=no_constant)[
        "guard"
    ]
    assert report["share"] > 0
    assert report["events"][0]["reason"] == "energy"
    assert report["thresholds"]["energy"] == 1e-6
    assert report == {
        **json.loads(json.dumps(report)),
        "fallen_back": list(read_h5md("b.h5").info.guard.fallen_back),
    }


@pytest.mark.usefixtures("folder")
def test_a_stopped_run_is_a_failure():
    result = nbody_sim(*GUARDED[:-1], "stop", *TIGHT, "-o", "a.h5")
    assert result.exit_code == FAILURE
    (line,) = result.stderr.splitlines()
    assert "trajectory 0 stopped: the guard found energy error" in line
    assert read_h5md("a.h5").info.status == (-1,)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--guard", "pray"], ["`guard`", "warn, stop, fallback", "'pray'"]),
        (["--threshold", "energy=1"], ["`threshold`", "--guard"]),
        (["--guard", "stop", "--threshold", "energy"], ["`threshold`", "KEY=VALUE"]),
        (["--guard", "stop", "--threshold", "energy=0"], ["`energy`", "> 0", "got 0"]),
        (["--guard", "stop", "--threshold", "closest=-1"], ["`closest`", ">= 0", "-1"]),
        (["--guard", "stop", "--threshold", "heat=1"], ["`heat`", "known: angular_momentum"]),
        (["--guard", "stop", *["--threshold", "energy=1"] * 2], ["`threshold` 'energy'", "twice"]),
        (["--guard", "fallback", "--reference", "set"], ["`reference`", "solver", "'set'"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_misuse(arguments, words):
    line = bad(MISUSE, "run", "-n", 5, "--duration", 0.1, *arguments)
    assert all(word in line for word in words), line
    assert not list(Path().iterdir())


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
