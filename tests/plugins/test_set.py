"""SET: its symmetries and conservation laws hold whatever the weights; the shipped ones are good.

Every property is checked on all shipped weights and, for each prior, on randomly perturbed ones,
in float64, over particle numbers, dimensions, window lengths, unequal masses and unequal charges;
what the isotropic trap has too, in it as well.
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
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from nbody_surrogate.surrogates.weights import load_weights

pytestmark = pytest.mark.usefixtures("one_thread")

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

TRAP = make_system("trap").force_laws().field
"""Isotropic, of frequency 0.5; about the origin."""

repeatable = settings(derandomize=True, deadline=None, database=None, max_examples=8)


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

    def members(self, b):
        """Some trajectories of the batch."""
        charges, masses, field = self.particles
        return Window(self.x[b], self.v[b], ParticleTensors(charges[b], masses[b], field))

    def single(self):
        """The same window with constants in single precision."""
        charges, masses, field = self.particles
        return self._replace(particles=ParticleTensors(charges.float(), masses.float(), field))

    def of(self, model):
        """Increments of all frames, (B, T, N, D)."""
        with torch.no_grad():
            return model(self.x, self.v, self.particles)


def make_window(seed=0, batch=2, frames=4, n=5, dims=3, spread=1.0, field=None):
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
        ParticleTensors(torch.from_numpy(charges), torch.from_numpy(masses), field),
    )


def windows_in(*fields):
    return st.builds(
        make_window,
        seed=st.integers(0, 2**32 - 1),
        frames=st.integers(1, 6),
        n=st.integers(1, 12),
        dims=st.sampled_from([2, 3]),
        field=st.sampled_from(fields),
    )


free, trapped, windows = windows_in(None), windows_in(TRAP), windows_in(None, TRAP)


def perturbed_set(config=None):
    """Random weights: the initial ones, every entry of which is moved."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SET(config or SETConfig()).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module", params=[*SET.shipped_weights, "coulomb", "kernel", "none"])
def model(request):
    """In turn each set of shipped weights, and random ones with each prior."""
    if request.param in SET.shipped_weights:
        return load_weights(SET.shipped_weights[request.param], "set", SET)[0].double()
    return perturbed_set(SETConfig(prior=request.param))


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


@repeatable
@given(window=windows, determinant=st.sampled_from([1, -1]), seed=st.integers(0, 10**6))
def test_rotated_and_reflected_windows(model, determinant, window, seed):
    q = orthogonal(seed, window.shape[-1], determinant)
    dx, dv = window.of(model)
    turned = window._replace(x=window.x @ q, v=window.v @ q)
    assert_close(turned.of(model), (dx @ q, dv @ q), EXACT)


@repeatable
@given(window=free, seed=st.integers(0, 10**6))
def test_translated_windows(model, window, seed):
    shift = torch.from_numpy(np.random.default_rng(seed).normal(size=window.shape[-1]) * 10.0)
    assert_close(window._replace(x=window.x + shift).of(model), window.of(model), EXACT)


@repeatable
@given(window=windows, seed=st.integers(0, 10**6))
def test_permuted_particles(model, window, seed):
    order = torch.from_numpy(np.random.default_rng(seed).permutation(window.shape[2]))
    charges, masses, field = window.particles
    particles = ParticleTensors(charges[:, order], masses[:, order], field)
    shuffled = Window(window.x[:, :, order], window.v[:, :, order], particles)
    dx, dv = window.of(model)
    assert_close(shuffled.of(model), (dx[:, :, order], dv[:, :, order]), EXACT)


@repeatable
@given(window=free, seed=st.integers(0, 10**6))
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
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 12),
    dims=st.sampled_from([2, 3]),
    field=st.sampled_from([None, TRAP]),
)
def test_time_shift(model, seed, n, dims, field):
    """Windows of a longer trajectory give its increments, wherever they lie."""
    history = model.config.history
    long = make_window(seed, frames=history + 4, n=n, dims=dims, field=field)
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
    assert SET.symmetries <= make_system("trap").pair_symmetries


# Conservation


def angular_momentum(x, v, masses):
    """Sum of m (x_a v_b - x_b v_a) over particles, for all pairs of axes."""
    tensor = x[..., :, None] * v[..., None, :]
    tensor = tensor - tensor.transpose(-1, -2)
    return (masses[:, None, :, None, None] * tensor).sum(2)


