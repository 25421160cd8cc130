"""A surrogate of learned pair forces: one kick in the middle of each frame."""

from __future__ import annotations

from typing import final

import torch
from pydantic import Field
from torch import Tensor, nn

from nbody_surrogate.contracts import AbstractSurrogate, ParticleTensors, SurrogateConfig


class PairnetConfig(SurrogateConfig):
    """Architecture of `Pairnet`; `frame_dt` is that of the data."""

    width: int = Field(default=16, ge=1, description="features of the hidden layers")
    softening: float = Field(default=0.1, gt=0, description="smallest length that is told apart")
    frame_dt: float = Field(default=0.1, gt=0, description="time between frames")


@final
class Pairnet(AbstractSurrogate[PairnetConfig]):
    """Half a drift, a kick by pair forces f(s, q_i q_j) (x_i - x_j) / s^3, half a drift."""

    api_version = 1
    Config = PairnetConfig
    symmetries = frozenset(
        {"translation", "boost", "rotation", "reflection", "permutation"}
        | {"charge-conjugation", "time-reversal", "time-shift"}
    )

    def __init__(self, config: PairnetConfig) -> None:
        super().__init__(config)
        d = config.width
        hidden = nn.Linear(2, d), nn.SiLU(), nn.Linear(d, d), nn.SiLU()
        self.f = nn.Sequential(*hidden, nn.Linear(d, 1))

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """Map frames x, v (B, T, N, D) to increments of the same shape."""
        dt, q, m = self.config.frame_dt, particles.charges, particles.masses
        middle = x + dt / 2 * v
        r = (middle[..., :, None, :] - middle[..., None, :, :]).to(self.dtype)  # (B, T, N, N, D)
        s = (r.square().sum(-1, keepdim=True) + self.config.softening**2).sqrt()
        qq = (q[:, :, None] * q[:, None, :])[:, None, :, :, None].expand_as(s)
        force = (self.f(torch.cat([s.log(), qq], dim=-1)) / s**3 * r).sum(-2)
        dv = dt * force / m[:, None, :, None]
        return dt * v.to(self.dtype) + dt / 2 * dv, dv
