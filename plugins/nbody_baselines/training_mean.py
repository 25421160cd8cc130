"""The mean of the training targets: what a model answers that has learned nothing of its input."""

from __future__ import annotations

from typing import Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn

from nbody_surrogate.contracts import (
    HIDDEN_VARIABLES,
    AbstractSurrogate,
    InputError,
    ParticleTensors,
    SurrogateConfig,
)

__all__ = ["TrainingMean"]


class TrainingMeanConfig(SurrogateConfig):
    """The number of dimensions."""

    dimensions: Literal[2, 3] = Field(default=3, description="D")


@final
class TrainingMean(AbstractSurrogate[TrainingMeanConfig]):
    """Every particle ends at the mean position, with the mean velocity, of all training targets."""

    Config = TrainingMeanConfig
    capabilities = frozenset({HIDDEN_VARIABLES})
    symmetries = frozenset({"permutation", "time-shift", "charge-conjugation"})

    def __init__(self, config: TrainingMeanConfig) -> None:
        super().__init__(config)
        self.x = nn.Parameter(torch.zeros(config.dimensions))
        self.v = nn.Parameter(torch.zeros(config.dimensions))

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`."""
        if x.shape[-1] != len(self.x):
            only = f"the {len(self.x)} that training-mean is of"
            raise InputError(f"`dimensions` must be {only}, got {x.shape[-1]}")
        return (self.x - x).to(self.dtype), (self.v - v).to(self.dtype)

    @torch.no_grad()
    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """Take the means over trajectories and particles."""
        self.x.copy_((x[:, -1] + dx).mean((0, 1)))
        self.v.copy_((v[:, -1] + dv).mean((0, 1)))
