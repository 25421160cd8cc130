"""Rivals of `nbody-sim discover` on one protocol: tracks in, a law, its errors and forecasts out.

    pip install StochasticForceInference==2.0.4 pysindy==2.1.0     # an environment of their own
    python benchmarks/discover_tracks.py --seeds 3 --output tracks           # in our environment
    python benchmarks/discover_rivals.py tracks/*.npz --output rivals.json    # in theirs

An archive holds `x` (T, N, D) as measured, `dt`, and for the scores the truth: `clean` and `v` (T,
N, D) without noise, `charges`, `masses`, `drag` (N), `spacing`, `curve_r`, `curve_force` (the
central force of a pair of unit charges), `ceiling` (valid frames of the true law without its
kicks). Each rival is fitted to the first 80 % of the frames, in a process of its own on one core.
The law of a rival is what `fit_NAME(x, dt)` returns:

    acceleration    callable (x (..., N, D), v) -> (..., N, D), deterministic
    curve           callable r -> force of a pair of unit charges, up to a scale, or None
    charges, charge_to_mass     (N), ratios to their mean, or None
    drag            (N), 1 / time
    seconds         processor time of the fit, compilation and all

Errors are relative: rms over grains for charges, q/m and drag; for the curve rms over the visited
distances, weighted by how often each was visited, after the best common scale. A forecast starts in
the true state of a held-out frame and is valid until the rms error over grains passes a tenth of
the mean spacing; `valid` is the mean of all segments (in frames), `valid_share` over that of the
true law, which knows as little of the kicks to come as the rivals do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HELD_OUT, STRIDE, HORIZON = 0.2, 40, 800  # share; frames between starts, and at most ahead
THRESHOLD = 0.1  # of the mean spacing
SUBSTEPS = 4
NAMES = ("sfi", "sfi_unlike", "sindy", "sindy_unlike", "yukawa", "yukawa_alike", "yukawa_wake")
# With a pool of one or two threads JAX 0.10.2 waits for itself for ever in the chunked programs of
# SFI, so it is told of eight; times are those of processors, all threads together.
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NPROC": "8"}


def fit_of(name):
    """The fit of that name; a rival's package is imported when it is asked for."""
    if name.startswith("yukawa"):
        import discover_yukawa as home
    elif name.startswith("sfi"):
        import discover_sfi as home
    else:
        import discover_sindy as home
    return getattr(home, f"fit_{name}")


def held_out_starts(frames):
    first = int((1.0 - HELD_OUT) * frames)
    return np.arange(first, frames - HORIZON, STRIDE)


def step(acceleration, x, v, dt):
    """One frame by the classical Runge-Kutta method."""
    h = dt / SUBSTEPS
    for _ in range(SUBSTEPS):
        a1 = acceleration(x, v)
        v2 = v + 0.5 * h * a1
        a2 = acceleration(x + 0.5 * h * v, v2)
        v3 = v + 0.5 * h * a2
        a3 = acceleration(x + 0.5 * h * v2, v3)
        v4 = v + h * a3
        a4 = acceleration(x + h * v3, v4)
        x = x + h / 6.0 * (v + 2.0 * v2 + 2.0 * v3 + v4)
        v = v + h / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
    return x, v


def valid_frames(acceleration, clean, v, dt, spacing):
    """Frames (S,) until each forecast of a held-out segment is wrong, all side by side."""
    starts = held_out_starts(len(clean))
    valid = np.full(len(starts), np.nan)
    x, v = clean[starts], v[starts]
    for ahead in range(1, HORIZON + 1):
        with np.errstate(all="ignore"):
            x, v = step(acceleration, x, v, dt)
            error = np.sqrt(np.mean(np.sum((x - clean[starts + ahead]) ** 2, -1), -1))
            wrong = np.isnan(valid) & ~(error <= THRESHOLD * spacing)
        valid[wrong] = ahead
        if not np.isnan(valid).any():
            break
    return np.where(np.isnan(valid), HORIZON, valid)


