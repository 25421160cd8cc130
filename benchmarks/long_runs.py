"""Energy of the learned models in long runs, N = 30: 500 frames of charged, 1000 of trap.

    python benchmarks/long_runs.py

50 starts each, the same for all methods, leapfrog with as many sub-steps beside the models. The
error is that of the total energy at the last frame, over the time-mean kinetic energy of the
reference; its median over starts is of the absolute value, with a bootstrap 95 % interval, and
its mean, with the standard error, shows a bias.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import torch

from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.results.bootstrap import bootstrap_median
from nbody_surrogate.results.metrics import mean_kinetic

STARTS, N, SEED = 50, 30, 77_000
RUNS = {"charged": 500, "trap": 1000}


def energy_errors(name: str, methods: dict[str, AbstractIntegrator]) -> None:
    """Run all methods from the same starts, and print a row for each."""
    system, frames = make_system(name), RUNS[name]
    state, particles = system.sample(SEED, N, STARTS)
    reference = simulate(system, state, particles, frames, "dop853-compiled")
    scale = mean_kinetic(reference.v, particles)
    for label, method in methods.items():
        run = simulate(system, state, particles, frames, method)
        first, last = (system.invariants(run.x[:, k], run.v[:, k], particles) for k in (0, -1))
        error = (last.energy - first.energy) / scale
        low, high = bootstrap_median(abs(error)[:, None])
        print(
            f"| {name} | {frames} | {label} | {int(run.info.success)} | "
            f"{np.median(abs(error)):.2%} ({low:.2%}..{high:.2%}) | "
            f"{error.mean():+.3%} +- {error.std(ddof=1) / np.sqrt(STARTS):.3%} | "
            f"{abs(error).max():.2%} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", nargs="+", default=["set", "set-small", "set-kernel"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NBodyWarning)  # these runs go beyond the times of training
    methods = {name: make_integrator("set", weights=name) for name in options.weights}
    methods |= {f"leapfrog, {k}": make_integrator("leapfrog", substeps=k) for k in (4, 8)}
    print("| system | frames | method | all finite | median | mean and standard error | largest |")
    print("|---" * 7 + "|")
    for name in RUNS:
        energy_errors(name, methods)


if __name__ == "__main__":
    main()
