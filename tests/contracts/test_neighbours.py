"""Lists of neighbours: never a missed pair, and forces that do not depend on them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nbody_surrogate import InputError, simulate
from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.neighbours import NeighbourRequest, every_pair, neighbour_pairs
from nbody_surrogate.testing.probes import SoftSpheres
from small_methods import SmallRK4

BOXES = [None, Box((3.0, 4.0, 5.0)), Box((3.0, None, 5.0)), Box((3.0, 4.0)), Box((None, 4.0))]
FRAMES = 8
SMALL = 1e-6  # relative drift of the energy, by steps of 0.025
REQUEST = NeighbourRequest(cutoff=1.1, skin=0.3)


def matrix(near):
    """Which pairs are listed, (B, N, N), each once."""
    batch, n, _ = near.x.shape
    found = np.zeros((batch, n, n), dtype=int)
    np.add.at(found, (near.trajectory, near.i, near.j), 1)
    return found


def within(x, reach, box):
    """Which pairs are near, by all of them."""
    r = x[:, :, None] - x[:, None]
    r = r if box is None else box.displacement(r)
    return (np.linalg.norm(r, axis=-1) <= reach) & ~np.eye(x.shape[1], dtype=bool)


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_the_list_holds_the_near_pairs_and_no_others(box):
    dimensions = 3 if box is None else box.dimension
    x = np.random.default_rng(1).normal(scale=4, size=(2, 50, dimensions))
    x[1, 3] = x[1, 4]  # at the same place
    near = neighbour_pairs(x, REQUEST, box)
    np.testing.assert_array_equal(matrix(near), within(x, 1.4, box))
    np.testing.assert_array_equal(np.diff(near.rows), matrix(near).sum(2).ravel())
    order = near.owner * x.shape[1] + near.j
    assert (np.diff(order) > 0).all()


def test_a_pair_at_the_very_cutoff_is_not_lost_to_rounding():
    box, request = Box((10.0, 10.0, 10.0)), NeighbourRequest(0.3)
    for far in (0.0, 1e3, 1e6):
        x = np.array([[[far + 0.1, 0, 0], [far + 0.4, 0, 0]]])
        assert len(neighbour_pairs(x, request, box).j) == 2


def test_every_pair_lists_all():
    x = np.zeros((2, 4, 2))
    near = every_pair(x)
    np.testing.assert_array_equal(matrix(near), np.broadcast_to(1 - np.eye(4), (2, 4, 4)))
    assert near.cover(x + 100)


def test_one_particle_and_positions_that_are_not_finite_have_no_pairs():
    x = np.zeros((3, 2, 3))
    x[1, 0, 0], x[2, 1, 2] = math.nan, math.inf
    near = neighbour_pairs(x, REQUEST)
    assert near.trajectory.tolist() == [0, 0]
    assert near.sum(np.ones((2, 3))).shape == (3, 2, 3)
    alone = neighbour_pairs(np.zeros((1, 1, 3)), REQUEST)
    assert alone.sum(np.empty((0, 3))).tolist() == [[[0.0, 0.0, 0.0]]]


def test_sums_are_over_the_pairs_of_a_particle():
    rng = np.random.default_rng(2)
    near = neighbour_pairs(rng.normal(size=(2, 9, 3)), REQUEST)
    values = rng.normal(size=(len(near.j), 3))
    wanted = np.zeros((2, 9, 3))
    np.add.at(wanted, (near.trajectory, near.i), values)
    np.testing.assert_array_equal(near.sum(values), wanted)
    np.testing.assert_array_equal(near.sum(values[:, 0]), wanted[..., 0])


def test_a_list_covers_what_has_moved_by_half_the_skin():
    x = np.random.default_rng(3).normal(size=(2, 20, 3))
    near = neighbour_pairs(x, REQUEST)
    moved = x.copy()
    moved[1, 5, 0] += 0.1499
    assert near.cover(x)
    assert near.cover(moved)
    moved[1, 5, 0] += 0.0002
    assert not near.cover(moved)


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_no_pair_is_missed_while_a_list_covers_the_positions(box):
    rng = np.random.default_rng(4)
    dimensions = 3 if box is None else box.dimension
    x = rng.normal(scale=3, size=(2, 40, dimensions))
    near, made = neighbour_pairs(x, REQUEST, box), 1
    for _ in range(60):
        x = x + 0.03 * rng.normal(size=x.shape)
        if not near.cover(x):
            near, made = neighbour_pairs(x, REQUEST, box), made + 1
        assert (matrix(near) >= within(x, REQUEST.cutoff, box)).all()
    assert 2 < made < 40


@pytest.mark.parametrize("cutoff", [0.0, -1.0, math.nan, math.inf])
def test_a_cutoff_must_be_positive(cutoff):
    with pytest.raises(InputError, match=r"^`cutoff` must be finite and > 0, got "):
        NeighbourRequest(cutoff)


def test_a_skin_must_not_be_negative():
    with pytest.raises(InputError, match=r"^`skin` must be finite and >= 0, got -1"):
        NeighbourRequest(1.0, -1.0)


def test_a_cutoff_above_half_the_box_is_refused():
    words = "^`cutoff` must be at most half the shortest period of the box, 1.25, got 1.3; use a "
    with pytest.raises(InputError, match=words):
        SoftSpheres(reach=1.3)
    with pytest.raises(InputError, match=words):
        neighbour_pairs(np.zeros((1, 2, 2)), NeighbourRequest(1.3), Box((2.5, None)))


# Runs


@pytest.mark.parametrize("axes", [2, 3])
def test_a_run_does_not_depend_on_lists(axes):
    """The same bits with all pairs, short lists and long ones; and energy is kept."""
    runs, made = {}, {}
    for skin in (None, 0.0, 0.1, 0.5):
        system, method = SoftSpheres(axes=axes, skin=skin), SmallRK4()
        runs[skin] = run = simulate(system, *system.sample(5, 8), FRAMES, method)
        made[skin] = method.lists
    for skin in (0.0, 0.1, 0.5):
        np.testing.assert_array_equal(runs[skin].x, runs[None].x)
    assert made[None] == 0 < made[0.5] < made[0.1] < made[0.0]
    first, last = (system.invariants(run.x[:, k], run.v[:, k], run.particles) for k in (0, -1))
    np.testing.assert_allclose(last.energy, first.energy, rtol=SMALL)
    np.testing.assert_allclose(last.momentum, first.momentum, atol=1e-13)
    assert np.abs(run.x).max() > 2.5  # it left the box, and is unwrapped


def test_dop853_gives_the_same_run():
    system = SoftSpheres()
    start = system.sample(6, 6)
    small, large = (simulate(system, *start, 10, each) for each in (SmallRK4(), "dop853"))
    np.testing.assert_allclose(small.x, large.x, atol=1e-6)


def test_a_start_has_the_dimensions_of_the_box():
    flat = SoftSpheres(axes=2)
    assert flat.sample(0, 3)[0].x.shape == (1, 3, 2)
    with pytest.raises(InputError, match=r"^`dimensions` must be 2, as many as the box of system "):
        flat.sample(0, 3, dimensions=3)
    state, particles = SoftSpheres().sample(0, 3)
    with pytest.raises(InputError, match=r"^`state` must have the 2 dimensions of the box of "):
        simulate(flat, state, particles, 1)
