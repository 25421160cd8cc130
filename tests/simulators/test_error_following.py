"""Errors that leapfrog carries along frames, compiled, against segments of one frame each."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

import nbody_simulators.integrators.error_following as error_following
import nbody_surrogate as nb
from nbody_surrogate.contracts import AbstractErrorFollower, Carry, Problem
from nbody_surrogate.testing.probes import OnlyNumPy

LARGEST = 1e150
CHARGED = nb.make_system("charged")


def course(batch, n, frames=5, dimensions=3, seed=0, size=1e-3):
    """Frames and errors of no motion in particular: what is tested is a formula."""
    rng = np.random.default_rng(seed)
    shape = (2, batch, frames, n, dimensions)
    at = rng.normal(size=(2, batch, frames + 1, n, dimensions))
    error, (mapped, added) = size * rng.normal(size=at[:, :, 0].shape), rng.normal(size=(2, *shape))
    return at, error, at[:, :, 1:] + size * mapped, size * added


def particles_of(batch, n, seed=1):
    charges = np.random.default_rng(seed).choice([-1.0, 1.0], (batch, n))
    return nb.Particles(charges, np.ones((batch, n)))


def by_segments(method, problem, frames, error, mapped, added):
    """The formula as it stands, with L by `advance`, from frames that no compiled loop has seen."""
    errors = []
    for f in range(mapped.shape[2]):
        x, v = frames[:, :, f] - error
        with np.errstate(all="ignore"):
            made = method.advance(Carry(problem, 0, MappingProxyType({"x": x, "v": v})), 1)
        there = np.stack([made.x[:, 0], made.v[:, 0]])
        with np.errstate(all="ignore"):
            error = mapped[:, :, f] - there + added[:, :, f]
        error = np.clip(np.nan_to_num(error), -LARGEST, LARGEST)
        errors.append(error)
    return np.stack(errors, axis=2)


def both(batch, n, dimensions=3, change=lambda *given: None, **options):
    options = {"substeps": 4, "form": "kdk", **options}
    method = nb.make_integrator("leapfrog", **options)
    problem = Problem(CHARGED, particles_of(batch, n), 0.0, 0.1)
    given = course(batch, n, dimensions=dimensions)
    change(*given)
    found = method.followed(problem, *given, LARGEST)
    return found, by_segments(method, problem, *given)


@pytest.mark.parametrize(
    ("batch", "n", "options"),
    [
        (1, 3, {}),
        (1, 3, {"form": "dkd"}),
        (9, 4, {}),
        (70, 2, {"threads": 2}),
        (2, 41, {}),
        (3, 3, {"dimensions": 2}),
    ],
)
def test_it_is_the_formula_to_the_bit(batch, n, options):
    found, expected = both(batch, n, **options)
    np.testing.assert_array_equal(found, expected)


def test_calls_of_bounded_length_are_one(monkeypatch):
    whole, _ = both(2, 3)
    monkeypatch.setattr(error_following, "MOST_FORCES", 2 * 4 * 9 * 2)
    parts, expected = both(2, 3)
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_array_equal(parts, expected)
    monkeypatch.setattr(error_following, "MOST_FORCES", 4 * 9)
    assert both(2, 3)[0] is None


def test_a_lost_trajectory_stands_still_and_its_neighbours_do_not_notice():
    def lose(frames, error, mapped, added):
        frames[:, 1, 2] = 1e200  # whose squares are infinite
        mapped[1, 1, 3] = np.nan

    found, expected = both(3, 3, change=lose)
    assert np.isfinite(found).all()
    assert np.abs(found).max() == LARGEST
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[:, ::2], both(3, 3)[0][:, ::2])


def test_where_the_method_has_no_way_of_its_own():
    assert isinstance(nb.make_integrator("leapfrog"), AbstractErrorFollower)
    given = course(1, 2)
    for system, options in ((OnlyNumPy(), {}), (CHARGED, {"backend": "torch"})):
        problem = Problem(system, particles_of(1, 2), 0.0, 0.1)
        assert nb.make_integrator("leapfrog", **options).followed(problem, *given, 1.0) is None
