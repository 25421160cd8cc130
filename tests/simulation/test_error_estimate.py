"""Error estimates: closed forms, an oracle, what they must not depend on, files and restarts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nbody_surrogate.simulation.error_estimate.frame_solver as frame_solver
from nbody_surrogate import (
    Guard,
    InputError,
    Particles,
    Reporter,
    State,
    load,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.contracts.error_model import ErrorModel
from nbody_surrogate.contracts.model_card import Card
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.integrators.solver_doubt import solver_doubt
from nbody_surrogate.results.metrics import rmse, spread
from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator
from nbody_surrogate.simulation.error_estimate.frame_errors import (
    FrameErrors,
    bound_of,
    frame_bounds,
    frame_errors,
    vouched_for,
)
from nbody_surrogate.simulation.error_estimate.frame_solver import FrameSolver, PhaseSpace, rms
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from toy_surrogates import DT, Ballistic

CHARGED = make_system("charged")
BARE = ErrorModel(factors=(0.0,), frame_factor=0.0)
"""Of the finer estimate alone."""


class Offset(Ballistic):
    """Exact where no force acts, but for so much in each coordinate of each frame."""

    def __init__(self, size=1e-5):
        super().__init__()
        self.size = size

    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        return dx + self.size, dv - 2 * self.size


def free(batch=1, n=3):
    """Particles that nothing acts on."""
    rng = np.random.default_rng(5)
    x, v = rng.normal(size=(2, batch, n, 3))
    return State(0.0, x, v), Particles(np.zeros((batch, n)), np.ones((batch, n)))


def offset_run(size=1e-5, frames=12, batch=1, **options):
    options = {"observers": (), **options}
    return simulate(CHARGED, *free(batch), frames, surrogate_of(Offset(size)), **options)


def surrogate_of(model, error_model=BARE, segment=5):
    card = Card.of(model, CHARGED).model_copy(update={"error_model": error_model})
    return SurrogateIntegrator("toy", model=model, card=card, device="cpu", segment=segment)


def leapfrog_run(system, state, particles, frames=20, substeps=4, **options):
    method = make_integrator("leapfrog", substeps=substeps, segment=8)
    return simulate(system, state, particles, frames, method, error_estimate=True, **options)


def true_errors(run, state, particles):
    name = "dop853" if run.info.system["system"] == "penning" else "dop853-compiled"
    solver = make_integrator(name, rtol=1e-12, atol=1e-13)
    truth = simulate(run.system(), state, particles, len(run.t) - 1, solver)
    return rmse(truth.x, run.x)


# Frames of solvers in place of the method


def replayed(reference=None, frames=20):
    """A run of which a guard had all frames replayed, near encounters where leapfrog is poor."""
    state, particles = CHARGED.sample(11, 4, trajectories=8)
    state = State(0.0, 0.5 * state.x, state.v)
    guard = Guard("fallback", longest=1e-3, reference=reference)
    method = surrogate_of(Ballistic(), ErrorModel())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = simulate(CHARGED, state, particles, frames, method, guard=guard)
    assert run.info.guard.fallback_share == 1
    held = ErrorEstimator(Problem(CHARGED, particles, 0.0, DT), 3).extend(0, run.x, run.v)
    return run, held, true_errors(run, state, particles)[:, 1:]


def test_frames_of_a_solver_are_as_good_as_its_tolerances():
    """What the cheap solver finds of them is its own error."""
    run, held, true = replayed()
    estimate = run.error_estimate[:, 1:]
    assert (estimate >= true).mean() >= 0.95
    assert np.median(estimate[:, -1]) < 0.1 * np.median(held[:, -1])


def test_a_solver_without_tolerances_vouches_for_nothing():
    run, held, _ = replayed(make_integrator("leapfrog", substeps=64), frames=8)
    np.testing.assert_array_equal(run.error_estimate[:, 1:], held)


@pytest.mark.parametrize("rtol", [1e-9, 1e-6])
def test_a_frame_of_a_solver_is_within_what_it_vouches_for(rtol):
    state, particles = CHARGED.sample(2, 5, trajectories=32)
    state = State(0.0, 0.5 * state.x, state.v)
    solver = make_integrator("dop853-compiled", rtol=rtol)
    made = simulate(CHARGED, state, particles, 1, solver)
    doubt = solver_doubt(solver, made.x[:, 1])
    assert (true_errors(made, state, particles)[:, 1] <= doubt).mean() >= 0.95
    largest = np.abs(made.x[:, 1]).max((1, 2))
    np.testing.assert_allclose(doubt, 2 * (solver.options.atol + rtol * largest), rtol=1e-12)
    assert np.isnan(solver_doubt(make_integrator("leapfrog"), made.x)).all()


def test_what_is_vouched_for_replaces_only_what_is_known_worse():
    """In size, and not in direction: of three frames one is known better by itself."""
    rng = np.random.default_rng(0)
    fine, coarse = (PhaseSpace(*rng.normal(size=(2, 1, 3, 4, 3))) for _ in range(2))
    errors = FrameErrors(fine, coarse, fine, coarse)
    found = vouched_for(errors, BARE, np.array([[1e-3, 1e3, np.nan]]))
    assert rms(found.fine.x)[0, 0] == pytest.approx(1e-3)
    share = found.fine.x[0, 0] / fine.x[0, 0]
    np.testing.assert_allclose(share, share[0, 0])
    np.testing.assert_allclose(found.fine.v[0, 0] / fine.v[0, 0], share)
    for one, other in zip(found.coarse[:2], found.fine[:2], strict=True):
        np.testing.assert_array_equal(one[0, 0], other[0, 0])
    for before, after in ((fine, found.fine), (coarse, found.coarse)):
        np.testing.assert_array_equal(after.x[0, 1:], before.x[0, 1:])


def test_of_a_known_error_the_estimate_is_the_closed_form():
    """Each frame is off by s in x and -2 s in v: after n of them x is off by their sum."""
    size, n = 1e-5, np.arange(13)
    expected = np.abs(n * size - 2 * size * DT * n * (n - 1) / 2)
    estimate = offset_run(size).error_estimate
    np.testing.assert_allclose(estimate[0], 1.05 * expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("larger", [2.0, 100.0])
def test_it_grows_as_the_noise_does(larger):
    one, other = (offset_run(size).error_estimate[:, 1:] for size in (1e-6, larger * 1e-6))
    np.testing.assert_allclose(other, larger * one, rtol=1e-7, atol=1e-11)


def test_a_trajectory_has_the_same_bits_in_any_batch_and_any_segments():
    whole = offset_run(batch=3)
    state, particles = free(3)
    for b, segment in ((0, 5), (2, 50)):
        model = surrogate_of(Offset(), segment=segment)
        alone = simulate(CHARGED, state[b], particles[b], 12, model)
        assert np.array_equal(alone.error_estimate[0], whole.error_estimate[b])


@pytest.mark.parametrize("name", ["charged", pytest.param("trap", marks=pytest.mark.slow)])
def test_it_covers_the_true_error_and_is_sharp(name):
    """Not calibrated, so nearly always above; the median is within a factor of two."""
    system = make_system(name)
    state, particles = system.sample(11, 4, trajectories=24)
    run = leapfrog_run(system, state, particles)
    true = true_errors(run, state, particles)
    for frame in (1, 5, 20):
        ratio = run.error_estimate[:, frame] / true[:, frame]
        assert (ratio >= 1).mean() >= 0.93
        assert np.median(ratio) < 2


def test_it_saturates_at_the_size_of_the_cloud():
    system = make_system("trap")
    state, particles = system.sample(2, 8, trajectories=4)
    run = leapfrog_run(system, state, particles, frames=250, substeps=1)
    size = spread(run.x)[:, None]
    assert (run.error_estimate[:, -50:] > 0.3 * size).all()
    # its own size and a doubt, each of the difference of two clouds
    assert (run.error_estimate < 12 * size).all()


def seen_from_elsewhere(change):
    state, particles = CHARGED.sample(4, 6, trajectories=3)
    here = leapfrog_run(CHARGED, state, particles).error_estimate
    there = leapfrog_run(CHARGED, change(state), particles).error_estimate
    return here[:, 1:], there[:, 1:]


ROTATION = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: State(s.t, s.x + 1e4, s.v),
        lambda s: State(s.t, s.x, s.v + 10.0),
        lambda s: State(s.t, s.x @ ROTATION, s.v @ ROTATION),
        lambda s: State(s.t + 1e6, s.x, s.v),
    ],
    ids=["shift", "boost", "rotation", "time"],
)
def test_it_is_the_same_wherever_the_start_is_seen_from(change):
    here, there = seen_from_elsewhere(change)
    # positions near 1e4 are rounded by 1e-12, which errors of 1e-7 and their growth show
    np.testing.assert_allclose(there, here, rtol=1e-4)


def test_the_order_of_particles_does_not_matter():
    state, particles = CHARGED.sample(4, 6)
    order = np.array([3, 1, 5, 0, 2, 4])
    other = Particles(particles.charges[:, order], particles.masses[:, order])
    here = leapfrog_run(CHARGED, state, particles).error_estimate
    there = leapfrog_run(
        CHARGED, State(0.0, state.x[:, order], state.v[:, order]), other
    ).error_estimate
    np.testing.assert_allclose(there[:, 1:], here[:, 1:], rtol=1e-6)


@pytest.mark.parametrize("name", ["charged", "penning"])
def test_of_any_forces_compiled_or_not(name, monkeypatch):
    """In NumPy by a method of order 4, as for a system whose forces are no laws: the same error."""
    system = make_system(name)
    start = system.sample(1, 4)
    method = make_integrator("rk4", substeps=1)
    compiled = simulate(system, *start, 6, method, error_estimate=True)
    assert compiled.info.error_estimate.solver == ("boris" if name == "penning" else "leapfrog")
    monkeypatch.setattr(frame_solver, "COMPILED", {})
    plain = simulate(system, *start, 6, method, error_estimate=True)
    assert plain.info.error_estimate.solver == "rk4 in NumPy"
    true = true_errors(plain, *start)[:, 1:]
    for run in (compiled, plain):
        assert (run.error_estimate[:, 1:] >= 0.999 * true - 1e-12).all()


def test_single_frames_are_bounded():
    run, solver = offset_run(1e-4, batch=2), FrameSolver(CHARGED, DT)

    def bounded(x, v):
        errors = frame_errors(solver, run.particles, PhaseSpace(x, v), ErrorModel().substeps)
        return frame_bounds(errors, ErrorModel())

    found = bounded(run.x, run.v)
    assert found.shape == (2, 12)
    np.testing.assert_allclose(found, 1.05e-4, rtol=1e-6)
    few = bounded(run.x[:, 3:6], run.v[:, 3:6])
    np.testing.assert_array_equal(few, found[:, 3:5])


def test_the_doubt_is_at_least_5_percent_so_that_no_last_digits_decide():
    size = np.array([[1.0, 1.0, 0.0]])
    found = bound_of(size, np.array([[1e-9, 0.5, 0.25]]))
    np.testing.assert_allclose(found, [[1.05, 1.5, 0.25]], rtol=1e-14)


def test_who_has_an_estimate():
    """A surrogate, unless it is switched off; a solver where it is asked for."""
    state, particles = CHARGED.sample(0, 3)
    assert offset_run().error_estimate.shape == (1, 13)
    off = offset_run(error_estimate=False)
    assert off.error_estimate is None
    assert off.info.error_estimate is None
    assert not off.observables
    assert simulate(CHARGED, state, particles, 2, "leapfrog").error_estimate is None
    assert np.array_equal(off.x, offset_run().x)


def test_frames_that_are_no_data_have_none():
    class Bursts(Offset):
        def forward(self, x, v, particles):
            dx, dv = super().forward(x, v, particles)
            return dx * float("nan") if (x[..., 0] > 2.0).any() else dx, dv

    state = State(0.0, np.array([[[1.5, 0, 0]], [[-50.0, 0, 0]]]), np.ones((2, 1, 3)))
    particles = Particles(np.zeros((2, 1)), np.ones((2, 1)))
    runs = [simulate(CHARGED, state[b], particles[b], 12, surrogate_of(Bursts())) for b in range(2)]
    stopped = runs[0].valid_frames[0]
    assert stopped < 13
    assert np.isfinite(runs[0].error_estimate[0, :stopped]).all()
    assert np.isnan(runs[0].error_estimate[0, stopped:]).all()
    assert np.isfinite(runs[1].error_estimate).all()


def test_it_is_stored_and_read_back(tmp_path):
    run = offset_run(output=tmp_path / "run.h5")
    read = load(tmp_path / "run.h5")
    assert np.array_equal(read.error_estimate, run.error_estimate)
    assert read.info.error_estimate == run.info.error_estimate
    assert read.info.error_estimate.label == "not calibrated"
    run[0].save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as arrays:
        assert np.array_equal(arrays["observable_error_estimate"], run.error_estimate[0])
    assert np.array_equal(read[0, ::3].error_estimate, run.error_estimate[0, ::3])
    run[0].save(tmp_path / "run.extxyz")  # which has no place for it, and warns of reporters alone


def test_no_reporter_takes_its_name():
    with pytest.raises(InputError, match="'error_estimate'"):
        Reporter("error_estimate", lambda t, x, v, particles: x[..., 0, 0])


def test_factors_between_ages_follow_the_logarithm():
    model = ErrorModel(ages=(1, 100), factors=(0.1, 0.3))
    np.testing.assert_allclose(model.factor(np.array([1, 10, 100, 999])), [0.1, 0.2, 0.3, 0.3])
    for wrong in ({"ages": (2, 1), "factors": (1.0, 1.0)}, {"factors": (1.0, 2.0)}):
        with pytest.raises(ValueError, match="must"):
            ErrorModel(**wrong)
