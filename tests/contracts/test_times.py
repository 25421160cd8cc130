"""Times that are the same: to rounding, and no further."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.contracts.times import SAME_TIME, same_times


def test_times_that_were_summed_are_those_that_were_multiplied():
    steps = 100_000
    assert same_times(np.cumsum(np.full(steps, 0.1)), 0.1 * np.arange(1, steps + 1))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_a_time_is_the_same_within_the_tolerance_only(scale):
    wide = SAME_TIME * max(scale, 1.0)  # relative of long times, absolute of short ones
    assert same_times(scale, scale + 0.9 * wide)
    assert not same_times(scale, scale + 2.1 * wide)


def test_lists_of_other_lengths_are_not_the_same():
    t = np.zeros(3)
    assert not same_times(t, t[:2])
    assert not same_times(t, 0.0)  # no broadcasting
    assert not same_times(t, np.array([0.0, 0.0, np.nan]))
