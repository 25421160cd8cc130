"""How a model does while it trains: one step on new trajectories, and on some it has seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors, device_of
from nbody_surrogate.evaluation.rollouts import FIRST, Truth, one_step_of_model
from nbody_surrogate.results.bootstrap import bootstrap_mean
from nbody_surrogate.training.sources import Source

__all__ = ["Score", "mean_log", "score", "score_source", "symmetry_error"]

SAMPLE = 4  # trajectories whose symmetry is looked at


class Score(NamedTuple):
    """One-step x-MSE of a source: mean with its 95 % interval, and median; v-MSE mean."""

    mean: float
    low: float
    high: float
    median: float
    velocity: float


def score(model: AbstractSurrogate, truth: Truth, last_only: bool = False) -> Score:
    """Score a model on trajectories: the answers to all frames, or to the last one."""
    steps = truth.x.shape[1] - 1
    scored = 1 if last_only else steps - min(FIRST, steps - 1)
    every = one_step_of_model(model, truth, steps - 1 if last_only else 0)
    position = every[0][:, -scored:]  # of a one-shot model there is one
    velocity = every[1][:, -scored:]
    each = position.mean(1)  # the bootstrap draws trajectories: frames of one are not independent
    low, high = bootstrap_mean(each)
    return Score(float(each.mean()), low, high, float(np.median(position)), float(velocity.mean()))


def score_source(
    model: AbstractSurrogate, truth: Truth | None, last_only: bool = False
) -> Score | None:
    """Score a model as `score` does; None where a source has no such trajectories."""
    return None if truth is None else score(model, truth, last_only)


def mean_log(scores: list[Score]) -> float:
    """One number for all sources: the mean of the logarithms of their mean errors.

    Errors of sources differ by powers of ten: their sum would be that of the worst one.
    """
    return float(np.mean([np.log10(max(each.mean, 1e-300)) for each in scores]))


@torch.no_grad()
def symmetry_error(model: AbstractSurrogate, source: Source) -> float | None:
    """Largest departure from rotation symmetry, over the increments; None where not claimed."""
    if "rotation" not in model.symmetries or source.field is not None:
        return None
    truth = source.train
    rows = slice(-1 - model.config.history, -1)
    device = device_of(model)
    x = torch.tensor(truth.x[:SAMPLE, rows], device=device)
    v = torch.tensor(truth.v[:SAMPLE, rows], device=device)
    rng = np.random.default_rng(0)
    matrix, _ = np.linalg.qr(rng.normal(size=(x.shape[-1],) * 2))
    matrix[:, 0] *= np.linalg.det(matrix)  # a rotation, no reflection
    turn = torch.tensor(matrix, device=device)
    some = truth.particles[:SAMPLE]
    particles = ParticleTensors.from_particles(some, device, model.dtype, source.field)
    dx, _ = model(x, v, particles)
    turned, _ = model(x @ turn, v @ turn, particles)
    change = (turned.double() - dx.double() @ turn).abs().max()
    return float(change / dx.abs().max().clamp(min=torch.finfo(dx.dtype).tiny))
