"""The Spacetime E(n)-Transformer as its paper has it, with its equivariance mended.

After Charles, "Spacetime E(n)-Transformer: Equivariant Attention for Spatio-temporal Graphs",
arXiv:2408.06039 (2024). From L frames of all particles to their state at a horizon, in one shot.
M blocks, each of K graph convolutions (EGCL, Satorras et al., ICML 2021) that every frame goes
through by itself, attention over the frames (ETAL), and a feed-forward layer; then the mean over
the frames:

==================  =====================================================  ====================
symbol              meaning                                                variable
==================  =====================================================  ====================
h_i(t)              features of particle i in frame t                      ``h``
xi_i(t), v_i(t)     its position and velocity                              ``x``, ``v``
a_ij(t)             attributes of a pair: from q_i q_j and r_ij(t)         ``edges``
alpha(t, s)         attention of features, scores q.k + a bias of t - s    ``TimeAttention``
beta(t, s)          the same for vectors, + gamma |xi(t) - xi(s)|^2        ``VectorAttention``
xi + C sum beta     xi_i(t) + C sum_s beta(t, s) (xi_i(s) - xi_i(t))       ``VectorAttention``
==================  =====================================================  ====================

Where the released program scores two frames by plus their squared distance, beta is learned here,
and it is made of invariants: the model is exactly equivariant under E(D), permutations and
time shifts. No encoding, dropout or normalisation touches a coordinate. Time enters as the lag
between two frames, never as an absolute time. With ``equivariant`` off it is the paper's ablation:
coordinates and velocities get encodings, normalisation, and learned queries, keys and values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple, Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from nbody_surrogate.contracts import (
    AbstractSurrogate,
    InputError,
    ParticleTensors,
    SurrogateConfig,
)
from nbody_surrogate.layers import EGCL

__all__ = ["SETPaper", "SETPaperConfig"]

LONGEST_PERIOD = 100.0
"""Frames, of the sinusoidal encodings of the ablation. Transformers of language take 10 000 tokens;
windows have ten frames."""


class SETPaperConfig(SurrogateConfig):
    """Architecture of `SETPaper`; each switch is an ablation of the paper."""

    history: int = Field(default=10, ge=1, description="frames that are given, L")
    blocks: int = Field(default=4, ge=1, description="M")
    layers: int = Field(default=4, ge=1, description="graph convolutions of a block, K")
    width: int = Field(default=64, ge=1, description="features per particle and message, d")
    heads: int = Field(default=1, ge=1, description="of the attention over frames")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="of features, never coordinates")
    equivariant: bool = Field(
        default=True,
        description="off: learned q, k, v, encodings and normalisation on coordinates",
    )
    spatial_attention: bool = Field(default=True, description="gates on messages")
    temporal_attention: bool = Field(default=True, description="off: frames meet in the mean only")
    adjacency: bool = Field(default=False, description="attention over frames for each pair too")
    causal: bool = Field(default=False, description="frames see earlier frames only")
    edge_width: int = Field(default=4, ge=1, description="attributes of a pair")
    node_features: int = Field(default=0, ge=0, description="features that the caller gives")
    anchor: Literal["none", "origin", "vertical"] = Field(
        default="none",
        description="fixed points that particles see, so that a field can be learned: "
        "the origin, or with it the point (0, -1, 0)",
    )
    dimensions: Literal[2, 3] = Field(default=3, description="D, where not equivariant or anchored")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"`width` {self.width} must be a multiple of `heads` {self.heads}")
        return self


def lags(frames: int, device: torch.device) -> Tensor:
    """Return t - s of all pairs of frames, (T, T)."""
    place = torch.arange(frames, device=device)
    return place[:, None] - place[None, :]


class LagBias(nn.Module):
    """A learned bias of each head and lag; with `causal`, later frames are out of sight."""

    def __init__(self, config: SETPaperConfig, heads: int) -> None:
        super().__init__()
        self.most, self.causal = config.history - 1, config.causal
        self.bias = nn.Parameter(torch.zeros(heads, 2 * self.most + 1))

    def forward(self, frames: int) -> Tensor:
        """Return the biases (H, T, T)."""
        lag = lags(frames, self.bias.device)
        bias = self.bias[:, lag + self.most]
        return bias.masked_fill(lag < 0, -torch.inf) if self.causal else bias


class TimeAttention(nn.Module):
    """Attention over frames of what each particle, or pair, carries: (..., T, d) to the same."""

    def __init__(self, config: SETPaperConfig, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.bias = LagBias(config, heads)

    def forward(self, h: Tensor) -> Tensor:
        """Attend within the window."""
        query, key, value = self.query_key_value(h).chunk(3, dim=-1)
        query, key, value = self._split(query), self._split(key), self._split(value)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        mixed = (scores + self.bias(h.shape[-2])).softmax(-1) @ value  # (..., H, T, d / H)
        attended: Tensor = self.out(mixed.transpose(-2, -3).flatten(-2))
        return attended

    def _split(self, y: Tensor) -> Tensor:
        return y.view(*y.shape[:-1], self.heads, -1).transpose(-2, -3)  # (..., H, T, d / H)


class VectorAttention(nn.Module):
    """Equivariant attention over frames of positions and velocities.

    y(t) + C sum_s beta(t, s) (y(s) - y(t)) for y = xi and y = v, each with a beta of its own,
    whose scores are q(h(t)).k(h(s)) / sqrt(d) + a bias of the lag + gamma |xi(t) - xi(s)|^2.
    """

    def __init__(self, config: SETPaperConfig) -> None:
        super().__init__()
        self.query_key = nn.Linear(config.width, 4 * config.width)
        self.bias = LagBias(config, 2)
        # At first no regard to distance, and a tenth of the way to the mean over frames: a layer
        # that hardly moves anything, of which M can be stacked.
        self.distance = nn.Parameter(torch.zeros(2, 1, 1))
        self.share = nn.Parameter(torch.full((2,), 0.1))

    def forward(self, h: Tensor, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Map h (B, N, T, d), x and v (B, N, T, D) to new x and v."""
        query, key = self.query_key(h).unflatten(-1, (2, 2, -1)).unbind(-3)  # (B, N, T, 2, d)
        query, key = query.transpose(-2, -3), key.transpose(-2, -3)  # (B, N, 2, T, d)
        apart = (x[..., :, None, :] - x[..., None, :, :]).square().sum(-1)  # (B, N, T, T)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        scores = scores + self.bias(h.shape[-2]) + self.distance * apart[..., None, :, :]
        of_x, of_v = scores.softmax(-1).unbind(-3)  # beta, both (B, N, T, T)
        # Rows of beta sum to 1, so that sum_s beta (y(s) - y(t)) is beta y - y.
        moved_x = x + self.share[0] * (of_x @ x - x)
        moved_v = v + self.share[1] * (of_v @ v - v)
        return moved_x, moved_v


