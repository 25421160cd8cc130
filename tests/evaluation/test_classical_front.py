"""How far a surrogate is from the classical front, and which settings are worth measuring."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.evaluation.work_precision.classical_front import standing_text, standings
from nbody_surrogate.evaluation.work_precision.pareto import Point, WorkPrecision, with_front
from nbody_surrogate.evaluation.work_precision.settings import DEARER, FLOOR, Settings
from nbody_surrogate.evaluation.work_precision.verdict import duels, sentences, standing_sentences
from nbody_surrogate.integrators.known_methods import classical_names
from nbody_surrogate.integrators.method_text import Contender, contender, sweep
from nbody_surrogate.results.bootstrap import Interval

EVEN = np.array([0.9, 0.95, 1.0, 1.05, 1.1])  # of the starts, in time and in error


def point(family, parameter, error, ms, learned=False, batch=1, errors=EVEN, times=EVEN):
    return Point(
        label=family if parameter is None else f"{family}:{parameter:g}",
        family=family,
        parameter=parameter,
        learned=learned,
        horizon=1.0,
        batch=batch,
        error=Interval(error, error / 1.2, error * 1.2),
        milliseconds=ms,
        lower_quartile=0.9 * ms,
        upper_quartile=1.1 * ms,
        repeats=1,
        trajectory_milliseconds=5 * ms,
        evaluations=None,
        failures=0,
        training_seconds=None,
        device="cpu",
        errors=error * errors,
        times=1e-3 * ms * times[None],
    )


def sweep_of(family, order, cost, settings=(2, 4, 8, 16)):
    """Errors of an order in steps, and times that grow with their number."""
    return [point(family, k, 1e-2 * k ** -float(order), cost * k) for k in settings]


def standing(*points):
    found = WorkPrecision(with_front(list(points)), "truth", {1.0: 1e-9}, {})
    (only,) = standings(found)
    return only


LOW, HIGH = sweep_of("low", 2, 1.0), sweep_of("high", 4, 3.0)


@pytest.mark.parametrize(
    ("error", "best", "time"),
    [
        # of order 2, at 10^-2 k^-2 = 10^-3
        (1e-3, "low at 2 to 4", np.sqrt(10)),
        # of order 4 at 10^-6, which the other does not reach
        (1e-6, "high at 8 to 16", 30.0),
        (1e-2 * 4**-2.0, "low at 4", 4.0),
        # any setting will do: the coarsest
        (1.0, "low at 2", 2.0),
    ],
)
def test_the_best_method_is_found_between_its_settings(error, best, time):
    found = standing(*LOW, *HIGH, point("net", None, error, 100.0, True))
    assert found.at_error == best
    assert found.time_ratio.value == pytest.approx(100.0 / time)
    assert found.time_ratio.low <= found.time_ratio.value <= found.time_ratio.high
    # at its time both are at their finest
    assert found.at_time == "high at 16"
    assert found.error_ratio.value == pytest.approx(error / (1e-2 * 16**-4.0))


def test_errors_at_equal_time_are_between_settings_too():
    found = standing(*LOW, point("net", None, 1e-3, 6.0, True))
    assert found.at_time == "low at 4 to 8"
    assert found.error_ratio.value == pytest.approx(1e-3 / (1e-2 / 36))


def test_nothing_lies_between_one_step_and_two():
    found = standing(*sweep_of("low", 2, 1.0, (1, 2)), point("net", None, 5e-3, 1.0, True))
    assert found.at_error == "low at 2"
    assert found.time_ratio.value == pytest.approx(0.5)
    tolerances = [point("low", 1e-3, 1e-2, 1.0), point("low", 1e-4, 1e-4, 10.0)]
    found = standing(*tolerances, point("net", None, 1e-3, 1.0, True))
    assert found.at_error == "low at 1e-3 to 1e-4"
    assert found.time_ratio.value == pytest.approx(1 / np.sqrt(10))


def test_a_model_that_no_solver_equals_is_said_to_be_one():
    found = standing(*LOW, point("net", None, 1e-6, 0.5, True))
    assert (found.at_error, found.time_ratio, found.at_time) == (None, None, None)
    assert (
        standing_text(found) == "no classical method here is as accurate as net; none is as fast."
    )
    assert found.to_dict()["time_ratio"] is None


def test_intervals_are_those_of_the_starts():
    """Of equal starts there is none; where starts differ among methods it holds the ratio."""
    same = np.ones(5)
    flat = [point("low", k, 1e-2 / k**2, k, errors=same, times=same) for k in (2, 4)]
    net = point("net", None, 1e-3, 8.0, True, errors=same, times=same)
    found = standing(*flat, net)
    assert found.time_ratio.low == pytest.approx(found.time_ratio.high)
    wide = np.array([0.2, 0.5, 1.0, 2.0, 5.0])
    found = standing(*flat, point("net", None, 1e-3, 8.0, True, errors=wide, times=wide))
    assert found.time_ratio.low < 0.5 * found.time_ratio.value
    assert found.time_ratio.high > 1.5 * found.time_ratio.value
    (said,) = standing_sentences([found])
    assert said.startswith(
        "t = 1, one by one: the best classical method at the error of net is low"
    )


def test_many_at_once_may_run_one_by_one():
    alone = LOW
    side = [point("low", p.parameter, p.error.value, 9 * p.milliseconds, batch=16) for p in LOW]
    nets = [point("net", None, 1e-3, 100.0, True, batch=batch) for batch in (1, 16)]
    found = WorkPrecision(with_front([*alone, *side, *nets]), "truth", {1.0: 1e-9}, {})
    one, many = standings(found)
    assert one.time_ratio.value == pytest.approx(many.time_ratio.value)


def test_a_win_over_the_settings_measured_is_none_where_one_between_is_faster():
    """At its error the coarse setting is too coarse, and the fine one costs ten times as much."""
    low = [point("low", 1e-3, 1e-2, 1.0), point("low", 1e-4, 1e-4, 10.0)]
    net = point("net", None, 1e-3, 8.0, True)
    found = WorkPrecision(with_front([*low, net]), "truth", {1.0: 1e-9}, {})
    (alone,), (beside,) = sentences(duels(found)), sentences(duels(found), standings(found))
    assert "net wins" in alone
    assert "net is 1.2 times faster" in beside
    assert "slower than one between" in beside
    assert "never paid back" in beside


# Which settings are measured


def made(text, learned=False):
    name = text.split(":")[0]
    return Contender(text, name, None, None, False, learned)  # type: ignore[arg-type]


def test_a_sweep_ends_where_another_is_as_accurate_in_a_thirtieth_of_the_time():
    settings = Settings({1.0: 1e-12}, every=False)
    settings.note(made("fast:1"), [1e-3], 1.0)
    settings.note(made("slow:1"), [1e-2], DEARER * 0.9)
    assert settings.pays(made("slow:2"))
    settings.note(made("slow:2"), [1e-3], DEARER * 1.1)
    assert not settings.pays(made("slow:4"))
    settings.note(made("fine:1"), [1e-4], DEARER * 1.1)  # as dear, but nothing is as accurate
    settings.note(made("net", learned=True), [1.0], 1e9)
    assert settings.pays(made("fine:2"))
    assert settings.pays(made("net", learned=True))


def test_a_sweep_ends_where_errors_are_those_of_the_truth():
    settings = Settings({1.0: 1e-12, 2.0: 1e-10}, every=False)
    settings.note(made("fine:1"), [0.9 * FLOOR * 1e-12, 1e-8], 1.0)
    assert settings.pays(made("fine:2"))
    settings.note(made("fine:2"), [0.9 * FLOOR * 1e-12, 0.9 * FLOOR * 1e-10], 1.0)
    assert not settings.pays(made("fine:4"))
    every = Settings({1.0: 1e-12}, every=True)
    every.note(made("fine:1"), [1e-15], 1.0)
    assert every.pays(made("fine:2"))


# Which methods


def test_all_registered_solvers_take_part_and_nothing_else():
    found = classical_names()
    assert {"leapfrog", "yoshida4", "hermite4", "rk4", "rk45", "dop853-compiled"} <= set(found)
    assert not {"ballistic", "copy-last", "set"} & set(found)
    # compiled ones first, by which others are judged
    assert found.index("dop853-compiled") < found.index("dop853")


def test_a_solver_of_another_package_takes_part(install):
    source = """
from nbody_surrogate.contracts import AbstractIntegrator, IntegratorOptions

class Options(IntegratorOptions):
    substeps: int = 1

class Other(AbstractIntegrator[Options]):
    name = "other"
    Options = Options

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        raise NotImplementedError
"""
    install("othersolvers", {"other": "Other", "broken": "Missing"}, source)
    found = classical_names()
    assert "other" in found
    assert "broken" not in found


def test_eta_is_a_number_of_a_method():
    assert sweep("hermite4")[:2] == ["hermite4:3e-1", "hermite4:1e-1"]
    assert contender("hermite4:0.05").method.options.eta == 0.05
