"""Times that are the same: to rounding, and no further, whatever the unit of time."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.contracts.times import SAME_TIME, same_times, time_tolerance

SCALES = [1e-27, 1e-13, 1e-3, 1.0, 1e6, 1e17]


@pytest.mark.parametrize("scale", SCALES)
def test_times_that_were_summed_are_those_that_were_multiplied(scale):
    steps = 100_000
    summed = np.cumsum(np.full(steps, 0.1 * scale))
    assert same_times(summed, 0.1 * scale * np.arange(1, steps + 1))


@pytest.mark.parametrize("scale", SCALES)
def test_frames_of_another_spacing_are_others_in_any_unit(scale):
    t = scale * np.arange(11)
    assert same_times(t, t * (1 + 0.9 * SAME_TIME))
    assert not same_times(t, t * (1 + 2.1 * SAME_TIME))
    assert not same_times(t, 2 * t)
    assert not same_times(t, t + 1e-6 * scale)


@pytest.mark.parametrize("t0", [1.7e9, -1.7e9, 3e-5])
def test_a_late_start_rounds_times_and_hides_no_difference(t0):
    t = t0 + 1.6e-3 * np.arange(50)
    assert same_times(t, t0 + np.arange(50) * 16 / 1e4)
    assert same_times(t, np.nextafter(t, np.inf))
    assert not same_times(t, t + 1e-5)
    assert not same_times(t, t0 + 1.61e-3 * np.arange(50))


def test_no_tolerance_takes_a_frame_for_its_neighbour():
    t = 1.7e9 + 4 * np.spacing(1.7e9) * np.arange(5)  # four ulps apart
    assert not same_times(t, np.roll(t, 1))
    assert (time_tolerance(t) <= np.diff(t).min() / 4).all()
    late = np.concatenate([[0.0], np.geomspace(1e-15, 1.0, 20)])  # frames that lie anywhere
    assert not same_times(late, np.r_[0.0, 2e-15, late[2:]])


def test_lists_of_other_lengths_are_not_the_same():
    t = np.zeros(3)
    assert same_times(t, t)
    assert not same_times(t, t[:2])
    assert not same_times(t, t[:1])  # no broadcasting
    assert not same_times(t, np.array([0.0, 0.0, np.nan]))
    assert same_times(np.array([0.3]), np.array([0.1 + 0.2]))
    assert not same_times(np.array([0.0]), np.array([1e-13]))
