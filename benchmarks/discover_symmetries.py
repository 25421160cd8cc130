"""Which symmetries `nbody-sim discover` finds broken in tracks that break one, or none.

    python benchmarks/discover_symmetries.py --seeds 50 --output symmetries.json
    python benchmarks/discover_symmetries.py --show symmetries.json

The cases are those of `discover_cases.py`: twelve particles with charges of both signs, 16 runs of
500 frames, noise 1e-3, one term of 5 to 8 % of the pair forces; reflection in the plane, where a
swirl breaks no other symmetry. Charge conjugation is broken by the pairs alone (`charge cube`). A
reading is right where the symmetry that is broken is found, and no other is called broken. Energy
is told by the others and not counted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from discover_cases import case

from nbody_surrogate.discovery.discover import discover
from nbody_surrogate.tracks.tracks import Tracks, TrackSource

CASES = {
    "none": (None, 3),
    "translation": ("translation", 3),
    "boost": ("boost", 3),
    "time shift": ("time-shift", 3),
    "reciprocity": ("reciprocity", 3),
    "isotropy": ("isotropy", 3),
    "reflection": ("reflection", 2),
    "charge cube": ("charge-conjugation", 3),
}


def one(name, seed):
    broken, dimensions = CASES[name]
    runs, dt, truth = case(name, seed, dimensions)
    names = tuple(str(i) for i in range(runs[0].shape[1]))
    tracks = [Tracks(x, dt, names, source=TrackSource("case", run=str(k)))
              for k, x in enumerate(runs)]  # fmt: skip
    found = discover(
        tracks, axis=None, drag="shared", same_particles=True, hold_out=0.0, bootstrap=20
    )
    tested = [each for each in found.discovery["symmetries"] if each["name"] != "energy"]
    return {
        "case": name,
        "seed": seed,
        "truth": broken,
        "size": float(truth["size"]),
        "broken": [each["name"] for each in tested if each["broken"]],
        "effects": {each["name"]: each["effect"]["value"] for each in tested},
        "p": {each["name"]: each["p_corrected"] for each in tested},
    }


def share(hits, of):
    """Return a share with Wilson's interval of 95 %."""
    if not of:
        return "none"
    p, z = hits / of, 1.96
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return f"{hits} of {of} ({100 * (middle - half):.0f} to {100 * (middle + half):.0f} %)"


def table(rows):
    for name, (truth, _) in CASES.items():
        mine = [row for row in rows if row["case"] == name]
        found = sum(truth in row["broken"] for row in mine)
        others = sum(len(set(row["broken"]) - {truth}) for row in mine)
        text = "" if truth is None else f"found in {share(found, len(mine))}, "
        print(f"{name:12} {text}others called broken: {others}")
    unbroken = sum(len(row["p"]) - (row["truth"] is not None) for row in rows)
    wrong = sum(len(set(row["broken"]) - {row["truth"]}) for row in rows)
    print("unbroken ones called broken:", share(wrong, unbroken))
    right = [row for row in rows if row["truth"] is not None]
    print("broken ones found:", share(sum(r["truth"] in r["broken"] for r in right), len(right)))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", type=int, default=50)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--output", type=Path)
    options.add_argument("--show", type=Path, nargs="+")
    given = options.parse_args()
    if given.show:
        table([json.loads(line) for path in given.show for line in path.read_text().splitlines()])
        return
    rows = []
    for seed in range(given.first, given.first + given.seeds):
        for name in CASES:
            rows.append(one(name, seed))
            print(rows[-1], flush=True)
            if given.output:
                with given.output.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    table(rows)


if __name__ == "__main__":
    main()