@repeatable
@given(window=free)
def test_momentum_and_centre_of_mass(model, window):
    dx, dv = window.of(model)
    masses = window.particles.masses[:, None, :, None]
    momentum = (masses * window.v).sum(2)
    zero = torch.zeros_like(momentum)
    scale = max(1.0, float((masses * dv).abs().sum(2).max()))
    assert_close(((masses * dv).sum(2) / scale, zero), (zero, zero), ROUNDING)
    assert_close(((masses * dx).sum(2), zero), (DT * momentum, zero), ROUNDING)


@repeatable
@given(window=trapped)
def test_the_centre_of_mass_in_the_trap_moves_as_one_particle(model, window):
    """Kohn's theorem, of the model: the trap pulls all masses alike, so for any masses."""
    weights = window.particles.masses / window.particles.masses.sum(1, keepdim=True)
    x, v, dx, dv = (
        (weights[:, None, :, None] * y).sum(2, keepdim=True)
        for y in (window.x, window.v, *window.of(model))
    )
    one = torch.ones((window.shape[0], 1), dtype=torch.float64)
    alone = Window(x, v, ParticleTensors(one, one, TRAP)).of(model)
    scale = max(1.0, *(float(y.abs().max()) for y in window.of(model)))
    assert_close((dx / scale, dv / scale), tuple(y / scale for y in alone), ROUNDING)


@repeatable
@given(window=windows)
def test_angular_momentum(model, window):
    x, v, masses = window.x, window.v, window.particles.masses
    dx, dv = window.of(model)
    before, after = angular_momentum(x, v, masses), angular_momentum(x + dx, v + dv, masses)
    terms = masses[:, None, :, None] * (x + dx).abs().amax(-1, True) * (v + dv).abs().amax(-1, True)
    scale = max(1.0, float(terms.sum(2).max()))
    assert float((after - before).abs().max()) <= ROUNDING * scale


def far_coupling(model):
    """k of the prior's pull k q q' / r^2 at large distances."""
    prior = model.prior
    known = {"coulomb": lambda: prior.coupling, "kernel": lambda: prior.far.item()}
    return known.get(prior.kind, lambda: 0.0)()


@pytest.mark.parametrize("charge", [0.0, 1.0], ids=["neutral", "charged"])
def test_remote_particles_are_felt_through_the_pull_of_the_prior_alone(model, charge):
    """A resting particle at 1e6, whose pull is k q q' / (m r^2), 1e-12, and no more."""
    far, coupling = 1e6, far_coupling(model)
    near = make_window(3, frames=3, n=5, spread=3.0)  # no close pair, which would respond
    batch, frames, _, dims = near.shape
    away = torch.zeros((batch, frames, 1, dims), dtype=torch.float64)
    away[..., 0] = far
    charges, masses, _ = near.particles
    one = torch.ones((batch, 1), dtype=torch.float64)
    both = Window(
        torch.cat([near.x, away], 2),
        torch.cat([near.v, torch.zeros_like(away)], 2),
        ParticleTensors(torch.cat([charges, charge * one], 1), torch.cat([masses, one], 1)),
    )
    pull = torch.zeros_like(near.v)
    pull[..., 0] = -(coupling * charge * charges / masses)[:, None] / far**2
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
        one = slice(b, b + 1)
        assert_close(window.members(one).of(model), (dx[one], dv[one]), ROUNDING)


@pytest.mark.parametrize("field", [None, TRAP], ids=["free", "trapped"])
def test_inputs_and_cache_are_left_alone(model, field):
    window = make_window(6, field=field)
    kept = copy.deepcopy(window)
    window.of(model)
    with torch.no_grad():
        cache = model.start_cache(window.x[:, :2], window.v[:, :2], window.particles)
        kept_cache = {key: value.clone() for key, value in cache.items()}
        model.step_cache(cache, window.x[:, 2], window.v[:, 2], window.particles)
    assert all(torch.equal(cache[key], kept_cache[key]) for key in kept_cache)
    assert torch.equal(window.x, kept.x)
    assert torch.equal(window.v, kept.v)
    assert all(map(torch.equal, window.particles[:2], kept.particles[:2]))


@repeatable
@given(window=windows)
def test_single_precision_is_close_to_double(model, window):
    got = window.single().of(copy.deepcopy(model).float())
    assert all(y.dtype is torch.float32 for y in got)
    assert_close(got, window.of(model), SINGLE)


