"""SET, the Spacetime E(n)-Transformer, as a learned stepper.

After Charles, "Spacetime E(n)-Transformer: Equivariant Attention for Spatio-temporal
Graphs", arXiv:2408.06039 (2024), whose layers are the EGCL of Satorras, Hoogeboom and
Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021. Here each EGCL is one
kick-drift sub-step of the frame, so that physics holds before anything is learned:

===============  ==========================================  ===================
symbol           meaning                                     variable
===============  ==========================================  ===================
h_i              features of particle i                      ``h``
r_ij, s_ij       |x_i - x_j|, sqrt(r_ij^2 + softening^2)     ``s``
m_ij             message of a pair, symmetric in i and j     ``message``
c_ij             the prior: k q_i q_j, or learned            ``c``
F_ij             [c_ij + phi_x(m_ij)] (x_i - x_j) / s^3      ``force``
kappa_k          share of the kick of sub-step k, sum 1      ``kick``
delta_k          share of the k-th drift, sum 1              ``drift``
===============  ==========================================  ===================

F_ij = -F_ji is central whatever the weights, so momentum and angular momentum are kept to
rounding for any masses. Messages see only invariants of *relative* motion, so the model is
exactly equivariant under E(D), permutations, time shifts and uniform motion. Every message
carries a decaying envelope, so a remote particle is felt through the prior alone. The shares
kappa and delta are palindromic, so that a sub-step is of order two for what is not learned: an
external field of the system is applied as it is, at each kick. Temporal attention looks back over
the last L frames of the same particle; it feeds features, never a coordinate. Where the present
does not tell everything, `memory` reads past misfits of the plain step as charges, strengths of
pairs or forces (`misfit`), and brings them to the present (`recollection`).

Axes: B trajectories, T frames, S = B T samples, N particles, P = N (N - 1) / 2 unordered pairs,
D dimensions, d features, H heads, L frames of history, K sub-steps, G Gaussians. Inside a frame
particles come first, (N, S, d): picking both ends of all pairs is then one `index_select` of rows.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from nbody_set.curve_fit import begin_with_curve
from nbody_set.domain import LARGEST, Domain, extremes, gate, lone_pair
from nbody_set.memory import Kind, Memory, Recall, Window
from nbody_set.misfit import PlainStep
from nbody_surrogate.contracts import (
    HIDDEN_VARIABLES,
    AbstractFusedSteps,
    AbstractSurrogate,
    Cache,
    FieldLaw,
    Particles,
    ParticleTensors,
    SurrogateConfig,
    field_acceleration,
)

__all__ = ["SET", "SETConfig"]

WEIGHTS = Path(__file__).parent / "weights"
RECIPES = Path(__file__).parent / "recipes"


class SETConfig(SurrogateConfig):
    """Architecture of `SET`; `coupling`, `softening` and `frame_dt` are those of the data."""

    free: ClassVar[frozenset[str]] = frozenset({"bound", "domain"})
    history: int = Field(default=4, ge=1, description="frames attended to, L")
    width: int = Field(default=16, ge=1, description="features per particle and message, d")
    heads: int = Field(default=2, ge=1)
    substeps: int = Field(default=8, ge=2, description="learned sub-steps per frame, K")
    basis: int = Field(default=16, ge=2, description="Gaussians in log distance")
    prior: Literal["coulomb", "kernel", "none"] = Field(
        default="coulomb",
        description="c_ij: k q_i q_j; learned of q_i q_j and r, at all distances; or no law given",
    )
    coupling: float = Field(default=1.0, description="k of the Coulomb prior")
    memory: tuple[Kind, ...] = Field(
        default=(),
        description="what the past is asked for beside features: charges, pairs, forces",
    )
    temporal: Literal["attention", "mean", "gru"] = Field(
        default="attention", description="how what `memory` reads is brought to the present"
    )
    softening: float = Field(default=0.1, gt=0)
    frame_dt: float = Field(default=0.1, gt=0)
    bound: float | None = Field(
        default=None,
        gt=0,
        description="largest correction of a pair over its own truncation; none: not bounded",
    )
    domain: Domain | None = Field(
        default=None,
        description="of the training data; outside it a step is leapfrog's; none: no such fallback",
    )

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"`width` {self.width} must be a multiple of `heads` {self.heads}")
        return self

    @model_validator(mode="after")
    def _memory_needs_a_past(self) -> Self:
        if self.memory and self.history < 2:
            raise ValueError(f"`memory` needs `history` of at least 2, got {self.history}")
        if len(set(self.memory)) < len(self.memory):
            raise ValueError(f"`memory` must name each kind once, got {', '.join(self.memory)}")
        if self.temporal != "attention" and not self.memory:
            raise ValueError(f"`temporal` {self.temporal!r} needs `memory`, got none")
        if self.memory and self.domain is not None:
            raise ValueError("`domain` goes without `memory`: a plain step remembers nothing")
        return self

    @model_validator(mode="after")
    def _leapfrog_needs_the_law(self) -> Self:
        if self.domain is not None and self.prior != "coulomb":
            raise ValueError(f"`domain` needs `prior` 'coulomb', got {self.prior!r}")
        return self


class Pairs(NamedTuple):
    """Index maps between N particles and the P = N (N - 1) / 2 unordered pairs."""

    i: Tensor  # (P,)
    j: Tensor  # (P,)
    partners: Tensor  # (N (N - 1),) the pairs of particle 0, of particle 1, ...
    sign: Tensor  # (N, N - 1, 1, 1) +1 where the particle is i of its pair, -1 where j

    def difference(self, y: Tensor) -> Tensor:
        """Map (N, S, d) to y_i - y_j, (P, S, d)."""
        return y.index_select(0, self.i) - y.index_select(0, self.j)

    def sum(self, y: Tensor) -> Tensor:
        """Map (N, S, d) to y_i + y_j, (P, S, d)."""
        return y.index_select(0, self.i) + y.index_select(0, self.j)

    def gather(self, m: Tensor) -> Tensor:
        """Sum a symmetric quantity over each particle's pairs: (P, S, d) to (N, S, d)."""
        return self._per_particle(m).sum(1)

    def gather_signed(self, force: Tensor) -> Tensor:
        """Sum an antisymmetric quantity over each particle's pairs: (P, S, d) to (N, S, d)."""
        return (self._per_particle(force) * self.sign).sum(1)

    def _per_particle(self, m: Tensor) -> Tensor:
        # Each particle has N - 1 pairs, so that sums over them need no scatter, whose order of
        # additions a GPU does not fix.
        n, partners = self.sign.shape[:2]
        return m.index_select(0, self.partners).view(n, partners, *m.shape[1:])


