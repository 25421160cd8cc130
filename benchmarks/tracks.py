"""Tracks: how long a table takes to read, and how many exchanged names are found.

    python benchmarks/tracks.py

Of each system three runs of 12 particles over 4000 frames, without noise and with 1e-3, 1 % of the
positions missing: exchanges that are told where there are none, and of exchanges put in between
particles nearer than half the spacing how many are found in their frame, and mended to the bit.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import nbody_surrogate as nb
from nbody_surrogate.tracks.identities import find_mistakes

SYSTEMS = [
    ("trap", 0.01),
    ("trap", 0.05),
    ("trap", 0.1),
    ("charged", 0.1),
    ("gravity", 0.02),
    ("gravity", 0.1),
    ("springs", 0.1),
]
PUT_IN = 15  # exchanges for each run


def reading(folder: Path) -> None:
    """12 particles over 8000 frames, with the columns that trackpy writes beside."""
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.normal(size=(8000, 12, 3)), axis=0)
    path = nb.write_tracks(folder / "a.csv", nb.Tracks(x, 0.005, tuple(map(str, range(12)))))
    head, *rows = path.read_text().splitlines()
    beside = ",1503.25,3.125,0.25,88.5"
    path.write_text("\n".join([head + ",mass,size,ecc,signal", *(row + beside for row in rows)]))
    taken = []
    for _ in range(5):
        start = time.process_time()
        nb.read_tracks(path)
        taken.append(time.process_time() - start)
    size = path.stat().st_size / 1e6
    print(f"{len(rows)} rows, {size:.1f} MB: {np.median(taken):.2f} s of processor time")


def near(seen: nb.Tracks, noise: float) -> np.ndarray:
    """Frames and pairs of particles that are near each other, and told apart by the noise."""
    apart = np.linalg.norm(seen.x[:, :, None] - seen.x[:, None], axis=-1)
    close = (apart < 0.5 * seen.spacing) & (apart > 20 * max(noise, 1e-9))
    found = np.argwhere(close)
    inside = (found[:, 0] > 5) & (found[:, 0] < len(seen) - 10)
    return found[inside & (found[:, 1] < found[:, 2])]


def exchanges(name: str, frame_dt: float) -> None:
    rng = np.random.default_rng(0)
    system = nb.make_system(name, frame_dt=frame_dt)
    runs = nb.simulate(system, *system.sample(0, 12, 3), frames=4000, integrator="leapfrog:50")
    told = jumps = found = exact = tried = 0
    for b in range(3):
        for noise in (0.0, 1e-3):
            seen = nb.observe(runs[b], noise=noise, missing=0.01, seed=b)
            plain = find_mistakes(seen.x, seen.names)
            told, jumps = told + len(plain.swaps), jumps + len(plain.jumps)
            some = near(seen, noise)
            for k in rng.choice(len(some), min(PUT_IN, len(some)), replace=False):
                frame, i, j = some[k]
                x = seen.x.copy()
                x[frame:, [i, j]] = x[frame:, [j, i]]
                again = find_mistakes(x, seen.names)
                hit = any(
                    e.frame == frame and set(e.names) == {str(i), str(j)} for e in again.swaps
                )
                tried, found = tried + 1, found + hit
                exact += hit and np.array_equal(again.x, plain.x, equal_nan=True)
    print(f"{name} | {frame_dt} | {told} | {jumps} | {found} of {tried} | {exact}", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        reading(Path(folder))
    print("system | frame_dt | told without any | jumps told | found | mended to the bit")
    for name, frame_dt in SYSTEMS:
        exchanges(name, frame_dt)


if __name__ == "__main__":
    sys.exit(main())
