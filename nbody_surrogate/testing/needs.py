"""What a system must do that has a box, a cut-off, hidden variables, radii, or no potential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.capabilities import PERIODIC_BOX
from nbody_surrogate.contracts.neighbours import NeighbourRequest, every_pair, neighbour_pairs
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.testing.case import SystemCase
from nbody_surrogate.testing.check import skip

__all__ = ["NEEDS_CHECKS", "ROUNDING", "moved_by_periods", "relative_difference"]

ROUNDING = 1e-9
"""Relative: rounding errors of sums in another order, 1e-16, and much room."""


def check_potential(case: SystemCase) -> None:
    """Energies are finite at a start, or there are none and they are not declared as conserved."""
    state, particles = case.system.sample(9, 4, 2)
    energy = case.system.invariants(state.x, state.v, particles).energy
    if case.system.has_potential:
        what = "must be finite at a sampled start; where there is none, do not implement it"
        case.demand(np.isfinite(energy).all(), what, "potential_energy")
        return
    what = "must not hold 'energy': there is no `potential_energy`"
    case.demand("energy" not in case.system.conserved, what, "conserved")


def check_box(case: SystemCase) -> None:
    """Forces and energies stay the same when particles are moved by periods of the box."""
    box = case.system.box
    if box is None or PERIODIC_BOX not in case.system.needs:
        raise skip("space is open")
    state, particles = case.system.sample(10, 4, 2)
    moved = replace(state, x=moved_by_periods(box, state.x))
    off = relative_difference(case.forces(state, particles), case.forces(moved, particles))
    what = f"must be the same for every image of a particle, they differ by {off:.1e}"
    case.demand(off <= ROUNDING, what, "pair_acceleration")
    if case.system.has_potential:
        pair = (case.system.potential_energy(each.x, particles) for each in (state, moved))
        off = relative_difference(*pair)
        what = f"must be the same for every image of a particle, it differs by {off:.1e}"
        case.demand(off <= ROUNDING, what, "potential_energy")


def check_neighbours(case: SystemCase) -> None:
    """Forces by neighbours are those of all pairs, whatever is listed beyond the cut-off."""
    system, request = case.system, case.system.requested_neighbours
    if request is None:
        raise skip("forces look at all pairs")
    state, particles = system.sample(11, 6, 2)
    for x in (state.x, _at_the_cutoff(state.x, request)):
        wanted = system.pair_acceleration(x, particles)
        tight, wide = (NeighbourRequest(request.cutoff, skin) for skin in (0.0, request.cutoff))
        lists = [neighbour_pairs(x, each, system.box) for each in (tight, wide)]
        for near in (*lists, every_pair(x)):
            off = relative_difference(wanted, system.neighbour_acceleration(x, particles, near))
            what = f"must be the forces of `pair_acceleration`, by {len(near.j) // 2} pairs they "
            case.demand(off <= ROUNDING, what + f"differ by {off:.1e}", "neighbour_acceleration")


def check_hidden(case: SystemCase) -> None:
    """Hidden variables have names of their own and finite rates, the same bits each time."""
    system, names = case.system, [each.name for each in case.system.hidden_variables]
    if not names:
        raise skip("nothing is hidden")
    case.demand(len(set(names)) == len(names), "must have unlike names", "hidden_variables")
    state, particles = system.sample(12, 4, 2)
    first, again = (_rates(case, state, particles) for _ in range(2))
    for name in names:
        rate = first[name]
        what = f"must give finite rates of `{name}`"
        case.demand(np.isfinite(rate).all(), what, "_hidden_rate")
        what = f"must give the same bits of `{name}` each time"
        case.demand(np.array_equal(rate, again[name]), what, "_hidden_rate")
        off = relative_difference(rate[1:], _rates(case, state[1], particles[1])[name])
        what = f"must treat each trajectory by itself; alone, `{name}` differs by {off:.1e}"
        case.demand(off <= ROUNDING, what, "_hidden_rate")


def check_radii(case: SystemCase) -> None:
    """Forces depend on radii where they are needed."""
    if not case.system.needs_radii:
        raise skip("particles have no radii")
    state, particles = case.system.sample(13, 4, 2)
    assert particles.radii is not None  # `sample` looks to it
    smaller = replace(particles, radii=0.9 * particles.radii)
    off = relative_difference(case.forces(state, particles), case.forces(state, smaller))
    case.demand(off > 0, "must be False: forces are the same for other radii", "needs_radii")


def check_finer(case: SystemCase) -> None:
    """A finer version has the same particles and constants of motion, and other forces."""
    finer = case.system.finer()
    if finer is None:
        raise skip("there is no finer version")
    for said in ("needs", "needs_radii", "conserved", "has_potential"):
        ours, theirs = getattr(case.system, said), getattr(finer, said)
        what = f"must return a system of the same `{said}`, {ours}, got {theirs}"
        case.demand(ours == theirs, what, "finer")
    state, particles = case.system.sample(14, 4, 2)
    theirs = finer.acceleration(state.x, state.v, particles, state.hidden)
    case.demand(np.isfinite(theirs).all(), "must return one of finite forces", "finer")
    same = np.array_equal(case.forces(state, particles), theirs)
    case.demand(not same, "must return None where forces are the same", "finer")


NEEDS_CHECKS: tuple[tuple[Callable[..., None], tuple[str, ...]], ...] = (
    (check_potential, ()),
    (check_box, ()),
    (check_neighbours, ()),
    (check_hidden, ()),
    (check_radii, ()),
    (check_finer, ()),
)


def moved_by_periods(box: Box, x: np.ndarray) -> np.ndarray:
    """Move the first particle by one period of each periodic axis, and the last by two, back."""
    periods = np.array([length or 0.0 for length in box.lengths])
    moved = x.copy()
    moved[:, 0] += periods
    moved[:, -1] -= 2 * periods
    return moved


def _at_the_cutoff(x: np.ndarray, request: NeighbourRequest) -> np.ndarray:
    """Scale positions so that one half of the pairs is within the cut-off, in open space."""
    i, j = np.triu_indices(x.shape[1], 1)
    typical = float(np.median(np.linalg.norm(x[:, i] - x[:, j], axis=2)))
    return np.asarray(x * (request.cutoff / typical))


def _rates(case: SystemCase, state: State, particles: Particles) -> dict[str, np.ndarray]:
    return dict(case.system.hidden_rate(state.x, state.v, particles, state.hidden))


def relative_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference, over the larger of 1 and the size of the first."""
    return float(np.abs(first - second).max() / max(1.0, np.abs(first).max()))
