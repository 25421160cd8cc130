"""How good a stepper is: one step from true frames, and roll-outs, on trajectories of the truth.

One step: from true frames, the squared error of the next frame's positions, per coordinate.
Roll-out k: from the single state at a frame, k frames on, the same at the last of them.

A method that stopped before a frame is infinitely wrong there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.force_laws import FieldLaw
from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN, Hidden
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.surrogate import (
    AbstractSurrogate,
    ParticleTensors,
    device_of,
    increments,
)
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.results.trajectory import Ensemble
from nbody_surrogate.simulation.simulate import simulate

__all__ = ["FIRST", "START", "Truth", "one_step", "one_step_of_model", "roll_out"]

FIRST = 4
"""The first frame that one step is taken from: histories are full there."""

START = 6
"""The frame that roll-outs start from."""

CHUNK = 1 << 18  # pairs of particles that a model sees at a time


class Truth(NamedTuple):
    """Trajectories to judge by: `x`, `v` (B, T, N, D), and their `particles` and `system`.

    What is `hidden` (B, T, N, ...), solvers start with; no model is shown it.
    """

    system: AbstractSystem
    x: np.ndarray
    v: np.ndarray
    particles: Particles
    hidden: Hidden = NOTHING_HIDDEN

    def __repr__(self) -> str:
        return brief(self)

    @property
    def field_law(self) -> FieldLaw | None:
        """The law of the external field, where there is one."""
        laws = self.system.force_laws()
        return None if laws is None else laws.field


def one_step(method: AbstractIntegrator, truth: Truth, first: int = FIRST) -> np.ndarray:
    """x-MSE of the next frame by a solver, from each true frame from `first` on, shape (B, F)."""
    batch, _, n, dims = truth.x.shape
    x = truth.x[:, first:-1].reshape(-1, n, dims)  # every frame is a start of its own
    v = truth.v[:, first:-1].reshape(-1, n, dims)
    count = x.shape[0] // batch
    particles = truth.particles[np.repeat(np.arange(batch), count)]
    # inside of its training or not: what a method does there is what is measured, here and below
    hidden = {
        name: values[:, first:-1].reshape(-1, *values.shape[2:])
        for name, values in truth.hidden.items()
    }
    made = _measured(truth, State(0.0, x, v, hidden=hidden), particles, 1, method)
    ends = made.valid_part(2).x[:, 1]
    error = ends.reshape(batch, count, n, dims) - truth.x[:, first + 1 :]
    return _failures_infinite((error**2).mean((2, 3)))


@torch.inference_mode()
def one_step_of_model(
    model: AbstractSurrogate, truth: Truth, first: int = FIRST
) -> tuple[np.ndarray, np.ndarray]:
    """x-MSE and v-MSE of the next frame by a model, from windows of true frames, both (B, F)."""
    device = device_of(model)
    _, frames, n, _ = truth.x.shape
    at_once = max(CHUNK // (frames * max(n * (n - 1) // 2, 1)), 1)
    position, velocity = [], []
    for begin in range(0, len(truth.x), at_once):
        some = slice(begin, begin + at_once)
        x = torch.tensor(truth.x[some], device=device)
        v = torch.tensor(truth.v[some], device=device)
        particles = ParticleTensors.from_particles(
            truth.particles[some], device, model.dtype, truth.field_law
        )
        dx, dv = _answers(model, x[:, :-1], v[:, :-1], particles, first)
        before = max(first - (frames - 1 - dx.shape[1]), 0)  # answers to frames before the first
        position.append(_mse(x, dx)[:, before:])
        velocity.append(_mse(v, dv)[:, before:])
    return np.concatenate(position), np.concatenate(velocity)


def _answers(
    model: AbstractSurrogate, x: Tensor, v: Tensor, particles: ParticleTensors, first: int
) -> tuple[Tensor, Tensor]:
    """Increments after every frame; a one-shot model is given the history of each from `first`."""
    if not model.one_shot:
        return increments(model, x, v, particles)
    ends = range(first + 1, x.shape[1] + 1)
    windows = [slice(max(end - model.config.history, 0), end) for end in ends]
    answers = [increments(model, x[:, window], v[:, window], particles) for window in windows]
    dx = torch.cat([each[0] for each in answers], dim=1)
    dv = torch.cat([each[1] for each in answers], dim=1)
    return dx, dv


def _mse(y: Tensor, dy: Tensor) -> np.ndarray:
    """Mean squared error of the last frames of y (B, T, N, D) by the increments dy to them."""
    frames = dy.shape[1]
    error = y[:, -frames - 1 : -1] + dy - y[:, -frames:]
    return np.asarray(error.double().square().mean((2, 3)).cpu())


def roll_out(
    method: AbstractIntegrator, truth: Truth, frames: int, start: int = START
) -> np.ndarray:
    """x-MSE at each frame of a roll-out from the state at frame `start`, shape (B, frames + 1)."""
    hidden = {name: values[:, start] for name, values in truth.hidden.items()}
    state = State(0.0, truth.x[:, start], truth.v[:, start], hidden=hidden)
    made = _measured(truth, state, truth.particles, frames, method)
    wanted = truth.x[:, start : start + frames + 1]
    return _failures_infinite(((made.valid_part(frames + 1).x - wanted) ** 2).mean((2, 3)))


def _failures_infinite(errors: np.ndarray) -> np.ndarray:
    """Count a method that stopped as infinitely wrong from there on: it has no answer."""
    return np.where(np.isnan(errors), np.inf, errors)


def _measured(
    truth: Truth, state: State, particles: Particles, frames: int, method: AbstractIntegrator
) -> Ensemble:
    """Run a method whose errors are measured, so that they need no estimate and no warning."""
    return simulate(
        truth.system, state, particles, frames, method, outside=None, error_estimate=False
    )
