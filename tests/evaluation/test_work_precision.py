"""Work and precision: what is measured, who is said to win, and the command."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commands import MISUSE, bad, good
from json_schemas import documented
from nbody_surrogate import InputError, make_system
from nbody_surrogate.evaluation.costs import quartiles, time_ratio, typical
from nbody_surrogate.evaluation.work_precision import timing
from nbody_surrogate.evaluation.work_precision.benchmark import Benchmark
from nbody_surrogate.evaluation.work_precision.measure import measure
from nbody_surrogate.evaluation.work_precision.numpy_force import with_numpy_force
from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision, with_front
from nbody_surrogate.evaluation.work_precision.timing import MOST
from nbody_surrogate.evaluation.work_precision.verdict import (
    break_even,
    busy,
    duels,
    few_starts,
    fronts,
    sentences,
)
from nbody_surrogate.integrators.method_text import contender, split_methods, sweep
from nbody_surrogate.results.bootstrap import Interval

ROUNDING = 1e-12  # relative, of sums of some terms
QUICK = ("-n", 3, "--trajectories", 3, "--horizon", 0.5, "--seconds", 0.001)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Methods by their texts


def test_a_text_names_a_method_its_number_and_its_force():
    method = contender("leapfrog:4", threads=2, segment=7, dtype="float32").method
    assert (method.options.substeps, method.options.threads, method.options.segment) == (4, 2, 7)
    for suffix, engine in (("compile", "inductor"), ("torch", "torch"), ("fused", "fused")):
        assert contender(f"set-small+{suffix}").method.options.engine == engine
    slow = contender("dop853+numpy:1e-6")
    assert (slow.numpy_force, slow.method.options.rtol, slow.method.options.atol) == (
        True,
        1e-6,
        1e-6,
    )
    small = contender("set-small", threads=1)
    assert small.learned
    assert small.family == "set-small"
    assert small.method.options.weights.endswith("set-small")
    assert small.training_seconds == pytest.approx(60 * small.method.card.training["minutes"])
    assert contender("copy-last").training_seconds is None


def test_a_name_alone_is_taken_over_its_parameters():
    assert sweep("rk45")[:2] == ["rk45:1e-3", "rk45:1e-5"]
    assert sweep("leapfrog")[:3] == ["leapfrog:1", "leapfrog:2", "leapfrog:4"]
    assert sweep("leapfrog:6") == ["leapfrog:6"]
    assert sweep("set") == ["set"]
    assert sweep("ballistic") == ["ballistic"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("leapfog:4", "'leapfog' is no method"),
        ("leapfrog:1.5", "whole number"),
        ("leapfrog:0", "whole number"),
        ("leapfrog+numpy:4", "adaptive"),
        ("leapfrog+compile:4", "models"),
        ("copy-last:3", "takes no number"),
        ("dop853:-1", "`rtol`"),
    ],
)
def test_a_text_that_names_nothing_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        contender(text)


def test_a_list_of_methods_is_not_empty_and_has_no_twins():
    assert split_methods(" set, leapfrog:4,") == ["set", "leapfrog:4"]
    for texts in ("", " , ", "set,rk4,set"):
        with pytest.raises(InputError, match="`integrators`"):
            split_methods(texts)


@pytest.mark.parametrize("name", ["charged", "charged-clipped", "springs", "penning", "oscillator"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_force_in_numpy_is_the_compiled_one(name, dimensions):
    system = make_system(name)
    state, particles = system.sample(0, 6, 2, dimensions)
    wanted = system.acceleration(state.x, state.v, particles)
    got = with_numpy_force(system).acceleration(state.x, state.v, particles)
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=ROUNDING)
    assert with_numpy_force(system).force_laws() is None


# What is measured


def test_errors_shrink_as_the_order_says_and_work_is_counted(charged):
    state, particles = make_system("charged", softening=0.5).sample(1, 3, 4)
    benchmark = Benchmark(
        make_system("charged", softening=0.5), state, particles, (0.5, 1.0), (1, 3)
    )
    made = [contender(f"leapfrog:{k}") for k in (8, 16)]
    found = measure(made, benchmark, seconds=0.001)
    assert found.groups == [(0.5, 1), (1.0, 1), (0.5, 3), (1.0, 3)]
    coarse, fine = found.group(1.0, 3)
    assert coarse.error.value / fine.error.value == pytest.approx(4, rel=0.05)
    assert coarse.error.low <= coarse.error.value <= coarse.error.high
    assert coarse.evaluations == pytest.approx(80)  # 10 frames of 8 steps
    for point in found.points:
        assert 0 < point.lower_quartile <= point.milliseconds <= point.upper_quartile
        assert point.repeats >= 1
        assert point.trajectory_milliseconds == pytest.approx(point.milliseconds)
    assert max(found.reference_errors.values()) < 1e-9
    assert found.conditions["threads"] == 1
    by_processor = measure(made, benchmark, seconds=0.001, clock="processor")
    assert by_processor.conditions["clock"] == "processor"
    for one, other in zip(by_processor.points, found.points, strict=True):
        assert one.error == other.error


EVEN = np.array([0.9, 0.95, 1.0, 1.05, 1.1])  # of the starts, in time and in error


def point(label, error, ms, learned=False, minutes=None, batch=1, errors=EVEN, times=EVEN):
    """A point with errors and times of five starts, 10 % about their medians."""
    return Point(
        label=label,
        family=label,
        parameter=None,
        learned=learned,
        horizon=1.0,
        batch=batch,
        error=Interval(error, 0.9 * error, 1.1 * error),
        milliseconds=ms,
        lower_quartile=0.9 * ms,
        upper_quartile=1.1 * ms,
        repeats=3,
        trajectory_milliseconds=5 * ms,
        evaluations=None,
        failures=0,
        training_seconds=None if minutes is None else 60 * minutes,
        device="cpu",
        errors=error * errors,
        times=1e-3 * ms * times[None],
    )


def found(*points):
    return WorkPrecision(with_front(list(points)), "truth", {1.0: 1e-9}, {})


CHEAP, DEAR = point("cheap", 1e-2, 1.0), point("dear", 1e-6, 100.0)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (point("net", 1e-3, 400.0, True, 10), ["net loses: dear", "4.0 times faster", "never"]),
        (point("net", 2e-2, 2.0, True, 10), ["net loses: cheap", "2.0 times faster"]),
        (point("net", 1e-3, 10.0, True, 10), ["net wins", "10 times faster than dear", "10.0 min"]),
        (point("net", 1e-3, 101.0, True, 10), ["times of net and dear are not told apart"]),
        (
            point("net", 1e-3, 120.0, True, 10, times=EVEN[::-1] ** 3),
            ["times of net and dear are not told apart", "(ratio of times 1.2 ("],
        ),
        (point("net", 1e-7, 10.0, True, 10), ["no solver here is as accurate as net"]),
        (point("net", 1e-3, 10.0, True), ["net wins", "not known"]),
        (
            point("net", 1.05e-2, 9.0, True, 1),
            [
                "net loses: cheap",
                "(ratio of times 9.0 (9.0..9.0))",
                "0 of 5, p = 0.062: equivalent",
            ],
        ),
        (point("net", 1.05e-2, 9.0, True, 1, errors=EVEN[::-1]), [": not told apart; training"]),
    ],
)
def test_the_sentence_says_who_wins(net, words):
    (sentence,) = sentences(duels(found(CHEAP, DEAR, net)))
    assert sentence.startswith("t = 1, one by one: ")
    assert all(word in sentence for word in words), sentence


def test_starts_that_are_too_few_for_an_answer_are_told():
    """Five of them, in one duel."""
    (said,) = few_starts(duels(found(CHEAP, DEAR, point("net", 1.05e-2, 9.0, True, 1))))
    assert said.startswith("5 starts cannot show that a method is better, in 1 test: ")
    assert said.endswith("0.062 or more; take at least 6.")
    assert few_starts(duels(found(CHEAP))) == []


def test_errors_are_told_apart_start_by_start_after_holm():
    """Intervals of medians overlap; on each of ten starts the model is a little worse."""
    spread = np.geomspace(0.1, 10.0, 10)
    net = point("net", 1.1e-2, 9.0, True, 1, errors=spread)
    (sentence,) = sentences(duels(found(point("cheap", 1e-2, 1.0, errors=spread), net)))
    assert "1.1 (1.1..1.1), 0 of 10, p = 0.002: cheap better" in sentence
    other = replace(net, label="other", family="other")
    both = duels(found(point("cheap", 1e-2, 1.0, errors=spread), net, other))
    assert [each.errors.corrected_p for each in both] == pytest.approx([4 / 2**10] * 2)
    (plain, _) = (each.to_dict() for each in both)
    assert (plain["first"], plain["second"], plain["second_batch"]) == ("net", "cheap", 1)
    assert plain["errors"]["outcome"] == "worse"
    assert plain["time_ratio"]["value"] == pytest.approx(9.0)


def test_many_starts_at_once_are_held_against_one_by_one_where_that_is_cheaper():
    """An adaptive solver gains nothing side by side, and may lose."""
    alone, net_alone = point("dear", 1e-6, 80.0), point("net", 1e-3, 400.0, True, 10)
    side, net = (
        replace(each, batch=16, milliseconds=ms)
        for each, ms in ((alone, 120.0), (net_alone, 100.0))
    )
    one, many = sentences(duels(found(alone, net_alone, side, net)))
    assert one.startswith("t = 1, one by one: net loses: dear is 5.0 times faster")
    assert many.startswith("t = 1, 16 at once: net loses: dear one by one is 1.2 times faster")
    (_, cheaper) = sentences(duels(found(alone, net_alone, replace(side, milliseconds=50.0), net)))
    assert "net loses: dear is 2.0 times faster" in cheaper


# What is timed


@pytest.mark.parametrize(("slow", "groups", "rounds"), [(0.01, 5, MOST), (0.5, 5, 1), (3.0, 2, 1)])
def test_all_methods_are_timed_on_the_same_starts(charged, monkeypatch, slow, groups, rounds):
    """Whatever they take: one a hundredth of a second for two starts, the other `slow`."""
    state, particles = charged.sample(1, 2, 12)
    benchmark = Benchmark(charged, state, particles, (0.1,), (2,))
    made = [contender(f"leapfrog:{k}") for k in (1, 2)]
    takes, asked = {"leapfrog:1": 0.01, "leapfrog:2": slow}, {"leapfrog:1": [], "leapfrog:2": []}

    def timed(each, benchmark, state, particles, frames, clock):
        asked[each.label].append(float(state.x[0, 0, 0]))
        return takes[each.label]

    monkeypatch.setattr(timing, "_timed", timed)
    times = timing.costs(made, benchmark, 1.0, time.perf_counter, lambda by: None)
    assert (times[0, 2].shape, times[1, 2].shape) == ((MOST, groups), (rounds, groups))
    np.testing.assert_allclose(times[0, 2], 0.01 / 2)  # of one trajectory of two
    np.testing.assert_allclose(times[1, 2], slow / 2)
    starts = state.x[0 : 2 * groups : 2, 0, 0].tolist()
    for label, count in (("leapfrog:1", MOST), ("leapfrog:2", rounds)):
        assert asked[label] == [starts[0], *starts * count]  # the first warms up


def test_a_cost_is_the_median_of_starts_and_a_ratio_is_start_by_start():
    times = np.array([[1.0, 10.0, 2.0], [3.0, 10.0, 2.0], [1.0, 30.0, 2.0]])
    assert typical(times) == 2.0  # of 1, 10 and 2
    assert quartiles(times) == (1.5, 6.0)
    found = time_ratio(4 * times[:1], times)
    assert (found.value, found.low, found.high) == pytest.approx((4.0, 4.0, 4.0))
    single = time_ratio(np.array([[2.0], [3.0], [2.0]]), np.array([[1.0], [1.5], [1.0], [9.0]]))
    assert single.value == pytest.approx(2.0)  # repeats that both have
    failed = np.array([[np.inf, 10.0, 2.0]])
    assert time_ratio(failed, times).value == pytest.approx(1.0)  # of the starts that both ran
    assert typical(np.full((1, 3), np.nan)) != typical(np.full((1, 3), np.nan))


def test_training_is_paid_back_by_the_time_saved():
    net = point("net", 1e-3, 60.0, True, minutes=2)
    # 5 time units: 500 ms by the solver, 300 ms by the surrogate, 120 s of training
    assert break_even(net, DEAR) == pytest.approx(600)
    assert break_even(replace(net, trajectory_milliseconds=501.0), DEAR) is None


def test_a_busy_machine_is_told():
    quiet = replace(found(CHEAP), conditions={"load": 1.9, "cores": 2})
    assert busy(quiet) is None
    assert "load 5.0 on 2 cores" in busy(replace(quiet, conditions={"load": 5.0, "cores": 2}))
    assert busy(found(CHEAP)) is None


def test_methods_on_an_accelerator_are_named_with_it():
    there = [replace(point(name, 1e-3, 1.0), device="cuda") for name in ("net", "drift")]
    both = replace(found(CHEAP, *there), conditions={"devices": {"cuda": "Fast Card"}})
    assert both.elsewhere() == "; on Fast Card: net, drift"
    assert found(CHEAP).elsewhere() == ""


def test_the_front_holds_what_nothing_cheaper_equals():
    same = point("same", 1e-6 * (1 - 1e-9), 120.0)  # as dear, but for rounding
    slow, mid = point("slow", 1e-2, 50.0), point("mid", 1e-4, 20.0)
    made = found(CHEAP, DEAR, same, slow, mid)
    assert [p.label for p in made.points if p.on_front] == ["cheap", "dear", "mid"]
    front, *floor = fronts(made)
    assert front.endswith("cheap, mid, dear.")
    assert floor == []
    (_, lost) = fronts(found(CHEAP, point("exact", 5e-9, 3.0)))
    assert "exact" in lost
    assert "cheap" not in lost


# The command


@pytest.mark.usefixtures("folder", "one_thread")
def test_bench_writes_a_table_a_figure_and_who_wins():
    methods = "leapfrog:2,leapfrog:32,dop853+numpy:1e-6,set-small"
    printed = good("bench", *QUICK, "--integrators", methods, "-o", "made")
    for words in ("leapfrog:32", "truth: dop853", "set-small", "t = 0.5, 3 at once", "1 thread"):
        assert words in printed
    assert {path.name for path in Path().iterdir()} == {
        f"made.{suffix}" for suffix in ("csv", "json", "png", "svg")
    }
    made = documented("bench", Path("made.json").read_text())
    with Path("made.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(made["points"]) == 8
    for row, each in zip(rows, made["points"], strict=True):
        assert float(row["rmse"]) == each["error"]["value"]
    # who wins is a matter of time; that each horizon and batch has a verdict is not
    assert [each["model"] for each in made["standings"]] == ["set-small"] * 2
    assert made["command"].startswith("nbody-sim bench --particles 3")
    assert Path("made.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--horizon", 0.55], ["`horizon`", "0.55", "0.6"]),
        (["--horizon", -1], ["`horizon`", "-1"]),
        (["--batch", 0], ["`batch`", "0"]),
        (["-n", 0], ["`particles`", "0"]),
        (["--clock", "sun"], ["`clock`", "wall", "sun"]),
        (["--clock", "processor", "--threads", 2], ["`clock`", "thread", "2"]),
        (["--seconds", "nan"], ["`seconds`", "nan"]),
        (["--bound", 1], ["`bound`", "> 1"]),
        (["--integrators", "leapfog"], ["`integrators`", "leapfog", "leapfrog"]),
        (["--integrators", "set", "-p", "softening=0.2"], ["`softening`", "0.2"]),
        (["--integrators", "rk4", "-o", "none/made"], ["`output`", "none"]),
        (["--system", "chargd"], ["`system`", "chargd", "charged"]),
    ],
)
def test_misuse_of_bench_is_one_line(arguments, words):
    line = bad(MISUSE, "bench", *arguments)
    assert all(word in line for word in words), line
