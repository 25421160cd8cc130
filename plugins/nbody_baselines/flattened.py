"""What the models share that see all particles as one vector, and so are of one number N.

They know no symmetry. Positions and velocities are scaled by their spread in the training data,
increments likewise, so that the network works in numbers of order one.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from nbody_surrogate.contracts import InputError, ParticleTensors, SurrogateConfig

__all__ = ["Flattened", "FlattenedConfig"]


class FlattenedConfig(SurrogateConfig):
    """Size of the flattened state and of the network."""

    particles: int = Field(ge=1, description="N, the only number that the model takes")
    dimensions: Literal[2, 3] = Field(default=3, description="D")
    width: int = Field(default=256, ge=1)
    layers: int = Field(default=2, ge=1)


class Flattened(nn.Module):
    """Turns frames into vectors of 2 N D + N numbers, and vectors of 2 N D into increments."""

    def __init__(self, config: FlattenedConfig, name: str) -> None:
        super().__init__()
        self.n, self.dims, self.name = config.particles, config.dimensions, name
        self.outputs = 2 * self.n * self.dims
        self.inputs = self.outputs + self.n
        self.spread: Tensor
        self.register_buffer("spread", torch.ones(2, 1, 1, 1))  # of x and v
        self.reach: Tensor
        self.register_buffer("reach", torch.ones(2, 1, 1))  # of dx and dv

    def pack(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> Tensor:
        """Map x, v (B, T, N, D) to (B, T, 2 N D + N).

        Raises
        ------
        InputError
            If N or D is another.
        """
        for label, got, only in (("particles", x.shape[2], self.n),
                                 ("dimensions", x.shape[3], self.dims)):  # fmt: skip
            if got != only:
                raise InputError(f"`{label}` must be the {only} that {self.name} is of, got {got}")
        dtype = self.spread.dtype
        x = x.to(dtype) / self.spread[0]
        v = v.to(dtype) / self.spread[1]
        charges = particles.charges.to(dtype)[:, None].expand(*x.shape[:2], -1)
        return torch.cat([x.flatten(2), v.flatten(2), charges], dim=-1)

    def unpack(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, 2 N D) to increments dx, dv (B, 1, N, D)."""
        dx, dv = y.view(len(y), 2, self.n, self.dims).unbind(1)
        return (dx * self.reach[0])[:, None], (dv * self.reach[1])[:, None]

    @torch.no_grad()
    def initialise(self, x: Tensor, v: Tensor, dx: Tensor, dv: Tensor) -> None:
        """Take the spreads of training data."""
        for part, values in (
            (self.spread[0], x),
            (self.spread[1], v),
            (self.reach[0], dx),
            (self.reach[1], dv),
        ):
            size = values.square().mean().sqrt()
            part.fill_(float(size) if size > 0 else 1.0)  # of particles that all rest, say
