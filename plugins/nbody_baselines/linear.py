"""Straight lines with a fitted time: what a learned stepper must at least beat."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from nbody_surrogate.contracts import (
    HIDDEN_VARIABLES,
    AbstractSurrogate,
    ParticleTensors,
    SurrogateConfig,
)

__all__ = ["Linear"]


class LinearConfig(SurrogateConfig):
    """Nothing but the history, which is not looked at."""


@final
class Linear(AbstractSurrogate[LinearConfig]):
    """dx = tau v and dv = g v, with tau and g fitted by least squares.

    As the linear model of Satorras et al., "E(n) Equivariant Graph Neural Networks", ICML 2021.
    """

    Config = LinearConfig
    capabilities = frozenset({HIDDEN_VARIABLES})
    symmetries = frozenset(
        {
            "translation",
            "rotation",
            "reflection",
            "permutation",
            "time-shift",
            "charge-conjugation",
        }
    )

    def __init__(self, config: LinearConfig) -> None:
        super().__init__(config)
        self.time = nn.Parameter(torch.zeros(()))
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`."""
        v = v.to(self.dtype)
        return self.time * v, self.gain * v

    @torch.no_grad()
    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """Fit both numbers."""
        speed = v[:, -1]
        total = speed.square().sum().clamp(min=torch.finfo(speed.dtype).tiny)  # all may rest
        for number, change in ((self.time, dx), (self.gain, dv)):
            number.copy_((change * speed).sum() / total)
