"""Particles that bind to one another after a while, and let go after a while: a changing graph."""

from __future__ import annotations

from typing import Self, final

import numpy as np
from pydantic import Field, model_validator

from nbody_simulators.systems.hidden_pairs import differences, distances
from nbody_simulators.systems.law_system import AbstractLawSystem
from nbody_simulators.systems.trapped import (
    ISOTROPIC,
    TrappedSpec,
    thermal_start,
    trapped_laws,
)
from nbody_surrogate.contracts import (
    Bonds,
    Draw,
    ForceLaws,
    Hidden,
    HiddenVariable,
    InputError,
    Neighbours,
    Particles,
    State,
)

__all__ = ["Ties", "TiesSpec"]

WAIT = 1.3643
"""Integral of dg / (1 + g - g^3) from -1 to 0: how long a full push takes at a rate of 1."""

SAME = 1e-9
"""How far the progress of i and j may be from that of j and i: a solver rounds."""

LARGEST = 2.0
"""Of a progress: a full push leads to 1.325, and no farther."""


class TiesSpec(TrappedSpec):
    """Parameters of `Ties`, in reduced units."""

    coupling: float = Field(
        default=0.3, ge=0, allow_inf_nan=False, description="k, of the Coulomb repulsion"
    )
    frequency: float = Field(
        default=0.7, ge=0, allow_inf_nan=False, description="w, angular frequency of the trap"
    )
    stiffness: float = Field(
        default=3.0, ge=0, allow_inf_nan=False, description="K of a tie, a force over a length"
    )
    length: float = Field(default=0.9, ge=0, allow_inf_nan=False, description="of a tie at rest")
    near: float = Field(
        default=0.9, gt=0, allow_inf_nan=False, description="pairs nearer than that bind"
    )
    far: float = Field(
        default=1.4, gt=0, allow_inf_nan=False, description="pairs farther than that let go"
    )
    edge: float = Field(
        default=0.1, gt=0, allow_inf_nan=False, description="over which near and far set in"
    )
    waiting: float = Field(
        default=0.5, gt=0, allow_inf_nan=False, description="time to bind, or to let go"
    )
    temperature: float = Field(
        default=0.5, ge=0, allow_inf_nan=False, description="sampler: T of the velocities"
    )

    @model_validator(mode="after")
    def _far_is_farther(self) -> Self:
        if self.far <= self.near:
            raise ValueError(f"`far` must be more than `near`, {self.near:g}, got {self.far:g}")
        return self


