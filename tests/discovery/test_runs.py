"""Runs as the estimate takes them."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.discovery.runs import GAP, measured_run
from watched import DT, swings


def gapped(x, *gaps):
    x = x.copy()
    for i, first, length in gaps:
        x[first : first + length, i] = np.nan
    return x


def test_short_gaps_are_bridged_and_long_ones_are_not():
    x = swings(120, 3)
    run = measured_run(gapped(x, (0, 20, GAP), (1, 20, GAP + 1), (2, 50, 1)), DT, 0, 0)
    assert run.there[:, 0].all() and run.there[:, 2].all()
    assert np.flatnonzero(~run.there[:, 1]).tolist() == list(range(20, 20 + GAP + 1))
    assert np.flatnonzero(~run.seen[:, 0]).tolist() == list(range(20, 20 + GAP))
    assert np.isfinite(run.x).all()
    # what was seen stays as it was
    np.testing.assert_array_equal(run.x[run.seen], x[run.seen])


def test_a_bridge_is_a_cubic():
    t = DT * np.arange(100)
    rng = np.random.default_rng(0)
    c = rng.normal(size=(4, 2, 3))
    x = sum(c[k] * t[:, None, None] ** k for k in range(4))
    gaps = [(0, 30, GAP), (1, 3, 2), (1, 10, 4), (1, 95, 3)]
    run = measured_run(gapped(x, *gaps), DT, 0, 0)
    np.testing.assert_allclose(run.x, x, rtol=1e-9, atol=1e-11)


def test_a_bridge_is_near_a_smooth_path():
    """The error of a cubic over n missing frames is at most 5/384 (n + 1)^4 dt^4 of x''''."""
    x = swings(200, 4, seed=3)
    run = measured_run(gapped(x, *((i, 60, 4) for i in range(4))), DT, 0, 0)
    bound = 3 * 5 / 384 * (5 * DT * 2.5) ** 4
    assert np.abs(run.x - x).max() < bound
    assert np.abs(run.x - x).max() > 0


def test_gaps_at_the_ends_are_no_gaps():
    run = measured_run(gapped(swings(50, 2), (0, 0, 3), (1, 48, 2)), DT, 0, 0)
    assert np.flatnonzero(~run.there[:, 0]).tolist() == [0, 1, 2]
    assert np.flatnonzero(~run.there[:, 1]).tolist() == [48, 49]


def test_stretches_are_where_a_particle_is_there():
    run = measured_run(gapped(swings(100, 3), (0, 20, 30), (1, 5, 4), (2, 0, 88)), DT, 0, 0)
    assert run.stretches(0, 20) == [slice(0, 20), slice(50, 100)]
    assert run.stretches(0, 21) == [slice(50, 100)]
    # who is out of sight for long acts on the others as nobody knows
    assert run.stretches(1, 2) == [slice(0, 20), slice(50, 100)]
    assert run.stretches(2, 12) == [slice(88, 100)]
    assert run.stretches(2, 13) == []


@pytest.mark.parametrize("dimensions", [2, 3])
def test_distances_are_those_of_pairs_that_are_there(dimensions):
    x = swings(40, 3, dimensions)
    run = measured_run(gapped(x, (1, 10, 30)), DT, 0, 0)
    expected = [np.linalg.norm(x[:, 0] - x[:, 2], axis=1)]
    expected += [np.linalg.norm((x[:, 1] - x[:, k])[:10], axis=1) for k in (0, 2)]
    expected = np.concatenate(expected)
    assert run.visited().size == expected.size
    np.testing.assert_allclose(np.sort(run.visited()), np.sort(expected))
    some = [np.linalg.norm(x[::7, 0] - x[::7, 2], axis=1)]
    some += [np.linalg.norm((x[:, 1] - x[:, k])[:10:7], axis=1) for k in (0, 2)]
    np.testing.assert_allclose(np.sort(run.visited(7)), np.sort(np.concatenate(some)))


def test_what_is_given_is_left_alone():
    x = gapped(swings(50, 2), (0, 20, 3))
    before = x.copy()
    measured_run(x, DT, 0, 0)
    np.testing.assert_array_equal(x, before)