_PAIRS: dict[tuple[int, torch.device, torch.dtype], Pairs] = {}
MOST_PAIRS = 64  # sets of index maps kept at a time; they grow as N^2


def pairs_of(n: int, device: torch.device, dtype: torch.dtype) -> Pairs:
    """Return the index maps for N particles.

    A plain dict, which a compiled step looks up where it would trace through a cached function.
    """
    key = (n, device, dtype)
    if key not in _PAIRS:
        _keep_pairs(key)
    return _PAIRS[key]


@torch.inference_mode(False)  # kept for later, when gradients may be asked for
def _keep_pairs(key: tuple[int, torch.device, torch.dtype]) -> None:
    """Build index maps, and forget the oldest where there are many."""
    n, device, dtype = key
    i, j = torch.triu_indices(n, n, offset=1)
    pair_of = torch.zeros((n, n), dtype=torch.long)
    pair_of[i, j] = pair_of[j, i] = torch.arange(len(i))
    off_diagonal = ~torch.eye(n, dtype=torch.bool)
    upper = torch.triu(torch.ones((n, n)), diagonal=1)
    # Particle a is i of the pairs with all b > a: +1 above the diagonal, -1 below.
    sign = (2.0 * upper - 1.0)[off_diagonal].view(n, max(n - 1, 0), 1, 1)
    partners = pair_of[off_diagonal]
    while len(_PAIRS) >= MOST_PAIRS:
        del _PAIRS[next(iter(_PAIRS))]
    _PAIRS[key] = Pairs(i.to(device), j.to(device), partners.to(device), sign.to(device, dtype))


def affine(layer: nn.Linear, y: Tensor) -> Tensor:
    """Apply a linear layer; compiled, the bias becomes part of what follows, which saves a copy."""
    applied: Tensor = linear(y, layer.weight) + layer.bias
    return applied


class PairFeatures(nn.Module):
    """Invariants of a pair: a Gaussian basis in log s and dimensionless rates.

    The rates are what the truncation error of a sub-step of length tau is made of:
    tau u / s, (tau w / s)^2, tau^2 c (1/m_i + 1/m_j) / s^3 and tau^2 a / s, with u the radial
    and w the relative speed and a the radial relative acceleration at the last sub-step.
    """

    def __init__(self, config: SETConfig) -> None:
        super().__init__()
        # In the logarithm, as forces fall by powers of s; from the softening, the least that s can
        # be, to 200 times that, where messages have decayed.
        lowest, highest = math.log(config.softening), math.log(200.0 * config.softening)
        self.centres: Tensor
        self.register_buffer(
            "centres", torch.linspace(lowest, highest, config.basis), persistent=False
        )  # no weights: they follow from the config
        self.sigma = (highest - lowest) / (config.basis - 1)  # that of their spacing: they overlap
        self.tau = config.frame_dt / config.substeps
        self.size = config.basis + 6

    def basis(self, s: Tensor) -> Tensor:
        """Map s (P, S, 1) to Gaussians in its logarithm, (P, S, basis)."""
        return torch.exp(-0.5 * ((s.log() - self.centres) / self.sigma) ** 2)

    def forward(
        self,
        r: Tensor,
        w: Tensor,
        a: Tensor,
        s: Tensor,
        basis: Tensor,
        c: Tensor,
        inverse_mass: Tensor,
    ) -> Tensor:
        """Map r, w, a (P, S, D), the basis and s, c, inverse_mass (P, S, 1) to (P, S, size)."""
        radial = (r * w).sum(-1, keepdim=True) / s
        speed2 = (w * w).sum(-1, keepdim=True)
        rate = self.tau / s
        rates = [
            radial,
            torch.log1p(speed2),  # a fast pair must not drown the other features
            rate * radial,
            rate * rate * speed2,
            rate * rate * c * inverse_mass / s,
            rate * rate * (r * a).sum(-1, keepdim=True),
        ]
        return torch.cat([basis, *rates], dim=-1)