@final
class Ties(AbstractLawSystem[TiesSpec]):
    """Charges in a trap between which ties form and break: a graph whose edges change.

    A pair that stays nearer than `near` for the waiting time is tied; it is let go when it has
    been farther than `far` for as long. In between it stays what it was: whether it is tied is not
    to be seen from where particles are, only from how they came there. Each pair has a hidden
    progress g with two states of rest, -1 for free and 1 for tied,

        dg/dt = (1.36 / waiting) (g - g^3 + p(r)),
        p(r) = [tanh((near - r) / edge) - tanh((r - far) / edge)] / 2,
        m_i a_i = sum_j [k q_i q_j / s_ij^3 - K b(g_ij) (s_ij - length) / s_ij] (x_i - x_j)
                  - m_i w^2 x_i,

    with s^2 = r^2 + e^2 and b(g) a smooth step from 0 at g <= 0 to 1 at g >= 1, twice
    differentiable: all is smooth, so that solvers converge. Between near and far the states of rest
    are -1 and 1, under a full push -1.32 and 1.32. Under a full push p = 1 a pair at g = -1 reaches
    0, where the tie begins to pull, after the waiting time, and one that has long been far after
    1.17 times that. Forces are central and
    reciprocal, so angular momentum is kept; binding takes energy, letting go gives some.

    A start is a cloud that was relaxed without ties, with velocities of a temperature. Near pairs
    are tied, far ones free, others one or the other by chance.

    References
    ----------
    Bell, Science 200 (1978) 618, for bonds that form and break between particles; the cubic rate
    is FitzHugh's (Biophys. J. 1 (1961) 445) without recovery, a switch with hysteresis.
    """

    name = "ties"
    batch_invariant = True
    Spec = TiesSpec
    hidden_variables = (
        HiddenVariable("tie", ("N",), "g of each pair, about -1 where free, 1 where tied"),
    )
    conserved = frozenset({"angular_momentum"})

    @property
    def symmetries(self) -> frozenset[str]:
        """Symmetries of the equations of motion, by name."""
        return ISOTROPIC if self.spec.frequency else ISOTROPIC | {"translation", "boost"}

    @property
    def pair_symmetries(self) -> frozenset[str]:
        """Symmetries of the pair forces alone."""
        return self.symmetries | {"translation", "boost"}

    def force_laws(self) -> ForceLaws:
        """Return the forces without ties."""
        return trapped_laws(self.spec)

    def push(self, s: np.ndarray) -> np.ndarray:
        """Return p, what distance does to a pair's progress: from 1, to bind, to -1, to let go."""
        spec = self.spec
        bind, hold = np.tanh((spec.near - s) / spec.edge), np.tanh((spec.far - s) / spec.edge)
        return np.asarray(0.5 * (bind + hold))

    def hidden_acceleration(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> np.ndarray:
        """Return the pull of the ties, shape (B, N, D)."""
        del v, neighbours
        r = differences(x)
        s = distances(r, self.spec.softening)
        # of a particle with itself s is infinite, and r zero
        pull = -self.spec.stiffness * strength(hidden["tie"]) * (1.0 - self.spec.length / s)
        return np.asarray((pull[..., None] * r).sum(2) / particles.masses[..., None])

    def _hidden_rate(
        self,
        x: np.ndarray,
        v: np.ndarray,
        particles: Particles,
        hidden: Hidden,
        neighbours: Neighbours | None,
    ) -> Hidden:
        del v, particles, neighbours
        g = hidden["tie"]
        push = self.push(distances(differences(x), self.spec.softening))
        return {"tie": (WAIT / self.spec.waiting) * (g - g**3 + push)}

    def refuse_unfit_start(self, state: State, particles: Particles) -> None:
        """Raise where a pair has two progresses, or one that no distance leads to."""
        del particles
        g = state.hidden["tie"]
        if not np.allclose(g, g.swapaxes(1, 2), rtol=0.0, atol=SAME):
            raise InputError("`hidden['tie']` must be symmetric: a pair has one progress")
        if (largest := float(np.abs(g).max())) > LARGEST:
            raise InputError(
                f"`hidden['tie']` must be from -{LARGEST:g}, free, to {LARGEST:g}, tied, "
                f"got {largest:g} in size"
            )

    def _sample(self, rng: np.random.Generator, n: int, dimensions: int) -> Draw:
        spec = self.spec
        x, v = thermal_start(spec, rng, np.ones(n), dimensions)
        s = distances(differences(x[None]), spec.softening)[0]
        above = np.triu(rng.choice([-1.0, 1.0], size=(n, n)), 1)  # each pair once
        between = above + above.T
        g = np.where(s < spec.near, 1.0, np.where(s > spec.far, -1.0, between))
        return Draw(x, v, np.ones(n), np.ones(n), hidden={"tie": g})

    def _scenery(self, state: State, particles: Particles) -> tuple[Bonds, ...]:
        if not state.hidden:  # as of a surrogate's run, which does not know
            return ()
        b = strength(state.hidden["tie"][0])
        i, j = np.nonzero(np.triu(b, 1))
        return (Bonds(np.stack([i, j], axis=1), "ties", b[i, j]),)


def strength(g: np.ndarray) -> np.ndarray:
    """Return b(g) = g^3 (6 g^2 - 15 g + 10) within 0 and 1, of ties as far as they have formed."""
    inside = np.clip(g, 0.0, 1.0)
    return np.asarray(inside**3 * (6.0 * inside**2 - 15.0 * inside + 10.0))
