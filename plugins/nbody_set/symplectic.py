"""A learned symplectic splitting: kicks from a modified potential of pairs, and learned shares.

A frame is a palindrome of K + 1 drifts and K kicks. A kick of leapfrog is the exact flow of the
potential V. That of a modified potential, V and some terms of the truncation error that depend on
positions alone, is as cheap, and still the exact flow of a Hamiltonian. So, whatever the weights,
the map of a frame is symplectic and time-reversible, pair forces are central and opposite, and the
error vanishes with the square of the frame. Which modified potential is best for encounters that a
sub-step hardly resolves, no expansion in powers of the step says: it is learned.

With ``kicks`` "equal" all kicks are alike, as in leapfrog: what ships. With "learned" each has its
own potential and share, and one frame is far nearer to the truth. But long runs of dense clouds
then gain energy: docs/set.md.

===============  =====================================================  =================
symbol           meaning                                                variable
===============  =====================================================  =================
s, u             sqrt(r^2 + softening^2), (softening / s)^2             ``s``, ``u``
c                k q_i q_j                                              ``c``
mu               1 / m_i + 1 / m_j                                      ``inverse_mass``
y                tau^2 mu c / s^3, with tau = frame_dt / K              ``y``
kappa_k          share of the kick k, sum 1                             ``kicks``
delta_k          share of the drift k, sum 1                            ``drifts``
a_kp(u)          polynomial in u of the power p of the charges          ``radial``
gamma_k          of the many-body term sum_i |F_i|^2 / m_i              ``gradient``
===============  =====================================================  =================

The potential of a pair in the kick k is

    V_k = c / s (kappa_k + 1 / K sum_p y^(p - 1) a_kp(u)),  p = 2 ... powers

since the parts of the modified potential that are of two bodies are, of Plummer's law, of just that
form: [V, [T, V]] is y times a polynomial in u of degree 1, the next one y^2 times one of degree 2.
Charges and masses come in as the expansion has them, so the numbers that are learned, which have no
units, serve any of them. With ``force_gradient`` the whole of [V, [T, V]], a sum over triples, is
taken with a weight gamma_k; it costs a second sum over pairs in each kick.

The commutators: Takahashi and Imada, J. Phys. Soc. Japan 53 (1984) 3765; Chin, Phys. Lett. A 226
(1997) 344; Omelyan, Mryglod and Folk, Comput. Phys. Commun. 151 (2003) 272. Splittings whose shares
solve order conditions instead: Blanes and Moan, J. Comput. Appl. Math. 142 (2002) 313. Modified
equations: Hairer, Lubich and Wanner, "Geometric Numerical Integration" (2006), IX.

Axes: B trajectories, T frames, S = B T samples, N particles, P = N (N - 1) / 2 unordered pairs,
D dimensions, K kicks.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from nbody_surrogate.contracts import (
    AbstractFusedSteps,
    AbstractSurrogate,
    Cache,
    FieldLaw,
    Particles,
    ParticleTensors,
    SurrogateConfig,
    field_acceleration,
)

if TYPE_CHECKING:
    from nbody_set.symplectic_kernel import Splitting

__all__ = ["SETSymplectic", "SETSymplecticConfig", "palindrome"]

WEIGHTS = Path(__file__).parent / "weights"
RECIPES = Path(__file__).parent / "recipes"
HORIZON = 6
"""Frames of the roll-outs that a model is fitted to, beside single ones: what a close encounter
leaves behind shows after it."""
RIDGE = 1e-3
"""Of the loss, for each learned coefficient's square: without it those of the kicks grow to tens,
with opposite signs, and what cancels in the training data need not elsewhere."""
MOST_PAIRS = 100_000
"""Of all these roll-outs together, about, ordered: a second of each of some hundred repeats."""


class SETSymplecticConfig(SurrogateConfig):
    """Form of `SETSymplectic`; `coupling`, `softening` and `frame_dt` are those of the data."""

    substeps: int = Field(default=16, ge=2, le=64, description="kicks per frame, K")
    kicks: Literal["equal", "learned"] = Field(
        default="equal",
        description="all alike, between equal drifts; or each, and each drift, of its own",
    )
    powers: int = Field(default=3, ge=1, le=6, description="of the charges; 1: shares alone")
    terms: int = Field(default=3, ge=1, le=8, description="of each polynomial in (softening / s)^2")
    force_gradient: bool = Field(
        default=False, description="add sum |F|^2 / m, which takes a second sum over pairs"
    )
    coupling: float = Field(default=1.0, description="k of Coulomb's law")
    softening: float = Field(default=0.1, gt=0)
    frame_dt: float = Field(default=0.1, gt=0)


class Sample(NamedTuple):
    """What stays the same during a frame."""

    x: Tensor  # (S, N, D) at the frame
    v: Tensor  # (S, N, D)
    place: Tensor  # (S, N, D) from the first particle
    c: Tensor  # (S, P, 1) k q_i q_j
    inverse_mass: Tensor  # (S, P, 1) 1 / m_i + 1 / m_j
    charges: Tensor  # (S, N)
    masses: Tensor  # (S, N)
    ends: tuple[Tensor, Tensor]  # (P,) the particles i and j of each pair
    field: FieldLaw | None


class Weights(NamedTuple):
    """The learned numbers as a frame takes them, first kick to last."""

    kicks: Tensor  # (K,)
    drifts: Tensor  # (K + 1,)
    radial: Tensor  # (K, powers - 1, terms)
    gradient: Tensor  # (K,)


@final
class SETSymplectic(AbstractSurrogate[SETSymplecticConfig]):
    """K kicks from learned potentials of pairs, between K + 1 drifts."""

    Config = SETSymplecticConfig
    applies_field = True
    own_recipe = RECIPES / "set-symplectic.toml"
    shipped_weights = MappingProxyType({"set-symplectic": WEIGHTS / "set-symplectic"})
    symmetries = frozenset(
        {
            "translation",
            "rotation",
            "reflection",
            "permutation",
            "time-shift",
            "time-reversal",
            "boost",
            "charge-conjugation",
        }
    )

    def __init__(self, config: SETSymplecticConfig) -> None:
        super().__init__(config)
        count = config.substeps
        half = (count + 1) // 2 if config.kicks == "learned" else 1
        # In double precision: a run of 1e4 frames keeps energy to 1e-4 of it, and shares that were
        # rounded to float32 would no longer be those of an order that was learned.
        begin = torch.full((count + 1,), 1.0 / count, dtype=torch.float64)
        drifts = torch.cat([0.5 * begin[:1], begin[1:]])
        # A palindrome's first half; the middle follows, as shares sum to 1. Begins as leapfrog.
        kick, drift = begin[: (count - 1) // 2].clone(), drifts[: count // 2].clone()
        self.kick: Tensor
        self.drift: Tensor
        if config.kicks == "learned":
            self.kick, self.drift = nn.Parameter(kick), nn.Parameter(drift)
        else:  # no weights: they follow from the config
            self.register_buffer("kick", kick, persistent=False)
            self.register_buffer("drift", drift, persistent=False)
        shape = (half, config.powers - 1, config.terms)
        self.radial = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        if config.force_gradient:
            self.gradient = nn.Parameter(torch.zeros(half, dtype=torch.float64))

    @property
    def evaluations_per_frame(self) -> int:
        """See `AbstractSurrogate.evaluations_per_frame`."""
        return (2 if self.config.force_gradient else 1) * self.config.substeps

    def forward(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> tuple[Tensor, Tensor]:
        """See `AbstractSurrogate.forward`."""
        sample, weights = self._sample(x, v, particles), self.weights()
        dx, dv = torch.zeros_like(sample.x), torch.zeros_like(sample.v)
        dt = self.config.frame_dt
        for k in range(self.config.substeps):
            dx = dx + dt * weights.drifts[k] * (sample.v + dv)
            dv = dv + self._kick(k, dx, dv, sample, weights)
        dx = dx + dt * weights.drifts[-1] * (sample.v + dv)
        return dx.view(x.shape), dv.view(v.shape)

    def start_cache(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> Cache:
        """See `AbstractSurrogate.start_cache`; nothing, as a frame says all."""
        return {}

    def step_cache(
        self, cache: Cache, x: Tensor, v: Tensor, particles: ParticleTensors
    ) -> tuple[Tensor, Tensor, Cache]:
        """See `AbstractSurrogate.step_cache`."""
        dx, dv = self(x[:, None], v[:, None], particles)
        return dx[:, 0], dv[:, 0], {}

    def fused_steps(
        self, particles: Particles, dimensions: int, field: FieldLaw | None
    ) -> AbstractFusedSteps | None:
        """See `AbstractSurrogate.fused_steps`; for double precision and forms as those shipped."""
        from nbody_set.symplectic_kernel import fits  # numba takes its time
        from nbody_set.symplectic_steps import SymplecticSteps

        config = self.config
        fitting = dimensions <= 3 and fits(config.powers, config.terms, field)
        if not fitting or self.dtype is not torch.float64:
            return None
        gradient = None
        if config.force_gradient:
            tau = config.frame_dt / config.substeps
            gradient = _array(tau**3 * self.weights().gradient)
        return SymplecticSteps(self._splitting(), gradient, particles, field)

    def _splitting(self) -> Splitting:
        """Return the learned numbers in units of time, with the factors of the force."""
        from nbody_set.symplectic_kernel import Splitting

        config, weights = self.config, self.weights()
        tau = config.frame_dt / config.substeps
        radial = np.zeros((config.substeps, 2, 3))
        for p in range(2, config.powers + 1):
            factors = torch.arange(config.terms) * 2 + (3 * p - 2)
            radial[:, p - 2, : config.terms] = _array(tau * factors * weights.radial[:, p - 2])
        return Splitting(
            _array(config.frame_dt * weights.kicks),
            _array(config.frame_dt * weights.drifts),
            radial,
            config.coupling,
            config.softening**2,
            tau**2,
        )

    @torch.no_grad()
    def initialise(
        self, x: Tensor, v: Tensor, particles: ParticleTensors, dx: Tensor, dv: Tensor
    ) -> None:
        """Fit all numbers to roll-outs from some of the frames; see `symplectic_fit`."""
        from nbody_set.symplectic_fit import draw_starts, least_squares, roll_out_errors

        if self.dtype is not torch.float64 or x.shape[2] < 2:
            return
        x = torch.cat([x, (x[:, -1] + dx)[:, None]], dim=1)
        v = torch.cat([v, (v[:, -1] + dv)[:, None]], dim=1)
        horizons = sorted({1, min(HORIZON, x.shape[1] - 1)})
        b, t = draw_starts(x.shape[0], x.shape[1], horizons[-1], MOST_PAIRS // x.shape[2] ** 2)
        truth = [(x[b, t + h], v[b, t + h]) for h in (0, *horizons)]
        some = ParticleTensors(particles.charges[b], particles.masses[b], particles.field)

        def roll(numbers: np.ndarray) -> list[np.ndarray]:
            self._put(numbers)
            return roll_out_errors(self, self.config.frame_dt, truth, horizons, some)

        ridge = [torch.full_like(each, RIDGE if each is self.radial else 0.0).flatten()
                 for each in self.parameters()]  # fmt: skip
        self._put(least_squares(roll, self._numbers(), _array(torch.cat(ridge))))

    def _numbers(self) -> np.ndarray:
        return np.concatenate([_array(each).ravel() for each in self.parameters()])

    def _put(self, numbers: np.ndarray) -> None:
        sizes = [each.numel() for each in self.parameters()]
        parts = np.split(numbers, np.cumsum(sizes)[:-1])
        for each, part in zip(self.parameters(), parts, strict=True):
            each.copy_(torch.from_numpy(part).view_as(each))

    def weights(self) -> Weights:
        """Return the shares and polynomials, first kick to last."""
        count = self.config.substeps
        mirrored = [min(k, count - 1 - k, len(self.radial) - 1) for k in range(count)]
        gradient = (
            self.gradient[mirrored] if self.config.force_gradient else self.radial.new_zeros(count)
        )
        return Weights(
            palindrome(self.kick, count),
            palindrome(self.drift, count + 1),
            self.radial[mirrored],
            gradient,
        )

    def _sample(self, x: Tensor, v: Tensor, particles: ParticleTensors) -> Sample:
        """Take differences in the window's dtype, then cast; S = B T."""
        batch, frames, n, dims = x.shape
        charges, masses = (
            y.to(self.dtype)[:, None].expand(batch, frames, n).reshape(-1, n)
            for y in (particles.charges, particles.masses)
        )
        i, j = torch.triu_indices(n, n, offset=1, device=x.device)
        # Far from the origin, sums would lose the digits that differences need.
        place = (x - x[:, :, :1]).to(self.dtype).reshape(-1, n, dims)
        return Sample(
            x.to(self.dtype).reshape(-1, n, dims),
            v.to(self.dtype).reshape(-1, n, dims),
            place,
            (self.config.coupling * charges[:, i] * charges[:, j])[..., None],
            (1.0 / masses[:, i] + 1.0 / masses[:, j])[..., None],
            charges,
            masses,
            (i, j),
            particles.field,
        )

    def _kick(self, k: int, dx: Tensor, dv: Tensor, sample: Sample, weights: Weights) -> Tensor:
        """Change of velocities (S, N, D) in the kick k."""
        config, (i, j) = self.config, sample.ends
        place = sample.place + dx
        r = place[:, i] - place[:, j]
        inverse = 1.0 / ((r * r).sum(-1, keepdim=True) + config.softening**2)  # 1 / s^2
        plain = sample.c * inverse * inverse.sqrt()  # F / r of the law
        tau = config.frame_dt / config.substeps
        y = (tau * tau) * sample.inverse_mass * plain
        u = (config.softening * config.softening) * inverse
        force = (
            config.frame_dt * weights.kicks[k] + tau * self._modified(k, y, u, weights)
        ) * plain
        momentum = _gather(force * r, sample)
        if config.force_gradient:
            gradient = self._gradient(r, plain, inverse, sample)
            momentum = momentum + tau**3 * weights.gradient[k] * gradient
        kick = momentum / sample.masses[..., None]
        if sample.field is None:
            return kick
        x, v = sample.x + dx, sample.v + dv
        a = field_acceleration(sample.field, x, v, sample.charges, sample.masses)
        return kick + config.frame_dt * weights.kicks[k] * a

    def _modified(self, k: int, y: Tensor, u: Tensor, weights: Weights) -> Tensor:
        """Return the learned part of a pair's force over the plain one, (S, P, 1).

        Of the potential c y^(p - 1) u^m / s, which falls as s^-(3 p - 2 + 2 m), that is
        (3 p - 2 + 2 m) y^(p - 1) u^m.
        """
        total = torch.zeros_like(y)
        for p in range(self.config.powers, 1, -1):
            polynomial = torch.zeros_like(u)
            for m in range(self.config.terms - 1, -1, -1):
                polynomial = polynomial * u + (3 * p - 2 + 2 * m) * weights.radial[k, p - 2, m]
            total = (total + polynomial) * y
        return total

    def _gradient(self, r: Tensor, plain: Tensor, inverse: Tensor, sample: Sample) -> Tensor:
        """Return half the gradient of sum |F_i|^2 / m_i, (S, N, D), of forces of pairs.

        That is how forces change in the direction of the accelerations.
        """
        i, j = sample.ends
        a = _gather(plain * r, sample) / sample.masses[..., None]
        b = a[:, i] - a[:, j]
        along = (r * b).sum(-1, keepdim=True) * inverse
        return _gather(plain * (b - 3.0 * along * r), sample)


def palindrome(first: Tensor, count: int) -> Tensor:
    """Return `count` shares that read the same from both ends and sum to 1.

    Parameters
    ----------
    first : Tensor, shape ((count + 1) // 2 - 1,)
        All of the first half but the last one, which follows.
    count : int

    Returns
    -------
    Tensor, shape (count,)
    """
    rest = 1.0 - 2.0 * first.sum()
    middle = rest[None] if count % 2 else 0.5 * rest.expand(2)
    return torch.cat([first, middle, first.flip(0)])


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().cpu().numpy()
    return array


def _gather(force: Tensor, sample: Sample) -> Tensor:
    """Sum opposite forces of pairs over each particle: (S, P, D) to (S, N, D)."""
    i, j = sample.ends
    n = sample.masses.shape[1]
    pairs = torch.arange(len(i), device=force.device)
    # A product with a constant matrix: sums over indices would add in no fixed order on a GPU.
    sign = force.new_zeros((n, len(i)))
    sign[i, pairs], sign[j, pairs] = 1.0, -1.0
    return sign @ force
