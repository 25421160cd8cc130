"""Two methods on the same starts: ratios, wins, signed ranks, and the words for them."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from nbody_surrogate.cli.bound import DEFAULT
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.bootstrap import Interval, mean_interval
from nbody_surrogate.results.paired import BOUND, PairedTest, corrected, holm, too_few_starts
from refusals import refused

INF, NAN = math.inf, math.nan
ROUNDING = 1e-12


def errors(seed, size, scale=1.0):
    """Errors over some powers of ten, as close encounters make them."""
    return np.exp(np.random.default_rng(seed).normal(0.0, 3.0, size)) * scale


def against(first, second, **options):
    return PairedTest.of(np.array(first, float), np.array(second, float), **options)


# Closed forms


@pytest.mark.parametrize("size", [5, 12, 40])
def test_a_factor_on_every_start_is_found_exactly(size):
    other = errors(0, size)
    found = against(0.5 * other, other)
    assert found.ratio.value == pytest.approx(0.5, rel=ROUNDING)
    assert (found.ratio.low, found.ratio.high) == pytest.approx((0.5, 0.5), rel=1e-6)
    assert (found.starts, found.wins, found.losses, found.effect) == (size, size, 0, 1.0)
    assert found.p == pytest.approx(2 / 2**size, rel=1e-9)  # two of all choices of signs
    back = against(other, 0.5 * other)
    assert back.ratio.value == pytest.approx(2.0, rel=ROUNDING)
    assert (back.p, back.effect, back.losses) == (found.p, -1.0, size)
    assert (found.outcome, back.outcome) == (("better", "worse") if size > 5 else (
        "not told apart", "not told apart"))  # fmt: skip


@pytest.mark.parametrize("size", [4, 9, 25, 50, 51, 200])
def test_p_and_effect_are_those_of_scipy(size):
    one, other = errors(1, size), errors(2, size, 2.0)
    logs = np.log(one / other)
    found = against(one, other)
    wanted = stats.wilcoxon(logs, correction=False)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-9)
    ranks = stats.rankdata(np.abs(logs))
    assert found.effect == pytest.approx(-(ranks * np.sign(logs)).sum() / ranks.sum())


def test_p_with_ties_and_failures_is_that_of_all_signs():
    """Beside SciPy, whose exact test takes no ties."""
    one = np.array([1.0, 1.0, 2.0, 5.0, INF, INF, 1.0, 3.0, 7.0])
    other = np.array([2.0, 2.0, 1.0, 1.0, 1.0, 1.0, INF, 3.0, 1.0])
    ranks = np.array([2.0, 2.0, -2.0, -4.0, -7.0, -7.0, 7.0, -5.0])  # the eighth is a tie: 0
    signs = np.array(list(product((-1, 1), repeat=8)))
    sums = (signs * np.abs(ranks)).sum(1)
    found = against(one, other)
    assert found.p == pytest.approx((np.abs(sums) >= abs(ranks.sum()) - 1e-9).mean())
    assert found.effect == pytest.approx(ranks.sum() / np.abs(ranks).sum())


@pytest.mark.parametrize(("wins", "losses"), [(131, 69), (5, 0), (0, 3), (1, 1)])
def test_the_share_of_wins_has_its_exact_interval(wins, losses):
    found = against([1.0] * (wins + losses), [2.0] * wins + [0.5] * losses)
    wanted = stats.binomtest(wins, wins + losses).proportion_ci(0.95, "exact")
    assert (found.wins, found.losses) == (wins, losses)
    assert found.win_rate.value == wins / (wins + losses)
    assert (found.win_rate.low, found.win_rate.high) == pytest.approx(
        (wanted.low, wanted.high), rel=1e-9
    )


def test_failures_are_the_worst_and_have_no_ratio():
    found = against([1.0, 1.0, 1.0, INF, INF, NAN], [2.0, 2.0, 2.0, 1.0, INF, 1.0])
    assert (found.starts, found.wins, found.losses, found.failures) == (5, 3, 1, (2, 1))
    assert found.ratio.value == pytest.approx(0.5)
    assert found.effect == pytest.approx((3 * 2 - 4) / 10)  # the failure has the largest rank
    said = found.sentence("a", "b")
    assert "a failed on 2 starts" in said
    assert "b failed on 1 start" in said


def test_a_method_that_always_fails_is_worse():
    found = against([INF] * 8, errors(0, 8))
    assert found.outcome == "worse"
    assert math.isnan(found.ratio.value)


def test_equal_errors_are_ties_and_equivalent():
    same = errors(0, 12)
    same[3] = 0.0
    found = against(same, same)
    assert (found.p, found.effect, found.wins, found.losses) == (1.0, 0.0, 0, 0)
    assert found.ratio == Interval(1.0, 1.0, 1.0)
    assert found.verdict("a", "b") == "equivalent"


def test_an_exact_method_wins_without_a_ratio():
    found = against([0.0] * 9, errors(0, 9))
    assert (found.wins, found.outcome) == (9, "better")
    assert math.isnan(found.ratio.value)


def test_one_start_tells_nothing():
    found = against([1.0], [1.0 + 1e-9])
    assert found.outcome == "not told apart"
    assert (found.ratio.low, found.ratio.high) == (0.0, INF)


# The words


def test_equivalent_is_within_the_bound_alone():
    rng = np.random.default_rng(4)
    other = errors(0, 60)
    first = other * np.exp(rng.normal(0.0, 0.3, 60))
    found = against(first, other)
    assert 1 / 1.25 < found.ratio.low < found.ratio.high < 1.25
    assert found.outcome == "equivalent"
    assert against(first, other, bound=1.02).outcome == "not told apart"
    wide = other * np.exp(rng.normal(0.0, 3.0, 60))
    assert against(wide, other).outcome == "not told apart"


def test_failures_of_one_method_are_no_equivalence():
    other = errors(0, 60)
    first = np.where(np.arange(60) < 2, INF, other)
    assert against(first, other).outcome == "not told apart"


def test_ranks_and_a_mean_that_contradict_each_other_name_nobody():
    """Smaller on nearly all starts, and far larger on the others."""
    ratios = np.full(60, 0.9)
    ratios[:8] = 1e6
    found = against(ratios, np.ones(60))
    assert found.p < 0.05
    assert found.effect > 0
    assert found.ratio.value > 1
    assert found.outcome == "not told apart"


def test_the_option_of_commands_has_the_same_default():
    assert DEFAULT == BOUND


def test_holm_in_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02, NAN, 0.01]) == pytest.approx([0.02, NAN, 0.02], nan_ok=True)
    assert holm([]) == []


def test_a_table_of_pairs_is_corrected():
    tests = [against(0.5 * errors(0, 6), errors(0, 6)) for _ in range(3)]
    assert tests[0].outcome == "better"
    assert [each.corrected_p for each in corrected(tests)] == pytest.approx([6 / 64] * 3)
    assert corrected(tests)[0].outcome == "not told apart"


@pytest.mark.parametrize(("tests", "least"), [(1, 6), (2, 7), (12, 9), (40, 11)])
def test_too_few_starts_are_told_with_how_many_would_do(tests, least):
    def best(size):  # the first is better on all starts, in all tests
        return corrected([against([1.0] * size, [2.0] * size)] * tests)[0]

    assert best(least).outcome == "better"
    assert best(least - 1).outcome == "not told apart"
    assert too_few_starts(least, tests) == []
    (said,) = too_few_starts(least - 1, tests)
    assert f"{best(least - 1).corrected_p:.2g} or more" in said
    assert f"at least {least}" in said
    assert too_few_starts(0, 0) == []


def test_a_pair_goes_through_json():
    for found in (against([1.0, INF], [2.0, 1.0]), against([INF], [1.0]), against([1.0], [3.0])):
        text = json.dumps(found.to_dict(), allow_nan=False)
        back = PairedTest.from_dict(json.loads(text))
        assert back.to_dict() == found.to_dict()
        assert back.numbers == found.numbers or math.isnan(found.ratio.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([1.0, -2.0], [1.0, 1.0]), ["`first`", ">= 0", "-2"]),
        (([1.0, 2.0], [1.0]), ["`second`", "each of the 2 starts", "(1,)"]),
        (([[1.0]], [1.0]), ["`first`", "(1, 1)"]),
        (([1.0], [1.0], 1.0), ["`bound`", "> 1"]),
        (([1.0], [1.0], INF), ["`bound`"]),
    ],
)
def test_what_are_no_errors_is_one_line(given, words):
    first, second, *bound = given
    with refused(InputError, *words):
        against(first, second, **({"bound": bound[0]} if bound else {}))


# As often as they say

TRIALS = 300
CHANCE = 0.038
"""Three standard deviations of a share of 0.05 among the trials."""


@pytest.mark.parametrize("size", [8, 60])
def test_methods_that_are_alike_are_told_apart_in_5_of_100_cases_at_most(size):
    rng = np.random.default_rng(size)
    false = 0
    for _ in range(TRIALS):
        common = np.exp(rng.normal(0, 3, size))  # the close encounters of the starts
        one, other = common * np.exp(rng.standard_t(3, (2, size)))
        false += PairedTest.of(one, other).outcome in ("better", "worse")
    assert false / TRIALS < 0.05 + CHANCE


def test_a_table_of_pairs_has_one_false_alarm_in_5_of_100_cases_at_most():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(TRIALS):
        tests = [PairedTest.of(*np.exp(rng.normal(size=(2, 9)))) for _ in range(3)]
        alarms += any(each.outcome in ("better", "worse") for each in corrected(tests))
    assert alarms / TRIALS < 0.05 + CHANCE


@pytest.mark.parametrize("size", [3, 8, 12])
def test_the_interval_holds_the_ratio_in_95_of_100_cases(size):
    rng = np.random.default_rng(size)
    held = 0
    for _ in range(TRIALS):
        found = mean_interval(rng.standard_t(6, size))
        held += found.low <= 0.0 <= found.high
    assert held / TRIALS == pytest.approx(0.95, abs=CHANCE)