class Prior(nn.Module):
    """The pair law that messages correct: c_ij in F_ij = c_ij (x_i - x_j) / s^3.

    ``coulomb``: k q_i q_j. ``kernel``: q_i q_j (w + a(s)) + b(s), with w learned and a, b sums of
    Gaussians in log s, so that the far field of charges is learned too. ``none``: nothing of the
    form is given, F_ij = [q_i q_j a(s) + b(s)] (x_i - x_j) / s, and no force beyond the basis.
    """

    def __init__(self, config: SETConfig) -> None:
        super().__init__()
        self.kind, self.coupling = config.prior, config.coupling
        if self.kind != "coulomb":
            self.radial = nn.Linear(config.basis, 2, bias=False)
            nn.init.normal_(self.radial.weight, std=1e-2)  # begins near uniform motion
        if self.kind == "kernel":
            self.far = nn.Parameter(torch.zeros(1))

    def forward(self, charges: Tensor, basis: Tensor, s: Tensor) -> Tensor:
        """Map products of charges (P, S, 1), basis (P, S, G) and s (P, S, 1) to c (P, S, 1)."""
        if self.kind == "coulomb":
            return self.coupling * charges
        charged, plain = self.radial(basis).chunk(2, dim=-1)
        if self.kind == "kernel":
            far: Tensor = charges * (self.far + charged) + plain
            return far
        force: Tensor = charges * charged + plain
        return force * s * s


