"""The E(n) equivariant graph network, by itself.

After Satorras, Hoogeboom and Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021. Layers
are those of `nbody_surrogate.layers.EGCL`, with two vectors each: one moves positions, the other
velocities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn

from nbody_surrogate.contracts import (
    HIDDEN_VARIABLES,
    AbstractSurrogate,
    ParticleTensors,
    SurrogateConfig,
)
from nbody_surrogate.layers import EGCL

__all__ = ["EGNN", "EGNNConfig"]


class EGNNConfig(SurrogateConfig):
    """Architecture of `EGNN`."""

    layers: int = Field(default=4, ge=1)
    width: int = Field(default=64, ge=1, description="features per particle and message, d")
    attention: bool = Field(default=False, description="gates on messages")
    velocity: Literal["none", "initial", "updated"] = Field(
        default="initial",
        description="not seen; the initial one in all layers, as in the published program; or "
        "updated from layer to layer, as in the published formula",
    )
    frames: Literal["last", "mean"] = Field(
        default="last", description="the last frame's answer, or the mean over frames"
    )


@final
class EGNN(AbstractSurrogate[EGNNConfig]):
    """Layers on each frame by itself; the answer is that of the last frame, or the mean."""

    Config = EGNNConfig
    one_shot = True
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
    known_failures: ClassVar[Mapping[str, str]] = {
        "remote": "messages, as published, do not fall off with distance"
    }

    def __init__(self, config: EGNNConfig) -> None:
        super().__init__(config)
        self.of_nodes = nn.Linear(2, config.width)
        self.layers = nn.ModuleList(
            EGCL(config.width, 1, config.attention, vectors=2) for _ in range(config.layers)
        )

    @property
    def evaluations_per_frame(self) -> int:
        """See `AbstractSurrogate.evaluations_per_frame`."""
        frames = self.config.history if self.config.frames == "mean" else 1
        return self.config.layers * frames

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`."""
        past = self.config.history if self.config.frames == "mean" else 1
        x = x[:, -past:]
        v = v[:, -past:].to(self.dtype)
        batch, frames, n, _ = x.shape
        # From the last centre, so that casting loses nothing far from the origin. The model itself
        # sees differences only.
        given = (x - x[:, -1:].mean(2, keepdim=True)).to(self.dtype)
        charges, masses = particles.charges.to(self.dtype), particles.masses.to(self.dtype)
        edges = (charges[:, :, None] * charges[:, None])[:, None, :, :, None]
        h = self._features(v, masses)
        end_x, end_v = self._through(
            h.flatten(0, 1),
            given.flatten(0, 1),
            v.flatten(0, 1),
            edges.expand(batch, frames, n, n, 1).flatten(0, 1),
        )
        end_x = end_x.view(given.shape).mean(1)
        end_v = end_v.view(given.shape).mean(1)
        return (end_x - given[:, -1])[:, None], (end_v - v[:, -1])[:, None]

    def _features(self, v: Tensor, masses: Tensor) -> Tensor:
        """Embed speed and mass, (B, T, N, d)."""
        squared = v.square().sum(-1, keepdim=True)
        if self.config.velocity == "none":
            squared = torch.zeros_like(squared)
        speed = (squared + torch.finfo(squared.dtype).tiny).sqrt()  # a root has no slope at 0
        heavy = masses.log()[:, None, :, None].expand_as(speed)
        embedded: Tensor = self.of_nodes(torch.cat([speed, heavy], dim=-1))
        return embedded

    def _through(self, h: Tensor, x: Tensor, v: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the layers to S samples."""
        seen = torch.zeros_like(v) if self.config.velocity == "none" else v
        for layer in self.layers:
            change, moves = layer(h, x, seen, edges)
            h, x, v = h + change, x + moves[:, :, 0], v + moves[:, :, 1]
            if self.config.velocity == "updated":
                seen = v
        return x, v

    @torch.no_grad()
    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """Begin with straight lines, whose fitted time the layers share."""
        if self.config.velocity == "none":
            return
        speed = v[:, -1]
        tau = (dx * speed).sum() / speed.square().sum().clamp(min=torch.finfo(x.dtype).tiny)
        for layer in self.layers:
            assert isinstance(layer, EGCL)
            layer.share.bias[0] = float(tau) / self.config.layers  # of the vector that moves x
