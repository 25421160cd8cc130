"""Whether forces of another program can be right: looked at once, where a run starts.

A wrong sign, a unit left out, a term of the energy without its force: none of these stops a run,
and each makes it worthless. So before the first run

1. forces are finite;
2. energies are those of the forces. Along a few lines through the start, one of them along the
   forces, the energy is taken a step h to either side. By the parabola through the forces there,
   the work on the way out is h (5 g+ + 8 g0 - g-) / 12, to fourth order in h (Simpson's rule is
   the sum of both ways, and blind for a force that is odd about a minimum);
3. forces keep what the system declares: a map of the particles maps the forces, no net force where
   momentum is conserved, no net torque where angular momentum is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = ["LINES", "MAPS", "TOLERANCE", "check_forces"]

TOLERANCE = 1e-3
"""Of the largest force. What is wrong is wrong by percents at least; programs that iterate to
self-consistency agree with themselves to 1e-4 or better, single precision to 1e-5."""

STEP = 2e-3
"""Of the least distance between particles, the longest way of one. At a minimum of r^-12, where the
force at the start vanishes, what the parabola leaves out is then a quarter of the tolerance; and
the energy still changes by far more than its last digits."""

LINES = 3
"""Along the forces, and two more: a wrong component shows on a line that is not chosen by it."""

ROUNDINGS = 64
"""Of float64, that an energy's own sum may have gathered."""

Array = np.ndarray
Mapped = tuple[Array, Particles, Callable[[Array], Array]]
"""A configuration mapped, its particles, and what maps forces."""


def check_forces(system: AbstractSystem, x: np.ndarray, particles: Particles) -> None:
    """Hold forces against energies, and against what the system declares.

    Parameters
    ----------
    system : AbstractSystem
        Its forces do not depend on velocities.
    x : ndarray, shape (1, N, D)
    particles : Particles, shape (1, N)

    Raises
    ------
    InputError
        If forces are not finite, are not those of the energies, or lack a symmetry.
    """
    force = _forces(system, x, particles)
    if not np.isfinite(force).all():
        i = int(np.argmin(np.isfinite(force[0]).all(1)))
        raise InputError(
            f"`forces` of system {system.name!r} must be finite at the start, got "
            f"{force[0, i].tolist()} for particle {i}"
        )
    ways = _directions(x, force)
    # a little off the start: at a crystal in equilibrium all maps would map nothing to nothing
    off = x + _length(x) * ways[-1]
    if system.has_potential:
        _check_energies(system, x, particles, ways)
    aside = _forces(system, off, particles)
    scale = max(float(np.abs(force).max()), float(np.abs(aside).max()))
    _check_symmetries(system, off, aside, particles, scale)
    _check_sums(system, off, aside, scale)


def _forces(system: AbstractSystem, x: np.ndarray, particles: Particles) -> np.ndarray:
    return np.asarray(system.pair_acceleration(x, particles) * particles.masses[..., None])


def _length(x: np.ndarray) -> float:
    """Return how far a particle may be moved."""
    if x.shape[1] < 2:
        return STEP * (float(np.abs(x).max()) or 1.0)
    apart = np.linalg.norm(x[0][:, None] - x[0][None], axis=2)
    nearest = float(apart[np.triu_indices(x.shape[1], 1)].min())
    return STEP * (nearest or 1.0)  # two at one place are somebody else's to refuse


def _directions(x: np.ndarray, force: np.ndarray) -> list[np.ndarray]:
    """Return directions (1, N, D), of which no particle's part is longer than 1."""
    rng = np.random.default_rng(0)  # its own: a check draws nothing from a run
    found = [force, *(rng.normal(size=x.shape) for _ in range(LINES - 1))]
    longest = [float(np.linalg.norm(each, axis=2).max()) for each in found]
    return [each / size for each, size in zip(found, longest, strict=True) if size > 0]