class Messages(nn.Module):
    """The edge half of an EGCL: messages at the current geometry, and their force."""

    def __init__(self, config: SETConfig, features: int) -> None:
        super().__init__()
        d = config.width
        self.from_pair = nn.Linear(features, 2 * d)
        self.from_nodes = nn.Linear(d, d, bias=False)
        self.to_message = nn.Linear(d, d)
        self.to_force = nn.Linear(d, 1, bias=False)
        # The range of messages is learned, as a logarithm since it must be positive; 3 is a usual
        # distance in the preset.
        self.log_range = nn.Parameter(torch.tensor(math.log(3.0)))
        # Corrections begin near zero: an untrained model is a leapfrog with the prior's force.
        nn.init.normal_(self.to_force.weight, std=1e-3)

    def forward(
        self,
        h: Tensor,
        features: Tensor,
        s: Tensor,
        charges: Tensor,
        pairs: Pairs,
        gate: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the messages (P, S, d) and the correction phi_x (P, S, 1)."""
        # Charges come in as q_i q_j alone, and nodes as a sum: a message is the same for both ends
        # of a pair, and for all charges reversed.
        plain, charged = affine(self.from_pair, features).chunk(2, dim=-1)
        hidden = silu(plain + charges * charged + pairs.sum(self.from_nodes(h)))
        # Falls as 1 / s^4 whatever is learned: a remote particle is felt through the prior alone.
        envelope = 1.0 / (1.0 + (s * torch.exp(-self.log_range)) ** 4)
        if gate is not None:
            envelope = gate * envelope  # no messages, no corrections: there is no bias behind them
        message = silu(affine(self.to_message, hidden)) * envelope
        return message, self.to_force(message)


class Update(nn.Module):
    """The node half of an EGCL: h + phi_h(h, sum_j m_ij)."""

    def __init__(self, config: SETConfig) -> None:
        super().__init__()
        d = config.width
        self.from_features = nn.Linear(d, d)
        self.from_messages = nn.Linear(d, d, bias=False)
        self.to_features = nn.Linear(d, d)

    def forward(self, h: Tensor, received: Tensor) -> Tensor:
        """Map h and the summed messages, both (N, S, d), to the new h."""
        hidden = silu(affine(self.from_features, h) + self.from_messages(received))
        return h + affine(self.to_features, hidden)


class TemporalAttention(nn.Module):
    """Causal attention of each particle over its own last L frames.

    Scores are q.k / sqrt(d_head) plus a learned bias per head and relative lag.
    """

    def __init__(self, config: SETConfig) -> None:
        super().__init__()
        d = config.width
        self.history, self.heads = config.history, config.heads
        self.query = nn.Linear(d, d)
        self.key_value = nn.Linear(d, 2 * d)
        self.out = nn.Linear(d, d)
        self.lag_bias = nn.Parameter(torch.zeros(config.heads, config.history))

    def forward(self, h: Tensor) -> Tensor:
        """Attend within a window: (N, B, T, d) to (N, B, T, d)."""
        frames = h.shape[2]
        past = torch.arange(frames, device=h.device)
        lag = past[:, None] - past[None, :]  # (T, T)
        seen = (lag >= 0) & (lag < self.history)  # a band: longer windows are as good as streaming
        bias = self.lag_bias[:, lag.clamp(0, self.history - 1)]
        bias = bias.masked_fill(~seen, -torch.inf)  # (H, T, T)
        return self._attend(self.query(h), self.key_value(h), bias)

    def step(self, h: Tensor, past: Tensor, filled: Tensor) -> tuple[Tensor, Tensor]:
        """Attend from one new frame (N, B, 1, d) to the cached keys and values.

        `past` (N, B, L - 1, 2d) holds the earlier frames, newest last; `filled` (B,) says how
        many of them are real.
        """
        key_value = torch.cat([past, self.key_value(h)], dim=2)
        lag = torch.arange(self.history - 1, -1, -1, device=h.device)
        seen = lag <= filled[:, None]  # (B, L)
        bias = self.lag_bias.flip(1)[None, :, None, :].masked_fill(
            ~seen[:, None, None, :], -torch.inf
        )  # (B, H, 1, L)
        # as contiguous as the first cache, so that one compiled step serves all frames
        return self._attend(self.query(h), key_value, bias), key_value[:, :, 1:].contiguous()

    def _attend(self, query: Tensor, key_value: Tensor, bias: Tensor) -> Tensor:
        key, value = key_value.chunk(2, dim=-1)
        query, key, value = self._split(query), self._split(key), self._split(value)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + bias
        mixed = scores.softmax(-1) @ value  # (N, B, H, T, d / H)
        attended: Tensor = self.out(mixed.transpose(2, 3).flatten(3))
        return attended

    def _split(self, y: Tensor) -> Tensor:
        return y.view(*y.shape[:-1], self.heads, -1).transpose(2, 3)  # (N, B, H, T, d / H)


class Constants(NamedTuple):
    """What stays the same during the sub-steps of a frame, particle-major with S = B T samples."""

    pairs: Pairs
    x: Tensor  # (N, S, D) at the frame
    v: Tensor  # (N, S, D)
    pair_charges: Tensor  # (P, S, 1) q_i q_j
    charges: Tensor  # (N, S, 1)
    masses: Tensor  # (N, S, 1)
    pair_inverse_mass: Tensor  # (P, S, 1) 1 / m_i + 1 / m_j
    field: FieldLaw | None
    gate: Tensor | None  # (S, 1) 1 within the domain of the training data, 0 outside
    halved: Tensor | None  # (S, 1) whether leapfrog's steps are half as long; None: nowhere
    recall: Recall | None = None  # what is remembered


class Motion(NamedTuple):
    """What the sub-steps carry along, particle-major with S = B T samples."""

    r: Tensor  # (P, S, D) x_i - x_j
    w: Tensor  # (P, S, D) v_i - v_j
    a: Tensor  # (P, S, D) a_i - a_j at the last sub-step
    dx: Tensor  # (N, S, D) since the frame
    dv: Tensor  # (N, S, D)
    h: Tensor  # (N, S, d)


@final
class SET(AbstractSurrogate[SETConfig]):
    """The flagship surrogate: K learned kick-drift sub-steps with temporal attention."""

    Config = SETConfig
    applies_field = True
    own_recipe = RECIPES / "set-first.toml"
    shipped_weights = MappingProxyType(
        {name: WEIGHTS / name for name in ("set", "set-small", "set-kernel")}
    )
    capabilities = frozenset({HIDDEN_VARIABLES})
    symmetries = frozenset(
        {
            "translation",
            "rotation",
            "reflection",
            "permutation",
            "time-shift",
            "boost",
            "charge-conjugation",
        }
    )

    def __init__(self, config: SETConfig) -> None:
        super().__init__(config)
        self.pair_features = PairFeatures(config)
        self.prior = Prior(config)
        # The same for all particles: what tells them apart comes with the first messages.
        self.initial_features = nn.Parameter(torch.randn(config.width))
        self.messages = nn.ModuleList(
            Messages(config, self.pair_features.size) for _ in range(config.substeps)
        )
        self.updates = nn.ModuleList(Update(config) for _ in range(config.substeps - 1))
        self.attention = TemporalAttention(config)
        if config.memory:
            self.memory = Memory(config, self.pair_features.size)
        # Weights of a drift-kick-drift leapfrog: K equal kicks, half drifts at both ends.
        self.kick = nn.Parameter(torch.ones(config.substeps))
        drift = torch.ones(config.substeps + 1)
        drift[0] = drift[-1] = 0.5
        self.drift = nn.Parameter(drift)

    @property
    def evaluations_per_frame(self) -> int:
        """See `AbstractSurrogate.evaluations_per_frame`."""
        return self.config.substeps

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`."""
        if self.training and self.training_engine == "fused" and not self.config.memory:
            from nbody_set.training.kernel import fits, forward

            if fits(self, x, particles):
                return forward(self, x, v, particles, LARGEST)
        batch, frames, n, _ = x.shape
        begun, constants = self._begin(x, v, particles)
        motion = self._substep(0, begun, constants)
        # Attention sees features of single frames, made by one sub-step that no attention feeds:
        # only so can their keys and values be kept, and a roll-out stream exactly.
        alone = motion.h.view(n, batch, frames, -1)
        h = alone + self.attention(alone)
        if self.config.memory:
            read = self.memory.read(
                self._plain_step(x, v, particles), particles.masses, _ends(constants.pairs)
            )
            recall = self.memory.recall(self._window(begun, constants, alone), read)
            motion, constants, h = self._recalled(begun, constants, h, recall)
        return self._finish(motion._replace(h=h.flatten(1, 2)), constants, (batch, frames))

    def begin_with_curve(self, r: Tensor, force: Tensor) -> bool:
        """See `AbstractSurrogate.begin_with_curve`; a prior `kernel` takes it."""
        if self.config.prior != "kernel":
            return False
        begin_with_curve(self.prior, self.pair_features, self.config.softening, r, force)
        return True

    def start_cache(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> Cache:
        """Keys and values of the last L - 1 frames, and how many of them are real."""
        batch, frames, n, _ = x.shape
        room = self.config.history - 1
        seen = min(frames, room)
        pairs_of(n, x.device, self.dtype)  # before a compiled step asks for them
        past = self.kick.new_zeros((n, batch, room, 2 * self.config.width))
        if seen:
            motion, constants = self._begin(x[:, -seen:], v[:, -seen:], particles)
            h = self._substep(0, motion, constants).h.view(n, batch, seen, -1)
            past[:, :, room - seen :] = self.attention.key_value(h)
        cache = {"past": past, "filled": torch.full((batch,), seen, device=past.device)}
        return {**cache, **self._start_memory(x, v, particles)} if self.config.memory else cache

    def step_cache(
        self, cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors
    ) -> tuple[Tensor, Tensor, Cache]:
        """See `AbstractSurrogate.step_cache`."""
        batch = x.shape[0]
        begun, constants = self._begin(x[:, None], v[:, None], particles)
        motion = self._substep(0, begun, constants)
        alone = motion.h[:, :, None]
        attended, past = self.attention.step(alone, cache["past"], cache["filled"])
        h = alone + attended
        remembered: Cache = {}
        if self.config.memory:
            recall, remembered = self._step_memory(
                cache, (x, v), particles, begun, constants, alone
            )
            motion, constants, h = self._recalled(begun, constants, h, recall)
        dx, dv = self._finish(motion._replace(h=h[:, :, 0]), constants, (batch, 1))
        filled = (cache["filled"] + 1).clamp(max=self.config.history - 1)
        return dx[:, 0], dv[:, 0], {"past": past, "filled": filled, **remembered}

    def fused_steps(
        self, particles: Particles, dimensions: int, field: FieldLaw | None
    ) -> AbstractFusedSteps | None:
        """See `AbstractSurrogate.fused_steps`; in float32 and float64, to three dimensions."""
        known = self.dtype in (torch.float32, torch.float64)
        if not known or dimensions > 3 or self.kick.device.type != "cpu" or self.config.memory:
            return None
        from nbody_set.fused.steps import FusedSET  # numba, which nothing else here needs

        return FusedSET(self, particles, field)

    def _begin(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Motion, Constants]:
        """Return the motion at the first kick of frames x, v (B, T, N, D), and what is constant."""
        motion, constants = self._still(x, v, particles)
        return self._drift(0, motion, constants), constants

    def _still(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Motion, Constants]:
        """Take differences in the window's dtype, then cast; S = B T."""
        frames, n = x.shape[1:3]
        pairs = pairs_of(n, x.device, self.dtype)
        x = x.permute(2, 0, 1, 3).flatten(1, 2)  # (N, S, D)
        v = v.permute(2, 0, 1, 3).flatten(1, 2)
        charges = self._per_sample(particles.charges, frames)  # (N, S, 1)
        masses = self._per_sample(particles.masses, frames)
        pair_charges = charges.index_select(0, pairs.i) * charges.index_select(0, pairs.j)
        # Far from the origin, float32 positions would have lost the digits that differences need.
        r = pairs.difference(x).to(self.dtype)
        w = pairs.difference(v).to(self.dtype)
        h = self.initial_features.expand(n, x.shape[1], -1)
        x, v = x.to(self.dtype), v.to(self.dtype)
        still = torch.zeros_like(x)
        motion = Motion(r, w, torch.zeros_like(r), still, still, h)
        inverse = pairs.sum(1.0 / masses)
        gate, halved = self._gate(r, w, pair_charges, inverse, pairs)
        constants = Constants(
            pairs, x, v, pair_charges, charges, masses, inverse, particles.field, gate, halved
        )
        return motion, constants

    def _gate(
        self, r: Tensor, w: Tensor, charges: Tensor, inverse_mass: Tensor, pairs: Pairs
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return how far each sample is trusted to what was learned, and where steps are halved."""
        config, domain = self.config, self.config.domain
        # While it trains all is trusted: the limits are those of the very data.
        if domain is None or self.training or len(r) == 0:
            return None, None
        times = config.frame_dt, self.pair_features.tau
        found = extremes(
            r, w, charges, inverse_mass, pairs.gather, config.softening, *times, config.coupling
        )
        opened, halved = gate(domain, found), None
        if domain.circularity > 0.0:
            pull = -config.coupling * charges * inverse_mass
            halved = lone_pair(
                r, w, pull, pairs.gather, pairs.sum, config.softening, domain.circularity
            )
            opened = opened * (~halved).to(opened)
        if torch.compiler.is_compiling():  # which has no branches
            return opened, halved
        # Elsewhere what would change nothing is left out: the bits are the same.
        if bool((opened == 1.0).all()):
            return None, None
        return opened, halved if halved is not None and bool(halved.any()) else None

    def _per_sample(self, y: Tensor, frames: int) -> Tensor:
        """Map properties of particles (B, N) to (N, S, 1)."""
        batch, n = y.shape
        return y.to(self.dtype).T[:, :, None].expand(n, batch, frames).reshape(n, -1, 1)

    def _finish(
        self, motion: Motion, constants: Constants, shape: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        for k in range(1, self.config.substeps):
            motion = self._substep(k, motion, constants)
        n, _, dims = motion.dx.shape
        if constants.recall is not None and constants.recall.pull is not None:
            assert constants.recall.shift is not None
            # of a pull that changes within the frame the sub-steps know the mean alone
            more = constants.recall.shift - constants.recall.pull
            motion = motion._replace(dx=motion.dx + 0.5 * self.config.frame_dt**2 * more)
        dx = motion.dx.reshape(n, *shape, dims).permute(1, 2, 0, 3)  # (B, T, N, D)
        dv = motion.dv.reshape(n, *shape, dims).permute(1, 2, 0, 3)
        return dx, dv

    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """See `AbstractSurrogate.initialise`; weights of remembered forces have a closed form."""
        if "forces" not in self.config.memory or x.shape[1] < 2:
            return
        whole_x = torch.cat([x, (x[:, -1] + dx)[:, None]], 1)
        whole_v = torch.cat([v, (v[:, -1] + dv)[:, None]], 1)
        step = self._plain_step(whole_x, whole_v, particles)
        vectors = torch.stack([step.kick, step.shift, step.gain], 3).permute(2, 0, 1, 3, 4)
        self.memory.own.fit(vectors[:, :, :-1], vectors[:, :, -1, :2])

    @torch.no_grad()
    def _plain_step(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> PlainStep:
        """Take steps without memory from all frames but the last, x and v (B, T, N, D)."""
        batch, frames, _, dims = x.shape
        motion, constants = self._still(x[:, :-1], v[:, :-1], particles)
        pairs, substeps, tau = constants.pairs, self.config.substeps, self.pair_features.tau
        # leapfrog's own shares: what is read of the past must not change while shares are learned
        motion = self._moved(motion, constants, 0.5 * tau)
        impulse = axis = torch.zeros_like(motion.r)
        for k in range(substeps):
            s = torch.sqrt((motion.r**2).sum(-1, keepdim=True) + self.config.softening**2)
            basis = self.pair_features.basis(s)
            force = self.prior(constants.pair_charges, basis, s) * motion.r / s**3
            impulse = impulse + force / substeps
            if "pairs" in self.config.memory:
                axis = axis + self.memory.force_of_pairs(basis) * motion.r / (substeps * s)
            a = pairs.gather_signed(force) / constants.masses
            motion = self._kicked(motion, constants, a, tau)
            motion = self._moved(motion, constants, tau * (0.5 if k == substeps - 1 else 1.0))

        def of_windows(y: Tensor) -> Tensor:
            return y.view(y.shape[0], batch, frames - 1, dims).permute(1, 2, 0, 3)

        dt = self.config.frame_dt
        gone, gain = x[:, 1:] - x[:, :-1], v[:, 1:] - v[:, :-1]  # in the window's dtype
        shift = (gone - of_windows(motion.dx)).to(self.dtype) / (0.5 * dt * dt)
        kick = (gain - of_windows(motion.dv)).to(self.dtype) / dt
        own = of_windows(impulse), of_windows(axis)
        return PlainStep(shift, kick, *own, gain.to(self.dtype) / dt)

    def _window(self, begun: Motion, constants: Constants, h: Tensor) -> Window:
        """Describe samples at the first kick, for what is remembered; h (N, B, T, d)."""
        s = torch.sqrt((begun.r**2).sum(-1, keepdim=True) + self.config.softening**2)
        basis = self.pair_features.basis(s)
        c = self.prior(constants.pair_charges, basis, s)
        seen = self.pair_features(
            begun.r, begun.w, begun.a, s, basis, c, constants.pair_inverse_mass
        )
        seen = seen.view(len(seen), *h.shape[1:3], seen.shape[-1])
        return Window(h, seen)

    def _recalled(
        self, begun: Motion, constants: Constants, h: Tensor, recall: Recall
    ) -> tuple[Motion, Constants, Tensor]:
        """Take the first sub-step again, with what is remembered."""
        constants = constants._replace(recall=recall)
        motion = self._substep(0, begun, constants)
        return motion, constants, h + recall.features.view_as(h)

    def _start_memory(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> Cache:
        """Fill the cache of what is remembered, frame by frame."""
        batch, frames, n, dims = x.shape
        like = self.kick.new_zeros(())
        cache = self.memory.begin(n, n * (n - 1) // 2, batch, like, dims)
        nothing = torch.zeros((batch, n, dims), dtype=torch.float64, device=x.device)
        cache |= {"x": nothing, "v": nothing, "known": like.new_zeros((batch,))}
        for t in range(max(frames - self.config.history + 1, 0), frames):
            motion, constants = self._begin(x[:, t : t + 1], v[:, t : t + 1], particles)
            h = self._substep(0, motion, constants).h[:, :, None]
            _, cache = self._step_memory(cache, (x[:, t], v[:, t]), particles, motion, constants, h)
        return cache

    def _step_memory(
        self,
        cache: Cache,
        now: tuple[Tensor, Tensor],
        particles: ParticleTensors,
        begun: Motion,
        constants: Constants,
        h: Tensor,
    ) -> tuple[Recall, Cache]:
        """Return what is remembered at a new frame x, v (B, N, D), and the cache for the next."""
        x, v = (
            torch.stack([before.to(y), y], 1)
            for before, y in zip((cache["x"], cache["v"]), now, strict=True)
        )
        known = cache["known"] > 0
        step = self._plain_step(x, v, particles)
        # of a start there is no interval: numbers in its place must be harmless
        step = PlainStep(*(torch.where(known[:, None, None, None], y, 0.0) for y in step))
        reading = self.memory.read(step, particles.masses, _ends(constants.pairs))
        recall, following = self.memory.step(
            cache, self._window(begun, constants, h), reading, known
        )
        here = {"x": x[:, 1], "v": v[:, 1], "known": torch.ones_like(cache["known"])}
        return recall, {**following, **here}

    def _remembered(
        self, k: int, c: Tensor, h: Tensor, basis: Tensor, s: Tensor, constants: Constants
    ) -> Tensor:
        """Return the law c (P, S, 1) with what is remembered of charges and pairs."""
        recall = constants.recall
        if recall is None:
            return c
        if recall.charges is not None:
            z = self.memory.charge_gain[k] * recall.charges + self.memory.charge_heads[k](h)
            pairs = constants.pairs
            c = c * (1.0 + z.index_select(0, pairs.i)) * (1.0 + z.index_select(0, pairs.j))
        if recall.pairs is not None:
            c = c + recall.pairs * self.memory.force_of_pairs(basis) * s * s
        return c

    def _substep(self, k: int, motion: Motion, constants: Constants) -> Motion:
        """Kick by the central pair forces and the field, then drift."""
        pairs, charges = constants.pairs, constants.pair_charges
        r = motion.r
        s = torch.sqrt((r * r).sum(-1, keepdim=True) + self.config.softening**2)
        basis = self.pair_features.basis(s)
        c = self.prior(charges, basis, s)
        features = self.pair_features(
            r, motion.w, motion.a, s, basis, c, constants.pair_inverse_mass
        )
        message, correction = self.messages[k](
            motion.h, features, s, charges, pairs, constants.gate
        )
        if self.config.bound is not None:
            correction = _bounded(correction, self.config.bound, features, c)
        c = self._remembered(k, c, motion.h, basis, s, constants)
        h = motion.h
        if k < len(self.updates):  # after the last kick nobody reads features
            h = self.updates[k](h, pairs.gather(message))
        force = (c + correction) * r / s**3  # along the separation, so the pair has no torque
        a = pairs.gather_signed(force) / constants.masses
        tau = self._time(self.kick, k, constants, 1.0, 0.5)
        motion = self._kicked(motion._replace(h=h), constants, a, tau)
        motion = self._drift(k + 1, motion, constants)
        return motion if constants.halved is None else self._second_half(k, motion, constants)

    def _second_half(self, k: int, motion: Motion, constants: Constants) -> Motion:
        """Where leapfrog takes two steps for a sub-step: the kick of the second, and its drift."""
        assert constants.halved is not None
        tau = constants.halved.to(self.dtype) * (0.5 * self.pair_features.tau)
        kicked = self._kicked(motion, constants, self._plain(motion, constants), tau)
        # of samples whose steps are not halved this was no sub-step: the next sees the one before
        last = 0.5 if k == self.config.substeps - 1 else 1.0  # a frame ends with half a drift
        return self._moved(kicked._replace(a=motion.a), constants, last * tau)

    def _plain(self, motion: Motion, constants: Constants) -> Tensor:
        """Accelerations by the law alone, (N, S, D)."""
        pairs, r = constants.pairs, motion.r
        s = torch.sqrt((r * r).sum(-1, keepdim=True) + self.config.softening**2)
        force = self.config.coupling * constants.pair_charges * r / s**3
        return pairs.gather_signed(force) / constants.masses

    def _kicked(
        self, motion: Motion, constants: Constants, a: Tensor, tau: Tensor | float
    ) -> Motion:
        """Change velocities by the accelerations of pairs (N, S, D) and by the field."""
        pairs = constants.pairs
        pair_a = pairs.difference(a)
        # Relative motion is carried beside absolute motion: taken anew from positions in float32,
        # separations would lose digits.
        w, dv = motion.w + tau * pair_a, motion.dv + tau * a
        if constants.field is not None:
            kick = tau * self._field(motion, constants)
            w, dv = w + pairs.difference(kick), dv + kick
        if constants.recall is not None and constants.recall.pull is not None:
            kick = tau * constants.recall.pull
            w, dv = w + pairs.difference(kick), dv + kick
        return motion._replace(w=w, dv=dv, a=pair_a)

    def _field(self, motion: Motion, constants: Constants) -> Tensor:
        """Accelerations by the field at the present positions, (N, S, D)."""
        assert constants.field is not None
        x, v = constants.x + motion.dx, constants.v + motion.dv
        charges, masses = constants.charges[..., 0], constants.masses[..., 0]
        return field_acceleration(constants.field, x, v, charges, masses)

    def _drift(self, k: int, motion: Motion, constants: Constants) -> Motion:
        ends = k in (0, self.config.substeps)
        # between two steps that are half as long lies half a sub-step; at the start, a half of that
        halved = 0.25 if k == 0 else 0.5
        tau = self._time(self.drift, k, constants, 0.5 if ends else 1.0, halved)
        return self._moved(motion, constants, tau)

    def _moved(self, motion: Motion, constants: Constants, tau: Tensor | float) -> Motion:
        # Shares sum to 1, and the momenta of kicks to 0: the centre of mass moves by exactly v dt.
        dx = motion.dx + tau * (constants.v + motion.dv)
        return motion._replace(r=motion.r + tau * motion.w, dx=dx)

    def _time(
        self, weights: Tensor, k: int, constants: Constants, leapfrog: float, halved: float
    ) -> Tensor:
        """Return the k-th share of a frame: where the gate is shut, leapfrog's, in sub-steps."""
        learned = self.config.frame_dt * _share(weights, k)
        if constants.gate is None:
            return learned
        tau = self.pair_features.tau
        # One or the other: between them the steps would be no palindrome, and of order one.
        if constants.halved is None:
            return torch.where(constants.gate > 0, learned, tau * leapfrog)
        whole = torch.full_like(constants.gate, tau * leapfrog)
        steps = torch.where(constants.halved, tau * halved, whole)
        return torch.where(constants.gate > 0, learned, steps)


def _bounded(correction: Tensor, bound: float, features: Tensor, c: Tensor) -> Tensor:
    """Keep a correction within the size of what it corrects, all of shape (P, S, 1).

    The last three features of a pair are the parts of its truncation in a sub-step, relative to
    its force c.
    """
    truncation = features[..., -3:].abs().sum(-1, keepdim=True)
    largest = (bound * truncation).clamp(max=LARGEST) * c.abs()
    return torch.clamp(correction, -largest, largest)


def _ends(pairs: Pairs) -> tuple[Tensor, Tensor]:
    return pairs.i, pairs.j


def _share(weights: Tensor, k: int) -> Tensor:
    """Return the k-th share of palindromic shares, which sum to 1.

    Palindromic: backwards in time they come in the same order. So, as in any symmetric splitting,
    what is given and not learned is integrated with an even order.
    """
    return (weights[k] + weights[-1 - k]) / (2 * weights.sum())
