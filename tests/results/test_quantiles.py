"""Medians and quantiles where some values are infinite: times beyond the run, failures."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.results.bootstrap import Summary, bootstrap_median
from nbody_surrogate.results.quantiles import known_median, median, quantiles

INF = np.inf


@pytest.mark.parametrize(
    ("values", "time", "error"),
    [
        ([INF], INF, INF),
        ([2.0], 2.0, 2.0),
        ([2.0, INF], 2.0, INF),  # one of two: both are medians, and neither is flattered
        ([1.0, 2.0, INF, INF], 2.0, INF),
        ([1.0, 2.0, 4.0, INF], 3.0, 3.0),  # between numbers, as ever
        ([1.0, INF, INF], INF, INF),
        ([1.0, 2.0, INF], 2.0, 2.0),
        ([INF, INF, INF, INF], INF, INF),
        ([3.0, INF, INF, INF], INF, INF),
        ([1.0, 2.0, 3.0, 5.0], 2.5, 2.5),
    ],
)
def test_the_median_of_times_beyond_the_run_and_of_errors_that_are_infinite(values, time, error):
    for some in (values, values[::-1]):
        some = np.array(some)
        assert median(some, censored=True) == time
        assert median(some) == error
        assert known_median(np.append(some, np.nan), censored=True) == time
        assert Summary.of(some, censored=True).median == time
        assert Summary.of(some).median == error


def test_a_median_in_the_run_is_never_said_to_be_beyond_it():
    """At most half of the trajectories are longer than the median of their times."""
    rng = np.random.default_rng(0)
    for size in range(1, 12):
        times = np.where(rng.random((50, size)) < 0.5, INF, rng.random((50, size)))
        found = median(times, axis=1, censored=True)
        assert (np.isinf(found) == (np.isinf(times).sum(1) > size / 2)).all()


def test_quantiles_are_those_of_numpy_where_all_is_finite():
    values = np.random.default_rng(1).normal(size=(9, 4))
    shares = [0.05, 0.5, 0.8]
    for censored in (False, True):
        found = quantiles(values, shares, censored=censored)
        np.testing.assert_array_equal(found, np.quantile(values, shares, axis=0))


def test_a_quantile_that_is_hit_exactly_is_that_value():
    """Next to infinity NumPy's is NaN there."""
    values = np.array([1.0, 2.0, 3.0, INF, INF])
    assert quantiles(values, [0.0, 0.25, 0.5, 0.75]).tolist() == [1.0, 2.0, 3.0, INF]
    assert quantiles(values, [0.6]) == [INF]
    assert quantiles(values, [0.6], censored=True) == [3.0]
    assert quantiles(values, [0.3]) == pytest.approx([2.2])


def test_what_is_not_known_stays_so():
    assert np.isnan(median(np.array([1.0, np.nan, INF])))
    assert np.isnan(known_median(np.array([np.nan])))


def test_the_interval_of_a_median_reaches_to_infinity_where_half_of_it_does():
    times = np.array([1.0, 2.0, INF, INF])
    low, high = bootstrap_median(times[:, None], censored=True)
    assert low == 1.0
    assert high == INF
    found = Summary.of(times, censored=True)
    assert found.low <= found.median <= found.high
    assert bootstrap_median(np.full((4, 1), INF)) == (INF, INF)
    assert bootstrap_median(np.array([[7.0]])) == (7.0, 7.0)
    few = np.array([1.0] * 30 + [INF])
    assert bootstrap_median(few[:, None]) == (1.0, 1.0)


@pytest.mark.parametrize("censored", [False, True])
def test_the_interval_does_not_depend_on_how_many_are_drawn_at_a_time(monkeypatch, censored):
    from nbody_surrogate.results import bootstrap

    times = np.array([1.0, 2.0, 3.0, INF, INF, INF])[:, None]
    wanted = bootstrap_median(times, censored=censored)
    monkeypatch.setattr(bootstrap, "CHUNK", 1)
    assert bootstrap_median(times, censored=censored) == wanted
