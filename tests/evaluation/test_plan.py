"""Plans: what a force and a frame cost by a clock of the test's own, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from pydantic import Field

from commands import MISUSE, bad, good
from json_schemas import documented
from nbody_surrogate import InputError, Plan, make_system, plan
from nbody_surrogate.contracts.surrogate import AbstractSurrogate, SurrogateConfig
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec
from nbody_surrogate.evaluation.plan.meter import LEAST_CALLS, Meter
from nbody_surrogate.evaluation.plan.result import (
    Asked,
    Classical,
    Effort,
    ForceCost,
    SurrogateFrame,
    TrainingCost,
    paid_back,
)
from nbody_surrogate.evaluation.plan.text import plan_table, sentences
from nbody_surrogate.registry.registry import register_surrogate
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.training.plan import planned, request_of
from nbody_surrogate.training.plan_cost import data_of, training_cost
from nbody_surrogate.training.recipe import checked_recipe
from toy_surrogates import Ballistic

ROUNDING = 1e-9  # relative, of sums of a clock's seconds
FRAME = 1e-4  # seconds of a frame of the surrogate below


class Clock:
    """Seconds that forces and models take, and nothing else does."""

    def __init__(self):
        self.now, self.calls = 0.0, 0

    def __call__(self):
        return self.now


CLOCK = Clock()


@pytest.fixture
def clock(monkeypatch):
    """The clock of this test: a new one."""
    made = Clock()
    monkeypatch.setattr(f"{__name__}.CLOCK", made)
    return made


class CostlySpec(SystemSpec):
    cost: float = Field(default=1e-3, description="seconds of a force")
    strength: float = Field(default=1.0, description="k of the springs")
    approximated: bool = False


class Costly(AbstractSystem):
    """Masses joined by springs, a = -k sum_j (x_i - x_j): a force that takes a known time."""

    name = "costly"
    Spec = CostlySpec
    symmetries = frozenset({"translation", "rotation", "reflection", "permutation", "time-shift"})

    @property
    def approximations(self):
        if not self.spec.approximated:
            return {}
        known = {"wrong": (2.0, 0.01), "right": (1.0 + 1e-7, 0.1), "dear": (1.0, 2.0)}
        return MappingProxyType(
            {
                name: {"strength": strength, "cost": share * self.spec.cost, "approximated": False}
                for name, (strength, share) in known.items()
            }
        )

    def pair_acceleration(self, x, particles):
        CLOCK.now += len(x) * self.spec.cost
        CLOCK.calls += len(x)
        return self.spec.strength * (x.sum(1, keepdims=True) - x.shape[1] * x)

    def _sample(self, rng, n, dimensions):
        x, v = rng.normal(size=(2, n, dimensions))
        return Draw(x, v, np.ones(n), np.ones(n))


class Timed(Ballistic):
    """A toy whose forward pass takes a time that is known."""

    Config = SurrogateConfig

    def __init__(self, config):
        super().__init__(config)

    def forward(self, x, v, particles):
        CLOCK.now += FRAME
        return super().forward(x, v, particles)


@pytest.fixture
def timed(monkeypatch):
    """The toy's name, registered for this test."""
    from nbody_surrogate.registry import lookup

    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))
    register_surrogate("timed")(Timed)
    return "timed"


def planned_for(clock, surrogate, system, **options):
    given = {"particles": 3, "horizon": 0.5, "accuracy": 1e-2} | options
    return planned(request_of(system, surrogate=surrogate, **given), clock)


RECIPE = {
    "surrogate": "timed",
    "steps": 10,
    "chunk": 4,
    "unroll": 2,
    "unroll_steps": 4,
    "data": [
        {"batch": 2, "spec": {"system": "charged", "particles": 3, "trajectories": 7, "frames": 6}},
        {"batch": 2, "spec": {"system": "charged", "particles": 2, "trajectories": 4, "frames": 5}},
    ],
}


# What is measured


