"""How near `nbody-sim discover` comes to the law of tracks that were computed, without noise.

    python benchmarks/discover_exact.py --seeds 5 --output exact.json
    python benchmarks/discover_exact.py --show exact.json

Five particles of `charged`, `gravity` and `springs`, one run of 400 frames of 0.05, which do not
resolve the encounters. Errors are of accelerations at the frames that
were fitted, rms over rms, and in the median over particles and frames. Beside the law as found
stands what `steps_between` asks for, and the law of frames alone, as if it had asked for none.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np

import nbody_surrogate as nb
from nbody_surrogate.discovery import encounters
from nbody_surrogate.discovery.discover import discover
from nbody_surrogate.discovery.forces import total_force
from nbody_surrogate.tracks.observe import observe

SYSTEMS = ("charged", "gravity", "springs")
PARTICLES, FRAMES, DT, HELD_OUT = 5, 400, 0.05, 0.2


def one(name, seed):
    system = nb.make_system(name, frame_dt=DT)
    state, particles = system.sample(seed, PARTICLES)
    run = nb.simulate(system, state, particles, FRAMES - 1, "dop853")[0]
    tracks = [observe(run, noise=0.0, seed=0)]
    row = {"system": name, "seed": seed}
    for kind in ("found", "frames"):
        begun = time.process_time()
        with patch.object(encounters, "steps_between", steps_of(kind)):
            found = discover(tracks, axis=None, couplings=name == "springs", hold_out=HELD_OUT)
        row[kind] = {
            "seconds": time.process_time() - begun,
            "steps": found.estimate.problem.runs[0].steps,
            "drag": found.law["drag"],
            "broken": [each["name"] for each in found.discovery["symmetries"] if each["broken"]],
            "formula": found.discovery["formula"],
            **errors(found, system, particles, run),
        }
    return row


def steps_of(kind):
    real = encounters.steps_between
    return real if kind == "found" else lambda problem, unknowns: 1


def errors(found, system, particles, run):
    problem, unknowns = found.estimate.problem, found.estimate.unknowns
    x = run.x[: len(problem.runs[0].x)]
    truth = np.concatenate(
        [system.acceleration(one[None], np.zeros_like(one)[None], particles) for one in x]
    )
    ours = np.stack([total_force(problem, unknowns, 0, i).T for i in range(PARTICLES)], 1)
    wrong, size = (np.linalg.norm(each, axis=-1) for each in (ours - truth, truth))
    moving = size > 0
    return {
        "error": float(np.sqrt((wrong**2).sum() / (size**2).sum())),
        "median": float(np.median(wrong[moving] / size[moving])),
    }


def table(rows):
    for name in SYSTEMS:
        mine = [row for row in rows if row["system"] == name]
        for kind in ("found", "frames"):
            each = [row[kind] for row in mine]
            if not each:
                continue
            error = np.array([one["error"] for one in each])
            middle, seconds = (
                np.median([one[key] for one in each]) for key in ("median", "seconds")
            )
            print(
                f"{name:8} {kind:6} {len(each)} seeds: error {np.median(error):.1e}, worst "
                f"{error.max():.1e}, in the median {middle:.0e}; {seconds:.0f} s"
            )
            for key in ("steps", "drag", "broken", "formula"):
                print(f"    {key}: {sorted({str(one[key]) for one in each})}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--show", type=Path)
    options = parser.parse_args()
    if options.show:
        table([json.loads(line) for line in options.show.read_text().splitlines()])
        return
    rows = []
    for seed in range(options.seeds):
        for name in SYSTEMS:
            rows.append(one(name, seed))
            print(rows[-1], flush=True)
            if options.output:
                options.output.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    table(rows)


if __name__ == "__main__":
    main()