def _check_energies(
    system: AbstractSystem, x: np.ndarray, particles: Particles, ways: list[np.ndarray]
) -> None:
    """Demand that energies change by the work of the forces."""
    h, largest = _length(x), 0.0
    told: list[float] = []
    done: list[float] = []
    sizes: list[float] = []
    for way in ways:
        energy: dict[int, float] = {}
        g: dict[int, float] = {}
        for side in (1, 0, -1):
            at = x + side * h * way if side else x
            # forces first, with which the energy comes where one call gives both
            g[side] = float((_forces(system, at, particles) * way).sum())
            energy[side] = float(system.potential_energy(at, particles)[0])
        if not np.isfinite(list(energy.values())).all():
            raise InputError(
                f"`energy` of system {system.name!r} must be finite at the start, got "
                f"{energy[0]:g} there and {energy[1]:g} next to it"
            )
        told += [energy[0] - energy[1], energy[0] - energy[-1]]
        done += [h * (5 * g[1] + 8 * g[0] - g[-1]) / 12, -h * (5 * g[-1] + 8 * g[0] - g[1]) / 12]
        sizes += [abs(each) for each in g.values()]
        largest = max(largest, *(abs(each) for each in energy.values()))
    gap = np.abs(np.array(told) - np.array(done))
    allowed = TOLERANCE * h * max(sizes) + ROUNDINGS * np.finfo(float).eps * largest
    if (gap > allowed).any():
        worst = int(gap.argmax())
        raise InputError(
            f"`forces` and energies of system {system.name!r} disagree at the start: over a "
            f"displacement of {h:.2g} the energy falls by {told[worst]:.6g}, the forces do the "
            f"work {done[worst]:.6g}{_ratio(told, done)}; forces must be -dE/dx"
        )


def _ratio(told: list[float], done: list[float]) -> str:
    """Say it where all differ by the one factor, as signs and units make them."""
    e, w = np.array(told), np.array(done)
    if not (e @ e > 0 and w @ w > 0):
        return ""
    factor = (e @ w) / (w @ w)
    alike = np.abs(e - factor * w).max() < TOLERANCE * np.abs(e).max() * 10
    return f", {factor:.4g} times as much being right" if alike else ""


# What is declared


def _translated(x: Array, particles: Particles, rng: np.random.Generator) -> Mapped:
    return x + rng.normal(size=x.shape[2]), particles, lambda force: force


def _rotated(x: Array, particles: Particles, rng: np.random.Generator) -> Mapped:
    turn, _ = np.linalg.qr(rng.normal(size=(x.shape[2], x.shape[2])))
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    return x @ turn.T, particles, lambda force: force @ turn.T


def _reflected(x: Array, particles: Particles, rng: np.random.Generator) -> Mapped:
    mirror = np.array([-1.0, *[1.0] * (x.shape[2] - 1)])
    return x * mirror, particles, lambda force: force * mirror


def _permuted(x: Array, particles: Particles, rng: np.random.Generator) -> Mapped:
    order = np.roll(np.arange(x.shape[1]), 1)
    bonds = particles.couplings
    moved = replace(
        particles,
        charges=particles.charges[:, order],
        masses=particles.masses[:, order],
        couplings=None if bonds is None else bonds[:, order][:, :, order],
        radii=None if particles.radii is None else particles.radii[:, order],
    )
    return x[:, order], moved, lambda force: force[:, order]


def _conjugated(x: Array, particles: Particles, rng: np.random.Generator) -> Mapped:
    return x, replace(particles, charges=-particles.charges), lambda force: force


MAPS: Mapping[str, Callable[[Array, Particles, np.random.Generator], Mapped]] = MappingProxyType(
    {
        "translation": _translated,
        "rotation": _rotated,
        "reflection": _reflected,
        "permutation": _permuted,
        "charge-conjugation": _conjugated,
    }
)
"""Symmetries that one look at the forces can refute, each as a map of a configuration."""


def _check_symmetries(
    system: AbstractSystem, x: np.ndarray, force: np.ndarray, particles: Particles, scale: float
) -> None:
    """Demand that forces at a mapped configuration are the mapped forces."""
    rng = np.random.default_rng(1)
    for name in sorted(system.symmetries & MAPS.keys()):
        place, moved, maps = MAPS[name](x, particles, rng)
        gap = np.abs(_forces(system, place, moved) - maps(force)).max()
        if not gap <= TOLERANCE * scale:
            raise InputError(
                f"`symmetries` of system {system.name!r} hold {name!r}, which its forces lack: "
                f"they miss it by {gap:.2g}, of forces up to {scale:.2g}; leave it out"
            )


def _check_sums(system: AbstractSystem, x: np.ndarray, force: np.ndarray, scale: float) -> None:
    """Demand no net force, and no net torque, where they are declared."""
    size = np.abs(x - x.mean(1, keepdims=True)).max()
    axial = x[..., 0] * force[..., 1] - x[..., 1] * force[..., 0]
    torque = axial[..., None] if x.shape[2] == 2 else np.cross(x, force)
    sums = {"momentum": (force, scale), "angular_momentum": (torque, scale * size)}
    for key, (each, most) in sums.items():
        net = float(np.linalg.norm(each.sum(1)))
        if key in system.conserved and not net <= TOLERANCE * most * x.shape[1]:
            what = "force" if key == "momentum" else "torque"
            raise InputError(
                f"`conserved` of system {system.name!r} holds {key!r}, but there is a net {what} "
                f"of {net:.2g}, of forces up to {scale:.2g}; leave it out"
            )
