"""Where the corrections of `SET` hold: what of a frame is held against the training data.

The gate of a sample is 1 where each quantity below is within what the training data had, and falls
to 0 towards half as much again. It multiplies the messages, and so fades out all that the network
says. Where it is shut, kicks and drifts have leapfrog's shares in place of the learned ones: well
outside its domain `SET` is leapfrog with as many sub-steps, to rounding.

===========  ==========================================================  ============
symbol       meaning                                                     field
===========  ==========================================================  ============
n_i          sum_j 1 / (1 + (s_ij / l)^4), with l = 5 softenings         ``crowding``
(t w / s)^2  how far a pair drifts in a sub-step t, over its distance    ``drift``
e_i          t^2 sum_j |k q_i q_j| (1 / m_i + 1 / m_j) / s_ij^3          ``kick``
w            relative speed of a pair                                    ``speed``
===========  ==========================================================  ============

Here s is the softened distance at the closest approach within the frame, as if the pair moved on
in straight lines: a fast pair may be far apart at both ends of a frame and meet within it. Each is
the largest of a sample. They are invariants of relative motion and of permutations, and a remote
particle at rest changes none of them.

A bound pair that nothing disturbs goes through the same orbit again and again. Where that is nearly
radial, what is learned errs to the same side in each passage, and leapfrog, which is reversible,
does not: such a sample takes leapfrog's steps, two for each sub-step. So do like charges, alone,
with an energy that brings them within twice the softening.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor

__all__ = ["LARGEST", "Domain", "Extremes", "extremes", "gate", "lone_pair"]

REACH = 5.0  # l in softenings: messages fall from 0.3 to 0.6 on, with a softening of 0.1
FADE = 0.5  # of a limit, over which the gate falls from 1 to 0
LARGEST = 0.3
"""Of a pair's force, the most that a bounded correction is. Trained ones are seldom above 0.1, but
cut off there the closest encounters were five times as wrong."""
ALONE = 1e-9  # of a pair's squared frequency, the most that tides are: a thousand times as far away


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= bounds[0] <= bounds[1] or bounds[1] == 0:
        raise ValueError(f"must be (lo, hi) with 0 <= lo <= hi and 0 < hi, got {bounds}")
    return bounds


Limit = Annotated[float, Field(gt=0)]
Range = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Domain(BaseModel):
    """The largest values that are trusted; `benchmarks/set_domain.py` measures those of data."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    crowding: Limit = Field(description="neighbours within reach of a particle")
    drift: Limit = Field(description="(tau w / s)^2 of a pair")
    kick: Limit = Field(description="tau^2 |c| (1 / m_i + 1 / m_j) / s^3 over a particle's pairs")
    speed: Limit = Field(description="relative speed of a pair")
    charges: Range = Field(default=(1.0, 1.0), description="|q_i q_j|")
    inverse_masses: Range = Field(default=(2.0, 2.0), description="1 / m_i + 1 / m_j")
    circularity: float = Field(
        default=0.0, ge=0, le=1, description="of lone bound pairs, below which leapfrog takes them"
    )


class Extremes(NamedTuple):
    """What a `Domain` limits, the largest of each sample, (S, 1); ranges as lowest and highest."""

    crowding: Tensor
    drift: Tensor
    kick: Tensor
    speed: Tensor
    charges: tuple[Tensor, Tensor]
    inverse_masses: tuple[Tensor, Tensor]


