"""A recurrent network over frames, all particles as one vector."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from nbody_baselines.flattened import Flattened, FlattenedConfig
from nbody_surrogate.contracts import HIDDEN_VARIABLES, AbstractSurrogate, ParticleTensors

__all__ = ["LSTM"]


@final
class LSTM(AbstractSurrogate[FlattenedConfig]):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) over L frames or fewer.

    It takes one N.
    """

    Config = FlattenedConfig
    one_shot = True
    capabilities = frozenset({HIDDEN_VARIABLES})
    symmetries = frozenset({"time-shift"})

    def __init__(self, config: FlattenedConfig) -> None:
        super().__init__(config)
        self.flat = Flattened(config, "lstm")
        self.memory = nn.LSTM(self.flat.inputs, config.width, config.layers, batch_first=True)
        self.out = nn.Linear(config.width, self.flat.outputs)

    @property
    def fixed_particles(self) -> int:
        """See `AbstractSurrogate.fixed_particles`."""
        return self.flat.n

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`."""
        packed = self.flat.pack(x, v, particles)
        hidden, _ = self.memory(packed[:, -self.config.history :])
        return self.flat.unpack(self.out(hidden[:, -1]))

    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """See `Flattened.initialise`."""
        self.flat.initialise(x, v, dx, dv)
