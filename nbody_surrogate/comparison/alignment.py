"""Whether two runs can be held against each other, and what to do where their times differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from nbody_surrogate.contracts.time_text import number_text, time_span_text
from nbody_surrogate.contracts.times import same_times, time_tolerance
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["check_same", "interpolated"]

AXES = ("trajectories", "frames", "particles", "dimensions")


def check_same(reference: Ensemble, candidate: Ensemble) -> None:
    """Demand runs of the same starts: the same system, particles, times and first frame.

    Raises
    ------
    InputError
        If they are not; the message says what differs.
    """
    _check_shape(reference, candidate)
    if not same_times(reference.t, candidate.t):
        raise InputError(
            f"`candidate` must have the frame times of `reference`, {_times(reference.t)}; "
            f"got {_times(candidate.t)}"
        )
    if reference.info.system != candidate.info.system:
        raise InputError(
            f"`candidate` must be of the system of `reference`, "
            f"{_different(reference.info.system, candidate.info.system)}"
        )
    for key in ("charges", "masses", "couplings"):
        if not np.array_equal(getattr(reference.particles, key), getattr(candidate.particles, key)):
            raise InputError(f"`candidate` must have the {key} of `reference`, they differ")
    # To the bit: chaos makes of any difference at the start one of the order of the cloud.
    for y in ("x", "v"):
        if not np.array_equal(getattr(reference, y)[:, 0], getattr(candidate, y)[:, 0]):
            raise InputError(f"`candidate` must have the start of `reference`, its {y} differs")


def _check_shape(reference: Ensemble, candidate: Ensemble) -> None:
    if reference.x.shape == candidate.x.shape:
        return
    both = zip(AXES, reference.x.shape, candidate.x.shape, strict=True)
    wanted = [(name, ours, theirs) for name, ours, theirs in both if ours != theirs]
    needed = ", ".join(f"{ours} {name}" for name, ours, _ in wanted)
    given = ", ".join(f"{theirs} {name}" for name, _, theirs in wanted)
    raise InputError(f"`candidate` must have the shape of `reference`, {needed}; got {given}")


def _times(t: Float64[np.ndarray, " T"]) -> str:
    gap = (t[-1] - t[0]) / max(len(t) - 1, 1)
    return f"{time_span_text(t)}, {number_text(float(gap))} apart"


def _different(ours: dict[str, object], theirs: dict[str, object]) -> str:
    """Say what differs: the name, or else the parameters."""
    first = ours.get("system"), theirs.get("system")
    if first[0] != first[1]:
        return f"{first[0]!r}; got {first[1]!r}"
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    needed = ", ".join(f"{key} {ours.get(key)}" for key in keys)
    given = ", ".join(f"{key} {theirs.get(key)}" for key in keys)
    return f"with {needed}; got {given}"


def interpolated(run: Ensemble, reference: Ensemble) -> Ensemble:
    """Return a run at the times of a reference, by cubic Hermite interpolation.

    Between frames h apart, positions are off by about h^4 / 384 times the fourth derivative, and
    velocities, the derivative of the same cubic, by about h^3 / 125 times it.

    Raises
    ------
    InputError
        If the reference reaches beyond the run.
    """
    from scipy.interpolate import CubicHermiteSpline

    t = reference.t
    # of the coarser frames, to whose spacing rounding matters least
    first, last = np.minimum(time_tolerance(t)[[0, -1]], time_tolerance(run.t)[[0, -1]])
    if t[0] < run.t[0] - first or t[-1] > run.t[-1] + last:
        raise InputError(
            f"`candidate` must reach over the times of `reference`, {_times(t)}; "
            f"got {_times(run.t)}"
        )
    if len(run.t) < 2:
        return run
    at = np.clip(t, run.t[0], run.t[-1])  # within rounding; outside, a cubic extrapolates
    cubic = CubicHermiteSpline(run.t, run.x, run.v, axis=1)
    x = cubic(at)
    v = cubic(at, 1)
    if at[0] == run.t[0]:  # the start is demanded to the bit, and the spline may round it
        x[:, 0] = run.x[:, 0]
        v[:, 0] = run.v[:, 0]
    spacing = {k: value for k, value in reference.info.system.items() if k == "frame_dt"}
    system = run.info.system | spacing
    return replace(run, t=t, x=x, v=v, info=replace(run.info, system=system), label_error=None)
