"""What a training step minimises."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from nbody_surrogate.contracts.surrogate import AbstractSurrogate, ParticleTensors, increments
from nbody_surrogate.errors import InputError
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.schedule import Passes

__all__ = ["Loss"]

SMALLEST_SCALE = 1e-12  # of s^2, so that the loss stays finite
FOLLOW = 0.02
"""Of the way to the batch's quantile, each step: over some 50 batches, so that a scale is not that
of the batch that it weighs."""


@final
class Loss:
    """The loss of a recipe, with the scales that it follows, as `Recipe` describes it.

    Attributes
    ----------
    scales : Tensor, shape (sources, quantiles, 2)
        s^2 of positions and velocities; NaN before the first batch of a source.
    residual : float
        Typical error of the latest batch: the geometric mean over its frames of the root mean
        square residual of positions, in the units that the loss weighs them by. The loss itself is
        no measure of progress, since the scales that it divides by follow the errors.
    """

    def __init__(self, recipe: Recipe, sources: int) -> None:
        self._kind, self._quantiles = recipe.loss, recipe.quantiles
        self._unroll, self._task = recipe.unroll, recipe.task
        self._weights = (1.0, recipe.velocity_weight)  # of positions and velocities
        shape = (sources, len(recipe.quantiles), 2)
        self.scales = torch.full(shape, math.nan, dtype=torch.float64)
        self.residual = math.nan

    def __call__(
        self,
        model: AbstractSurrogate,
        which: int,
        dt: float,
        window: tuple[Tensor, Tensor],
        particles: ParticleTensors,
        passes: Passes,
    ) -> Tensor:
        """Return the loss of a batch of windows of one source.

        Parameters
        ----------
        model : AbstractSurrogate
        which : int
            The source.
        dt : float
            Between frames.
        window : Tensor, Tensor
            x and v, both (B, T, N, D), in float64.
        particles : ParticleTensors
        passes : Passes

        Raises
        ------
        InputError
            If a one-shot model is to predict from its own predictions.
        """
        true_x, true_v = window
        x, v = true_x[:, :-1], true_v[:, :-1]
        # An increment of x is v dt + a dt^2 / 2, one of v is a dt: the units make an error of the
        # acceleration count as much in x as in v. A task's target is too far away for that.
        unit_x, unit_v = (1.0, 1.0) if self._task else (dt * dt / 2, dt)
        squared = []
        for _ in range(passes.number):
            dx, dv = increments(model, x, v, particles)
            if self._task:
                dx, dv = dx[:, -1:], dv[:, -1:]
            frames = dx.shape[1]  # a one-shot model answers for its last frame only
            if frames < x.shape[1] and self._unroll > 1:
                raise InputError(f"`unroll` must be 1 for a one-shot model, got {self._unroll}")
            x = x[:, -frames:]
            v = v[:, -frames:]
            after = slice(true_x.shape[1] - frames, None)
            # Differences of float64 first, then the model's dtype: positions of 100 and increments
            # of 1e-3 would leave float32 four digits.
            error_x = (dx - (true_x[:, after] - x).to(dx)) / unit_x
            error_v = (dv - (true_v[:, after] - v).to(dv)) / unit_v
            of_frames = [e.square().mean((2, 3)).flatten() for e in (error_x, error_v)]
            squared.append(torch.stack(of_frames))
            # The last prediction is of the last true frame: nothing is known to follow it.
            x = x[:, :-1] + dx[:, :-1].to(x)
            v = v[:, :-1] + dv[:, :-1].to(v)
            if passes.pushforward:
                x, v = x.detach(), v.detach()
        return self._of(which, torch.cat(squared, dim=1))

    def _of(self, which: int, squared: Tensor) -> Tensor:
        """Weigh squared errors (2, F) of positions and velocities."""
        # clamped, as a frame without any error would make the mean nothing
        positions = squared[0].detach().clamp(min=torch.finfo(squared.dtype).tiny)
        self.residual = positions.log().mean().mul(0.5).exp().item()
        share = torch.tensor(self._weights).to(squared)
        if self._kind == "mse":
            return (share * squared.mean(1)).sum()
        scales = self._follow(which, squared.detach())  # (levels, 2)
        weights = torch.tensor(list(self._quantiles.values())).to(squared)
        levels = (torch.log1p(squared / scales[..., None].to(squared)).mean(-1) * share).sum(-1)
        return (weights * levels).sum()

    def _follow(self, which: int, squared: Tensor) -> Tensor:
        """Follow the quantiles of the squared errors of positions and velocities."""
        wanted = torch.tensor(list(self._quantiles), dtype=torch.float64)
        now = squared.double().cpu().quantile(wanted, dim=1).clamp(min=SMALLEST_SCALE)
        before = self.scales[which]  # NaN until there was a batch
        self.scales[which] = now if before.isnan().any() else before.lerp(now, FOLLOW)
        return self.scales[which].clone()
