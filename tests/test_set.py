"""SET: its symmetries and conservation laws hold whatever the weights; the shipped ones are good.

Every property is checked on the shipped weights and on randomly perturbed ones, in float64, over
particle numbers, dimensions, window lengths, unequal masses and unequal charges.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nbody_set.model import SET, SETConfig
from nbody_surrogate.registry import make_integrator, make_system
from nbody_surrogate.simulation import simulate
from nbody_surrogate.state import Particles, State
from nbody_surrogate.surrogate import ParticleTensors
from nbody_surrogate.surrogate_integrator import SurrogateIntegrator
from nbody_surrogate.weights import load_weights

DT = 0.1  # frame spacing of the shipped weights and of SETConfig's default
EPS = np.finfo(np.float64).eps

EXACT = 1e-10
"""Symmetries, relative to the larger of 1 and the increments: what is exact in real numbers is
off by rounding, 1e-16, times the growth of a perturbation within one frame, which a close pair
and strong random weights make as large as 1e4; a broken symmetry is off by 1e-3 and more."""

ROUNDING = 1e-12
"""Conservation, streaming and batching do not depend on how a perturbation grows: only sums are
taken in another order."""

SINGLE = 1e-4
"""float32 against float64, likewise relative: 1e-7 times the growth of a close pair."""

GROWTH_FACTOR = 100.0
"""A rotated roll-out against the measured growth of a rounding perturbation: each of the K = 8
sub-steps of a frame rounds anew, where the measured perturbation is made once."""

BEST_LEAPFROG = 10.0
"""How many times the one-step error of the shipped weights must lie below that of a leapfrog
with as many force evaluations. An untrained SET is that leapfrog, about, and has 1."""

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=12)


class Window(NamedTuple):
    """Frames x, v (B, T, N, D) and charges, masses (B, N)."""

    x: torch.Tensor
    v: torch.Tensor
    particles: ParticleTensors

    @property
    def shape(self):
        return self.x.shape

    def frames(self, which):
        return self._replace(x=self.x[:, which], v=self.v[:, which])

    def of(self, model):
        """Increments of all frames, (B, T, N, D)."""
        with torch.no_grad():
            return model(self.x, self.v, self.particles)


def make_window(seed=0, batch=2, frames=4, n=5, dims=3, spread=1.0):
    """Nearly uniform motion with noise: no solution of any equation, as symmetries need none."""
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=(2, batch, 1, n, dims))
    times = DT * np.arange(frames)[:, None, None]
    x = spread * x + v * times + 0.01 * rng.normal(size=(batch, frames, n, dims))
    v = v + 0.1 * rng.normal(size=(batch, frames, n, dims))
    charges = rng.choice([-1.0, 1.0, 0.0, 0.5, -2.0], size=(batch, n))
    masses = rng.uniform(0.3, 4.0, size=(batch, n))
    return Window(
        torch.from_numpy(x),
        torch.from_numpy(v),
        ParticleTensors(torch.from_numpy(charges), torch.from_numpy(masses)),
    )


windows = st.builds(
    make_window,
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(1, 6),
    n=st.integers(1, 8),
    dims=st.sampled_from([2, 3]),
)


def perturbed_set(config=None):
    """Random weights: the initial ones, every entry of which is moved."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SET(config or SETConfig()).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def shipped():
    """The shipped weights in float64."""
    return load_weights(SET.shipped_weights["set"], "set", SET)[0].double()


@pytest.fixture(scope="module", params=["shipped", "perturbed"])
def model(request):
    return request.getfixturevalue("shipped") if request.param == "shipped" else perturbed_set()


def orthogonal(seed, dims, determinant):
    """A random rotation (determinant +1) or improper rotation (-1)."""
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(dims, dims)))[0]
    q[:, 0] *= determinant * np.sign(np.linalg.det(q))
    return torch.from_numpy(q)


def assert_close(got, wanted, tolerance):
    """Compare two pairs of increments (dx, dv), relative to the larger of 1 and their scale."""
    scale = max([1.0, *(float(y.abs().max()) for y in wanted)])
    for name, one, other in zip(("dx", "dv"), got, wanted, strict=True):
        error = float((one.double() - other).abs().max())
        assert error <= tolerance * scale, f"{name} is off by {error:.1e} at a scale of {scale:.1e}"


# Symmetries: one step from a transformed window is the transformed step.


@pytest.mark.parametrize("determinant", [1, -1], ids=["rotation", "reflection"])
@repeatable
@given(window=windows, seed=st.integers(0, 10**6))
def test_rotated_and_reflected_windows(model, determinant, window, seed):
    q = orthogonal(seed, window.shape[-1], determinant)
    dx, dv = window.of(model)
    turned = window._replace(x=window.x @ q, v=window.v @ q)
    assert_close(turned.of(model), (dx @ q, dv @ q), EXACT)


