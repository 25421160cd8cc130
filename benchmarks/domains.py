"""How many wild starts the domain of a model tells, and how many of its own training.

python benchmarks/domains.py [MODEL]: nothing runs, so it takes seconds.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

import nbody_surrogate as nb
from nbody_surrogate.simulation.guard.outside import watch_for
from nbody_surrogate.testing.wild_starts import WILD_STARTS, wild_starts

SEEDS, COUNT = (101, 102, 103), 40
OWN = (("charged", 5, 1000), ("trap", 5, 400), ("charged", 10, 267), ("trap", 20, 107),
       ("charged", 30, 67), ("trap", 30, 67))  # fmt: skip
"""Systems of the recipe of `set`, each as often as its trajectories there."""


def told(method, name, state, particles):
    """Which starts, shape (B,), are outside of the domain."""
    system = nb.make_system(name)
    problem = method.check(system, state, particles, system.spec.frame_dt)
    watch = watch_for("warn", method, problem, state, 1)
    return np.array(watch.report.since) == 0


def main(model: str = "set") -> None:
    """Print a table of the wild starts, and the share of the training's own."""
    warnings.simplefilter("ignore", nb.NBodyWarning)
    method = nb.make_integrator("set", weights=model, device="cpu")
    print(f"{model}: starts that are told, of {COUNT * len(SEEDS)}; and of these in a frame of "
          "reference that moves by 10, 1e4 away, at t = 100")  # fmt: skip
    for kind in WILD_STARTS:
        here = there = 0
        for seed in SEEDS:
            state, particles = wild_starts(kind, COUNT, seed=seed)
            moved = nb.State(100.0, state.x + 1e4, state.v + 10.0)
            here += int(told(method, "charged", state, particles).sum())
            there += int(told(method, "charged", moved, particles).sum())
        print(f"{kind:40s} {here:4d} {there:4d}")
    alarms = 0
    for name, n, count in OWN:
        alarms += int(told(method, name, *nb.make_system(name).sample(5150, n, count)).sum())
    drawn = sum(count for _, _, count in OWN)
    print(f"starts as in the recipe: {alarms} of {drawn}")


if __name__ == "__main__":
    main(*sys.argv[1:])
