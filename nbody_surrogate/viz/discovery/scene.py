"""Tracks and a forecast as two runs, for the scene that draws runs."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.discovery.files import Found
from nbody_surrogate.results.trajectory import RunInfo, Trajectory

__all__ = ["scene_runs"]


def scene_runs(
    found: Found, tracks: np.ndarray, forecast: np.ndarray | None
) -> tuple[Trajectory, Trajectory | None]:
    """Return what is drawn, and what it is drawn against.

    Parameters
    ----------
    found : Found
    tracks, forecast : ndarray, shape (T, N, D)
        NaN where a particle was not seen: it is then not drawn. Frames that only one has are left
        out.

    Returns
    -------
    tuple
        The forecast against the tracks, or the tracks and None.
    """
    measured = _run(found, tracks, "tracks")
    if forecast is None:
        return measured, None
    frames = min(len(tracks), len(forecast))
    return _run(found, forecast[:frames], "forecast"), _run(found, tracks[:frames], "tracks")


def _run(found: Found, x: np.ndarray, name: str) -> Trajectory:
    dt = found.discovery.tracks.frame_dt
    t = dt * np.arange(len(x))
    # of the frames themselves: it is shown to three digits, and nothing is computed by it
    v = np.gradient(x, dt, axis=0) if len(x) > 1 else np.zeros_like(x)
    particles = Particles(found.law["charges"], found.law["masses"])
    info = RunInfo({"system": "discovered"}, {"integrator": name}, good=(len(x),))
    return Trajectory(t, x, v, particles, info)