@repeatable
@given(window=windows, seed=st.integers(0, 10**6))
def test_translated_windows(model, window, seed):
    shift = torch.from_numpy(np.random.default_rng(seed).normal(size=window.shape[-1]) * 10.0)
    assert_close(window._replace(x=window.x + shift).of(model), window.of(model), EXACT)


@repeatable
@given(window=windows, seed=st.integers(0, 10**6))
def test_permuted_particles(model, window, seed):
    order = torch.from_numpy(np.random.default_rng(seed).permutation(window.shape[2]))
    charges, masses = (y[:, order] for y in window.particles)
    particles = ParticleTensors(charges, masses)
    shuffled = Window(window.x[:, :, order], window.v[:, :, order], particles)
    dx, dv = window.of(model)
    assert_close(shuffled.of(model), (dx[:, :, order], dv[:, :, order]), EXACT)


@repeatable
@given(window=windows, seed=st.integers(0, 10**6))
def test_uniform_motion(model, window, seed):
    """x + u t, v + u: the same motion seen from a moving train."""
    u = torch.from_numpy(np.random.default_rng(seed).normal(size=window.shape[-1]) * 3.0)
    times = 5.0 + DT * torch.arange(window.shape[1], dtype=torch.float64)[:, None, None]
    dx, dv = window.of(model)
    boosted = window._replace(x=window.x + u * times, v=window.v + u)
    assert_close(boosted.of(model), (dx + u * DT, dv), EXACT)


@repeatable
@given(window=windows)
def test_exchanged_signs_of_all_charges(model, window):
    opposite = window.particles._replace(charges=-window.particles.charges)
    assert_close(window._replace(particles=opposite).of(model), window.of(model), EXACT)


@repeatable
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 8), dims=st.sampled_from([2, 3]))
def test_time_shift(model, seed, n, dims):
    """Windows of a longer trajectory give its increments, wherever they lie."""
    history = model.config.history
    long = make_window(seed, frames=history + 6, n=n, dims=dims)
    dx, dv = long.of(model)
    for first in range(long.shape[1] - history + 1):
        short = long.frames(slice(first, first + history))
        last = slice(first + history - 1, first + history)
        got = tuple(y[:, -1:] for y in short.of(model))
        assert_close(got, (dx[:, last], dv[:, last]), EXACT)


def test_declared_symmetries_are_those_tested_and_within_the_systems():
    tested = {"rotation", "reflection", "translation", "permutation", "boost", "time-shift"}
    assert SET.symmetries == tested | {"charge-conjugation"}
    assert SET.symmetries <= make_system("charged").symmetries


# Conservation


def angular_momentum(x, v, masses):
    """Sum of m (x_a v_b - x_b v_a) over particles, for all pairs of axes."""
    tensor = x[..., :, None] * v[..., None, :]
    tensor = tensor - tensor.transpose(-1, -2)
    return (masses[:, None, :, None, None] * tensor).sum(2)


@repeatable
@given(window=windows)
def test_momentum_and_centre_of_mass(model, window):
    dx, dv = window.of(model)
    masses = window.particles.masses[:, None, :, None]
    momentum = (masses * window.v).sum(2)
    zero = torch.zeros_like(momentum)
    scale = max(1.0, float((masses * dv).abs().sum(2).max()))
    assert_close(((masses * dv).sum(2) / scale, zero), (zero, zero), ROUNDING)
    assert_close(((masses * dx).sum(2), zero), (DT * momentum, zero), ROUNDING)


@repeatable
@given(window=windows)
def test_angular_momentum(model, window):
    x, v, masses = window.x, window.v, window.particles.masses
    dx, dv = window.of(model)
    before, after = angular_momentum(x, v, masses), angular_momentum(x + dx, v + dv, masses)
    terms = masses[:, None, :, None] * (x + dx).abs().amax(-1, True) * (v + dv).abs().amax(-1, True)
    scale = max(1.0, float(terms.sum(2).max()))
    assert float((after - before).abs().max()) <= ROUNDING * scale