def test_differences_are_taken_before_the_cast():
    """Far from the origin float32 positions would lose the distances altogether."""
    model = perturbed_set().float()
    here = make_window(9).single()
    there = here._replace(x=here.x + 1e6)  # float64 keeps 1e-10 there, float32 0.06
    wanted = tuple(y.double() for y in here.of(model))
    assert_close(there.of(model), wanted, SINGLE)


def test_the_same_parameters_serve_any_number_of_particles(model):
    counts = set()
    for n in (1, 2, 5, 12):
        dx, dv = make_window(8, n=n).of(model)
        assert dx.shape == dv.shape == (2, 4, n, 3)
        counts.add(sum(parameter.numel() for parameter in model.parameters()))
    assert len(counts) == 1


def test_one_particle_moves_uniformly(model):
    window = make_window(10, n=1)
    dx, dv = window.of(model)
    assert_close((dx, dv), (DT * window.v, torch.zeros_like(dv)), ROUNDING)


def in_the_trap(model, frame_dt, x, v):
    """Increments of one particle by the sub-steps of a model, its frames `frame_dt` long."""
    other = SET(model.config.model_copy(update={"frame_dt": frame_dt})).double()
    other.load_state_dict(model.state_dict())
    one = torch.ones((len(x), 1), dtype=torch.float64)
    dx, dv = Window(x[:, None, None], v[:, None, None], ParticleTensors(one, one, TRAP)).of(other)
    return dx[:, 0, 0], dv[:, 0, 0]


def test_one_particle_in_the_trap_moves_to_second_order_and_back(model):
    """x = x0 cos(w t) + (v0 / w) sin(w t); the error of one frame falls by 8 where it halves."""
    x, v = torch.from_numpy(np.random.default_rng(12).normal(size=(2, 6, 3)))
    errors = []
    for dt in (0.2, 0.1, 0.05):
        dx, dv = in_the_trap(model, dt, x, v)
        cos, sin = np.cos(0.5 * dt), np.sin(0.5 * dt)
        wanted = x * (cos - 1.0) + v * sin / 0.5, v * (cos - 1.0) - x * 0.5 * sin
        errors.append(float(torch.cat([dx - wanted[0], dv - wanted[1]]).abs().max()))
        back = in_the_trap(model, dt, x + dx, -(v + dv))
        assert_close(back, (-dx, dv), ROUNDING)
    ratios = np.divide(errors[:-1], errors[1:])
    np.testing.assert_allclose(ratios, 8.0, rtol=0.05)


def test_a_uniform_electric_field_acts_by_charge_over_mass(model, plasma):
    """Exactly, whatever the shares: dv = (q / m) E t, dx = v t + (q / m) E t^2 / 2."""
    field = plasma(trap=0.0, electric=(0.3, -0.2, 0.5)).force_laws().field
    window = make_window(13, batch=6, n=1, field=field)
    charges, masses, _ = window.particles
    a = (charges / masses)[:, None, :, None] * torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64)
    wanted = window.v * DT + a * DT**2 / 2, (a * DT).expand(window.shape)
    assert_close(window.of(model), wanted, ROUNDING)


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


# The shipped weights


def roll_out(system, state, particles, frames=50):
    integrator = SurrogateIntegrator("set", dtype="float64", device="cpu")
    return simulate(system, state, particles, frames, integrator).x


@pytest.mark.parametrize(("name", "seed"), [("charged", 0), ("charged", 1), ("trap", 2)])
def test_a_rotated_start_rolls_out_to_the_rotated_trajectory(name, seed):
    copies, system = 4, make_system(name)
    state, particles = system.sample(seed, 6)
    rng = np.random.default_rng(seed)
    q = orthogonal(seed, 3, -1).numpy()
    nearby = State(
        0.0, *(y * (1 + 1e-15 * rng.normal(size=(copies, 6, 3))) for y in (state.x, state.v))
    )
    many = Particles(*(np.repeat(y, copies, 0) for y in (particles.charges, particles.masses)))
    plain = roll_out(system, state, particles)
    turned = roll_out(system, State(0.0, state.x @ q, state.v @ q), particles)
    growth = np.abs(roll_out(system, nearby, many) - plain).max((0, 2, 3))  # at each frame
    growth = np.maximum(np.maximum.accumulate(growth), EPS * np.abs(plain).max())
    apart = np.abs(turned - plain @ q).max((0, 2, 3))
    assert (apart <= GROWTH_FACTOR * growth).all()
    assert growth[-1] < 1e-9  # else these starts say nothing
