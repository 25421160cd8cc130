"""A run as a camera sees it: positions alone, with noise, and not in every frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.arguments import demand_kind, demand_number, demand_whole
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.trajectory import Trajectory
from nbody_surrogate.tracks.times import spacing_of, uneven
from nbody_surrogate.tracks.tracks import Tracks, TrackSource

if TYPE_CHECKING:
    from jaxtyping import Bool

__all__ = ["BURST", "observe"]

BURST = 5.0
"""Frames for which a particle is out of sight at a time, on average."""


@guided(
    **dict.fromkeys(["sigma", "std"], "`noise`, a standard deviation"),
    **dict.fromkeys(["rng", "random_state"], "`seed`, a whole number"),
    stride="`every`",
)
def observe(
    run: Trajectory,
    *,
    noise: float = 0.0,
    every: int = 1,
    missing: float = 0.0,
    seed: int,
) -> Tracks:
    """Measure a run: take its valid frames as tracks.

    Particles are called 0, 1, ...; their charges and masses nobody sees. Lengths and times are in
    the run's own units.

    Parameters
    ----------
    run : Trajectory
        With evenly spaced frames.
    noise : float
        Standard deviation of a normal error of each coordinate.
    every : int
        Of how many frames one is taken; the first is. Those taken are numbered 0, 1, ...
    missing : float
        Share of positions, at least 0 and below 1, that are not seen: each particle is out of
        sight for several frames in a row, 5 on average, at times of its own.
    seed : int
        Of all random numbers: the same one gives the same tracks.

    Returns
    -------
    Tracks

    Raises
    ------
    InputError
        If an argument does not fit, frames are not evenly spaced, or less than two are left.
    """
    demand_kind("run", run, Trajectory, "a Trajectory, one of those of an Ensemble")
    sigma, share = demand_number("noise", noise), demand_number("missing", missing)
    if not (math.isfinite(sigma) and sigma >= 0):
        raise InputError(f"`noise` must be finite and >= 0, got {noise}")
    if not 0 <= share < 1:
        raise InputError(f"`missing` must be at least 0 and below 1, got {missing}")
    step = demand_whole("every", every, 1)
    rng = np.random.default_rng(demand_whole("seed", seed, 0))
    part = run.valid_part()
    x = part.x[::step].copy()
    dt = _frame_dt(part.t[::step], step)
    x += sigma * rng.normal(size=x.shape)
    seen = _seen(rng, len(x), x.shape[1], share)
    if (few := seen.sum(axis=0) < 2).any():
        raise InputError(
            f"`missing` must leave two frames of each particle, {missing} leaves less of "
            f"particle {int(np.argmax(few))}"
        )
    x[~seen] = np.nan
    source = TrackSource(f"{run.info.system.get('system', 'a run')} by {run.info.label}")
    return Tracks(x, dt, tuple(map(str, range(x.shape[1]))), source=source)


def _frame_dt(t: np.ndarray, every: int) -> float:
    if len(t) < 2:
        raise InputError(f"`every` must leave at least two frames, {every} leaves {len(t)}")
    frames = np.arange(len(t))
    dt = spacing_of(frames, t)
    if (found := uneven(frames, t, dt)) is not None:
        raise InputError(f"`run` must have even frames: at frame {found[0]}, {found[1]}")
    return dt


def _seen(rng: np.random.Generator, frames: int, n: int, missing: float) -> Bool[np.ndarray, "T N"]:
    """Draw when each particle is in sight.

    A chain of two states: what is out of sight comes back with probability 1 / BURST in each frame,
    and what is in sight goes so often that on average the share is `missing`. It starts in its
    stationary state, so that no time is special.
    """
    back = 1 / BURST
    gone = min(missing / max(1 - missing, 1e-300) * back, 1.0)
    back = gone * (1 - missing) / missing if missing else 1.0  # of a share that bursts cannot have
    change = rng.random((frames, n))
    seen = np.empty((frames, n), dtype=bool)
    now = rng.random(n) >= missing
    for frame in range(frames):
        seen[frame] = now
        now = np.where(now, change[frame] >= gone, change[frame] < back)
    return seen
