"""Encounters that a run has stepped over: what two runs that agree may both have missed.

A run and a sharper one by the same method agree where both step over an encounter. So the frames
of the sharper one are looked at. Between two frames a pair is followed on the cubic through its
separations and velocities (Hermite's). Where it passes a closest point in less time than a few
steps take, and its force there changes the velocities by more than the run's tolerance, that one
frame is solved again by the reference, which looks ahead for encounters. If the run lacks half of
what the reference's frame does to the pair, it has missed the encounter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.integrators.reference import default_reference

__all__ = ["Frames", "MissedEncounter", "missed_encounters", "usual_step"]

SHORT = 2.0
"""Steps: what takes longer has stages within it, by which the error estimate sees it."""

MISSED = 0.5
"""Of the deflection: what the run may lack of it. A run that saw the encounter at all lacks far
less, and one that did not lacks all of it."""

MOST = 32  # frames of a trajectory that are solved again, those of the strongest encounters
POINTS, ROUNDS = 33, 4  # of a cubic, and how often the finest spacing is divided by as many
USUAL = 1e-9  # tolerances of a run whose method has none

Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class MissedEncounter:
    """An encounter that a run has stepped over.

    Attributes
    ----------
    trajectory : int
    frame : int
        The last one before it.
    pair : tuple of int
        Numbers of the two particles.
    time, distance : float
        When and how near they passed each other on the run's own path, in reduced units.
    """

    trajectory: int
    frame: int
    pair: tuple[int, int]
    time: float
    distance: float

    def __str__(self) -> str:
        i, j = self.pair
        return (
            f"the encounter of particles {i} and {j} at t = {number_text(self.time)}, at distance "
            f"{number_text(self.distance)}, was stepped over"
        )


@dataclass(frozen=True)
class Frames:
    """Frames of a run.

    Attributes
    ----------
    problem : Problem
        `dt` is the time between these frames, and `t0` that of the first.
    x, v : ndarray, shape (B, T, N, D)
    good : ndarray of int, shape (B,)
        How many of each trajectory are good.
    """

    problem: Problem
    x: np.ndarray
    v: np.ndarray
    good: np.ndarray


def usual_step(method: AbstractIntegrator, dt: float, time: float, steps: int) -> float:
    """Return a method's step: its fixed one, or the mean of so many in a time."""
    options = dict(method.options)
    if options.get("step") is not None:
        return float(options["step"])
    if options.get("substeps") is not None:
        return dt / float(options["substeps"])
    return time / steps if steps else dt


def missed_encounters(
    run: Frames, method: AbstractIntegrator, step: float
) -> list[MissedEncounter]:
    """Find the first encounter that each trajectory of a run has stepped over.

    Parameters
    ----------
    run : Frames
    method : AbstractIntegrator
        What made them; its tolerances say which encounters matter.
    step : float
        Its `usual_step`.

    Returns
    -------
    list of MissedEncounter
        At most one for each trajectory. None of a system whose forces are dear, which has no force
        of a pair alone to tell by.
    """
    if run.problem.system.dear:
        return []
    options = dict(method.options)
    rtol, atol = (float(options.get(key) or USUAL) for key in ("rtol", "atol"))
    doubtful: list[_Doubt] = []
    for b in range(len(run.x)):
        found = [
            doubt
            for frame in range(int(run.good[b]) - 1)
            for doubt in _doubts(run, b, frame, SHORT * step, (rtol, atol))
        ]
        strongest = sorted(found, key=lambda each: -each.kick)[:MOST]
        doubtful += sorted(strongest, key=lambda each: each.place.time)
    first: dict[int, MissedEncounter] = {}
    for doubt, missed in zip(doubtful, _lacking(run, doubtful, (rtol, atol)), strict=True):
        if missed:
            first.setdefault(doubt.place.trajectory, doubt.place)
    return list(first.values())


@dataclass(frozen=True)
class _Doubt:
    """A short encounter, and the change of velocity that its force is good for."""

    place: MissedEncounter
    kick: float