def visits(x, bins=60):
    """Centres of distances, and how often each is visited; x (T, N, D)."""
    i, j = np.triu_indices(x.shape[1], 1)
    r = np.linalg.norm(x[::10, i] - x[::10, j], axis=-1)
    counts, edges = np.histogram(r, bins=bins)
    return 0.5 * (edges[1:] + edges[:-1]), counts


def curve_error(curve, x, true_r, true_force):
    r, counts = visits(x)
    true, found = np.interp(r, true_r, true_force), np.asarray(curve(r))
    scale = np.sum(counts * true * found) / np.sum(counts * found**2)
    return float(np.sqrt(np.sum(counts * (scale * found - true) ** 2) / np.sum(counts * true**2)))


def ratio_error(found, true):
    found, true = np.asarray(found), np.asarray(true)
    return float(np.sqrt(np.mean((found / found.mean() / (true / true.mean()) - 1.0) ** 2)))


def scores(law, tracks):
    """Errors of a law against the truth in `tracks` (see the top)."""
    true_ratio = tracks["charges"] / tracks["masses"]
    valid = valid_frames(
        law["acceleration"], tracks["clean"], tracks["v"], float(tracks["dt"]), tracks["spacing"]
    )
    ours = {"valid": float(valid.mean()), "valid_median": float(np.median(valid))}
    if "ceiling" in tracks:
        ours["valid_share"] = float(valid.mean() / np.mean(tracks["ceiling"]))
    if law.get("charges") is not None:
        ours["charges"] = ratio_error(law["charges"], tracks["charges"])
        ours["charge_to_mass"] = ratio_error(law["charge_to_mass"], true_ratio)
    if law.get("drag") is not None:
        ours["drag"] = float(np.sqrt(np.mean((law["drag"] / tracks["drag"] - 1.0) ** 2)))
        ours["drag_mean"] = float(np.mean(law["drag"]) / np.mean(tracks["drag"]) - 1.0)
    if law.get("curve") is not None:
        ours["curve"] = curve_error(
            law["curve"], tracks["clean"], tracks["curve_r"], tracks["curve_force"]
        )
    return ours


def one(name, path):
    """Scores of one rival on one archive."""
    with np.load(path) as archive:
        tracks = dict(archive)
    x = tracks["x"][: int((1.0 - HELD_OUT) * len(tracks["x"]))]
    law = fit_of(name)(x, float(tracks["dt"]))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": law["seconds"], "gigabytes": memory, **scores(law, tracks)}


def apart(name, path):
    """`one` in a process of its own, on one core; what it says when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "scores.json"
        command = [sys.executable, __file__, path, "--one", name, "--output", str(target)]
        done = subprocess.run(
            command, env=os.environ | ONE_CORE, capture_output=True, text=True, check=False
        )
        if done.returncode or not target.exists():
            return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1]}
        return json.loads(target.read_text())


def table(results):
    """Means over archives, as text."""
    columns = ("curve", "charges", "charge_to_mass", "drag", "drag_mean", "valid", "valid_share")
    columns = (*columns, "seconds", "gigabytes")
    lines = ["  ".join([f"{'':14s}", *(f"{column:>14s}" for column in columns)])]
    for name, rows in results.items():
        fine = [row for row in rows if "failed" not in row]
        cells = []
        for column in columns:
            values = [row[column] for row in fine if column in row]
            cells.append(f"{np.mean(values):14.4g}" if values else f"{'':>14s}")
        lines.append("  ".join([f"{name:14s}", *cells]) + f"  {len(fine)}/{len(rows)}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tracks", nargs="+")
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--output", required=True)
    parser.add_argument("--one", choices=NAMES, help="this rival alone, in this process")
    arguments = parser.parse_args()
    target = Path(arguments.output)
    if arguments.one:
        target.write_text(json.dumps(one(arguments.one, arguments.tracks[0])))
        return
    results = {name: [] for name in arguments.names.split(",")}
    for path in arguments.tracks:
        for name, rows in results.items():
            rows.append({"tracks": Path(path).name, **apart(name, path)})
            print(name, rows[-1], flush=True)
            target.write_text(json.dumps(results, indent=1))
    print(table(results))


if __name__ == "__main__":
    main()
