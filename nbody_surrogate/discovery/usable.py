"""What of tracks is fitted: places that are no places, and particles hardly seen, are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.discovery.runs import GAP, MeasuredRun
from nbody_surrogate.errors import InputError
from nbody_surrogate.tracks.noise import position_noise
from nbody_surrogate.tracks.tracks import Tracks

__all__ = ["demand_depth", "told_gaps", "usable_tracks"]

LEAST_SEEN = 60
"""Frames that a particle must be seen in: three unknowns of its own are not told by fewer."""

FLAT = 3.0
"""Spread along an axis over the noise there, below which nothing moves along it."""


def usable_tracks(runs: Sequence[Tracks], same_particles: bool) -> tuple[list[Tracks], list[str]]:
    """Return the tracks without what no law explains, and a note for each kind of it.

    Parameters
    ----------
    runs : sequence of Tracks
    same_particles : bool
        Particles then have their places in all runs, and none is left out.
    """
    found, notes = [], []
    for run in runs:
        run, wrong = _without_jumps(run)
        if wrong:
            notes.append(
                f"{counted(wrong, 'position')} of {str(run.source)!r} from which a particle was "
                "back in the next frame: left out"
            )
        if not same_particles:
            run, names = _without_rare(run)
            if names:
                notes.append(
                    f"{counted(len(names), 'particle')} of {str(run.source)!r} seen in fewer than "
                    f"{LEAST_SEEN} frames: left out ({', '.join(names[:5])})"
                )
        found.append(run)
    return found, notes


def _without_jumps(run: Tracks) -> tuple[Tracks, int]:
    """Take single positions away to which a particle jumped, and was back one frame later."""
    wrong = [jump for jump in run.jumps if jump.back]
    if not wrong:
        return run, 0
    x = run.x.copy()
    for jump in wrong:
        x[(jump.frame - run.first_frame) // run.frame_step, run.names.index(jump.name)] = np.nan
    return replace(run, x=x), len(wrong)


def _without_rare(run: Tracks) -> tuple[Tracks, tuple[str, ...]]:
    kept = run.seen.sum(0) >= LEAST_SEEN
    if kept.all() or kept.sum() < 2:
        return run, ()
    charges, masses = (
        None if values is None else values[kept] for values in (run.charges, run.masses)
    )
    names = tuple(name for name, stays in zip(run.names, kept, strict=True) if stays)
    gone = tuple(name for name in run.names if name not in names)
    return replace(run, x=run.x[:, kept], names=names, charges=charges, masses=masses), gone


IN_A_PLANE = {"x": "x=z,z=none", "y": "y=z,z=none", "z": "z=none"}
"""Columns of a table for two dimensions, without the one named."""


def demand_depth(runs: Sequence[Tracks]) -> None:
    """Refuse tracks in space that lie in a plane.

    Raises
    ------
    InputError
    """
    if runs[0].dimensions < 3:
        return
    flat = []
    for d, axis in enumerate("xyz"):
        spread = max(float(np.nanstd(run.x[..., d])) for run in runs)
        # where frames do not resolve the motion along it, that passes for noise
        told = [position_noise(replace(run, x=run.x[..., [d, d]])) for run in runs]
        noise = max((each.mean for each in told if not each.is_bound), default=0.0)
        if spread <= FLAT * noise:
            flat.append((axis, spread, noise))
    if not flat:
        return
    axis, spread, noise = flat[0]
    seen = f"got a spread of {spread:.2g} there and noise of {noise:.2g}"
    if len(flat) > 1:
        raise InputError(f"`tracks` must move by more than their noise along {axis}, {seen}")
    raise InputError(
        f"`tracks` must move along {axis}, {seen}; leave it out, in a table by --columns "
        f"{IN_A_PLANE[axis]}"
    )


def told_gaps(runs: Sequence[MeasuredRun]) -> list[str]:
    """Say what is made of frames in which somebody is out of sight."""
    frames = sum(len(run.x) for run in runs)
    lost = sum(int(run.lost.sum()) for run in runs)
    if not lost:
        return []
    which = f"in {lost} of {frames} frames a particle is out of sight for more than {GAP} frames"
    if any((run.lost & run.whole).any() for run in runs):
        return [
            f"{which}: what it does to others there is not known, and what is found is less sure "
            "than its intervals say"
        ]
    return [f"{which}: nothing is fitted there"]