def _doubts(
    run: Frames, b: int, frame: int, short: float, tolerances: tuple[float, float]
) -> list[_Doubt]:
    """Find the short encounters that matter between a frame and the next."""
    problem, dt = run.problem, run.problem.dt
    x, v = run.x[b, frame : frame + 2], run.v[b, frame : frame + 2]
    i, j = np.triu_indices(x.shape[1], 1)
    d, u = x[:, i] - x[:, j], v[:, i] - v[:, j]
    if (box := problem.system.box) is not None:
        near = box.displacement(d[0])
        d = d + (near - d[0])
    turned = ((d[0] * u[0]).sum(1) < 0) & ((d[1] * u[1]).sum(1) > 0)
    i, j, d, u = i[turned], j[turned], d[:, turned], u[:, turned]
    if not len(i):
        return []
    share, closest, speed = _closest(d, u, dt)
    distance = np.linalg.norm(closest, axis=1)
    brief = distance < short * speed
    if not brief.any():
        return []
    share, closest, speed, distance = (each[brief] for each in (share, closest, speed, distance))
    i, j = i[brief], j[brief]
    kick, felt = _kicks(problem, b, (i, j), closest, speed, v[0], tolerances)
    return [
        _Doubt(
            MissedEncounter(
                trajectory=b,
                frame=frame,
                pair=(int(i[p]), int(j[p])),
                time=problem.time(frame) + float(share[p]) * dt,
                distance=float(distance[p]),
            ),
            float(kick[p]),
        )
        for p in np.flatnonzero(felt)
    ]


def _closest(d: np.ndarray, u: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow separations d (2, P, D) on cubics: shares of dt, separations and speeds there."""
    low, high = np.zeros(d.shape[1]), np.ones(d.shape[1])
    for _ in range(ROUNDS):
        s = low + (high - low) * np.linspace(0.0, 1.0, POINTS)[:, None]
        distance2 = (_cubic(s, d, u, dt) ** 2).sum(2)
        at = distance2.argmin(0)
        spacing = (high - low) / (POINTS - 1)
        middle = s[at, np.arange(len(at))]
        low, high = np.maximum(middle - spacing, 0.0), np.minimum(middle + spacing, 1.0)
    moved = _cubic(middle + spacing, d, u, dt) - _cubic(middle - spacing, d, u, dt)
    speed = np.linalg.norm(moved, axis=1) / (2 * spacing * dt)
    return middle, _cubic(middle, d, u, dt), speed


def _cubic(s: np.ndarray, d: np.ndarray, u: np.ndarray, dt: float) -> np.ndarray:
    """Hermite's cubic at shares s (..., P) of the time between two frames."""
    s = s[..., None]
    left, right = (1 + 2 * s) * (1 - s) ** 2, s * s * (3 - 2 * s)
    cubic: np.ndarray = left * d[0] + right * d[1]
    cubic += dt * (s * (1 - s) ** 2 * u[0] - s * s * (1 - s) * u[1])
    return cubic


def _kicks(
    problem: Problem,
    b: int,
    pairs: Pairs,
    closest: np.ndarray,
    speed: np.ndarray,
    v: np.ndarray,
    tolerances: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return changes of velocity (P,), and whether one of the pair feels its part of it."""
    known, both = problem.particles[b], np.stack(pairs, axis=1)
    bonds = None
    if known.couplings is not None:
        bonds = known.couplings[0][both[:, :, None], both[:, None, :]]
    radii = None if known.radii is None else known.radii[0][both]
    few = Particles(known.charges[0][both], known.masses[0][both], bonds, radii)
    x = np.zeros((len(both), 2, closest.shape[1]))
    x[:, 0] = closest
    with np.errstate(all="ignore"):
        pull = np.linalg.norm(problem.system.pair_acceleration(x, few), axis=2)
    lasts = np.linalg.norm(closest, axis=1) / speed
    kick = np.where(np.isnan(pull), np.inf, pull) * lasts[:, None]
    rtol, atol = tolerances
    own = np.linalg.norm(v[both], axis=2)
    return kick.sum(1), (kick > atol + rtol * own).any(1)


def _lacking(run: Frames, doubtful: list[_Doubt], tolerances: tuple[float, float]) -> list[bool]:
    """Solve the frames of doubtful encounters again: whether the run lacks their deflections."""
    if not doubtful:
        return []
    places = [doubt.place for doubt in doubtful]
    rows = np.array([place.trajectory for place in places])
    at = np.array([place.frame for place in places])
    problem = run.problem
    particles = problem.particles[rows if problem.particles.batch > 1 else 0 * rows]
    start = State(0.0, run.x[rows, at], run.v[rows, at])
    rtol, atol = tolerances
    options: dict[str, Any] = {"rtol": rtol, "atol": atol, "segment": 1}
    solver = make_integrator(default_reference(problem.system, len(rows)), **options)
    carry = solver.start(problem.system, start, particles, problem.dt)
    segment = solver.advance(carry, 1)
    after = run.v[rows, at + 1]
    lacking = []
    for k, place in enumerate(places):
        i, j = place.pair
        before, seen, said = (v[i] - v[j] for v in (start.v[k], segment.v[k, 0], after[k]))
        # a frame that cannot be solved says nothing of the run
        judged = segment.status[k] == 0
        deflected = float(np.linalg.norm(seen - before))
        lacking.append(bool(judged and np.linalg.norm(seen - said) > MISSED * deflected))
    return lacking
