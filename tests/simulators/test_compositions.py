"""Coefficients of splittings: by the conditions of their order, and not of the next one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nbody_simulators.integrators import compositions
from nbody_simulators.integrators.compositions import Composition

ROUNDING = 1e-15  # of sums of a dozen terms of order 1

ORDERS = {"EULER": 1, "KDK": 2, "DKD": 2, "YOSHIDA4": 4, "SRKN4": 4, "SRKN6": 6}
NAMES = sorted(ORDERS)


def trees(power):
    """Trees of Nystroem's methods for x'' = a(x) whose term grows as time to a power.

    A tree is leaves, each a position of free motion, and branches, each twice an integral of the
    term of another tree. Hairer, Norsett and Wanner (1993), II.14.
    """

    def filled(left, known):
        yield left, ()
        for number, (tree, its) in enumerate(known):
            if its + 2 <= left:
                for leaves, branches in filled(left - its - 2, known[number:]):
                    yield leaves, (tree, *branches)

    below = [(tree, its) for its in range(power - 1) for tree in trees(its)]
    return list(filled(power, below))


def exact(tree):
    """The term of a tree is this number times time to its power, which comes second."""
    (power, branches), number = tree, Fraction(1)
    for branch in branches:
        part, its = exact(branch)
        number, power = number * part / ((its + 1) * (its + 2)), power + its + 2
    return number, power


def terms(tree, kicks, places):
    """The same, as a method has it at its kicks."""
    leaves, branches = tree
    found = places**leaves
    for branch in branches:
        apart = np.tril(places[:, None] - places, -1)
        found = found * (apart @ (kicks * terms(branch, kicks, places)))
    return found


def wrong(composition, order):
    """The largest violation of the conditions of one order."""
    kicks = np.array(composition.kicks)
    places = np.concatenate([[0.0], np.cumsum(composition.drifts)[:-1]])
    largest = 0.0
    for tree in trees(order - 1):
        number, power = exact(tree)
        due = float(number / (power + 1))
        largest = max(largest, abs(float(kicks @ terms(tree, kicks, places)) - due))
    return largest


def test_the_trees_are_as_many_as_in_the_book():
    assert [len(trees(power)) for power in range(6)] == [1, 1, 2, 3, 6, 10]


@pytest.mark.parametrize("name", NAMES)
def test_the_conditions_of_the_order_hold_and_no_more(name):
    composition = getattr(compositions, name)
    assert abs(sum(composition.drifts) - 1) < ROUNDING
    for order in range(1, ORDERS[name] + 1):
        assert wrong(composition, order) < ROUNDING
    assert wrong(composition, ORDERS[name] + 1) > 1e-6


@pytest.mark.parametrize("name", [name for name in NAMES if name != "EULER"])
def test_a_step_reads_the_same_backwards(name):
    """So that it is reversible; to the bit, as they are written down once."""
    kicks, drifts = getattr(compositions, name)
    row = [y for stage in zip(kicks, drifts, strict=True) for y in stage]
    row = [y for y in row if y != 0.0]
    assert row == row[::-1]


def test_a_kick_is_shared_by_two_steps_only_where_both_have_one():
    assert Composition((0.5, 0.5), (1.0, 0.0)).opening == 1
    assert Composition((0.0, 1.0), (0.5, 0.5)).opening == 0
    assert Composition((1.0,), (1.0,)).opening == 0
    counts = {name: getattr(compositions, name).evaluations for name in NAMES}
    assert counts == {"EULER": 1, "KDK": 1, "DKD": 1, "YOSHIDA4": 3, "SRKN4": 6, "SRKN6": 11}
