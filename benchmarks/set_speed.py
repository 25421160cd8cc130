"""What a frame of the learned models costs: compiled or not, by N, and by batch; one thread.

    python benchmarks/set_speed.py

Medians of repeats, the methods in turn within one run. The last tables show how cost grows with N
and what a batch saves per trajectory.
"""

from __future__ import annotations

import argparse
import statistics
import warnings

import torch

from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.errors import NBodyWarning

FRAMES, ROUNDS = 90, 7
MODELS = ("set", "set-small")


def cost(
    methods: dict[str, AbstractIntegrator], n: int, batch: int, frames: int
) -> dict[str, float]:
    """Median milliseconds per frame and trajectory, after a warm-up of each."""
    system = make_system("charged")
    state, particles = system.sample(0, n, batch)
    times: dict[str, list[float]] = {label: [] for label in methods}
    for round_ in range(ROUNDS + 1):
        for label, method in methods.items():
            run = simulate(system, state, particles, frames, method)
            if round_:
                times[label].append(1e3 * run.info.wall_time / frames / batch)
    return {label: statistics.median(values) for label, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NBodyWarning)
    eager = {name: make_integrator("set", weights=name) for name in MODELS}
    compiled = {
        f"{name}, compiled": make_integrator("set", weights=name, compile=True) for name in MODELS
    }
    solvers = {name: make_integrator(name) for name in ("dop853", "dop853-compiled")}
    solvers["leapfrog, 16"] = make_integrator("leapfrog", substeps=16)
    print("N = 30, one trajectory, ms per frame")
    for label, value in cost(eager | compiled | solvers, 30, 1, FRAMES).items():
        print(f"  {label:>20}: {value:.3f}")
    print("by N, one trajectory, eager: ms per frame (over N^2, relative to N = 30)")
    by_n = {n: cost(eager, n, 1, 20) for n in (5, 10, 30, 60, 120)}
    for n, values in by_n.items():
        cells = (
            f"{label} {value:.2f} ({value / by_n[30][label] * (30 / n) ** 2:.2f})"
            for label, value in values.items()
        )
        print(f"  N = {n:>3}: " + ", ".join(cells))
    print("N = 5, eager: ms per frame and trajectory by batch")
    by_batch = {batch: cost(eager, 5, batch, 20) for batch in (1, 8, 64)}
    for batch, values in by_batch.items():
        cells = (
            f"{label} {value:.3f} ({by_batch[1][label] / value:.1f} times cheaper)"
            for label, value in values.items()
        )
        print(f"  B = {batch:>2}: " + ", ".join(cells))


if __name__ == "__main__":
    main()
