"""Windows of SET, free and in the trap, and by how much steps from them may differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

from nbody_set.model import SET, SETConfig
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.registry.registry import make_system

DT = 0.1  # frame spacing of the shipped weights and of SETConfig's default
EPS = np.finfo(np.float64).eps
ROUNDING = 1e-12
"""Conservation, streaming and batching do not depend on how a perturbation grows: only sums are
taken in another order."""
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
        charges, masses, field, _ = self.particles
        return Window(self.x[b], self.v[b], ParticleTensors(charges[b], masses[b], field))

    def single(self):
        """The same window with constants in single precision."""
        charges, masses, field, _ = self.particles
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


class FusedTwin:
    """A model whose frames its compiled steps make, called as the model is."""

    def __init__(self, model):
        self.model, self.config, self.prior = model, model.config, model.prior

    def __call__(self, x, v, particles, threads=1, started=0):
        """Increments of all frames after those that torch's cache starts from."""
        charges, masses, field, _ = particles
        constants = Particles(charges.double().numpy(), masses.double().numpy())
        steps = self.model.fused_steps(constants, x.shape[-1], field)
        with torch.no_grad():
            cache = self.model.start_cache(x[:, :started], v[:, :started], particles)
        cache = {key: value.numpy() for key, value in cache.items()}
        made = np.empty((2, *x.shape))
        for t in range(started, x.shape[1]):
            here = x[:, t].numpy(), v[:, t].numpy()
            out = np.empty((2, len(x), 1, *x.shape[2:]))
            kept = {key: value.copy() for key, value in cache.items()}
            following = steps.advance(cache, *here, *out, threads)
            for key, value in kept.items():
                np.testing.assert_array_equal(cache[key], value)  # never changed in place
            cache = following
            made[:, :, t] = out[:, :, 0] - np.stack(here)
        return torch.from_numpy(made[0, :, started:]), torch.from_numpy(made[1, :, started:])
