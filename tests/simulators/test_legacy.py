"""The published generator, against an oracle written straight from its description."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_simulators.systems.legacy import legacy_starts
from nbody_surrogate import InputError, make_integrator, make_system, simulate

ROUNDING = 1e-10  # of the largest component, 100: the oracle takes distances by r^2 as dx.dx
STEPS = 300
GROWN = 1e-10  # rounding of 1e-16 after some encounters


def oracle(stream, n, spread, rows, dimensions, steps=0):
    """Charges, and states and clipped forces of one trajectory; the layout is (T, D, N)."""
    charges = stream.choice([-1, 0, 1], size=(n, 1), p=[1 / 2, 0, 1 / 2])
    x = stream.randn(dimensions, n) * (spread * (n / 5) ** (1 / 3))
    v = stream.randn(dimensions, n)
    v = v * 0.5 / np.sqrt((v**2).sum(axis=0))
    for d in range(dimensions):
        for i in range(n):
            if x[d, i] > 5:
                x[d, i], v[d, i] = 10 - x[d, i], -abs(v[d, i])
            elif x[d, i] < -5:
                x[d, i], v[d, i] = -10 - x[d, i], abs(v[d, i])
    states, forces = [(x.copy(), v.copy())], [clipped_force(x, charges)]
    v = v + 0.001 * forces[0]
    for _ in range(steps):
        x = x + 0.001 * v
        states.append((x, v))
        forces.append(clipped_force(x, charges))
        v = v + 0.001 * forces[-1]
    stream.randn(rows, dimensions, n)
    stream.randn(rows, dimensions, n)
    return charges[:, 0], states, forces


def clipped_force(x, charges):
    """The force (D, N) with each component held within 100."""
    force = np.zeros_like(x)
    for i in range(x.shape[1]):
        for j in range(x.shape[1]):
            if i != j:
                r = x[:, i] - x[:, j]
                force[:, i] += charges[i] * charges[j] * r / (r @ r) ** 1.5
    return np.clip(force, -100, 100)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(
    ("seed", "n", "spread", "rows"),
    [(43, 5, 1.0, 49), (3, 20, 2.0, 201), (3, 30, 2.0, 7), (0, 1, 1.0, 0), (2**32 - 1, 2, 1.0, 3)],
)
def test_starts_are_the_published_ones_bit_for_bit(seed, n, spread, rows, dimensions):
    state, particles = legacy_starts(seed, n, 6, spread=spread, rows=rows, dimensions=dimensions)
    assert state.t == 0
    assert (particles.masses == 1).all()
    stream = np.random.RandomState(seed)
    for b in range(6):  # a stream out of place shows in every later trajectory
        charges, states, _ = oracle(stream, n, spread, rows, dimensions)
        np.testing.assert_array_equal(particles.charges[b], charges)
        np.testing.assert_array_equal(state.x[b], states[0][0].T)
        np.testing.assert_array_equal(state.v[b], states[0][1].T)


def test_some_of_these_starts_are_reflected():
    state, _ = legacy_starts(3, 20, 6, spread=2.0, rows=201)
    assert (abs(state.x) <= 5).all()
    stream = np.random.RandomState(3)
    stream.choice([-1, 0, 1], size=(20, 1), p=[1 / 2, 0, 1 / 2])
    assert (abs(stream.randn(3, 20) * 2 * 4 ** (1 / 3)) > 5).any()


def test_more_trajectories_go_on_from_fewer():
    few, _ = legacy_starts(43, 5, 2, spread=1.0, rows=49)
    many, _ = legacy_starts(43, 5, 4, spread=1.0, rows=49)
    np.testing.assert_array_equal(many.x[:2], few.x)


@pytest.mark.parametrize(("spread", "n", "dimensions"), [(1.0, 5, 3), (0.1, 5, 3), (0.1, 5, 2)])
def test_the_system_has_the_clipped_force_along_the_published_run(spread, n, dimensions):
    _, states, forces = oracle(np.random.RandomState(1), n, spread, 0, dimensions, STEPS)
    _, particles = legacy_starts(1, n, 1, spread=spread, rows=0, dimensions=dimensions)
    system = make_system("charged-clipped")
    for (x, _), force in zip(states, forces, strict=True):
        found = system.pair_acceleration(x.T[None], particles)[0]
        np.testing.assert_allclose(found, force.T, rtol=0, atol=ROUNDING * 100)
    assert (abs(np.array(forces)).max() == 100) == (spread < 1)


@pytest.mark.parametrize(("spread", "n", "dimensions"), [(1.0, 5, 3), (1.0, 5, 2), (0.3, 5, 3)])
def test_symplectic_euler_makes_the_published_trajectories(spread, n, dimensions):
    """Every hundredth step, with velocities half a kick behind as they are published."""
    stream = np.random.RandomState(2)
    starts = legacy_starts(2, n, 4, spread=spread, rows=9, dimensions=dimensions)
    solver = make_integrator("symplectic-euler", step=0.001)
    run = simulate(make_system("charged-clipped"), *starts, STEPS // 100, solver)
    for b in range(4):
        _, states, _ = oracle(stream, n, spread, 9, dimensions, STEPS)
        for frame, (x, v) in enumerate(states[::100]):
            np.testing.assert_allclose(run.x[b, frame], x.T, rtol=0, atol=GROWN)
            np.testing.assert_allclose(run.v[b, frame], v.T, rtol=0, atol=100 * GROWN)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("n", 0),
        ("trajectories", 0),
        ("rows", -1),
        ("spread", 0.0),
        ("spread", float("nan")),
        ("spread", float("inf")),
        ("dimensions", 4),
    ],
)
def test_wrong_numbers_are_one_line(parameter, value):
    given = {"seed": 0, "n": 3, "trajectories": 1, "spread": 1.0, "rows": 2, parameter: value}
    with pytest.raises(InputError) as caught:
        legacy_starts(**given)
    assert str(caught.value).startswith(f"`{parameter}` must be ")
    assert "\n" not in str(caught.value)


def test_charged_clipped_stands_for_charges_that_are_not_clipped():
    ideal = make_system("charged-clipped", coupling=2.0, frame_dt=0.5).ideal()
    charged = make_system("charged", coupling=2.0, frame_dt=0.5, softening=0.0)
    assert ideal.name == "charged"
    assert ideal.spec == charged.spec
