"""The memory of `set`: readings of past misfits, brought to the present, as forces of a step.

What is read of the past is chosen by `SETConfig.memory`, see `misfit`; how it is brought to the
present by `SETConfig.temporal`, see `recollection`. Charges and pairs act along the separation of
pairs, so momentum and angular momentum are kept; forces act on each particle by itself, which is
what a bath does.

Axes as in `model`: N particles, P pairs, S = B T samples, T frames, d features, D dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from nbody_set.misfit import PlainStep, charges_of, pairs_of_misfit
from nbody_set.own_forces import OwnForces
from nbody_set.recollection import AbstractRecollection, recollection
from nbody_surrogate.contracts import Cache

if TYPE_CHECKING:
    from nbody_set.model import SETConfig

__all__ = ["Memory", "Reading", "Recall", "Window"]

Kind = Literal["charges", "pairs", "forces"]
RIDGE_CHARGES, RIDGE_PAIRS = -8.0, -4.0
"""Logarithms of what the squares of readings cost at first; they are learned."""


class Recall(NamedTuple):
    """What is remembered at each sample; what is not remembered is None.

    Attributes
    ----------
    features : Tensor, shape (N, S, d)
    charges : Tensor, shape (N, S, 1)
    pairs : Tensor, shape (P, S, 1)
    pull, shift : Tensor, shape (N, S, D)
        Accelerations that change velocities, and positions.
    """

    features: Tensor
    charges: Tensor | None
    pairs: Tensor | None
    pull: Tensor | None
    shift: Tensor | None


class Reading(NamedTuple):
    """What intervals say, by the frames that they ended at; what is not read is None.

    Attributes
    ----------
    charges : Tensor, shape (N, B, T, 1)
    pairs : Tensor, shape (P, B, T, 1)
    vectors : Tensor, shape (N, B, T, 3, D)
        Misfits of velocities and of positions, and the change of velocities, as accelerations.
    """

    charges: Tensor | None
    pairs: Tensor | None
    vectors: Tensor | None


class Window(NamedTuple):
    """Frames that something is recalled at.

    Attributes
    ----------
    particles : Tensor, shape (N, B, T, d)
        Features of particles.
    pairs : Tensor, shape (P, B, T, F)
        Invariants of pairs.
    """

    particles: Tensor
    pairs: Tensor


@final
class Memory(nn.Module):
    """What a model of some config remembers."""

    def __init__(self, config: SETConfig, invariants: int) -> None:
        super().__init__()
        d, history, heads = config.width, config.history, config.heads
        self.kinds, self.width = frozenset(config.memory), d
        if "charges" in self.kinds:
            self.charges = recollection(config.temporal, d, 1, history, heads)
            self.charge_weight = _shares(self.charges)
            self.charge_features = nn.Linear(2 * self.charges.heads, d)
            self.charge_ridge = nn.Parameter(torch.tensor(RIDGE_CHARGES))
            heads_of_substeps = [nn.Linear(d, 1, bias=False) for _ in range(config.substeps)]
            for head in heads_of_substeps:
                nn.init.zeros_(head.weight)
            self.charge_heads = nn.ModuleList(heads_of_substeps)
            self.charge_gain = nn.Parameter(torch.ones(config.substeps))
        if "pairs" in self.kinds:
            self.pair_features = nn.Linear(invariants, d)
            self.pairs = recollection(config.temporal, d, 1, history, heads)
            self.pair_weight = _shares(self.pairs)
            self.pair_ridge = nn.Parameter(torch.tensor(RIDGE_PAIRS))
            # what a remembered pair adds beyond what is linear in its readings
            more = nn.Linear(d, 1, bias=False)
            nn.init.zeros_(more.weight)
            self.pair_more = nn.Sequential(nn.Linear(d + 2 * self.pairs.heads, d), nn.SiLU(), more)
            self.tie = nn.Linear(config.basis, 1, bias=False)  # phi of a radial basis
            nn.init.normal_(self.tie.weight, std=0.3)
        if "forces" in self.kinds:
            self.own = OwnForces(config.temporal, history, config.prior == "coulomb")

    def force_of_pairs(self, basis: Tensor) -> Tensor:
        """Map the radial basis (..., G) to phi (..., 1)."""
        made: Tensor = self.tie(basis)
        return made

    def read(self, step: PlainStep, masses: Tensor, ends: tuple[Tensor, Tensor]) -> Reading:
        """Read intervals (B, I), which end at the frames 1 to I of a window; masses (B, N)."""
        charges = pairs = vectors = None
        dtype = step.kick.dtype
        if "charges" in self.kinds:
            # what is solved for is small against what it is solved from
            args = (step.kick.double(), step.impulse.double(), masses.double())
            z = charges_of(*args, ends, self.charge_ridge.double().exp())
            charges = z.to(dtype).permute(2, 0, 1, 3)
        if "pairs" in self.kinds:
            args = (step.kick.double(), step.axis.double(), masses.double())
            z = pairs_of_misfit(*args, ends, self.pair_ridge.double().exp())
            pairs = z.to(dtype).permute(2, 0, 1, 3)
        if "forces" in self.kinds:
            stacked = torch.stack([step.kick, step.shift, step.gain], 3)
            vectors = stacked.permute(2, 0, 1, 3, 4)
        return Reading(charges, pairs, vectors)

    def recall(self, window: Window, reading: Reading) -> Recall:
        """Return what is remembered in a window, of whose first frame no interval is known."""
        made = {}
        if reading.charges is not None:
            made["charges"] = self.charges(window.particles, _from_second(reading.charges), 1)
        if reading.pairs is not None:
            h = self.pair_features(window.pairs)
            made["pairs"] = self.pairs(h, _from_second(reading.pairs), 1)
        own = None if reading.vectors is None else self.own(_from_second(reading.vectors), 1)
        return self._recalled(window, made, own)

    def begin(self, n: int, pairs: int, batch: int, like: Tensor, dimensions: int) -> Cache:
        """Return the cache of a start without a past."""
        cache: Cache = {}
        if "charges" in self.kinds:
            cache |= _named("charges", self.charges.begin(n, batch, like))
        if "pairs" in self.kinds:
            cache |= _named("pairs", self.pairs.begin(pairs, batch, like))
        if "forces" in self.kinds:
            cache |= _named("forces", self.own.begin(n, batch, dimensions, like))
        return cache

    def step(
        self, cache: Cache, window: Window, reading: Reading, known: Tensor
    ) -> tuple[Recall, Cache]:
        """Return what is remembered at a new frame, of windows of T = 1, and the next cache.

        Of trajectories that are not `known`, (B,), no interval has ended yet.
        """
        made, following, own = {}, {}, None
        if reading.charges is not None:
            given = (window.particles[:, :, 0], reading.charges[:, :, 0], known)
            o, after = self.charges.step(_of("charges", cache), *given)
            made["charges"], following["charges"] = o[:, :, None], after
        if reading.pairs is not None:
            h = self.pair_features(window.pairs)[:, :, 0]
            o, after = self.pairs.step(_of("pairs", cache), h, reading.pairs[:, :, 0], known)
            made["pairs"], following["pairs"] = o[:, :, None], after
        if reading.vectors is not None:
            y, after = self.own.step(_of("forces", cache), reading.vectors[:, :, 0], known)
            own, following["forces"] = y[:, :, None], after
        next_cache: Cache = {}
        for name, each in following.items():
            next_cache |= _named(name, each)
        return self._recalled(window, made, own), next_cache

    def _recalled(self, window: Window, made: dict[str, Tensor], own: Tensor | None) -> Recall:
        """Turn what heads remember, (E, B, T, H, 1), into what acts."""
        features = torch.zeros_like(window.particles)
        charges = pairs = pull = shift = None
        if "charges" in made:
            o = made["charges"][..., 0]
            features = features + self.charge_features(torch.cat([o, o * o], -1))
            charges = (o @ self.charge_weight)[..., None].flatten(1, 2)
        if "pairs" in made:
            o = made["pairs"][..., 0]
            more = torch.cat([self.pair_features(window.pairs), o, o * o], -1)
            z = (o @ self.pair_weight)[..., None] + self.pair_more(more)
            pairs = z.flatten(1, 2)
        if own is not None:  # (N, B, T, 2, D)
            pull, shift = (own[..., k, :].flatten(1, 2) for k in range(2))
        return Recall(features.flatten(1, 2), charges, pairs, pull, shift)


def _shares(recalled: AbstractRecollection) -> nn.Parameter:
    """Weights of heads that begin with what the first one has."""
    weights = torch.zeros(recalled.heads)
    weights[0] = 1.0
    return nn.Parameter(weights)


def _from_second(reading: Tensor) -> Tensor:
    """Put zeros for the first frame before readings of the others, along axis 2."""
    return torch.cat([torch.zeros_like(reading[:, :, :1]), reading], 2)


def _named(kind: str, cache: dict[str, Tensor]) -> Cache:
    return {f"{kind}.{name}": each for name, each in cache.items()}


def _of(kind: str, cache: Cache) -> dict[str, Tensor]:
    start = f"{kind}."
    return {
        name.removeprefix(start): each for name, each in cache.items() if name.startswith(start)
    }
