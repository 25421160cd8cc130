"""What a system is asked for and gives: its parameters, a start as it draws it, its invariants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.hidden_variables import NOTHING_HIDDEN
from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.violations import described, violation

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = [
    "Draw",
    "Invariants",
    "SystemSpec",
    "demand_draw",
    "generator_of",
    "motion_of",
    "stacked",
]

SAMPLER = "sampler: "
NUMERICAL = "numerical: "


class SystemSpec(BaseModel):
    """Base of every system's parameters, in reduced units: unknown keys are refused.

    A parameter that shapes the sampled starts only, and no force, has a description that begins
    with ``sampler: ``; that of one that says how well forces are computed, and not which,
    with ``numerical: ``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frame_dt: float = Field(
        default=0.1, gt=0, allow_inf_nan=False, description="time between frames"
    )

    def of_forces(self) -> dict[str, Any]:
        """Return the parameters that the motion depends on, as plain values of JSON."""
        # the motion is the same at whatever times it is looked at
        dumped = self.model_dump(mode="json", exclude={"frame_dt"})
        fields = type(self).model_fields
        return {
            key: value
            for key, value in dumped.items()
            if not (fields[key].description or "").startswith(SAMPLER)
        }

    @classmethod
    def numerical(cls) -> tuple[str, ...]:
        """Return the parameters that say how well forces are computed, and not which."""
        return tuple(
            key
            for key, field in cls.model_fields.items()
            if (field.description or "").startswith(NUMERICAL)
        )


class Invariants(NamedTuple):
    """Quantities of motion in reduced units, one row per configuration.

    Attributes
    ----------
    energy : ndarray, shape (...)
        NaN where the system has no potential energy. The axes are those of the positions in front
        of particles and space: (B,) of a state, (T,) of the frames of a run.
    kinetic : ndarray, shape (...)
    momentum : ndarray, shape (..., D)
    angular_momentum : ndarray, shape (..., 1) for D = 2, (..., 3) for D = 3
        About the origin.
    """

    energy: Float64[np.ndarray, "..."]
    kinetic: Float64[np.ndarray, "..."]
    momentum: Float64[np.ndarray, "... D"]
    angular_momentum: Float64[np.ndarray, "... A"]

    def __repr__(self) -> str:
        return brief(self)


def motion_of(potential: ArrayLike, x: np.ndarray, v: np.ndarray, masses: np.ndarray) -> Invariants:
    """Return those of configurations whose potential energy is known.

    Parameters
    ----------
    potential : array_like, shape (...)
        NaN where there is none.
    x, v : ndarray, shape (..., N, D)
    masses : ndarray, shape (..., N)

    Returns
    -------
    Invariants
    """
    masses = masses[..., None]
    kinetic = 0.5 * (masses * v * v).sum((-2, -1))
    # np.cross takes vectors of space only; those of the plane are deprecated since NumPy 2.0
    axial = x[..., 0] * v[..., 1] - x[..., 1] * v[..., 0]
    spin = axial[..., None] if x.shape[-1] == 2 else np.cross(x, v)
    return Invariants(
        energy=kinetic + potential,
        kinetic=kinetic,
        momentum=(masses * v).sum(-2),
        angular_momentum=(masses * spin).sum(-2),
    )


class Draw(NamedTuple):
    """One start, as a system draws it, in reduced units.

    Attributes
    ----------
    x, v : ndarray, shape (N, D)
    charges, masses : ndarray, shape (N,)
    couplings : ndarray, shape (N, N), or None
    hidden : mapping of str to ndarray, shapes (N, ...)
        Hidden variables by their names, where the system has some.
    radii : ndarray, shape (N,), or None
        Positive, where the particles have a size.
    """

    x: np.ndarray
    v: np.ndarray
    charges: np.ndarray
    masses: np.ndarray
    couplings: np.ndarray | None = None
    hidden: Mapping[str, np.ndarray] = NOTHING_HIDDEN
    radii: np.ndarray | None = None

    def __repr__(self) -> str:
        return brief(self)


def stacked(draws: list[Draw], seed: int | None = None) -> tuple[State, Particles]:
    """Make one batch of draws, at t = 0.

    Parameters
    ----------
    draws : list of Draw
        One for each trajectory, all of the same N and D.
    seed : int, optional
        That of the sampler, which the state keeps.

    Returns
    -------
    state : State, shape (B, N, D)
    particles : Particles
    """
    x = np.stack([draw.x for draw in draws])
    v = np.stack([draw.v for draw in draws])
    charges = np.stack([draw.charges for draw in draws])
    masses = np.stack([draw.masses for draw in draws])
    bonds = [draw.couplings for draw in draws if draw.couplings is not None]
    hidden = {name: np.stack([draw.hidden[name] for draw in draws]) for name in draws[0].hidden}
    sizes = [draw.radii for draw in draws if draw.radii is not None]
    couplings = np.stack(bonds) if bonds else None
    radii = np.stack(sizes) if sizes else None
    particles = Particles(charges, masses, couplings, radii)
    return State(0.0, x, v, hidden=hidden, seed=seed), particles


def generator_of(rng: int | np.random.Generator, i: int) -> np.random.Generator:
    """Return the generator of trajectory `i`."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(np.random.SeedSequence(rng, spawn_key=(i,)))


def demand_draw(origin: Origin, draw: Draw, n: int, dimensions: int, with_radii: bool) -> None:
    """Demand that a system has drawn what a start needs."""
    if with_radii != (draw.radii is not None):
        what = "must draw `radii`, which it needs" if with_radii else "must draw no `radii`"
        given = "got none" if with_radii else "or say so by `needs_radii`"
        raise violation(origin, "_sample", f"{what}, {given}")
    shapes = {
        **dict.fromkeys(["x", "v"], (n, dimensions)),
        **dict.fromkeys(["charges", "masses", "radii"], (n,)),
        "couplings": (n, n),
    }
    # hidden variables have shapes of their own, which their own check knows
    for name, shape in shapes.items():
        values = getattr(draw, name)
        if values is None and name in ("couplings", "radii"):
            continue
        if not (isinstance(values, np.ndarray) and values.shape == shape):
            what = f"must draw `{name}` of shape {shape}, got {described(values)}"
            raise violation(origin, "_sample", what)
        if not np.isfinite(values).all():
            what = f"must draw finite `{name}`, got NaN or infinity"
            raise violation(origin, "_sample", what)
