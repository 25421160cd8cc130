"""Whether a model that was trained again is as good as the one that ships.

    python benchmarks/weights_against.py WEIGHTS [--against set]

Both on the same seeded starts of the model's systems, paired start by start: the geometric mean of
the ratios of their squared errors after one frame and after roll-outs, with 95 % intervals. Below 1
the new one is better.
"""

from __future__ import annotations

import argparse

import torch

from nbody_surrogate import make_integrator, make_system
from nbody_surrogate.evaluation.scorecard import score_methods, truth_of_system

SYSTEMS = ("charged", "trap")
STARTS = {5: 200, 30: 100}
HORIZONS = (10, 20, 40)


def show(weights: str, against: str) -> None:
    """Print one block for each system and number of particles."""
    methods = {
        "again": make_integrator(against, weights=weights),
        against: make_integrator(against),
    }
    for name in SYSTEMS:
        for n, count in STARTS.items():
            truth = truth_of_system(make_system(name), n, count)
            again, shipped = score_methods(methods, truth, HORIZONS)
            one_step = f"x-MSE of a step {again.one_step_mean.value:.2g}"
            print(f"{name}, N = {n}, {count} starts: {one_step}")
            # the row of a later method holds the ratios of the first one to it
            for horizon, pair in shipped.pairs.items():
                ratio = pair.ratio
                interval = f"{ratio.value:.2f} ({ratio.low:.2f}..{ratio.high:.2f})"
                print(f"  {horizon}: {interval}, {pair.outcome}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("--against", default="set")
    given = parser.parse_args()
    show(given.weights, given.against)
