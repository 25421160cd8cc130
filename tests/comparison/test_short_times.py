"""Runs of femtoseconds, and of seconds of the calendar: times are compared by their spacing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate import Ensemble, InputError, compare
from nbody_surrogate.comparison.alignment import interpolated
from nbody_surrogate.results.metrics import horizon_frames
from nbody_surrogate.results.trajectory import as_ensemble
from nbody_surrogate.viz.render import render
from pictures import SIZE, trajectory

UNITS = [1.0, 1e-13, 1e9]


def run_of(unit: float, dt: float, frames: int, t0: float = 0.0) -> Ensemble:
    """Cubics of time, which interpolation gives exactly, in a unit of time."""
    t = dt * np.arange(frames)
    start = trajectory(n=2, frames=frames)
    powers = np.array([3, 2, 1])
    x = np.repeat(t[:, None, None] ** powers, 2, axis=1)
    v = np.repeat(powers * t[:, None, None] ** (powers - 1), 2, axis=1) / unit
    return as_ensemble(replace(start, t=t0 + unit * t, x=x, v=v))


@pytest.mark.parametrize("unit", UNITS)
def test_runs_of_another_spacing_are_not_the_same(unit, tmp_path):
    one, other = run_of(unit, 0.1, 11), run_of(unit, 0.2, 11)
    compare(one, one)
    with pytest.raises(InputError, match=r"frame times of `reference`.*apart; got .* apart"):
        compare(one, other)
    with pytest.raises(InputError, match="`reference` must have the frame times"):
        render(one[0], tmp_path / "p.png", reference=other[0], window_size=SIZE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("unit", UNITS)
def test_a_run_that_ends_early_is_not_held_at_its_last_frame(unit):
    with pytest.raises(InputError, match="must reach over the times"):
        interpolated(run_of(unit, 0.1, 6), run_of(unit, 0.1, 11))
    reference = run_of(unit, 0.1, 11)
    again = interpolated(run_of(unit, 0.5, 3), reference)
    np.testing.assert_allclose(again.x, reference.x, atol=1e-12)
    np.testing.assert_allclose(again.v * unit, reference.v * unit, atol=1e-12)


def test_a_late_run_is_compared_at_its_own_frames():
    t0 = 1.7e9
    reference = run_of(1e-2, 0.1, 11, t0)  # frames a millisecond apart
    again = interpolated(run_of(1e-2, 0.5, 3, t0), reference)
    np.testing.assert_allclose(again.x, reference.x, atol=1e-3)  # times are rounded to 2.4e-7
    with pytest.raises(InputError, match=r"1700000000 to 1700000000\.01, "):
        interpolated(run_of(1e-2, 0.1, 10, t0), reference)


@pytest.mark.parametrize(
    ("dt", "frames", "expected"),
    [(0.1, 51, [5, 10, 20, 50]), (1e-13, 51, [50]), (4.0, 6, [1, 5]), (1e9, 3, [2]), (1.0, 1, [])],
)
def test_a_table_shows_no_horizon_twice_nor_the_start(dt, frames, expected):
    assert horizon_frames(dt * np.arange(frames)) == expected
