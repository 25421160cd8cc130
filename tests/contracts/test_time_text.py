"""Times in words: digits enough, exponents that are multiples of three."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.contracts.time_text import number_text, time_span_text, time_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (5.0, "5"), (0.1, "0.1"), (0.05, "0.05"), (12.75, "12.75"), (-0.5, "-0.5"),
     (1.5e-13, "150e-15"), (1e-12, "1e-12"), (1.23e-13, "123e-15"), (-4e-5, "-40e-6"),
     (1e6, "1e6"), (3.15576e7, "31.5576e6"), (9.9999999e-10, "1e-9"), (float("inf"), "inf"),
     (float("nan"), "nan"), (2.5e-308, "25e-309")],
)  # fmt: skip
def test_ordinary_numbers_are_plain_and_others_in_engineering_notation(value, text):
    assert number_text(value) == text


def test_a_number_keeps_its_value():
    for value in 10.0 ** np.random.default_rng(0).uniform(-300, 300, 200):
        assert float(number_text(value)) == pytest.approx(value, rel=5e-6)
        assert float(number_text(value, 17)) == value


def test_a_late_time_has_the_digits_of_its_frames():
    assert time_text(1.7e9 + 3 * 1.6e-3, 1.6e-3) == "1700000000.0048"
    assert time_text(1.7e9) == "1.7e9"
    assert time_text(0.3, 0.1) == "0.3"
    assert time_text(3 * 0.1, 0.1) == "0.3"  # and not 0.30000000000000004
    assert time_text(0.0, 1e-13) == "0"
    t = 1.7e9 + 1.6e-3 * np.arange(6)
    assert time_span_text(t) == "1700000000 to 1700000000.008"
    assert time_span_text(1e-13 * np.arange(51)) == "0 to 5e-12"
    assert time_span_text(np.array([2.0])) == "2 to 2"
