"""Paths between the frames: where the law leads, and what rows at frames become by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.discovery.between import (
    STEPS_AT_ENDS,
    FrameRows,
    condensed,
    steps_between,
    with_nodes,
)
from nbody_surrogate.discovery.encounters import other_frames, resolve_encounters
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.innovations import CAUSAL, SMOOTH
from nbody_surrogate.discovery.joint import joint_parts, settle
from nbody_surrogate.discovery.problem import problem_of as whole_problem_of
from nbody_surrogate.discovery.selection import best_start, without_twins
from nbody_surrogate.discovery.states import smoothed_states
from nbody_surrogate.tracks.observe import observe
from watched import DT, problem_of, somewhere, swings


def rows(count, n, columns, seed=0):
    """Rows of nodes, near those of free paths."""
    rng = np.random.default_rng(seed)

    def near(value):
        return value * np.eye(n) + 0.1 * rng.normal(size=(count, n, n))

    feels = near(1.0), near(-2.0), near(1.0)
    return FrameRows(rng.normal(size=(count, n)), feels, rng.normal(size=(count, n, columns)))


def test_condensed_rows_are_those_of_the_whole_system_solved():
    """Nodes free, frames moved by e and unknowns by u: what rows at frames then are, densely."""
    frames, steps, n, columns = 4, 3, 2, 5
    nodes = (frames - 1) * steps + 1
    each = rows(nodes - 2, n, columns)
    short = condensed(each, steps, np.ones((frames - 1, 1), bool), np.ones(n))
    rng = np.random.default_rng(1)
    e, u = rng.normal(size=(frames, n)), rng.normal(size=columns)
    dense = np.zeros((nodes - 2, n, nodes, n))
    for r in range(nodes - 2):
        for k in range(3):
            dense[r, :, r + 2 - k] = each.feels[k][r]
    fixed = np.arange(0, nodes, steps)
    inner = np.setdiff1d(np.arange(nodes), fixed)
    own = each.left - each.columns @ u
    left = own[inner - 1] + np.einsum("rafb,fb->ra", dense[inner - 1][:, :, fixed], e)
    square = dense[inner - 1][:, :, inner].reshape(inner.size * n, -1)
    moved = np.zeros((nodes, n))
    moved[fixed] = e
    moved[inner] = -np.linalg.solve(square, left.ravel()).reshape(-1, n)
    at = fixed[1:-1] - 1
    wanted = own[at] + np.einsum("rafb,fb->ra", dense[at], moved)
    found = short.left - short.columns @ u
    for k in range(3):
        found = found + np.einsum("rab,rb->ra", short.feels[k], e[2 - k : frames - k])
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_free_rows_of_nodes_are_those_of_frames():
    n, steps, frames = 3, 4, 6
    count = (frames - 1) * steps - 1
    one = np.broadcast_to(np.eye(n), (count, n, n))
    free = FrameRows(np.zeros((count, n)), (one, -2.0 * one, one), None)
    short = condensed(free, steps, np.ones((frames - 1, 1), bool), np.full(n, float(steps)))
    for each, value in zip(short.feels, (1.0, -2.0, 1.0), strict=True):
        np.testing.assert_allclose(each, np.broadcast_to(value * np.eye(n), each.shape), atol=1e-12)


def trapped(rate=2.5, steps=8, frames=30):
    """Oscillations that go on by so many radians from frame to frame, and their law."""
    t = 1.0 * np.arange(frames)[:, None, None]
    phases = np.random.default_rng(0).uniform(0, 6, size=(3, 3))
    problem = problem_of(np.sin(rate * t + phases), dt=1.0)
    unknowns = somewhere(problem)
    unknowns.vector[:] = 0.0
    unknowns.part("responses")[:] = unknowns.part("strengths")[:] = 1.0
    unknowns.part("gradient")[:] = -(rate**2)
    unknowns.noise[:] = 1e-30
    return replace(with_nodes(problem, steps), joint=True), unknowns, phases


@pytest.mark.parametrize("steps", [8, 16])
def test_paths_between_frames_are_those_of_the_law(steps):
    problem, unknowns, phases = trapped(steps=steps)
    settle(problem, unknowns, 0)
    at = np.arange(29 * steps + 1) / steps
    truth = np.sin(2.5 * at[:, None, None] + phases)
    # of fourth order: 3e-5 of a radian with eight steps
    np.testing.assert_allclose(problem.runs[0].fine, truth, atol=2e-3 / (steps / 8) ** 4)
    _, v = smoothed_states(problem, unknowns, 0)
    np.testing.assert_allclose(v, 2.5 * np.cos(2.5 * at[::steps, None, None] + phases), atol=6e-3)


def test_a_law_does_not_lead_where_paths_meet_again():
    """After half a period all paths from one place are at one place: no velocity is told."""
    problem, unknowns, _ = trapped(rate=3.1)
    assert not settle(problem, unknowns, 0).any()
    problem, unknowns, _ = trapped(rate=2.0)
    assert settle(problem, unknowns, 0).all()


def innovations(problem, unknowns):
    (part,) = joint_parts(replace(problem, robust=False), unknowns, None, False, False)
    return part.innovations.reshape(len(part.frames), -1)


def test_columns_are_what_rows_lose_with_the_paths_following():
    x = swings(30, 3)
    problem = replace(with_nodes(problem_of(x), 4), joint=True, robust=False)
    unknowns = somewhere(problem)
    # velocities change by a tenth over a frame
    unknowns.part("curve")[:] *= 2.0
    unknowns.noise[:] = 1e-30  # so that the whitening is that of kicks, whatever the forces are
    (part,) = joint_parts(problem, unknowns, None, True, False)
    layout = unknowns.layout
    for place in (
        *range(layout.part("curve").start, layout.part("curve").stop, 2),
        layout.part("strengths").start + 1,
        layout.part("responses").start + 2,
        layout.part("gradient").start,
        layout.part("drag").start + 1,
    ):
        ends = []
        for sign in (1, -1):
            other = unknowns.copy()
            other.vector[place] += sign * 1e-5
            ends.append(innovations(problem, other))
        slope = (ends[0] - ends[1]) / 2e-5
        column = part.columns[:, :, place]
        # weights and whitening change with the drag as well, which steps do not mind
        loose = 0.05 if place in range(*layout.part("drag").indices(layout.size)) else 2e-4
        assert np.abs(slope + column).max() < loose * np.abs(column).max()


def test_runs_are_cut_and_moved_with_their_nodes():
    problem = with_nodes(problem_of(swings(40, 3)), 3)
    run = problem.runs[0]
    part = run.cut(slice(10, 30), 0)
    np.testing.assert_array_equal(part.fine, run.fine[30:88])
    np.testing.assert_array_equal(part.fine[::3], part.path)
    part.fine[1] += 1.0
    assert not np.shares_memory(part.fine, run.fine)
    moved = run.along(run.path + 0.5)
    np.testing.assert_allclose(moved.fine, run.fine + 0.5)
    nodes = run.at_nodes(slice(2, 7))
    assert nodes.dt == pytest.approx(DT / 3) and len(nodes.x) == 13
    assert nodes.begun == pytest.approx(2 * DT)
    assert np.shares_memory(nodes.path, run.fine)
    assert run.visited().size == 3 * 118


def test_tracks_that_begin_where_forces_change_fastest_need_nodes(charges):
    """Of the first frames there are no rows else, and no other frames stand for them."""
    problem, unknowns = charges.estimate.problem, charges.estimate.unknowns
    apart = np.linalg.norm(charges.run.x[:, :, None] - charges.run.x[:, None], axis=-1)
    nearest = int((apart + 9.0 * np.eye(5)).min((1, 2))[:-100].argmin())
    (run,) = problem.runs
    cut = replace(problem, runs=(run.cut(slice(nearest, None), 0),))
    assert steps_between(cut, unknowns) == STEPS_AT_ENDS
    inside = replace(problem, runs=(run.cut(slice(max(nearest - 20, 0), None), 0),))
    assert nearest >= 20 and steps_between(inside, unknowns) == 1
    noisy = replace(cut, stencil=CAUSAL)
    assert steps_between(noisy, unknowns) == 1


def test_frames_that_are_close_enough_need_no_nodes(charges):
    assert steps_between(charges.estimate.problem, charges.estimate.unknowns) == 1
    closer = resolve_encounters(charges.estimate, 1e12)
    assert not closer.problem.has_nodes
    assert closer.normal.log_likelihood >= charges.estimate.normal.log_likelihood
    assert other_frames(charges.estimate, charges.estimate.problem).runs[0].steps == 1


def meeting(frames, dt, seed=0):
    """Masses that fall together in a few frames each time, as computed."""
    system = nb.make_system("gravity", frame_dt=dt)
    state, particles = system.sample(seed, 3)
    run = nb.simulate(system, state, particles, frames - 1, "dop853")[0]
    return observe(run, noise=0.0, seed=0), system, particles, run


@pytest.fixture(scope="module")
def fits():
    """A law of frames alone, and with nodes between them."""
    tracks, system, particles, run = meeting(240, 0.1)
    problem = whole_problem_of([tracks], None, couplings=False, same_particles=False, knots=16)
    start = best_start(problem, Freedom(directed=False, fields=(), drag="none"))
    return start, resolve_encounters(start, 1e12), system, particles, run


def law_error(fit, softening=0.1):
    """Of the curve over distances visited at frames, relative, whatever its size."""
    r = fit.problem.runs[0].at_nodes().visited(7)
    force = fit.problem.curve.matrix(r) @ fit.unknowns.part("curve")
    truth = r / (r * r + softening**2) ** 1.5
    return np.abs(force / truth / np.median(force / truth) - 1.0)


@pytest.mark.slow
def test_encounters_tell_the_law(fits):
    start, fit, _, particles, _ = fits
    assert start.problem.stencil is SMOOTH and fit.problem.has_nodes
    assert not start.problem.runs[0].slow.all()
    assert np.quantile(law_error(fit), 0.95) < 1e-3
    mass = particles.masses[0]
    strengths = fit.unknowns.part("strengths")
    np.testing.assert_allclose(strengths / strengths.mean(), mass / mass.mean(), rtol=1e-3)


@pytest.mark.slow
def test_velocities_are_those_between_frames(fits):
    _, fit, _, _, run = fits
    x, v = smoothed_states(fit.problem, fit.unknowns, 0)
    known = np.isfinite(v).all(-1)
    assert known.mean() > 0.9
    error = np.linalg.norm(v - run.v, axis=-1)[known] / np.sqrt((run.v**2).sum(-1).mean())
    assert np.quantile(error, 0.95) < 1e-3
    np.testing.assert_allclose(x[known], run.x[known], atol=1e-5)


@pytest.mark.slow
def test_other_frames_have_nodes_too(fits):
    _, fit, *_ = fits
    other = other_frames(
        fit, replace(fit.problem, runs=(fit.problem.runs[0].cut(slice(0, 60), 0),))
    )
    assert other.runs[0].steps == fit.problem.runs[0].steps
    assert other.runs[0].led.shape == (59, 3)


def test_where_nothing_is_held_out_nothing_is_led(charges):
    problem, unknowns = charges.estimate.problem, charges.estimate.unknowns
    (run,) = problem.runs
    seen = replace(problem, runs=(run.cut(slice(0, 40), 0),))
    finer = replace(charges.estimate, problem=with_nodes(seen, 3))
    empty = other_frames(finer, replace(problem, runs=(run.cut(slice(len(run.x), None), 0),)))
    assert empty.runs[0].led.shape == (0, run.n)
    assert settle(empty, unknowns, 0).shape == (0, run.n)


@pytest.mark.slow
def test_too_much_work_is_left(fits):
    start, *_ = fits
    assert resolve_encounters(start, 1.0) is start


def test_fields_by_charge_are_plain_ones_where_all_answer_alike(dust):
    unknowns = dust.estimate.unknowns.copy()
    unknowns.part("responses")[:] = 2.0
    unknowns.part("uniform")[:] = 1.0
    unknowns.part("uniform_by_charge")[:] = -0.5
    alike = without_twins(replace(dust.estimate, unknowns=unknowns)).unknowns
    assert not alike.part("uniform").any() and not alike.part("uniform_by_charge").any()
    assert without_twins(dust.estimate) is dust.estimate
