"""Derivatives of the innovations, and what the likelihood does not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate.discovery.equations import equations
from nbody_surrogate.discovery.forces import accelerations, total_force
from nbody_surrogate.discovery.innovations import HUBER, SMOOTH, whitener
from nbody_surrogate.discovery.normal import log_likelihood
from nbody_surrogate.discovery.unknowns import FIELDS
from watched import DT, problem_of, somewhere, swings, turned

CASES = {
    "flat": lambda: problem_of(swings(60, 4, 2)),
    "directed": lambda: problem_of(swings(60, 3), directed=True),
    "couplings": lambda: problem_of(swings(50, 4, seed=2), pairs=True),
    "two runs": lambda: problem_of(swings(50, 3), swings(40, 2, seed=1)),
    "two runs with couplings": lambda: problem_of(swings(50, 3), swings(40, 3, seed=1), pairs=True),
    "gaps": lambda: problem_of(gaps(swings(90, 3)), directed=True),
    "smooth": lambda: problem_of(swings(60, 3), stencil=SMOOTH),
}


def gaps(x):
    x[30:34, 0] = np.nan
    x[40:60, 1] = np.nan
    return x


def every(problem, unknowns, with_columns=True):
    for run, measured in enumerate(problem.runs):
        for i in range(measured.n):
            yield from equations(problem, unknowns, run, i, with_columns=with_columns)


def innovations(problem, unknowns):
    return np.concatenate(
        [part.innovations.ravel() for part in every(problem, unknowns, with_columns=False)]
    )


def columns(problem, unknowns):
    """All columns by all unknowns, rows as of `innovations`."""
    rows = []
    for part in every(problem, unknowns):
        for values, which in zip(part.columns, part.which, strict=True):
            full = np.zeros((len(values), unknowns.layout.size))
            np.add.at(full, (slice(None), which), values)
            rows.append(full)
    return np.concatenate(rows)


@pytest.mark.parametrize("case", CASES)
def test_columns_are_derivatives_by_every_unknown(case):
    """Innovations are linear in each unknown alone, but for the drag: differences are exact."""
    problem = CASES[case]()
    unknowns = somewhere(problem)
    found = columns(problem, unknowns)
    largest = np.abs(found).max(0)
    for name, size in unknowns.layout.sizes.items():
        if name == "drag":
            continue
        for k in range(unknowns.layout.part(name).start, unknowns.layout.part(name).stop):
            by = []
            for step in (0.5, -0.5):
                moved = unknowns.copy()
                moved.vector[k] += step
                by.append(innovations(problem, moved))
            np.testing.assert_allclose(
                found[:, k], by[1] - by[0], rtol=1e-7, atol=1e-9 * largest[k] + 1e-12, err_msg=name
            )
        assert size == 0 or largest[unknowns.layout.part(name)].max() > 0, name


def test_the_column_of_the_drag_is_the_derivative_of_free_rows():
    """As far as it stands in the equation of a particle on which nothing acts."""
    problem = problem_of(swings(60, 3))
    unknowns = somewhere(problem)
    for name in ("curve", *FIELDS):
        unknowns.part(name)[:] = 0.0
    drag, h = unknowns.layout.part("drag"), 1e-4
    for i in range(3):
        (part,) = equations(problem, unknowns, 0, i)
        by = []
        for step in (h, -h):
            moved = unknowns.copy()
            moved.part("drag")[i] += step
            by.append(next(equations(problem, moved, 0, i)).rows)
        for d in range(3):
            white = whitener(part.step, unknowns.noise[d] * part.scale, float(unknowns.kicks[i]))
            at = part.which[d].tolist().index(drag.start + i)
            expected = white((by[1][d] - by[0][d]) / (2 * h))
            np.testing.assert_allclose(part.columns[d][:, at], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_accelerations_are_derivatives_of_the_force(case):
    problem = CASES[case]()
    unknowns = somewhere(problem)
    for run, measured in enumerate(problem.runs):
        for d, (values, which) in enumerate(accelerations(problem, unknowns, run, 0)):
            for column, k in zip(values.T[:-1], which[:-1], strict=True):
                by = []
                for step in (0.5, -0.5):
                    moved = unknowns.copy()
                    moved.vector[k] += step
                    by.append(total_force(problem, moved, run, 0)[d])
                np.testing.assert_allclose(column, by[0] - by[1], rtol=1e-8, atol=1e-11)
            v = np.gradient(measured.x[:, 0, d], DT)
            np.testing.assert_allclose(values[:, -1], -v)


def plain(problem, seed=0):
    """Unknowns that prefer no direction."""
    unknowns = somewhere(problem, seed)
    unknowns.noise[:] = unknowns.noise[0]
    for name in FIELDS:
        unknowns.part(name)[:] = unknowns.part(name)[0] if "gradient" in name else 0.0
    return unknowns


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_likelihood_is_the_same_in_all_directions(dimensions, robust):
    x = swings(60, 4, dimensions)
    one = problem_of(x, robust=robust)
    other = replace(one, runs=problem_of(turned(x)).runs)
    unknowns = plain(one)
    value = log_likelihood(one, unknowns)[0]
    assert log_likelihood(other, unknowns)[0] == pytest.approx(value, rel=1e-9)
    assert abs(log_likelihood(one, plain(one, 1))[0] / value - 1) > 1e-3


def test_the_likelihood_is_the_same_everywhere_and_in_motion_without_field_and_drag():
    x = swings(60, 4)
    one = problem_of(x)
    unknowns = plain(one)
    unknowns.part("gradient")[:] = unknowns.part("gradient_by_charge")[:] = 0.0
    drift = np.array([0.3, -0.2, 0.5]) * DT * np.arange(60)[:, None, None]
    rest = replace(one, runs=problem_of(x + np.array([3.0, -2.0, 1.0])).runs)
    moving = replace(one, runs=problem_of(x + drift).runs)
    value = log_likelihood(one, unknowns)[0]
    assert log_likelihood(rest, unknowns)[0] == pytest.approx(value, rel=1e-8)
    assert abs(log_likelihood(moving, unknowns)[0] / value - 1) > 1e-5  # there is a drag
    unknowns.part("drag")[:] = 0.0
    value = log_likelihood(one, unknowns)[0]
    assert log_likelihood(moving, unknowns)[0] == pytest.approx(value, rel=1e-8)


def test_scales_are_a_matter_of_choice():
    problem = problem_of(swings(60, 4), directed=True)
    unknowns = somewhere(problem)
    unknowns.part("strengths")[1] *= -1
    value = log_likelihood(problem, unknowns)[0]
    unknowns.fix_scales()
    assert np.abs(unknowns.part("strengths")).mean() == pytest.approx(1)
    assert np.abs(unknowns.part("responses")).mean() == pytest.approx(1)
    assert log_likelihood(problem, unknowns)[0] == pytest.approx(value, rel=1e-10)


def test_runs_are_independent():
    x, y = swings(50, 3), swings(40, 2, seed=1)
    both = problem_of(x, y)
    unknowns = somewhere(both)
    total = 0.0
    for run, mine in ((0, slice(0, 3)), (1, slice(3, 5))):
        one = replace(both, runs=(replace(both.runs[run], first=0, start=0),))
        own = somewhere(one)
        for name in unknowns.layout.sizes:
            alike = one.layout.sizes[name] == both.layout.sizes[name]
            own.part(name)[:] = unknowns.part(name) if alike else unknowns.part(name)[mine]
        own.noise[:], own.kicks[:] = unknowns.noise, unknowns.kicks[mine]
        total += log_likelihood(one, own)[0]
    assert log_likelihood(both, unknowns)[0] == pytest.approx(total, rel=1e-12)


def test_what_is_bridged_says_nothing_of_its_own_motion():
    """Without forces, that of nothing depends on where a bridge goes."""
    problem = problem_of(gaps(swings(90, 3)))
    unknowns = somewhere(problem)
    for name in ("curve", *FIELDS):
        unknowns.part(name)[:] = 0.0
    value = log_likelihood(problem, unknowns)[0]
    run = problem.runs[0]
    x = run.x.copy()
    x[run.there & ~run.seen] += 0.05
    moved = replace(problem, runs=(replace(run, x=x),))
    # five standard deviations of each of 4 frames, squared, over how little they weigh
    assert log_likelihood(moved, unknowns)[0] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("robust", [False, True])
def test_one_wild_frame_moves_a_robust_likelihood_by_its_size_alone(robust):
    x = swings(60, 4)
    values = []
    for wild in (20.0, 40.0):
        y = x.copy()
        y[30, 0, 0] += wild
        (run,) = problem_of(y).runs
        run = replace(run, slow=np.ones_like(run.slow))  # else nothing is asked of it
        problem = replace(problem_of(x, robust=robust), runs=(run,))
        values.append(-log_likelihood(problem, plain(problem_of(x)))[0])
    growth = values[1] / values[0]
    assert growth == pytest.approx(2.0 if robust else 4.0, rel=0.1)
    assert HUBER == 4.0