@pytest.mark.parametrize("charge", [0.0, 1.0], ids=["neutral", "charged"])
def test_remote_particles_are_felt_through_the_coulomb_pull_alone(model, charge):
    """A resting particle at 1e6, whose pull is k q q' / (m r^2), 1e-12, and no more."""
    far = 1e6
    near = make_window(3, frames=3, n=5, spread=3.0)  # no close pair, which would respond
    batch, frames, _, dims = near.shape
    away = torch.zeros((batch, frames, 1, dims), dtype=torch.float64)
    away[..., 0] = far
    charges, masses = near.particles
    one = torch.ones((batch, 1), dtype=torch.float64)
    both = Window(
        torch.cat([near.x, away], 2),
        torch.cat([near.v, torch.zeros_like(away)], 2),
        ParticleTensors(torch.cat([charges, charge * one], 1), torch.cat([masses, one], 1)),
    )
    pull = torch.zeros_like(near.v)
    pull[..., 0] = -(charge * charges / masses)[:, None] / far**2
    (dx, dv), (alone_x, alone_v) = both.of(model), near.of(model)
    rounding = 20 * EPS * float(alone_v.abs().max())
    # a tenth of the pull: it acts on a pair's halves differently, and the pair answers
    allowed = 0.1 * DT * float(pull.abs().max()) + rounding
    assert float((dv[:, :, :-1] - alone_v - DT * pull).abs().max()) <= allowed
    assert (
        float((dx[:, :, :-1] - alone_x - DT**2 / 2 * pull).abs().max()) <= DT * allowed + rounding
    )
    if charge == 0.0:
        assert float(dv[:, :, -1].abs().max()) <= EPS


# Causality, history and streaming


@repeatable
@given(window=windows, frame=st.integers(0, 4))
def test_future_frames_change_nothing(model, window, frame):
    other = make_window(77, frames=window.shape[1], n=window.shape[2], dims=window.shape[3])
    changed = window._replace(x=window.x.clone(), v=window.v.clone())
    changed.x[:, frame + 1 :] = other.x[:, frame + 1 :]
    changed.v[:, frame + 1 :] = other.v[:, frame + 1 :]
    for before, after in zip(window.of(model), changed.of(model), strict=True):
        assert torch.equal(before[:, : frame + 1], after[:, : frame + 1])


def test_frames_older_than_the_history_change_nothing_and_younger_ones_do(model):
    history = model.config.history
    window = make_window(4, frames=history + 3)
    for age in range(1, history + 3):
        changed = window._replace(x=window.x.clone(), v=window.v.clone())
        frame = window.shape[1] - 1 - age
        changed.x[:, frame] = make_window(78, frames=1).x[:, 0]
        changed.v[:, frame] = make_window(78, frames=1).v[:, 0]
        same = all(
            torch.equal(before[:, -1], after[:, -1])
            for before, after in zip(window.of(model), changed.of(model), strict=True)
        )
        assert same == (age >= history), f"a frame that is {age} frames old"


@repeatable
@given(window=windows, started=st.integers(0, 6))
def test_streaming_equals_the_whole_window(model, window, started):
    """Also from a cache that starts after some frames; N = 1 is among the windows."""
    dx, dv = window.of(model)
    frames = window.shape[1]
    started = min(started, frames - 1)
    with torch.no_grad():
        before = window.frames(slice(0, started))
        cache = model.start_cache(before.x, before.v, window.particles)
        for t in range(started, frames):
            x, v = window.x[:, t], window.v[:, t]
            *step, cache = model.step_cache(cache, x, v, window.particles)
            assert_close(step, (dx[:, t], dv[:, t]), ROUNDING)


@pytest.mark.parametrize("history", [1, 2, 7])
def test_streaming_with_other_histories(history):
    model, window = perturbed_set(SETConfig(history=history, width=4, substeps=2)), make_window(5)
    dx, dv = window.of(model)
    with torch.no_grad():
        cache = model.start_cache(window.x[:, :0], window.v[:, :0], window.particles)
        for t in range(window.shape[1]):
            *step, cache = model.step_cache(cache, window.x[:, t], window.v[:, t], window.particles)
            assert_close(step, (dx[:, t], dv[:, t]), ROUNDING)


# What every model must do


@repeatable
@given(window=windows)
def test_a_batch_equals_its_members(model, window):
    dx, dv = window.of(model)
    for b in range(window.shape[0]):
        one = Window(
            window.x[b : b + 1],
            window.v[b : b + 1],
            ParticleTensors(*(y[b : b + 1] for y in window.particles)),
        )
        assert_close(one.of(model), (dx[b : b + 1], dv[b : b + 1]), ROUNDING)


def test_inputs_and_cache_are_left_alone(model):
    window = make_window(6)
    kept = copy.deepcopy(window)
    window.of(model)
    with torch.no_grad():
        cache = model.start_cache(window.x[:, :2], window.v[:, :2], window.particles)
        kept_cache = {key: value.clone() for key, value in cache.items()}
        model.step_cache(cache, window.x[:, 2], window.v[:, 2], window.particles)
    assert all(torch.equal(cache[key], kept_cache[key]) for key in kept_cache)
    assert torch.equal(window.x, kept.x)
    assert torch.equal(window.v, kept.v)
    assert all(map(torch.equal, window.particles, kept.particles))


@repeatable
@given(window=windows)
def test_single_precision_is_close_to_double(model, window):
    particles = ParticleTensors(*(y.float() for y in window.particles))
    got = window._replace(particles=particles).of(copy.deepcopy(model).float())
    assert all(y.dtype is torch.float32 for y in got)
    assert_close(got, window.of(model), SINGLE)


