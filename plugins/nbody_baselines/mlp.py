"""A multi-layer perceptron over all particles as one vector."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from nbody_baselines.flattened import Flattened, FlattenedConfig
from nbody_surrogate.contracts import HIDDEN_VARIABLES, AbstractSurrogate, ParticleTensors

__all__ = ["MLP"]


@final
class MLP(AbstractSurrogate[FlattenedConfig]):
    """The last L frames as one vector, through dense layers. It takes one N and one L."""

    Config = FlattenedConfig
    one_shot = True
    capabilities = frozenset({HIDDEN_VARIABLES})
    symmetries = frozenset({"time-shift"})

    def __init__(self, config: FlattenedConfig) -> None:
        super().__init__(config)
        self.min_history = config.history
        self.flat = Flattened(config, "mlp")
        sizes = [config.history * self.flat.inputs, *[config.width] * config.layers]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(config.width, self.flat.outputs))

    @property
    def fixed_particles(self) -> int:
        """See `AbstractSurrogate.fixed_particles`."""
        return self.flat.n

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`; earlier frames than are there are the oldest again."""
        packed = self.flat.pack(x, v, particles)
        missing = self.config.history - packed.shape[1]
        if missing > 0:
            packed = torch.cat([packed[:, :1].expand(-1, missing, -1), packed], dim=1)
        window = packed[:, -self.config.history :].flatten(1)
        return self.flat.unpack(self.layers(window))

    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """See `Flattened.initialise`."""
        self.flat.initialise(x, v, dx, dv)
