"""Whether two runs can be held against each other, and what to do where their times differ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from nbody_surrogate.contracts.time_text import number_text, time_span_text
from nbody_surrogate.contracts.times import same_times, time_tolerance
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.registry import installed_system
from nbody_surrogate.results.trajectory import Ensemble

__all__ = ["check_same", "frames_text", "interpolated", "own_frames", "round_trip"]


AXES = ("trajectory", "frame", "particle", "dimension")


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
            f"`candidate` must have the frame times of `reference`, {frames_text(reference.t)}; "
            f"got {frames_text(candidate.t)}: "
            f"{_remedy(reference, candidate)}"
        )
    ours, theirs = _whole(reference.info.system), _whole(candidate.info.system)
    if ours != theirs:
        raise InputError(
            f"`candidate` must be of the system of `reference`, {_different(ours, theirs)}"
        )
    for key in ("charges", "masses", "couplings", "radii"):
        if not np.array_equal(getattr(reference.particles, key), getattr(candidate.particles, key)):
            raise InputError(f"`candidate` must have the {key} of `reference`, they differ")
    # To the bit: chaos makes of any difference at the start one of the order of the cloud.
    for y in ("x", "v"):
        if not np.array_equal(getattr(reference, y)[:, 0], getattr(candidate, y)[:, 0]):
            raise InputError(f"`candidate` must have the start of `reference`, its {y} differs")


def _whole(description: dict[str, Any]) -> dict[str, Any]:
    """Return a description with the defaults of parameters that the release before it had not."""
    try:
        system = installed_system(description)
    except InputError:  # of a release after this one, or of a file that somebody wrote
        return description
    return description if system is None else {**system.description, **description}


def _check_shape(reference: Ensemble, candidate: Ensemble) -> None:
    if reference.x.shape == candidate.x.shape:
        return
    both = zip(AXES, reference.x.shape, candidate.x.shape, strict=True)
    wanted = [(name, ours, theirs) for name, ours, theirs in both if ours != theirs]
    needed = ", ".join(counted(ours, name) for name, ours, _ in wanted)
    given = ", ".join(counted(theirs, name) for name, _, theirs in wanted)
    said = f"`candidate` must have the shape of `reference`, {needed}; got {given}"
    if [name for name, *_ in wanted] == ["frame"]:
        needed, given = frames_text(reference.t), frames_text(candidate.t)
        said = f"`candidate` must have the frames of `reference`, {needed}; got {given}"
        said += f": {_remedy(reference, candidate)}"
    raise InputError(said)


def _remedy(reference: Ensemble, candidate: Ensemble) -> str:
    """Say what makes runs of other times comparable."""
    last, slack = candidate.t[-1], _slack(candidate.t, reference.t)
    order = "" if reference.t[-1] <= last + slack else "make the shorter one the reference, and "
    return (
        f"{order}pass --interpolate to `nbody-sim compare`, or `interpolate=True`, to take the "
        "candidate at the times of the reference"
    )


def frames_text(t: Float64[np.ndarray, " T"]) -> str:
    """Say how many frames there are, of which times."""
    return f"{counted(len(t), 'frame')}, t = {_times(t)}"


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
    velocities, the derivative of the same cubic, by about h^3 / 125 times it. Frames are valid up
    to the last valid one of the run.

    Raises
    ------
    InputError
        If the reference reaches beyond the run.
    """
    t, slack = reference.t, _slack(run.t, reference.t)
    if t[0] < run.t[0] - slack or t[-1] > run.t[-1] + slack:
        raise InputError(
            f"`candidate` must reach over the times of `reference`, {_times(t)}; "
            f"got {_times(run.t)}"
        )
    if len(run.t) < 2:
        return run
    made = _at(run, t)
    spacing = {k: value for k, value in reference.info.system.items() if k == "frame_dt"}
    return replace(made, info=replace(made.info, system=run.info.system | spacing))


def round_trip(reference: Ensemble, candidate: Ensemble) -> Ensemble:
    """Return a reference taken to the times of a candidate and back, by the same interpolation.

    A candidate that is the reference itself would show just this difference from it. Where a
    candidate's frames end beyond the reference's, the last frame of the reference stands for the
    next one of theirs.
    """
    t = reference.t
    if len(t) < 2:  # the start, which both have
        return reference
    inside = candidate.t[(candidate.t > t[0]) & (candidate.t < t[-1])]
    knots = np.concatenate([t[:1], inside, t[-1:]])
    # times of one frame that differ by rounding are one knot
    knots = knots[np.append(True, np.diff(knots) > _slack(t, candidate.t))]
    return _at(_at(reference, knots), t)


def own_frames(reference: Ensemble, candidate: Ensemble) -> Bool[np.ndarray, " T"]:
    """Tell at which times of a reference a candidate has a frame of its own."""
    t, slack = reference.t, _slack(reference.t, candidate.t)
    after = np.clip(np.searchsorted(candidate.t, t), 1, max(len(candidate.t) - 1, 1))
    nearest = np.minimum(abs(candidate.t[after - 1] - t), abs(candidate.t[after] - t))
    return np.asarray(nearest <= slack)


def _at(run: Ensemble, t: Float64[np.ndarray, " T"]) -> Ensemble:
    from scipy.interpolate import CubicHermiteSpline

    valid = run.valid[..., None, None]
    if not all(np.isfinite(y).all(where=valid) for y in (run.x, run.v)):
        raise InputError("runs must be finite in their valid frames to be interpolated")
    # frames that are not valid may be NaN, which SciPy takes none of; nothing is made of them
    known_x, known_v = (np.where(valid | np.isfinite(y), y, 0.0) for y in (run.x, run.v))
    good = tuple(int((t <= end).sum()) for end in run.t[run.valid_frames - 1] + _slack(run.t, t))
    at = np.clip(t, run.t[0], run.t[-1])  # within rounding; outside, a cubic extrapolates
    cubic = CubicHermiteSpline(run.t, known_x, known_v, axis=1)
    x = cubic(at)
    v = cubic(at, 1)
    if at[0] == run.t[0]:  # the start is demanded to the bit, and the spline may round it
        x[:, 0] = run.x[:, 0]
        v[:, 0] = run.v[:, 0]
    # what was measured of the frames is not interpolated
    info = replace(run.info, good=good)
    return replace(run, t=t, x=x, v=v, info=info, label_error=None, observables={}, hidden={})


def _slack(one: Float64[np.ndarray, " T"], other: Float64[np.ndarray, " F"]) -> float:
    """How far apart two times may be and still be of one frame: a share of the smaller spacing."""
    return float(min(time_tolerance(one).max(), time_tolerance(other).max()))