@torch.no_grad()
def extremes(
    r: Tensor,
    w: Tensor,
    charges: Tensor,
    inverse_mass: Tensor,
    gather: Callable[[Tensor], Tensor],
    softening: float,
    frame_dt: float,
    tau: float,
    coupling: float,
) -> Extremes:
    """Return what a domain limits.

    Parameters
    ----------
    r, w : Tensor, shape (P, S, D)
        Relative positions and velocities of pairs.
    charges, inverse_mass : Tensor, shape (P, S, 1)
        q_i q_j and 1 / m_i + 1 / m_j.
    gather : callable
        Sums over each particle's pairs: (P, S, 1) to (N, S, 1).
    softening, frame_dt, tau, coupling : float
        Lengths and times in reduced units; tau is that of a sub-step.
    """
    speed2 = (w * w).sum(-1, keepdim=True)
    approach = (r * w).sum(-1, keepdim=True)
    tiny = torch.finfo(r.dtype).tiny  # of a pair at rest the time does not matter
    time = (-approach / speed2.clamp(min=tiny)).clamp(0.0, frame_dt)
    nearest = r + time * w
    s2 = (nearest * nearest).sum(-1, keepdim=True) + softening**2
    size = charges.abs()
    kick = (abs(coupling) * tau**2) * gather(size * inverse_mass * s2**-1.5)
    crowding = gather(1.0 / (1.0 + s2 * s2 / (REACH * softening) ** 4))
    return Extremes(
        crowding.amax(0),
        (tau**2 * speed2 / s2).amax(0),
        kick.amax(0),
        speed2.amax(0).sqrt(),
        (size.amin(0), size.amax(0)),
        (inverse_mass.amin(0), inverse_mass.amax(0)),
    )


def gate(domain: Domain, found: Extremes) -> Tensor:
    """Return 1 within a domain, 0 well outside it, and smoothly between, (S, 1)."""
    excess = [
        found.crowding / domain.crowding,
        found.drift / domain.drift,
        found.kick / domain.kick,
        found.speed / domain.speed,
        *_beyond(domain.charges, found.charges),
        *_beyond(domain.inverse_masses, found.inverse_masses),
    ]
    inside = ((1.0 + FADE - torch.cat(excess, dim=-1)) / FADE).clamp(0.0, 1.0)
    smooth = inside * inside * (3.0 - 2.0 * inside)
    opened: Tensor = smooth.prod(-1, keepdim=True)
    return opened


def _beyond(bounds: tuple[float, float], found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return values that are above 1 as far as a range is left on either side."""
    (low, high), (least, most) = bounds, found
    return 1.0 + (low - least) / high, most / high


@torch.no_grad()
def lone_pair(
    r: Tensor,
    w: Tensor,
    pull: Tensor,
    gather: Callable[[Tensor], Tensor],
    both: Callable[[Tensor], Tensor],
    softening: float,
    circularity: float,
) -> Tensor:
    """Return whether a sample has a pair, nearly radial or pressed together, alone, (S, 1).

    That is a bound pair of opposite charges, or like charges with an energy that brings them within
    twice the softening.

    Of the relative orbit about the attraction g = -k q_i q_j (1 / m_i + 1 / m_j): the energy
    e = w^2 / 2 - g / s, the circularity |r x w| (-2 e)^(1/2) / g, which is 1 in a circle and 0 in
    a line, and the squared frequency (-2 e)^3 / g^2, as Kepler's orbits have them. Alone is a pair
    of which the tides of all others, sums of |g| / s^3, are less than a billionth of that.

    Parameters
    ----------
    r, w : Tensor, shape (P, S, D)
    pull : Tensor, shape (P, S, 1)
        g.
    gather, both : callable
        The sum over each particle's pairs, (P, S, 1) to (N, S, 1), and that over the particles of
        each pair, (N, S, 1) to (P, S, 1).
    softening : float
    circularity : float
        That of orbits which count as nearly radial.
    """
    r2, w2 = (r * r).sum(-1, keepdim=True), (w * w).sum(-1, keepdim=True)
    rw = (r * w).sum(-1, keepdim=True)
    s2 = r2 + softening**2
    tides = pull.abs() * s2**-1.5
    others = both(gather(tides)) - 2.0 * tides
    binding = 2.0 * pull * s2.rsqrt() - w2  # -2 e
    across = (r2 * w2 - rw * rw) * binding
    nearly_radial = (binding > 0) & (across < (circularity * pull) ** 2) & (pull > 0)
    # of an energy that brings like charges within two softenings, or that they have from there
    pressed = (pull < 0) & (binding * softening < pull)
    alone = others * pull * pull < ALONE * binding.abs() ** 3
    return ((nearly_radial | pressed) & alone).any(0)
