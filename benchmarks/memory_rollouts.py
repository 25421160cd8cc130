"""Guarded roll-outs of 100 frames on `charging`, with memory and without.

    python benchmarks/memory_rollouts.py runs/memory/charging/*/0

Folders of trainings that `benchmarks/memory.py` left. 20 starts of five grains that no training has
seen, `guard="warn"`; those with memory begin with a past by the reference, `history - 1` frames.
Position RMSE against `rk4` of 32 sub-steps after 10, 30 and 100 frames, medians over starts, with a
bootstrap interval of the last; the largest drift of angular momentum, and what the guard found.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np

import nbody_surrogate as nb
from nbody_surrogate.results.bootstrap import bootstrap_median

N, STARTS, FRAMES, SEED = 5, 20, 100, 777
AT = (10, 30, 100)


def angular_momentum(run):
    return np.cross(run.x, run.v).sum(2)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    system = nb.make_system("charging")
    state, particles = system.sample(SEED, N, trajectories=STARTS)
    truth = nb.simulate(system, state, particles, FRAMES, nb.make_integrator("rk4", substeps=32))
    heads = ", ".join(map(str, AT))
    print(f"| model | RMSE after {heads} frames | interval of the last | drift of L | guard |")
    print("|---|---|---|---|---|")
    for folder in given.folders:
        weights = folder / "weights"
        if not weights.is_dir():
            continue
        method = nb.make_integrator("set", weights=str(weights))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of models without memory, and of the time range
            run = nb.simulate(system, state, particles, FRAMES, method, guard="warn")
        error = np.sqrt(((run.x - truth.x) ** 2).mean((2, 3)))
        turning = angular_momentum(run)
        drift = np.abs(turning - turning[:, :1]).max()
        middle = ", ".join(f"{y:.2g}" for y in np.median(error[:, AT], axis=0))
        low, high = bootstrap_median(error[:, -1:])
        found = sum(status != 0 for status in run.info.status)
        print(
            f"| {folder.parent.name} | {middle} | {low:.2g}..{high:.2g} | {drift:.1e} "
            f"| {found} of {STARTS} stopped |"
        )


if __name__ == "__main__":
    main()
