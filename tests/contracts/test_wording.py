"""Counts, ranges, durations and ratios in words, and that nothing counts in another way."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from nbody_surrogate.contracts.wording import (
    counted,
    duration_text,
    factor_text,
    figure_text,
    range_text,
    rate_text,
    speed_text,
)

SOURCES = Path(__file__).parents[2] / "nbody_surrogate"


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "frame", "0 frames"),
        (1, "trajectory", "1 trajectory"),
        (2, "trajectory", "2 trajectories"),
        (3, "batch", "3 batches"),
        (1, "batch", "1 batch"),
        (2, "day", "2 days"),
    ],
)
def test_a_count_has_its_plural(count, noun, text):
    assert counted(count, noun) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (5, 5, "5 particles"),
        (1, 1, "1 particle"),
        (1, 5, "1 to 5 particles"),
        (2.0, 30.0, "2 to 30 particles"),
    ],
)
def test_a_range_of_one_number_is_that_number(low, high, text):
    assert range_text(low, high, "particle") == text
    assert range_text(low, high) == text.rpartition(" ")[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.284, "1.28 s"),
        (0.00345, "3.45 ms"),
        (0.1, "100 ms"),
        (0.9996, "1.00 s"),
        (0.9994, "999 ms"),
        (5e-5, "50.0 µs"),
        (2.5e-9, "2.50 ns"),
        (1e-12, "0.00100 ns"),
        (59.9, "59.9 s"),
        (250.0, "4.17 min"),
        (86400.0, "24.0 h"),
        (0.0, "0 s"),
        (math.nan, "unknown"),
        (math.inf, "inf s"),
    ],
)
def test_a_duration_has_three_digits_and_a_unit(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1284.0, "1280"),
        (1280000.0, "1280000"),
        (99.96, "100"),
        (0.5, "0.500"),
        (0.0123, "0.0123"),
        (1.28e-9, "1.28e-9"),
        (0.0, "0"),
        (math.inf, "inf"),
        (-12.34, "-12.3"),
    ],
)
def test_a_figure_has_three_digits_and_no_needless_exponent(value, text):
    assert figure_text(value) == text


def test_how_often_something_is_done_may_be_a_whole_number():
    assert [rate_text(x) for x in (8.0, 4.02, 1600.0, 0.5)] == ["8", "4.02", "1600", "0.5"]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.0, "as fast as"),
        (1.04, "as fast as"),
        (0.97, "as fast as"),
        (1.06, "1.1 times faster than"),
        (0.5, "2.0 times slower than"),
        (9.97, "10 times faster than"),
        (25.3, "25 times faster than"),
        (1 / 1234.5, "1230 times slower than"),
    ],
)
def test_what_takes_the_same_time_is_as_fast(ratio, text):
    assert speed_text(ratio) == text
    assert text == "as fast as" or text.startswith(factor_text(max(ratio, 1 / ratio)))


NOUNS = "particles|trajectories|frames|shards|threads|starts|segments|sub-steps"
"""What is counted in texts. What is asked for in an error of misuse may be any number."""


def test_no_table_or_sentence_counts_without_its_plural():
    """A number and a plural side by side say "1 trajectories" some day: `counted` does not."""
    shown = [
        path
        for room in ("comparison", "evaluation", "training", "study", "results")
        for path in (SOURCES / room).rglob("*.py")
    ] + list((SOURCES / "cli").rglob("*.py"))
    found = [
        f"{path.relative_to(SOURCES)}: {match.group()}"
        for path in shown
        for match in re.finditer(rf"\{{[^{{}}]+\}} (?:{NOUNS})\b", path.read_text())
        if "InputError(" not in path.read_text()[max(0, match.start() - 160) : match.start()]
    ]
    assert found == []
