"""SET: batches, precision, fields and training; the shipped weights."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given

from nbody_set.model import SET, SETConfig
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.registry.registry import make_system
from nbody_surrogate.simulation.simulate import simulate
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from set_windows import (
    DT,
    EPS,
    ROUNDING,
    TRAP,
    Window,
    assert_close,
    make_window,
    orthogonal,
    perturbed_set,
    repeatable,
    windows,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SINGLE = 1e-4
"""float32 against float64, likewise relative: 1e-7 times the growth of a close pair."""
GROWTH_FACTOR = 100.0
"""A rotated roll-out against the measured growth of a rounding perturbation: each of the K = 8
sub-steps of a frame rounds anew, where the measured perturbation is made once."""


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
    charges, masses, _, _ = window.particles
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
    return simulate(system, state, particles, frames, integrator, error_estimate=False).x


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
