"""A measured motion, and the tables that trackers write of it."""

from __future__ import annotations

import numpy as np

from nbody_surrogate.tracks.tracks import Tracks

DT = 0.005
NAMES = ("0", "1", "2", "10")
"""In the order of the numbers, which is not that of the words."""


def motion(frames=60, n=4, dimensions=3, seed=0, noise=0.0):
    """Particles that swing about places of their own, smoothly, shape (T, N, D)."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(2.0, 9.0, size=(n, dimensions))
    phases = rng.uniform(0.0, 6.28, size=(n, dimensions))
    centres = rng.normal(scale=2.0, size=(n, dimensions))
    t = DT * np.arange(frames)[:, None, None]
    smooth = centres + np.sin(rates * t + phases)
    return smooth + noise * rng.normal(size=smooth.shape)


def holed(x, share=0.1, seed=1):
    """The same with positions that are not seen; each particle is in the first and last frame."""
    seen = np.random.default_rng(seed).random(x.shape[:2]) >= share
    seen[[0, -1]] = True
    return np.where(seen[..., None], x, np.nan)


def tracks(x=None, **more):
    """Tracks of a motion."""
    x = motion() if x is None else x
    return Tracks(x, DT, NAMES[: x.shape[1]], **more)


def table(x, names=NAMES, first=0, seed=2):
    """Rows of a table in any order: frame, particle, and a coordinate each."""
    frames, particles = np.nonzero(np.isfinite(x[:, :, 0]))
    rows = [
        [str(first + f), names[p], *map(repr, x[f, p].tolist())]
        for f, p in zip(frames.tolist(), particles.tolist(), strict=True)
    ]
    np.random.default_rng(seed).shuffle(rows)
    return rows


def csv_text(rows, head="frame,particle,x,y,z"):
    return "\n".join([head, *(",".join(row) for row in rows)]) + "\n"


def write_csv(path, x, head="frame,particle,x,y,z", **more):
    path.write_text(csv_text(table(x, **more), head))
    return path