def test_forces_and_frames_cost_what_the_clock_says(clock, timed):
    made = planned_for(clock, timed, Costly(cost=1e-3))
    (force,) = made.forces
    assert force.name == "plain"
    assert (force.seconds.low, force.seconds.high) == pytest.approx((1e-3, 1e-3))
    classical, surrogate = made.classical, made.surrogate
    assert surrogate.frame_seconds == pytest.approx(FRAME, rel=ROUNDING)
    assert classical.frame_seconds == pytest.approx(1e-3 * classical.evaluations, rel=ROUNDING)
    assert classical.force_seconds == pytest.approx(1e-3, rel=ROUNDING)
    assert classical.error.value <= 1e-2
    assert made.factor.value == pytest.approx(10 * classical.evaluations, rel=ROUNDING)
    assert made.break_even_force == pytest.approx(FRAME / classical.evaluations, rel=ROUNDING)
    assert (made.verdict, made.effort.starts, made.effort.notes) == ("yes", 8, ())
    assert made.training is None
    assert made.payback is None


def test_no_cheaper_setting_of_the_method_is_accurate(clock, timed):
    """The number of sub-steps is the least one, as a scan of all shows."""
    from nbody_surrogate import make_integrator, simulate
    from nbody_surrogate.results.metrics import rmse

    system = Costly()
    made = planned_for(clock, timed, system, accuracy=1e-3)
    name, _, number = made.classical.label.partition(":")
    state, particles = system.sample(0, 3, 8)
    truth = simulate(system, state, particles, 5, make_integrator("dop853", rtol=1e-12, atol=1e-12))

    def error(substeps):
        run = simulate(system, state, particles, 5, make_integrator(name, substeps=substeps))
        return np.median(rmse(truth.x, run.x)[:, -1])

    assert error(int(number)) == pytest.approx(made.classical.error.value, rel=1e-3)
    assert error(int(number)) <= 1e-3 < error(max(math.floor(0.85 * int(number)), 1))


@pytest.mark.parametrize(("cost", "verdict"), [(1e-7, "no"), (1e-2, "yes")])
def test_a_cheap_force_does_not_pay_and_a_dear_one_does(clock, timed, cost, verdict):
    assert planned_for(clock, timed, Costly(cost=cost)).verdict == verdict


def test_the_best_approximation_is_found_and_a_wrong_one_is_not(clock, timed):
    made = planned_for(clock, timed, Costly(approximated=True))
    costs = {each.name: each.seconds.value for each in made.forces}
    assert costs == pytest.approx({"plain": 1e-3, "wrong": 1e-5, "right": 1e-4, "dear": 2e-3})
    assert made.classical.label.endswith("@right")
    assert made.classical.force_seconds == pytest.approx(1e-4, rel=ROUNDING)
    assert made.effort.approximate_calls > 0


def test_calls_are_counted_and_a_dear_force_is_not_called_for_hours(clock, timed):
    made = planned_for(clock, timed, Costly(cost=1.0), horizon=2.0, accuracy=1e-3, seconds=1.0)
    # dop853 evaluates some forces that it does not count
    assert made.effort.force_calls <= clock.calls < 1.3 * made.effort.force_calls
    assert clock.calls < 2 * LEAST_CALLS
    assert made.effort.starts == 1
    assert any("of 20 frames" in each for each in made.effort.notes)
    assert made.verdict == "yes"


def test_an_accuracy_that_nobody_reaches_is_refused(clock, timed):
    with pytest.raises(InputError, match=r"`accuracy` 1.0e-20: nothing here is known to reach it"):
        planned_for(clock, timed, Costly(), accuracy=1e-20)


def test_a_refusal_tells_the_accuracy_that_was_asked(clock, timed):
    """It shrinks where errors are taken after fewer frames."""
    with pytest.raises(InputError, match=r"`accuracy` 1.0e-09: "):
        planned_for(clock, timed, Costly(cost=1.0), accuracy=1e-9)


def test_the_time_of_a_first_call_is_no_measurement(clock):
    meter = Meter(clock, 10.0)
    clock.now += 7.0
    meter.forgive(6.0)
    assert (meter.spent, meter.left, meter.compiling) == (1.0, 9.0, 6.0)
    meter.allow_calls_of(1.0)
    assert meter.left == LEAST_CALLS - 1.0