class PlainAttention(nn.Module):
    """The ablation: a Transformer's layer on the components of positions and velocities."""

    def __init__(self, config: SETPaperConfig) -> None:
        super().__init__()
        self.attend = nn.ModuleList(_PlainLayer(config) for _ in range(2))

    def forward(self, h: Tensor, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Map h (B, N, T, d), x and v (B, N, T, D) to new x and v."""
        of_x, of_v = self.attend
        return of_x(x), of_v(v)


class _PlainLayer(nn.Module):
    def __init__(self, config: SETPaperConfig) -> None:
        super().__init__()
        d, width = config.dimensions, config.width
        self.before, self.between = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = TimeAttention(config, d, 1)
        self.forwards = nn.Sequential(nn.Linear(d, width), nn.SiLU(), nn.Linear(width, d))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, y: Tensor) -> Tensor:
        y = y + self.dropout(self.attention(self.before(y + _encoding(y))))
        after: Tensor = y + self.dropout(self.forwards(self.between(y)))
        return after


class ReadOut(nn.Module):
    """The ablation's last layer, of the components of both; at first it changes nothing."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.of_x, self.of_v = nn.Linear(dimensions, dimensions), nn.Linear(dimensions, dimensions)
        for layer in (self.of_x, self.of_v):
            nn.init.eye_(layer.weight)  # answers are positions, of which a random map knows nothing
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Map x and v (B, N, D)."""
        return self.of_x(x), self.of_v(v)


def _encoding(y: Tensor) -> Tensor:
    """Sinusoids of the place in the window, for (..., T, D)."""
    frames, dims = y.shape[-2:]
    place = torch.arange(frames, dtype=y.dtype, device=y.device)[:, None]
    axis = torch.arange(dims, dtype=y.dtype, device=y.device)
    angle = place / LONGEST_PERIOD ** ((axis // 2) * 2 / dims)
    return torch.where(axis % 2 == 0, angle.sin(), angle.cos())


class FeedForward(nn.Module):
    """A residual layer of two linear maps on normalised features: (..., d) to the same."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, h: Tensor) -> Tensor:
        """Add the layer's answer."""
        after: Tensor = h + self.layers(h)
        return after


class Graphs(NamedTuple):
    """What blocks hand on: S = B T graphs, one for each frame, of N nodes."""

    h: Tensor  # (S, N, d)
    x: Tensor  # (S, N, D)
    v: Tensor  # (S, N, D)
    edges: Tensor  # (S, N, N, E)


class Block(nn.Module):
    """K graph convolutions of each frame, attention over frames, feed-forward."""

    def __init__(self, config: SETPaperConfig) -> None:
        super().__init__()
        d, e = config.width, config.edge_width
        self.graph = nn.ModuleList(
            EGCL(d, e, config.spatial_attention) for _ in range(config.layers)
        )
        self.normals = nn.ModuleList(nn.LayerNorm(d) for _ in range(config.layers))
        # Lengths of drifts, for which no time is given: all layers of all blocks share one unit.
        self.step = nn.Parameter(torch.full((config.layers,), 1.0 / config.layers / config.blocks))
        self.attention = TimeAttention(config, d, config.heads)
        self.normal, self.dropout = nn.LayerNorm(d), nn.Dropout(config.dropout)
        self.vectors: VectorAttention | PlainAttention = (
            VectorAttention(config) if config.equivariant else PlainAttention(config)
        )
        self.edge_attention = TimeAttention(config, e, 1) if config.adjacency else None
        self.temporal = config.temporal_attention
        self.forwards = FeedForward(d, config.dropout)
        self.edge_forwards = FeedForward(e, 0.0)

    def forward(self, graphs: Graphs, batch: int) -> Graphs:
        """Map the graphs of `batch` trajectories."""
        h, x, v, edges = graphs
        for layer, normal, tau in zip(self.graph, self.normals, self.step, strict=True):
            change, kick = layer(normal(h), x, v, edges)
            h, v = h + change, v + kick[:, :, 0]
            x = x + tau * v  # with the new velocity, as a kick and a drift
        if self.temporal:
            h, x, v, edges = self._over_frames(Graphs(h, x, v, edges), batch)
        return Graphs(self.forwards(h), x, v, self.edge_forwards(edges))

    def _over_frames(self, graphs: Graphs, batch: int) -> Graphs:
        """Attend over frames, which are brought next to the last axis: (B, N, T, d)."""
        by_frame = [y.view(batch, -1, *y.shape[1:]).movedim(1, -2) for y in graphs]
        h, x, v, edges = by_frame
        x, v = self.vectors(h, x, v)  # by the features before their own attention
        h = h + self.dropout(self.attention(self.normal(h)))
        if self.edge_attention is not None:
            edges = edges + self.edge_attention(edges)
        return Graphs(*(y.movedim(-2, 1).flatten(0, 1) for y in (h, x, v, edges)))


@final
class SETPaper(AbstractSurrogate[SETPaperConfig]):
    """The paper's model: M blocks over a window, and the mean over its frames as the answer."""

    Config = SETPaperConfig
    one_shot = True
    known_failures: ClassVar[Mapping[str, str]] = {
        "remote": "messages, as published, do not fall off with distance"
    }

    def __init__(self, config: SETPaperConfig) -> None:
        super().__init__(config)
        d = config.width
        self.symmetries = _symmetries(config)
        self.of_nodes = nn.Linear(2 + config.node_features, d)
        self.of_edges = nn.Linear(2, config.edge_width)
        points = {"none": 0, "origin": 1, "vertical": 2}[config.anchor]
        self.of_anchors = nn.Parameter(torch.randn(points, d))
        self.anchors: Tensor
        # The origin tells where a trap is, and a second point which way is down.
        places = torch.tensor([[0.0, 0.0, 0.0], [0.0, -1.0, 0.0]])[:points, : config.dimensions]
        self.register_buffer("anchors", places, persistent=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.read_out = None if config.equivariant else ReadOut(config.dimensions)

    @property
    def evaluations_per_frame(self) -> int:
        """See `AbstractSurrogate.evaluations_per_frame`."""
        return self.config.blocks * self.config.layers * self.config.history

    def forward(
        self,
        x: Tensor,
        v: Tensor,
        particles: ParticleTensors,
        features: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`; `features` (B, N, F) are as many as the config says."""
        batch, frames, n, dims = x.shape
        self._check(frames, dims, features)
        origin = self._origin(x)
        x = (x - origin).to(self.dtype)  # (B, T, N, D)
        v = v.to(self.dtype)
        graphs = self._begin(x, v, particles, features)
        for block in self.blocks:
            graphs = self._held(block(graphs, batch), graphs)
        # The mean over frames, of the particles alone: anchors come after the first n nodes.
        end_x = graphs.x.view(batch, frames, -1, dims)[:, :, :n].mean(1)
        end_v = graphs.v.view(batch, frames, -1, dims)[:, :, :n].mean(1)
        if self.read_out is not None:
            end_x, end_v = self.read_out(end_x, end_v)
        return (end_x - x[:, -1])[:, None], (end_v - v[:, -1])[:, None]

    @torch.no_grad()
    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """Share out the fitted time over which velocities move the mean frame to the target."""
        del particles, dv
        missing, speed = x[:, -1] + dx - x.mean(1), v.mean(1)
        tau = (missing * speed).sum() / speed.square().sum().clamp(min=1e-300)  # all may rest
        for block in self.blocks:
            assert isinstance(block, Block)
            block.step.fill_(float(tau) / self.config.blocks / self.config.layers)

    def _check(self, frames: int, dims: int, features: Tensor | None) -> None:
        config = self.config
        if frames > config.history:
            raise InputError(
                f"`x` must have at most the {config.history} frames of `history` that set-paper "
                f"was made for, got {frames}"
            )
        bound = not config.equivariant or config.anchor != "none"
        if bound and dims != config.dimensions:
            raise InputError(
                f"`dimensions` is {config.dimensions} in this set-paper, got {dims}; only an "
                "equivariant one without anchors takes both"
            )
        given = 0 if features is None else features.shape[-1]
        if given != config.node_features:
            raise InputError(f"`features` must be {config.node_features}, got {given}")

    def _origin(self, x: Tensor) -> Tensor:
        """Return where positions are counted from: the last centre, where all places are alike."""
        if self.config.equivariant and self.config.anchor == "none":
            return x[:, -1:].mean(2, keepdim=True)
        return torch.zeros_like(x[:1, :1, :1])

    def _begin(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, features: Tensor | None
    ) -> Graphs:
        """Embed invariants; anchors come after the particles, at rest and without charge."""
        batch, frames, n, _ = x.shape
        charges, masses = particles.charges.to(self.dtype), particles.masses.to(self.dtype)
        invariants = [_norm(v), masses.log()[:, None, :, None].expand(batch, frames, n, 1)]
        if features is not None:
            given = features.to(self.dtype)[:, None].expand(batch, frames, n, -1)
            invariants.append(given)
        h = self.of_nodes(torch.cat(invariants, dim=-1))
        points = len(self.anchors)
        if points:
            h = torch.cat([h, self.of_anchors.expand(batch, frames, points, -1)], dim=2)
            x = torch.cat([x, self.anchors.expand(batch, frames, points, -1)], dim=2)
            v = torch.cat([v, torch.zeros_like(x[:, :, n:])], dim=2)
            charges = torch.cat([charges, charges.new_zeros(batch, points)], dim=1)
        products = (charges[:, :, None] * charges[:, None])[:, None, :, :, None]
        distance = _norm(x[:, :, :, None] - x[:, :, None])
        pairs = torch.cat([products.expand_as(distance), distance], dim=-1)
        return Graphs(*(y.flatten(0, 1) for y in (h, x, v, self.of_edges(pairs))))

    def _held(self, after: Graphs, before: Graphs) -> Graphs:
        """Keep anchors where they are."""
        points = len(self.anchors)
        if not points:
            return after
        x = torch.cat([after.x[:, :-points], before.x[:, -points:]], dim=1)
        v = torch.cat([after.v[:, :-points], before.v[:, -points:]], dim=1)
        return after._replace(x=x, v=v)


def _norm(y: Tensor) -> Tensor:
    """Lengths of vectors, with a gradient of zero where they are zero, and not NaN."""
    return (y.square().sum(-1, keepdim=True) + torch.finfo(y.dtype).tiny).sqrt()


def _symmetries(config: SETPaperConfig) -> frozenset[str]:
    """Return what holds whatever the weights; about the axis of anchors nothing is declared."""
    held = {"permutation", "time-shift", "charge-conjugation"}
    if config.equivariant and config.anchor != "vertical":
        held |= {"rotation", "reflection"}
        held |= {"translation"} if config.anchor == "none" else set()
    return frozenset(held)
