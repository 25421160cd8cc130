"""Sums over the others against the same in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.discovery.forces import view
from watched import problem_of, somewhere, swings, turned


def holed(x, seed=5):
    """Long stretches in which particles are away: too long to be bridged."""
    x = x.copy()
    x[10:40, 1] = np.nan
    x[30:, 3] = np.nan
    return x


def central(problem, unknowns, x, there, t, i, j, strength):
    """Force on i by j at one frame, and by each coefficient."""
    if not (there[t, i] and there[t, j]):
        return np.zeros((x.shape[2], problem.curve.knots.count))
    d = x[t, i] - x[t, j]
    r = np.linalg.norm(d)
    return strength * np.outer(d / r, problem.curve.matrix(np.array([r]))[0])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_central_forces_are_what_they_are_in_numpy(dimensions):
    problem = problem_of(holed(swings(60, 4, dimensions)))
    unknowns, run = somewhere(problem), problem.runs[0]
    strengths, curve = unknowns.part("strengths"), unknowns.part("curve")
    for i in range(4):
        seen = view(problem, unknowns, 0, i)
        assert seen.others.tolist() == [j for j in range(4) if j != i]
        for t in (0, 5, 12, 35, 50):
            by = [
                central(problem, unknowns, run.x, run.there, t, i, j, strengths[j])
                for j in seen.others
            ]
            np.testing.assert_allclose(seen.by_curve[:, t], np.sum(by, 0), rtol=1e-11, atol=1e-14)
            each = np.stack(
                [b @ curve / strengths[j] for b, j in zip(by, seen.others, strict=True)], -1
            )
            np.testing.assert_allclose(seen.by_other[:, t], each, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(
            seen.force, seen.by_other @ strengths[seen.others], rtol=1e-12, atol=1e-14
        )


def test_directed_forces_are_what_they_are_in_numpy():
    problem = problem_of(holed(swings(60, 4)), directed=True)
    unknowns, run, curve = somewhere(problem), problem.runs[0], problem.directed
    strengths = unknowns.part("strengths")
    central_curve = unknowns.part("curve")
    for i in range(4):
        seen = view(problem, unknowns, 0, i)
        for t in (0, 12, 35, 50):
            total = np.zeros((3, curve.size))
            for o, j in enumerate(seen.others):
                if not (run.there[t, i] and run.there[t, j]):
                    assert not seen.by_other[:, t, o].any()
                    continue
                d = run.x[t, i] - run.x[t, j]
                rho = np.hypot(d[0], d[1])
                at, values = curve.pieces(np.array([rho]), d[2:])
                basis = np.zeros(curve.size)
                basis[at[0]] = values[0]
                share = np.array([d[0] / rho, d[1] / rho, 1.0])
                total += strengths[j] * share[:, None] * basis
                parts = [unknowns.part("across")] * 2 + [unknowns.part("along")]
                force = share * [basis @ part for part in parts]
                force += central(problem, unknowns, run.x, run.there, t, i, j, 1.0) @ central_curve
                np.testing.assert_allclose(seen.by_other[:, t, o], force, rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(seen.by_directed[:, t], total, rtol=1e-11, atol=1e-14)


def test_who_is_away_exerts_nothing_and_feels_nothing():
    x = holed(swings(60, 4))
    problem = problem_of(x, directed=True)
    unknowns = somewhere(problem)
    away = ~problem.runs[0].there
    assert away[10:40, 1].all() and away[30:, 3].all()
    for i in range(4):
        seen = view(problem, unknowns, 0, i)
        assert not seen.force[:, away[:, i]].any()
        for o, j in enumerate(seen.others):
            assert not seen.by_other[:, away[:, j], o].any()
    # the same without these two, where both are away
    alone = problem_of(x[:, [0, 2]], directed=True)
    few = somewhere(alone)
    for name in ("curve", "across", "along"):
        few.part(name)[:] = unknowns.part(name)
    few.part("strengths")[:] = unknowns.part("strengths")[[0, 2]]
    same = type(problem)(alone.runs, problem.curve, problem.directed, 2, *_rest(problem))
    np.testing.assert_allclose(
        view(same, few, 0, 0).force[:, 30:40], view(problem, unknowns, 0, 0).force[:, 30:40]
    )


def _rest(problem):
    return problem.stencil, problem.couplings, problem.robust


@pytest.mark.parametrize("dimensions", [2, 3])
def test_central_forces_turn_with_the_tracks(dimensions):
    x = swings(40, 4, dimensions)
    problem, other = problem_of(x), problem_of(turned(x))
    unknowns = somewhere(problem)
    for i in range(4):
        force = turned(view(problem, unknowns, 0, i).force.T).T
        np.testing.assert_allclose(view(other, unknowns, 0, i).force, force, rtol=1e-9)


def test_directed_forces_turn_about_their_axis():
    x = swings(40, 4)
    y = np.concatenate([turned(x[..., :2]), x[..., 2:]], -1)
    problem, other = (problem_of(z, directed=True) for z in (x, y))
    unknowns = somewhere(problem)
    for i in range(4):
        force = view(problem, unknowns, 0, i).force
        expected = np.concatenate([turned(force[:2].T).T, force[2:]])
        np.testing.assert_allclose(view(other, unknowns, 0, i).force, expected, rtol=1e-8)


def test_names_do_not_matter():
    x, order = swings(40, 4), [2, 0, 3, 1]
    problem, other = (problem_of(y, directed=True) for y in (x, x[:, order]))
    unknowns = somewhere(problem)
    renamed = unknowns.copy()
    renamed.part("strengths")[:] = unknowns.part("strengths")[order]
    for k, i in enumerate(order):
        np.testing.assert_allclose(
            view(other, renamed, 0, k).force, view(problem, unknowns, 0, i).force, rtol=1e-9
        )


@pytest.mark.parametrize("directed", [False, True])
def test_two_in_one_place_have_no_force_and_no_nan(directed):
    """Positions that a camera rounds to its pixels do coincide."""
    x = swings(40, 3)
    x[7, 1] = x[7, 0]
    x[9, 2, :2] = x[9, 0, :2]  # one above the other: no direction across
    problem = problem_of(x, directed=directed)
    problem = type(problem)(
        problem.runs,
        problem.curve.under(type(problem.curve.envelope)(-2.0)),
        problem.directed and problem.directed.under(type(problem.curve.envelope)(-2.0)),
        2,
        *_rest(problem),
    )
    seen = view(problem, somewhere(problem), 0, 0)
    assert not seen.by_other[:, 7, 0].any()
    assert np.isfinite(seen.by_other).all() and np.isfinite(seen.by_curve).all()
    if directed:
        assert np.isfinite(seen.by_directed).all()
