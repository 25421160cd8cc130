"""Surrogates, each broken in one way."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

import torch

from examples import Pairnet
from nbody_surrogate.contracts.fused_steps import AbstractFusedSteps
from nbody_surrogate.errors import InputError


def inside(x):
    """Positions or velocities relative to the mean of the particles."""
    return x - x.mean(2, keepdim=True)


def adding(change, symmetries=None):
    """A surrogate like the example, with something added to dv."""

    class Added(Pairnet):
        def forward(self, x, v, particles):
            dx, dv = super().forward(x, v, particles)
            return dx, dv + 1e-3 * change(x, v, particles).to(dv.dtype)

    if symmetries is not None:
        Added.symmetries = symmetries
    return Added


class InPlace(Pairnet):
    def forward(self, x, v, particles):
        x.add_(1e-3)
        return super().forward(x, v, particles)


class InPlaceInStreams(Pairnet):
    def step_cache(self, cache, x, v, particles):
        v.mul_(0.5)
        return super().step_cache(cache, x, v, particles)


class TwiceInStreams(Pairnet):
    def step_cache(self, cache, x, v, particles):
        dx, dv, cache = super().step_cache(cache, x, v, particles)
        return dx, 2 * dv, cache


class Forgetful(Pairnet):
    known_failures: ClassVar[Mapping[str, str]] = {"remotely": "no such check"}


class OneShot(Pairnet):
    """Answers for the last frame only, and takes no window that is longer than its history."""

    min_history = 2
    one_shot = True

    def forward(self, x, v, particles):
        if x.shape[1] > 2:
            raise InputError("`x` must have at most 2 frames")
        dx, dv = super().forward(x, v, particles)
        return dx[:, -1:], dv[:, -1:]


class Wild(Pairnet):
    """Moves so far by perturbed weights that no roll-out could be followed."""

    def __init__(self, config):
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        return dx, dv * (1 + 1e3 * self.scale**2)


class Unsaved(Pairnet):
    def __init__(self, config):
        super().__init__(config)
        self.scale = random.random()

    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        return dx, self.scale * dv


class Unmoved(Pairnet):
    def __init__(self, config):
        super().__init__(config)
        self.offset = torch.zeros(3)


class Double(Pairnet):
    def forward(self, x, v, particles):
        dx, dv = super().forward(x, v, particles)
        return dx.double(), dv.double()


class Counting(Pairnet):
    calls = 0

    def forward(self, x, v, particles):
        self.calls += 1
        dx, dv = super().forward(x, v, particles)
        return dx, dv + 1e-6 * self.calls


class FusedStill(Pairnet):
    def fused_steps(self, particles, dimensions, field):
        return Still()


class Still(AbstractFusedSteps):
    def advance(self, cache, x, v, frames_x, frames_v, threads):
        frames_x[:], frames_v[:] = x[:, None], v[:, None] + 1.0
        return cache


class Exotic(Pairnet):
    symmetries = Pairnet.symmetries | {"gauge"}


def alone(x, v, particles):
    """The mean over partners, of which one particle has none."""
    n = torch.tensor(x.shape[2] - 1.0)
    return inside(x) * n / n


def numbers(x, axis):
    shape = [1] * 4
    shape[axis] = -1
    return torch.arange(x.shape[axis]).to(x).view(shape)


WITHOUT = Pairnet.symmetries - {"rotation"}
BREAKING = {
    "translation": lambda x, v, p: x,
    "boost": lambda x, v, p: -v,
    "rotation": lambda x, v, p: inside(x) ** 3,
    "reflection": lambda x, v, p: torch.linalg.cross(inside(x), inside(v)),
    "permutation": lambda x, v, p: numbers(x, 2) * inside(x),
    "charge-conjugation": lambda x, v, p: p.charges[:, None, :, None] * inside(x),
    "time-reversal": lambda x, v, p: -inside(v),
    "time-shift": lambda x, v, p: numbers(x, 1) * inside(x),
}
SURROGATES = {
    "batch": (adding(lambda x, v, p: x.mean(0)), "forward", "in a batch as alone"),
    "inputs-unchanged": (InPlaceInStreams, "step_cache", "changed `v`"),
    "determinism": (adding(lambda x, v, p: torch.rand_like(x)), "forward", "same bits"),
    "restart": (Counting, "forward", "go on from a boundary"),
    "increments": (adding(alone), "forward", "finite increments, for N = 1"),
    "members": (adding(lambda x, v, p: x.mean(0)), "forward", "trajectory of a batch"),
    "tensors-unchanged": (InPlace, "forward", "changed `x`"),
    "causality": (adding(lambda x, v, p: x[:, -1:]), "forward", "not look ahead"),
    "history": (adding(lambda x, v, p: x.cumsum(1)), "forward", "1 frames at most"),
    "streaming": (TwiceInStreams, "step_cache", "that `forward` gives"),
    "fused-steps": (FusedStill, "fused_steps", "that `step_cache` gives"),
    "saving": (Unsaved, "__init__", "parameters, buffers and `Config`"),
    "known-symmetries": (Exotic, "symmetries", "got gauge"),
    "axial-symmetries": (
        adding(BREAKING["rotation"], WITHOUT | {"axial-rotation"}),
        "symmetries",
        "not hold 'axial-rotation'",
    ),
    "known-failures": (Forgetful, "known_failures", "none of the name 'remotely'"),
    "remote": (adding(lambda x, v, p: inside(x).tanh()), "forward", "resting particle"),
    "dtypes": (Double, "forward", "both float32 .* got float64"),
    "devices": (Unmoved, "__init__", "`offset`"),
    **{
        f"symmetry:{symmetry}": (adding(change), "symmetries", f"must not hold '{symmetry}'")
        for symmetry, change in BREAKING.items()
    },
}