# What a training costs


def test_a_training_costs_its_frames_and_its_steps(clock):
    recipe = checked_recipe(RECIPE, "given")
    model, meter = Timed(SurrogateConfig()), Meter(clock, 100.0)
    ticks = []
    cost = training_cost(recipe, "it", model, Costly(), meter, lambda: ticks.append(1))
    assert (cost.trajectories, cost.frames, cost.steps) == (11, 7 * 6 + 4 * 5, 10)
    # dop853 evaluates some forces that it does not count
    assert 1 <= cost.label_seconds / (1e-3 * cost.force_calls) < 1.3
    assert cost.force_calls > cost.frames
    # one pass of the model in 6 of 10 steps, two in the last 4
    assert cost.step_seconds == pytest.approx((0.6 + 2 * 0.4) * FRAME, rel=ROUNDING)
    assert cost.seconds == pytest.approx(cost.label_seconds + 14 * FRAME, rel=ROUNDING)
    assert (len(ticks), cost.labels) == (2, "dop853")


def test_frames_of_dear_data_are_not_made(clock):
    recipe = checked_recipe(RECIPE, "given")
    model, meter = Timed(SurrogateConfig()), Meter(clock, 100.0)
    cost = training_cost(recipe, "it", model, Costly(cost=1.0), meter, lambda: None)
    assert clock.calls < 2 * cost.force_calls / cost.frames
    assert cost.label_seconds == pytest.approx(cost.force_calls, rel=ROUNDING)


def test_live_data_are_as_many_trajectories_as_the_steps_use():
    live = {"batch": 8, "live": True, "spec": RECIPE["data"][0]["spec"] | {"frames": 20}}
    recipe = checked_recipe(RECIPE | {"data": [live]}, "given")
    (data,) = data_of(recipe)
    # 10 steps of 8 windows, of which a trajectory of 21 rows has 5
    assert (data.trajectories, data.frames) == (16, 16 * 20)


def test_a_recipe_of_another_surrogate_is_refused(timed):
    with pytest.raises(InputError, match="`recipe` is of surrogate 'timed', and 'set' is planned"):
        plan("charged", 3, "set", recipe=RECIPE)


# What follows, by hand


def test_training_is_paid_back_by_the_time_that_is_saved():
    # 4 times faster than 2 ms a frame saves 6 ms of each; 100 frames 0.6 s
    assert paid_back(6.0, 4.0, 2e-3, 100) == 10
    assert paid_back(6.1, 4.0, 2e-3, 100) == 11
    assert paid_back(1e-9, 4.0, 2e-3, 100) == 1
    assert paid_back(6.0, 1.0, 2e-3, 100) == paid_back(6.0, 0.5, 2e-3, 100) == math.inf


def by_hand(**changes):
    training = TrainingCost("mine.toml", 10, 1000, "dop853", 7e4, 5.0, 100, 1e-2, 0.0)
    made = Plan(
        asked=Asked({"system": "charged"}, 30, 1e-3, 2.0, 20, 100),
        forces=(ForceCost("plain", Interval(1e-3, 9e-4, 2e-3), 50),),
        classical=Classical("leapfrog:8", Interval(8e-4, 5e-4, 1e-3), 8.0, 8e-3),
        surrogate=SurrogateFrame("set", {}, "fused", 1000, 2e-3, 0.5),
        factor=Interval(4.0, 2.0, 7.0),
        training=training,
        effort=Effort(1234, 0, 8, 3.0, 1.0),
        conditions={"processor": "a machine", "load": 0.5, "cores": 2},
    )
    return replace(made, **changes)


