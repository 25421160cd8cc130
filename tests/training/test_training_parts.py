"""What training minimises, and what a run shows, each by itself on cases with known answers."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors, SurrogateConfig
from nbody_surrogate.training.diagnosis import diagnose
from nbody_surrogate.training.losses import FOLLOW, Loss
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.schedule import Passes
from nbody_surrogate.training.sources import open_sources
from nbody_surrogate.training.validation import Score, symmetry_error

PLANE = {"particles": 3, "dimensions": 2, "trajectories": 4, "splits": {"train": 4}, "frames": 4}


def recipe(**changes):
    data = [{"batch": 1, "spec": PLANE}]
    return Recipe(surrogate="any", steps=1, chunk=2, data=data, **changes)


# Losses

X0 = torch.ones(2, 3, 2, 3, dtype=torch.float64)
PAIR = ParticleTensors(torch.ones(2, 2), torch.ones(2, 2))


RAW = Passes(1, True)


class Affine(AbstractSurrogate):
    """dx = a + g x, dv = b."""

    Config = SurrogateConfig

    def __init__(self, a, b, g=0.0):
        super().__init__(SurrogateConfig())
        self.a, self.b, self.g = (nn.Parameter(torch.tensor(y).double()) for y in (a, b, g))

    def forward(self, x, v, particles):
        return self.a + self.g * x, self.b + 0 * v


def loss_of(settings, *models, dt=0.5, passes=RAW):
    """Loss of resting particles by one model after the other."""
    loss = Loss(settings, 1)
    return [loss(model, 0, dt, (X0, X0), PAIR, passes) for model in models]


def test_mse_is_in_units_of_the_frame():
    """Increments 0.3 and 0.2 where 0 is true, in units of dt^2 / 2 and dt."""
    (value,) = loss_of(recipe(loss="mse"), Affine(0.3, 0.2))
    assert value.item() == pytest.approx((0.3 / 0.125) ** 2 + (0.2 / 0.5) ** 2)


def test_log_is_of_errors_over_their_quantiles():
    """All errors are alike, so that each quantile is that error; the next ones are twice that."""
    weights = {0.5: 1.0, 0.9: 3.0}
    first, second = loss_of(recipe(quantiles=weights), Affine(0.3, 0.2), Affine(0.6, 0.4))
    assert first.item() == pytest.approx(4.0 * 2 * math.log(2))
    assert second.item() == pytest.approx(4.0 * 2 * math.log1p(4 / (1 + 3 * FOLLOW)))
    (exact,) = loss_of(recipe(), Affine(0.0, 0.0))
    assert exact.item() == 0.0


def test_the_residual_shows_the_errors_that_the_loss_hides():
    """The loss is of errors over their own quantiles, so of ever smaller ones it stays the same."""
    loss = Loss(recipe(), 1)
    values, residuals = [], []
    for size in 0.997 ** np.arange(800):
        values.append(loss(Affine(0.3 * size, 0.2 * size), 0, 0.5, (X0, X0), PAIR, RAW).item())
        residuals.append(loss.residual)
    assert residuals[0] == pytest.approx(0.3 / 0.125)
    assert residuals[-1] == pytest.approx(0.997**799 * 0.3 / 0.125)
    settled = values[600:]  # once the scales follow
    assert max(settled) == pytest.approx(min(settled), rel=1e-3)


@pytest.mark.parametrize("pushforward", [True, False])
def test_no_gradient_flows_through_a_pushforward(pushforward):
    """x = 1, so that dx = g and errors are g, then (1 + g) - 1 + g (1 + g), with dt^2 / 2 = 1.

    Two frames are predicted in the first pass and one in the second.
    """
    g, model = 0.1, Affine(0.0, 0.0, 0.1)
    passes = Passes(2, pushforward)
    (value,) = loss_of(recipe(loss="mse"), model, dt=math.sqrt(2), passes=passes)
    second = g + g * (1 + g)
    assert value.item() == pytest.approx((2 * g**2 + second**2) / 3)
    (gradient,) = torch.autograd.grad(value, model.g)
    slope = 1 + g if pushforward else 2 + 2 * g
    assert gradient.item() == pytest.approx((4 * g + 2 * second * slope) / 3)


# What a run shows

GOOD = Score(1e-4, 0.9e-4, 1.1e-4, 1e-5, 1e-3)
WORSE = Score(4e-4, 3e-4, 5e-4, 1e-5, 1e-3)
UNSURE = Score(4e-4, 1e-4, 9e-4, 1e-5, 1e-3)
FINE = "no sign of over-fitting, slow convergence or poor symmetry"


def logged(residuals):
    entries = [{"step": k, "loss": 1.0, "residual": float(y)} for k, y in enumerate(residuals)]
    return [*entries, {"step": len(residuals), "validation": [None]}]


@pytest.mark.parametrize(
    ("train", "validation", "residuals", "symmetry", "words"),
    [
        ([GOOD], [GOOD], np.ones(40), 1e-6, [FINE]),
        ([GOOD], [UNSURE], np.ones(40), None, [FINE]),  # the intervals overlap
        ([None, GOOD], [GOOD, None], 0.5 ** np.arange(9), None, [FINE]),  # too short to tell
        ([GOOD], [GOOD], 1 + 0.5 ** np.arange(40), None, [FINE]),
        ([GOOD, GOOD], [GOOD, WORSE], np.ones(40), None, ["over-fitting: source 1 .*4.0e-04.*1.0"]),
        ([GOOD], [GOOD], np.linspace(2, 1, 20), None, ["slow convergence"]),
        ([GOOD], [GOOD], np.ones(40), 0.02, ["poor symmetry.*2.0e-02"]),
        ([GOOD], [GOOD], np.ones(40), math.nan, ["poor symmetry.*nan"]),
        ([GOOD], [WORSE], np.linspace(2, 1, 20), 1, ["over-fitting", "slow", "poor symmetry"]),
    ],
)
def test_diagnosis(train, validation, residuals, symmetry, words):
    found = diagnose(train, validation, logged(residuals), symmetry)
    assert len(found) == len(words)
    for line, pattern in zip(found, words, strict=True):
        assert re.match(pattern, line), line


class Turning(AbstractSurrogate):
    """Keeps proper rotations of the plane, and no reflection, unless `skew`."""

    Config = SurrogateConfig
    symmetries = frozenset({"rotation"})

    def __init__(self, skew, size):
        super().__init__(SurrogateConfig())
        self.skew, self.size = (nn.Parameter(torch.tensor(y)) for y in (skew, size))

    def forward(self, x, v, particles):
        turned = torch.stack([-v[..., 1], v[..., 0]], -1) + self.skew * v * v
        dx = self.size * turned.to(self.dtype)
        return dx, 0 * dx


@pytest.mark.parametrize(("skew", "size"), [(0.0, 1.0), (0.0, 0.0), (0.5, 1.0)])
def test_symmetry_is_measured(tmp_path, skew, size):
    (source,) = open_sources(recipe(), tmp_path, 1, lambda line: None)
    error = symmetry_error(Turning(skew, size), source)
    assert error > 0.01 if skew else error < 1e-6
