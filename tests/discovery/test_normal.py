"""Normal equations as sums over the innovations."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.discovery.equations import equations
from nbody_surrogate.discovery.normal import blocks_of, log_likelihood, normal_equations
from watched import problem_of, somewhere, swings


def two_runs(**more):
    return problem_of(swings(70, 3), swings(50, 2, seed=1), **more)


def each_row(problem, unknowns):
    """Every row's columns by all unknowns, its innovation and its frame."""
    for run, measured in enumerate(problem.runs):
        for i in range(measured.n):
            for part in equations(problem, unknowns, run, i):
                for d, which in enumerate(part.which):
                    full = np.zeros((len(part.frames), unknowns.layout.size))
                    full[:, which] = part.columns[d]
                    yield from zip(full, part.innovations[d], part.frames, strict=True)


@pytest.mark.parametrize("robust", [False, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_information_is_the_sum_of_outer_products(pairs, robust):
    problem = two_runs(pairs=pairs, robust=robust)
    unknowns = somewhere(problem)
    found = normal_equations(problem, unknowns)
    size, count = unknowns.layout.size, 0
    information, score = np.zeros((size, size)), np.zeros(size)
    for row, innovation, _ in each_row(problem, unknowns):
        information += np.outer(row, row)
        score += innovation * row
        count += 1
    scale = np.sqrt(np.outer(np.diag(information), np.diag(information))) + 1e-300
    np.testing.assert_allclose(found.information[0] / scale, information / scale, atol=1e-11)
    np.testing.assert_allclose(found.score[0], score, rtol=1e-9, atol=1e-9 * np.abs(score).max())
    assert found.rows == count


def test_blocks_hold_each_row_once():
    problem = two_runs()
    unknowns = somewhere(problem)
    edges = np.array([0, 20, 45, 70, 101, 120])
    found, whole = (normal_equations(problem, unknowns, e) for e in (edges, None))
    np.testing.assert_allclose(found.information.sum(0), whole.information[0], rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(found.score.sum(0), whole.score[0], rtol=1e-9, atol=1e-7)
    assert found.log_likelihood == whole.log_likelihood
    score = np.zeros((5, unknowns.layout.size))
    for row, innovation, frame in each_row(problem, unknowns):
        score[np.searchsorted(edges, frame, side="right") - 1] += innovation * row
    np.testing.assert_allclose(found.score, score, rtol=1e-9, atol=1e-9 * np.abs(score).max())


@pytest.mark.parametrize("count", [1, 2, 7, 60, 500])
def test_blocks_are_even_and_none_goes_from_run_to_run(count):
    problem = two_runs()
    edges = blocks_of(problem, count)
    assert (edges[0], edges[-1]) == (0, 120)
    assert 70 in edges
    assert abs(len(edges) - 1 - min(max(count, 2), 120)) <= 1 + count // 10
    lengths = np.diff(edges)
    assert lengths.min() >= 1 and lengths.max() <= 2 * np.ceil(120 / count)


@pytest.mark.parametrize("robust", [False, True])
def test_the_score_is_the_slope_of_the_likelihood(robust):
    """By every unknown but the drags, whose part in the noise' colour is left out."""
    problem = problem_of(swings(60, 3), directed=True, robust=robust)
    unknowns = somewhere(problem)
    found = normal_equations(problem, unknowns)
    value, _ = log_likelihood(problem, unknowns)
    assert value == pytest.approx(found.log_likelihood, rel=1e-12)
    drag = unknowns.layout.part("drag")
    for k in [k for k in range(unknowns.layout.size) if not drag.start <= k < drag.stop]:
        h = 1e-3 / np.sqrt(found.information[0, k, k] + 1e-30)
        values = []
        for step in (h, -h):
            moved = unknowns.copy()
            moved.vector[k] += step
            values.append(log_likelihood(problem, moved)[0])
        slope = (values[0] - values[1]) / (2 * h)
        error = 1e-11 * abs(value) / h + 1e-5 * np.sqrt(found.information[0, k, k])
        assert found.score[0, k] == pytest.approx(slope, rel=1e-5, abs=error)
