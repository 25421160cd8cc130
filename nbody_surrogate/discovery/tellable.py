"""What tracks can tell: refused before and after, with what measurement would do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.discovery.estimate import Estimate
from nbody_surrogate.discovery.forces import accelerations
from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["demand_company", "demand_told", "demand_tracks", "relative_error"]

SHORTEST = 60
"""Frames of a run: below, there is nothing to hold out and little to average."""

EVERY = 20
"""Frames between those that errors are averaged over."""

HOPELESS = 100.0
"""Relative standard error beyond which it makes no sense to say how many more frames would do."""

WORST = 0.5
"""Relative standard error of the pair force above which a curve is no finding."""

ALONE = 1e-6
"""Share of its accelerations that a particle may owe to others where a drag and a field tell the
rest."""


def demand_tracks(runs: Sequence[Tracks], couplings: bool) -> None:
    """Refuse runs that cannot say anything of pair forces.

    Raises
    ------
    InputError
    """
    if not isinstance(runs, Sequence):
        what = type(runs).__name__
        raise InputError(f"`runs` must be a list of Tracks, got {what}; write [tracks]")
    for run in runs:
        if not isinstance(run, Tracks):
            what = type(run).__name__
            raise InputError(
                f"`runs` must be a list of Tracks, got one of {what}; read_tracks makes them"
            )
    if not runs:
        raise InputError("`tracks` must hold at least one run, got none")
    for name in ("length_unit", "time_unit"):
        # a law has one unit of each, and nothing is converted
        units = sorted({getattr(run, name) for run in runs} - {None})
        if len(units) > 1:
            raise InputError(f"`{name}` must be the same in all runs, got {' and '.join(units)}")
    if len({run.dimensions for run in runs}) > 1:
        raise InputError("`tracks` must all be of 2 dimensions, or all of 3, got both")
    for k, run in enumerate(runs):
        if run.n < 2:
            what = counted(run.n, "particle")
            raise InputError(
                f"`tracks` must hold at least 2 particles in each run, got {what} in run {k}"
            )
        frames = len(run.x)
        if frames < SHORTEST:
            raise InputError(
                f"`tracks` must hold at least {SHORTEST} frames in each run, got {frames} in run "
                f"{k}"
            )
    first: dict[bytes, int] = {}
    for k, run in enumerate(runs):
        # as independent frames they would make everything look surer than it is
        if (other := first.setdefault(run.x.tobytes(), k)) < k:
            raise InputError(
                f"`tracks` must hold each run once, got the same positions in runs {other} and {k}"
            )
    unknown = sum(run.n * (run.n - 1) // 2 if couplings else 3 * run.n for run in runs) + 40
    rows = sum(int(np.isfinite(run.x).sum()) for run in runs)
    if rows < 10 * unknown:
        raise InputError(
            f"`tracks` must hold at least {10 * unknown} coordinates for {unknown} unknowns, got "
            f"{rows}; measure {10 * unknown / max(rows, 1):.1f} times as many frames"
        )


def demand_company(runs: Sequence[Tracks]) -> None:
    """Refuse tracks of particles that move by themselves, each by a drag and a field.

    Under x'' = c - k x - g x' alone each coordinate at a frame is the same combination of those at
    two frames before. So are straight lines, circles, and rotations of all together. Exact tracks
    would tell any pair force among them, as rounding has it.

    Raises
    ------
    RunError
    """
    for run in runs:
        for i in range(run.n):
            for x in run.x[:, i].T:
                rows = np.stack([x[1:-1], x[:-2], np.ones(len(x) - 2)], -1)
                last = x[2:]
                whole = np.isfinite(rows).all(1) & np.isfinite(last)
                rows, last = rows[whole], last[whole]
                if not len(rows):
                    continue
                middle = rows[:, 0].mean()
                rows[:, :2] -= middle
                last = last - middle
                left = last - rows @ np.linalg.lstsq(rows, last, rcond=None)[0]
                bent = last - 2.0 * rows[:, 0] + rows[:, 1]
                rounding = 1e-14 * float(np.abs(x[np.isfinite(x)]).max())
                if np.sqrt(np.mean(left**2)) > max(ALONE * np.sqrt(np.mean(bent**2)), rounding):
                    return
    raise RunError(
        "these tracks do not tell the pair force: each particle moves as by a drag and a field of "
        "its own, or all turn as one; start the particles closer together, or from other places"
    )


def relative_error(estimate: Estimate) -> float:
    """Return the standard error of all pair forces on a particle over them, root mean squares.

    It is what the Fisher information says: errors of all other unknowns are part of it.
    """
    problem, layout = estimate.problem, estimate.unknowns.layout
    curves = np.r_[0 : layout.curve + 2 * layout.directed]
    force = error = 0.0
    part = estimate.covariance[np.ix_(curves, curves)]
    value = estimate.unknowns.vector[curves]
    for run, measured in enumerate(problem.runs):
        for i in range(measured.n):
            for values, which in accelerations(problem, estimate.unknowns, run, i):
                mine = which < curves.size
                rows = values[::EVERY][:, mine]
                force += float(((rows @ value[which[mine]]) ** 2).sum())
                square = part[np.ix_(which[mine], which[mine])]
                error += float(np.einsum("tk,kl,tl->", rows, square, rows, optimize=True))
    return float(np.sqrt(error / max(force, 1e-300)))


def demand_told(estimate: Estimate) -> None:
    """Refuse an estimate whose pair force is not known.

    Raises
    ------
    RunError
    """
    error = relative_error(estimate)
    if error < WORST:
        return
    r = np.concatenate([run.visited(7) for run in estimate.problem.runs])
    low, high = np.quantile(r, [0.05, 0.95])
    if not error < HOPELESS:
        raise RunError(
            "these tracks do not tell the pair force: particles hardly move, so that its standard "
            f"error is over {HOPELESS:.0f} times the force (pairs are {low:.3g} to {high:.3g} "
            "apart): heat the particles, or start them from many places"
        )
    # one amplitude of motion along the curve of the force is worth the square of as many frames
    frames = (error / 0.1) ** 2
    raise RunError(
        f"these tracks do not tell the pair force: its standard error is {100 * error:.0f} % of it "
        f"(pairs are {low:.3g} to {high:.3g} apart, 90 % of the time). For 10 % measure "
        f"{frames:.0f} times as many frames, or motion {np.sqrt(frames):.1f} times as wide: heat "
        "the particles, or start them from many places"
    )
