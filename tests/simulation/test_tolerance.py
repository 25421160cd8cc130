"""A tolerance for surrogates: which frames go to the solver, and what becomes of the rest."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate import InputError, load, make_integrator, make_system, simulate
from nbody_surrogate.contracts.error_model import ErrorModel
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from toy_surrogates import THREE, Ballistic

CHARGED = make_system("charged")
FRAMES = 20


class Bumpy(Ballistic):
    """Exact where no force acts, but for a jump of 0.01 where the first particle is at x > 1."""

    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        bump = ((x[..., :1, :1] > 1.0) & (x[..., :1, :1] < 1.45)).to(self.dtype)
        return dx + 0.01 * bump, dv


def bumpy(segment=7, config=THREE):
    model = Bumpy(config)
    card = Card.of(model, CHARGED).model_copy(update={"error_model": ErrorModel()})
    return SurrogateIntegrator("toy", model=model, card=card, device="cpu", segment=segment)


def start(batch=1):
    """The first particle of each trajectory is at x = 0.1 n at frame n; the others stay away."""
    x = np.zeros((batch, 2, 3))
    x[:, 1] = [-3.0, 1.0, 0.0]
    x[1:, 0, 0] = -30.0
    v = np.zeros_like(x)
    v[:, 0, 0] = 1.0
    return State(0.0, x, v), Particles(np.zeros((batch, 2)), np.ones((batch, 2)))


def run_of(tolerance=1e-4, batch=1, segment=7, **options):
    return simulate(CHARGED, *start(batch), FRAMES, bumpy(segment), tolerance=tolerance, **options)


@pytest.mark.parametrize("segment", [5, 7, 50])
def test_frames_beyond_it_are_made_by_the_solver(segment):
    run = run_of(segment=segment)
    # from frames 11 to 14 each next one would be off
    report = run.info.tolerance
    assert (report.frames, report.by_solver) == (FRAMES, 4)
    np.testing.assert_allclose(run.x[0, :, 0, 0], 0.1 * np.arange(FRAMES + 1), atol=1e-9)
    assert run.error_estimate.max() < 1e-9
    assert run_of(tolerance=1.0).x[0, -1, 0, 0] > 2.01


def test_what_it_does_not_concern_keeps_its_bits():
    free = simulate(CHARGED, *start(3), FRAMES, bumpy())
    run = run_of(batch=3)
    assert np.array_equal(run.x[1:], free.x[1:])
    assert not np.array_equal(run.x[0], free.x[0])
    assert run.info.tolerance.frames == 3 * FRAMES
    loose = run_of(tolerance=1.0, batch=3)
    assert np.array_equal(loose.x, free.x)
    assert (loose.info.tolerance.by_solver, loose.info.tolerance.discarded) == (0, 0)


def test_the_same_run_has_the_same_bits():
    one, other = run_of(batch=2), run_of(batch=2)
    assert np.array_equal(one.x, other.x)
    assert np.array_equal(one.error_estimate, other.error_estimate)


def test_little_is_made_in_vain():
    """After the first, frames are tried one by one, then twice as many each time."""
    run = run_of(segment=50)
    report = run.info.tolerance
    assert report.discarded <= (FRAMES - 10) + 4
    assert run.info.counters["tolerance_nfev"] > 0


def test_where_all_frames_are_beyond_it_is_the_solver_s_run():
    state, particles = CHARGED.sample(3, 4)
    run = simulate(CHARGED, state, particles, 12, bumpy(), tolerance=1e-9)
    truth = simulate(CHARGED, state, particles, 12, "dop853")
    assert run.info.tolerance.by_solver == 12
    np.testing.assert_allclose(run.x, truth.x, atol=1e-6)


def test_it_is_stored(tmp_path):
    run = run_of(output=tmp_path / "run.h5")
    assert load(tmp_path / "run.h5").info.tolerance == run.info.tolerance


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_tolerance_is_refused(tolerance):
    with pytest.raises(InputError, match="`tolerance`"):
        run_of(tolerance)


def test_a_solver_has_its_own():
    with pytest.raises(InputError, match=r"`tolerance` .* 'leapfrog' is none"):
        simulate(CHARGED, *start(), 2, make_integrator("leapfrog"), tolerance=1e-3)