def test_differences_are_taken_before_the_cast():
    """Far from the origin float32 positions would lose the distances altogether."""
    model = perturbed_set().float()
    window = make_window(9)
    particles = ParticleTensors(*(y.float() for y in window.particles))
    here = window._replace(particles=particles)
    there = here._replace(x=here.x + 1e6)  # float64 keeps 1e-10 there, float32 0.06
    wanted = tuple(y.double() for y in here.of(model))
    assert_close(there.of(model), wanted, SINGLE)


def test_the_same_parameters_serve_any_number_of_particles(model):
    counts = set()
    for n in (1, 2, 5, 8):
        dx, dv = make_window(8, n=n).of(model)
        assert dx.shape == dv.shape == (2, 4, n, 3)
        counts.add(sum(parameter.numel() for parameter in model.parameters()))
    assert len(counts) == 1


def test_one_particle_moves_uniformly(model):
    window = make_window(10, n=1)
    dx, dv = window.of(model)
    assert_close((dx, dv), (DT * window.v, torch.zeros_like(dv)), ROUNDING)


@pytest.mark.parametrize("together", [2, 5])
def test_coincident_particles_give_finite_increments_and_gradients(model, together):
    window = make_window(11)
    x, v = window.x.clone(), window.v.clone()
    x[:, :, :together], v[:, :, :together] = x[:, :, :1], v[:, :, :1]
    x.requires_grad_()
    dx, dv = model(x, v, window.particles)
    (gradient,) = torch.autograd.grad(dx.sum() + dv.square().sum(), x)
    assert all(bool(torch.isfinite(y).all()) for y in (dx, dv, gradient))


def test_a_model_can_be_trained_after_a_roll_out():
    """A roll-out runs in inference mode; what it leaves behind must not stop a gradient."""
    window = make_window(n=11)  # a number of particles that nothing before has met
    model = perturbed_set(SETConfig(width=4, substeps=2))
    with torch.inference_mode():
        model(window.x, window.v, window.particles)
    dx, _ = model(window.x, window.v, window.particles)
    dx.square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters())


def tensors(particles):
    return ParticleTensors.from_particles(particles, "cpu", torch.float64)


# The shipped weights


def roll_out(state, particles, frames=50):
    integrator = SurrogateIntegrator("set", dtype="float64", device="cpu")
    return simulate(make_system("charged"), state, particles, frames, integrator).x


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rotated_start_rolls_out_to_the_rotated_trajectory(seed):
    copies = 4
    state, particles = make_system("charged").sample(seed, 6)
    rng = np.random.default_rng(seed)
    q = orthogonal(seed, 3, -1).numpy()
    nearby = State(
        0.0, *(y * (1 + 1e-15 * rng.normal(size=(copies, 6, 3))) for y in (state.x, state.v))
    )
    many = Particles(*(np.repeat(y, copies, 0) for y in (particles.charges, particles.masses)))
    plain = roll_out(state, particles)
    turned = roll_out(State(0.0, state.x @ q, state.v @ q), particles)
    growth = np.abs(roll_out(nearby, many) - plain).max((0, 2, 3))  # at each frame
    growth = np.maximum(np.maximum.accumulate(growth), EPS * np.abs(plain).max())
    apart = np.abs(turned - plain @ q).max((0, 2, 3))
    assert (apart <= GROWTH_FACTOR * growth).all()
    assert growth[-1] < 1e-9  # else these starts say nothing


def test_shipped_weights_beat_a_leapfrog_of_as_many_sub_steps(shipped):
    system, substeps = make_system("charged"), shipped.config.substeps
    assert substeps == 8
    state, particles = system.sample(7, 5, 6)
    solver = make_integrator("dop853", rtol=1e-11, atol=1e-11)
    truth = simulate(system, state, particles, 20, solver)
    window = Window(torch.tensor(truth.x), torch.tensor(truth.v), tensors(particles))
    dx = window.frames(slice(0, -1)).of(shipped)[0].numpy()
    learned = np.mean((truth.x[:, :-1] + dx - truth.x[:, 1:]) ** 2)

    frames = truth.x.shape[1] - 1
    starts = State(0.0, *(y[:, :-1].reshape(-1, 5, 3) for y in (truth.x, truth.v)))
    many = Particles(*(np.repeat(y, frames, 0) for y in (particles.charges, particles.masses)))
    leapfrog = simulate(system, starts, many, 1, make_integrator("leapfrog", substeps=substeps))
    classical = np.mean((leapfrog.x[:, 1] - truth.x[:, 1:].reshape(-1, 5, 3)) ** 2)
    assert learned * BEST_LEAPFROG <= classical, f"{learned:.1e} against {classical:.1e}"
