"""SET: its symmetries and conservation laws hold whatever the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbody_set.model import SET
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.registry.registry import make_system
from set_windows import (
    DT,
    EPS,
    ROUNDING,
    TRAP,
    Window,
    assert_close,
    free,
    make_window,
    orthogonal,
    repeatable,
    trapped,
    windows,
)

pytestmark = pytest.mark.usefixtures("one_thread")
EXACT = 1e-10
"""Symmetries, relative to the larger of 1 and the increments: what is exact in real numbers is
off by rounding, 1e-16, times the growth of a perturbation within one frame, which a close pair
and strong random weights make as large as 1e4; a broken symmetry is off by 1e-3 and more."""


@pytest.fixture(scope="module")
def model(any_model):
    """Symmetries are those of the model and of its compiled steps."""
    return any_model


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
    charges, masses, field, _ = window.particles
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
    ways = [Window(x, v, ParticleTensors(one, one, TRAP)).of(model)]
    if model.config.domain is not None:  # outside it, leapfrog's steps; see test_set_domain.py
        ways += [leapfrog_in_the_trap(x, v, many * model.config.substeps) for many in (1, 2)]
    scale = max(1.0, *(float(y.abs().max()) for y in window.of(model)))
    off = [((dx - ax).abs() + (dv - av).abs()).amax((2, 3)) / scale for ax, av in ways]
    assert float(torch.stack(off).amin(0).max()) <= ROUNDING


def leapfrog_in_the_trap(x, v, steps):
    """Increments of a frame in the trap of frequency 0.5, by half drifts, kicks and half drifts."""
    h, at, moving = DT / steps, x, v
    for _ in range(steps):
        at = at + 0.5 * h * moving
        moving = moving - h * 0.25 * at
        at = at + 0.5 * h * moving
    return at - x, moving - v


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
    charges, masses, _, _ = near.particles
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
