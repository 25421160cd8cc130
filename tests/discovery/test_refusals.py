"""What is refused, in one line that says what would do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.discovery.discover import discover
from nbody_surrogate.discovery.estimate import Smoothness, improve
from nbody_surrogate.discovery.freedom import Freedom
from nbody_surrogate.discovery.problem import problem_of
from nbody_surrogate.discovery.splines import Envelope
from nbody_surrogate.discovery.start import begin
from nbody_surrogate.discovery.tellable import (
    demand_company,
    demand_told,
    demand_tracks,
    relative_error,
)
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.tracks.observe import observe
from refusals import refused
from watched import swings, tracks_of

LONG = tracks_of(swings(300, 4, 2))


def says(error, line, runs, **options):
    with refused(error) as caught:
        discover(runs, **options)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        ([], "`tracks` must hold at least one run, got none"),
        (
            [LONG, tracks_of(swings(300, 4, 3))],
            "`tracks` must all be of 2 dimensions, or all of 3, got both",
        ),
        (
            [LONG, tracks_of(swings(300, 1, 2))],
            "`tracks` must hold at least 2 particles in each run, got 1 particle in run 1",
        ),
        (
            [tracks_of(swings(59, 4, 2))],
            "`tracks` must hold at least 60 frames in each run, got 59 in run 0",
        ),
        (
            [tracks_of(swings(60, 3, 2))],
            "`tracks` must hold at least 490 coordinates for 49 unknowns, got 360; measure 1.4 "
            "times as many frames",
        ),
    ],
)
def test_too_little_is_refused(runs, line):
    says(InputError, line, runs)


def test_couplings_ask_for_more():
    x = swings(60, 20, 2)
    x[:5, :10] = x[5, 0] = np.nan
    line = (
        "`tracks` must hold at least 2300 coordinates for 230 unknowns, got 2298; measure 1.0 times"
        " as many frames"
    )
    says(InputError, line, [tracks_of(x)], couplings=True)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"drag": "some"}, "`drag` must be one of each, shared, none, got 'some'"),
        ({"hold_out": 0.6}, "`hold_out` must be from 0 to 0.5, got 0.6"),
        ({"hold_out": np.nan}, "`hold_out` must be from 0 to 0.5, got nan"),
        ({"hold_out": -0.1}, "`hold_out` must be from 0 to 0.5, got -0.1"),
    ],
)
def test_options_that_are_none_are_refused(options, line):
    says(InputError, line, [LONG], **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"axis": "w"}, ("`axis`", "z", "'w'")),
        ({"axis": "x"}, ("`axis`", "z", "'x'")),  # directed forces of the simulator are about z
        ({"bootstrap": 19}, ("`bootstrap`", "20", "19")),
        ({"seed": -1}, ("`seed`", "-1")),
        ({"knots": 7}, ("`knots`", "8", "7")),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with refused(InputError, *words):
        discover([LONG], **options)


def test_runs_of_the_same_particles_have_as_many():
    with refused(InputError, "`same_particles` needs as many particles in every run, got 3, 4"):
        discover([LONG, tracks_of(swings(300, 3, 2))], same_particles=True)


def test_particles_that_never_meet_are_refused():
    x = np.full((600, 2, 2), np.nan)
    x[:280, 0], x[320:, 1] = swings(280, 1, 2)[:, 0], swings(280, 1, 2)[:, 0]
    with refused(InputError, "`tracks` must show particles together, got hardly a frame"):
        discover([tracks_of(x)])


def crystal(noise, frames=600):
    """Grains that have come to rest, and the noise of a camera."""
    system = nb.make_system("dust", wake_charge=0.0, temperature=0.0, drag=2.0)
    state, particles = system.sample(0, 5, dimensions=2)
    run = nb.simulate(system, state, particles, 1000 + frames)[0]
    assert np.abs(run.x[1000:] - run.x[-1]).max() < 1e-4
    return observe(run[1000:], noise=noise, seed=1)


def test_a_cold_crystal_does_not_tell_the_force():
    problem = problem_of([crystal(1e-3)], None, False, False, 8)
    start = begin(problem, (Envelope(-2.0, 1.0),))[-1]
    freedom = Freedom(directed=False)
    estimate = improve(start.problem, start.unknowns, freedom, Smoothness(1e-3, 1e-3), rounds=4)
    error = relative_error(estimate)
    assert error > 0.5
    for size, words in ((1.0, "its standard error is 100 % of it"), (200.0, "over 100 times")):
        known = replace(estimate, covariance=estimate.covariance * (size / error) ** 2)
        with refused(RunError, "do not tell the pair force", words, "heat the particles"):
            demand_told(known)


def test_a_liquid_tells_the_force(dust):
    assert relative_error(dust.estimate) < 0.1
    demand_told(dust.estimate)


def test_the_error_goes_down_with_the_root_of_the_frames(dust):
    few = replace(dust.estimate, covariance=4 * dust.estimate.covariance)
    assert relative_error(few) == pytest.approx(2 * relative_error(dust.estimate))


@pytest.mark.slow
def test_a_cold_crystal_is_refused():
    with refused(RunError, "these tracks do not tell the pair force", "heat the particles"):
        discover([crystal(1e-3)])


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_what_never_moves_is_refused(noise):
    x = np.tile(swings(1, 4, 2), (400, 1, 1))
    x += noise * np.random.default_rng(0).normal(size=x.shape)
    with refused(RunError, "these tracks do not tell the pair force"):
        discover([tracks_of(x)], bootstrap=20)


def alone(kind):
    """Exact tracks of four particles that do not act on each other, or seem not to."""
    rng = np.random.default_rng(0)
    t, x, v = 0.05 * np.arange(400)[:, None, None], rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    c, s = np.cos(0.7 * t), np.sin(0.7 * t)
    return {
        "drag": 2.0 * x - 2.0 * v * np.expm1(-0.5 * t),
        "straight": x + v * t,
        "rest": x + 0.0 * t,
        "trap": 3.0 + x * c + v * s,
        "rotation": 5.0 + np.stack([x[:, 0] * c[..., 0] - x[:, 1] * s[..., 0],
                                    x[:, 0] * s[..., 0] + x[:, 1] * c[..., 0]], -1),
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind", ["drag", "straight", "rest", "trap", "rotation"])
def test_exact_tracks_of_particles_that_move_by_themselves_are_refused(kind):
    """Rounding tells a pair force among them, and very well."""
    with refused(RunError, "these tracks do not tell the pair force", "of its own"):
        discover([tracks_of(alone(kind))], bootstrap=20)


def test_a_run_counts_once():
    run = tracks_of(swings(200, 4))
    with refused(InputError, "`tracks` must hold each run once", "in runs 0 and 1"):
        demand_tracks([run, replace(run, names=("e", "f", "g", "h"))], couplings=False)
    demand_tracks([run, replace(run, x=run.x + 1.0)], couplings=False)


def test_particles_that_feel_each_other_a_little_are_not_alone():
    x = alone("trap")
    x[:, 0] += 1e-5 * (x[:, 1] - x[:, 0]) / np.linalg.norm(x[:, 1] - x[:, 0], axis=-1)[:, None]
    demand_company([tracks_of(x)])
    demand_company(
        [tracks_of(alone("drag") + 1e-6 * np.random.default_rng(0).normal(size=x.shape))]
    )


@pytest.mark.slow
def test_what_moves_straight_on_is_refused():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 2)) + 0.05 * np.arange(400)[:, None, None] * rng.normal(size=(4, 2))
    x += 1e-3 * rng.normal(size=x.shape)
    with refused(RunError, "these tracks do not tell the pair force"):
        discover([tracks_of(x)], bootstrap=20)
