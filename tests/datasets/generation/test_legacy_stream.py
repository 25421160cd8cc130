"""Data sets from one stream of random numbers are those of the published programs."""

from __future__ import annotations

import numpy as np

from generated import LEGACY, arrays, assert_same
from nbody_simulators.systems.legacy import legacy_starts
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate

PAPER = {"trajectories": 4, "horizon": 900, "shard": 3}
"""Trajectories of 1000 steps."""
SAME_STEPS = 1e-9
"""Steps of 0.001 whose size is rounded differently, grown over 1000 of them; 1e-13 is measured."""


def test_splits_take_their_places_in_the_legacy_stream(made):
    data = made(**LEGACY)
    state, particles = legacy_starts(43, 5, 24, spread=1.0, rows=49)
    places = {"train": range(0, 6), "validation": range(9, 13), "test": range(20, 24)}
    assert list(data.spec.ranges) == list(places)
    for split, place in places.items():
        (block,) = data.blocks(split)
        assert_same([block.x[:, 0], block.v[:, 0], block.particles.charges],
                    [state.x[place], state.v[place], particles.charges[place]])  # fmt: skip


def test_rows_of_nbody_small_are_its_programs(made):
    """Row r is 100 (r + 1) steps after the start."""
    data = made(preset="nbody-small", trajectories=3, splits={"train": 3}, legacy={"rows": 49})
    starts = legacy_starts(43, 5, 3, spread=1.0, rows=49)
    solver = make_integrator("symplectic-euler", step=0.001)
    run = simulate(make_system("charged-clipped"), *starts, 49, solver)
    assert_same(arrays(data)[:2], [run.x[:, 1:].copy(), run.v[:, 1:].copy()])


def test_rows_of_set_paper_are_states_after_so_many_steps(made):
    data = made(preset="set-paper", **PAPER)
    starts = legacy_starts(3, 5, 4, spread=2.0, rows=1000)
    system = make_system("charged-clipped", frame_dt=0.001, spread=2.0)
    run = simulate(system, *starts, 1000, make_integrator("symplectic-euler", substeps=1))
    x, v, charges, _ = arrays(data)
    steps = [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 1000]
    np.testing.assert_allclose(x, run.x[:, steps], rtol=0, atol=SAME_STEPS)
    np.testing.assert_allclose(v, run.v[:, steps], rtol=0, atol=SAME_STEPS)
    np.testing.assert_array_equal(charges, starts[1].charges)
    np.testing.assert_allclose(data.t, np.array(steps) * 0.001)


def test_as_released_differs_in_the_target_row_only(made):
    ours, theirs = (made(preset=f"set-paper{end}", **PAPER) for end in ("", "-as-released"))
    for right, zero in zip(arrays(ours)[:2], arrays(theirs)[:2], strict=True):
        assert right[:, -1].all()
        assert not zero[:, -1].any()
        assert_same([zero[:, :-1].copy()], [right[:, :-1].copy()])
    assert_same(arrays(theirs)[2:], arrays(ours)[2:])
    assert ours.manifest.label_error.rows == tuple(range(11))
    assert theirs.manifest.label_error.rows == tuple(range(10))  # not of the target
