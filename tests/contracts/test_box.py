"""Boxes: what is folded, what is nearest, and one line for every misuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbody_surrogate import InputError
from nbody_surrogate.contracts.box import Box

LENGTHS = (3.0, None, 0.7)
BOX = Box(LENGTHS)
NEAR = 1e-12  # of numbers of order ten: rounding, and room


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_box_says_what_it_is(dimension):
    box = Box(LENGTHS[:dimension])
    assert box.dimension == dimension
    assert box.periodic == (True, False, True)[:dimension]
    assert box.volume == math.inf
    assert box.shortest == (3.0, 0.7)[dimension - 2]
    assert Box((2.0, 3.0)).volume == 6.0
    assert Box((None, None)).shortest == math.inf


@pytest.mark.parametrize("x", [-1e-20, 0.0, 3.0, -3.0, 7.5, -1e6, 1e300])
def test_positions_are_folded_into_the_box(x):
    folded = BOX.wrap(np.array([x, x, x]))
    for axis, length in ((0, 3.0), (2, 0.7)):
        assert 0 <= folded[axis] < length
    assert folded[1] == x


def test_folding_moves_by_whole_periods():
    x = np.random.default_rng(0).normal(scale=10, size=(4, 5, 3))
    given = x.copy()
    periods = (x - BOX.wrap(x)) / np.array([3.0, 1.0, 0.7])
    np.testing.assert_allclose(periods, periods.round(), atol=NEAR)
    np.testing.assert_array_equal(x, given)


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=3))
def test_the_displacement_is_that_of_the_nearest_image(dx):
    dx = np.array(dx)
    found = BOX.displacement(dx)
    i, k = np.meshgrid(np.arange(-9, 10), np.arange(-30, 31))
    images = dx - np.stack([3.0 * i, 0.0 * i, 0.7 * k], axis=-1)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(images, axis=-1).min(), abs=NEAR)
    np.testing.assert_array_equal(BOX.displacement(-dx), -found)


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ((1.0,), "2 or 3 lengths, one for each axis, got 1"),
        ((1.0, 0.0), "finite and > 0, or None for an open axis, got 0"),
        ((1.0, -2.0), "got -2"),
        ((math.nan, 1.0), "got nan"),
        ((1.0, math.inf, 1.0), "got inf"),
    ],
)
def test_what_is_no_box_is_refused(lengths, words):
    with pytest.raises(InputError) as caught:
        Box(lengths)
    message = str(caught.value)
    assert message.startswith("`box` ")
    assert words in message
    assert "\n" not in message
