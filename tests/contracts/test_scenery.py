"""What a system may show beside its particles, and one line for every misuse."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.contracts.scenery import Arrow, Bonds, Curve, Ellipsoid, Rods
from nbody_surrogate.errors import InputError, PluginError
from small_systems import Dragged

ZERO = (0.0, 0.0, 0.0)


def showing(*shapes):
    """The example, with scenery."""
    return type("Scenic", (Dragged,), {"_scenery": lambda self, state, particles: shapes})()


def start(n=3):
    return Dragged().sample(0, n)


def test_points_of_the_plane_are_in_space():
    shapes = Curve([(0, 1), (2, 3)]), Rods([0], [(1, 2)]), Arrow((0, 0), (1, 0))
    np.testing.assert_array_equal(shapes[0].points, [(0, 1, 0), (2, 3, 0)])
    np.testing.assert_array_equal(shapes[1].points, [(1, 2, 0)])
    np.testing.assert_array_equal(shapes[2].end, (1, 0, 0))
    np.testing.assert_array_equal(Ellipsoid((1, 2), (3, 4)).semi_axes, (3, 4, 0))


def test_shapes_keep_what_they_were_given():
    points = np.zeros((2, 3))
    curve = Curve(points)
    points[0] = 1.0
    assert not curve.points.any()
    with pytest.raises(ValueError, match="read-only"):
        curve.points[0] = 1.0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Bonds([(0, 1, 2)]), r"`pairs` must have shape \(K, 2\), got \(1, 3\)"),
        (lambda: Bonds([(0.0, 1.0)]), "`pairs` must be numbers of particles, got float64"),
        (lambda: Bonds([(0, 1)], strengths=[1, 2]), r"`strengths`.*\(1,\).*\(2,\)"),
        (lambda: Bonds([(0, 1)], strengths=[np.nan]), "`strengths` must be finite"),
        (lambda: Bonds([(0, 1)], "two\nlines"), "`words` must be one line"),
        (lambda: Rods([0, 1], [ZERO]), r"`points`.*\(1, 3\) and \(2,\)"),
        (lambda: Curve([ZERO]), "`points`.*P >= 2"),
        (lambda: Curve([(0.0,), (1.0,)]), r"`points` must have 2 or 3 coordinates.*\(2, 1\)"),
        (lambda: Curve(np.full((2, 3), np.inf)), "`points` must be finite"),
        (lambda: Ellipsoid(ZERO, (1, -1, 1)), "`semi_axes` must be >= 0, got -1"),
        (lambda: Ellipsoid([ZERO], ZERO), r"`centre` must have shape.*\(1, 3\)"),
        (lambda: Arrow(ZERO, ZERO), "`end` must be another point"),
    ],
)
def test_a_wrong_shape_is_refused_in_one_line(make, said):
    with pytest.raises(InputError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ((Bonds([(0, 3)]),), "must name particles from 0 to 2, got 3"),
        ((Rods([-1], [ZERO]),), "must name particles from 0 to 2, got -1"),
        (("rods",), "must return shapes, each of Bonds, .*, got a str"),
    ],
)
def test_a_system_that_shows_what_cannot_be_drawn_is_named(shapes, said):
    with pytest.raises(PluginError, match=f"'dragged'.*`_scenery` {said}"):
        showing(*shapes).scenery(*start())


def test_what_a_system_fails_with_is_one_line():
    fails = type("Failing", (Dragged,), {"_scenery": lambda *_: [Curve([ZERO])]})()
    with pytest.raises(PluginError, match="`_scenery` built a wrong shape: `points`"):
        fails.scenery(*start())
    with pytest.raises(PluginError, match="`_scenery` raised ZeroDivisionError"):
        type("Failing", (Dragged,), {"_scenery": lambda *_: 1 / 0})().scenery(*start())
    with pytest.raises(InputError, match=r"`state`.*\(1, 3\), got \(2, 3\)"):
        Dragged().scenery(*Dragged().sample(0, 3, 2))


def test_by_default_there_is_none():
    assert Dragged().scenery(*start()) == ()