def test_figures_follow_from_those_measured():
    made = by_hand()
    assert (made.verdict, made.break_even_force) == ("yes", 2.5e-4)
    assert made.training.seconds == 6.0
    assert (made.payback.trajectories, made.payback.least, made.payback.most) == (10, 5, 30)
    assert repr(made) == "<Plan: set for charged, N = 30: yes, factor 4.0 (2.0..7.0)>"
    assert by_hand(factor=Interval(1.2, 0.9, 1.5)).verdict == "open"
    assert by_hand(factor=Interval(0.5, 0.4, 0.6)).payback.trajectories == math.inf


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (
            Interval(4.0, 2.0, 7.0),
            (
                "Yes: a frame of set is 4.0 (2.0..7.0) times faster than one by leapfrog:8",
                "Training, 6.00 s with its data, is paid back after 10 (5..30) trajectories of 100",
            ),
        ),
        (
            Interval(0.5, 0.4, 0.8),
            (
                "No: a frame of set takes 2.0 (1.2..2.5) times as long as one by leapfrog:8",
                "It would pay from 250 µs for a force evaluation on.",
                "Training is never paid back.",
            ),
        ),
        (
            Interval(1.3, 0.8, 2.0),
            ("Open: the gain of set over leapfrog:8 is 1.3 (0.80..2.0)", "30 or more, or never"),
        ),
    ],
)
def test_sentences_say_what_pays_and_what_is_assumed(factor, said):
    lines = sentences(by_hand(factor=factor))
    for words in (*said, "Nobody knows that before", "1234 force calls, in 3.00 s"):
        assert any(words in line for line in lines), (words, lines)


def test_what_is_not_known_is_said():
    lines = sentences(by_hand(training=None, effort=Effort(9, 3, 1, 1.0, 0.0, ("it is dear",))))
    assert any("names no recipe of its own" in line for line in lines)
    assert any("9 force calls and 3 of approximations" in line for line in lines)
    assert "Less sure: it is dear." in lines
    busy = by_hand(conditions={"processor": "a machine", "load": 9.0, "cores": 2})
    assert "machine was busy (load 9.0 on 2 cores)" in sentences(busy)[-1]
    assert "not known" in str(plan_table(by_hand(training=None)))


# The command


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(
        'surrogate = "set"\nsteps = 2\nchunk = 3\n[[data]]\nbatch = 2\n[data.spec]\n'
        'system = "charged"\nparticles = 2\ntrajectories = 20\nframes = 4\n'
    )
    return path


def test_the_command_prints_json_of_its_schema(recipe_file, monkeypatch):
    few = ["leapfrog", "dop853"]  # not all need to be compiled for it
    monkeypatch.setattr("nbody_surrogate.evaluation.plan.cheapest.classical_names", lambda: few)
    size = ("--model", "width=4", "--model", "substeps=2", "--recipe", recipe_file)
    asked = ("-n", 2, "--horizon", 0.1, "--accuracy", 1e-2, "--frames", 7)
    found = documented("plan", good("plan", *asked, *size, "--json"))
    assert found["asked"]["horizon_frames"] == 1
    assert found["asked"]["frames"] == 7
    assert (found["surrogate"]["config"]["width"], found["surrogate"]["engine"]) == (4, "fused")
    assert found["training"]["frames"] == 80
    assert found["classical"]["error"]["value"] <= 1e-2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "width=15"), "`width` 15 must be a multiple of `heads` 2"),
        (("--model", "wdith=15"), "`wdith` is not a parameter of surrogate 'set'"),
        (("--model", "softening=0.2"), "`model.softening` is 0.2, but 0.1 in system 'charged'"),
        (("--system", "penning"), "`integrator` set"),
        (("--horizon", 0.15), "`horizon` must be a whole number of frames"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in bad(MISUSE, "plan", "-n", 2, *arguments)


def test_a_surrogate_names_its_recipe_and_it_can_be_read():
    from nbody_surrogate.registry.registry import surrogate_class
    from nbody_surrogate.training.recipe import read_recipe

    assert AbstractSurrogate.own_recipe is None
    for name in ("set", "set-symplectic"):
        recipe = read_recipe(surrogate_class(name).own_recipe)
        assert (recipe.surrogate, recipe.initial) == (name, None)
        assert data_of(recipe)


def test_the_default_horizon_is_whole_frames():
    system = make_system("charged", frame_dt=0.3)
    assert request_of(system).horizon_frames == 7
