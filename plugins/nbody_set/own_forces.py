"""Forces that each particle remembers by itself: vectors of the past, weighted by their lags.

Of an oscillator that is coupled linearly, and that nobody sees, the force to come is a linear
combination of past forces and of past changes of velocity: as in a linear prediction (Makhoul,
Proc. IEEE 63 (1975) 561), with weights that are the same for all particles and directions. They are
found in closed form from training windows, for each number of intervals that are known. Steps of a
gradient made them a hundred times worse, as so many lags that are nearly alike are ill-conditioned:
they are trained only where the law is learned too, on which readings depend. No weight depends on a
direction, so it is equivariant; readings are accelerations, so no origin and no frame of reference
matters.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from nbody_set.recollection import Kind, lagged

__all__ = ["OwnForces"]

READ, MADE = 3, 2
"""Vectors of an interval, see `memory.Reading`; and what is made: pull and shift."""

RIDGE = 1e-7
"""Relative to the mean square of each reading. With 1e-12 one step is no better, and the weights of
16 frames, which rounding settles then, make roll-outs explode; with 1e-4 one step is worse."""


@final
class OwnForces(nn.Module):
    """A linear prediction from the last L - 1 intervals.

    ``attention``: weights of each lag, (L - 1 known, L - 1 lags, read, made). ``mean``: the same
    for all lags. ``gru``: an exponential mean with a learned rate for each vector that is read.
    """

    def __init__(self, kind: Kind, history: int, law_given: bool) -> None:
        super().__init__()
        self.kind, self.lags = kind, history - 1
        shape = (self.lags, self.lags) if kind == "attention" else (1, 1)
        weights = torch.zeros((*shape, READ, MADE))
        weights[:, 0, 0, 0] = weights[:, 0, 1, 1] = 1.0  # as it was in the newest interval
        self.weights = nn.Parameter(weights, requires_grad=kind == "gru" or not law_given)
        if kind == "gru":
            self.rate = nn.Parameter(torch.ones(READ))

    def forward(self, vectors: Tensor, first: int) -> Tensor:
        """Map vectors (N, B, T, 3, D), known from frame `first` on, to (N, B, T, 2, D)."""
        past, count = lagged(vectors, first, self.lags)
        return self._made(past, count.expand(vectors.shape[1], -1))

    def begin(self, n: int, batch: int, dimensions: int, like: Tensor) -> dict[str, Tensor]:
        """Return the cache of a start without a past."""
        return {
            "vectors": like.new_zeros((n, batch, self.lags - 1, READ, dimensions)),
            "count": like.new_zeros((batch,)),
        }

    def step(
        self, cache: dict[str, Tensor], vectors: Tensor, known: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what is made at a new frame, (N, B, 2, D), of its vectors (N, B, 3, D)."""
        count = (cache["count"] + known.to(vectors)).clamp(max=self.lags)
        every = torch.cat([cache["vectors"], vectors[:, :, None]], 2)
        made = self._made(every.flip(2)[:, :, None], count[:, None].long())
        return made[:, :, 0], {"vectors": every[:, :, 1:], "count": count}

    @torch.no_grad()
    def fit(self, vectors: Tensor, wanted: Tensor) -> None:
        """Find the weights by least squares.

        Parameters
        ----------
        vectors : Tensor, shape (N, B, T, 3, D)
            Of frames whose intervals are known, oldest first.
        wanted : Tensor, shape (N, B, 2, D)
            The misfits of velocity and of position in the interval that follows the last.
        """
        if self.kind == "gru":
            return
        most = min(self.lags, vectors.shape[2])
        if self.kind == "mean":
            newest = vectors[:, :, vectors.shape[2] - most :].mean(2, keepdim=True)
            self.weights[0] = _least_squares(newest, wanted).to(self.weights)
            return
        for known in range(1, most + 1):
            newest = vectors[:, :, vectors.shape[2] - known :].flip(2)
            self.weights[known - 1, :known] = _least_squares(newest, wanted).to(self.weights)
        self.weights[most:] = self.weights[most - 1]  # of more than windows show: by the newest

    def _made(self, past: Tensor, count: Tensor) -> Tensor:
        """Weigh intervals (N, B, T, L - 1, 3, D), newest first, of which some are known, (B, T)."""
        if self.kind == "attention":
            weights = self.weights[(count - 1).clamp(min=0)]  # (B, T, L - 1, 3, 2)
            made: Tensor = torch.einsum("nbtlrd,btlrm->nbtmd", past, weights)
            return made
        if self.kind == "mean":
            mean = past.sum(3) / count.clamp(min=1)[..., None, None]
        else:
            mean = self._smoothed(past, count)
        return torch.einsum("nbtrd,rm->nbtmd", mean, self.weights[0, 0])

    def _smoothed(self, past: Tensor, count: Tensor) -> Tensor:
        rate = torch.sigmoid(self.rate)[:, None]
        state = torch.zeros_like(past[:, :, :, 0])
        for lag in range(self.lags - 1, -1, -1):
            oldest = (count == lag + 1)[..., None, None]
            moved = torch.where(
                oldest, past[:, :, :, lag], state + rate * (past[:, :, :, lag] - state)
            )
            state = torch.where((count > lag)[..., None, None], moved, state)
        return state


def _least_squares(newest_first: Tensor, wanted: Tensor) -> Tensor:
    """Return weights (known, 3, 2) of vectors (N, B, known, 3, D) for what is wanted."""
    y = wanted.double().permute(0, 1, 3, 2).reshape(-1, MADE)
    columns = newest_first.double().permute(0, 1, 4, 2, 3).reshape(len(y), -1)
    square = columns.T @ columns
    size = square.diagonal().clamp(min=torch.finfo(square.dtype).tiny).sqrt()
    scaled = square / size / size[:, None]
    scaled = scaled + RIDGE * torch.eye(len(size), dtype=square.dtype, device=square.device)
    solved: Tensor = torch.linalg.solve(scaled, columns.T @ y / size[:, None]) / size[:, None]
    return solved.reshape(-1, READ, MADE)
