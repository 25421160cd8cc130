"""Roll-outs of batches on a GPU: `set` beside the torch leapfrog there and the compiled solver.

    python benchmarks/gpu_rollout.py

For B = 1 to 4096 trajectories of 30 particles: milliseconds per frame and trajectory of the
flagship and of leapfrog with 8 sub-steps on the device, and of `dop853-compiled` on all threads of
the CPU; medians of repeats in turn. Without a GPU it says so; `--device cpu` runs it there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import warnings

import torch

from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.errors import NBodyWarning

N, FRAMES, ROUNDS = 30, 50, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--largest", type=int, default=4096)
    parser.add_argument("--weights", default="set")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device here: nothing was measured; --device cpu runs the same on the CPU")
        return
    warnings.simplefilter("ignore", NBodyWarning)
    methods = {
        f"set on {options.device}": make_integrator(
            "set", weights=options.weights, device=options.device
        ),
        f"leapfrog, 8, on {options.device}": make_integrator(
            "leapfrog", substeps=8, device=options.device
        ),
        "dop853-compiled on the CPU": make_integrator(
            "dop853-compiled", threads=os.cpu_count() or 1
        ),
    }
    system = make_system("charged")
    print("| B | " + " | ".join(methods) + " |")
    print("|---" * (len(methods) + 1) + "|")
    batch = 1
    while batch <= options.largest:
        state, particles = system.sample(0, N, batch)
        times: dict[str, list[float]] = {label: [] for label in methods}
        for round_ in range(ROUNDS + 1):
            for label, method in methods.items():
                run = simulate(system, state, particles, FRAMES, method)
                if round_:  # the first warms up
                    times[label].append(1e3 * run.info.wall_time / FRAMES / batch)
        cells = (f"{statistics.median(values):.4f}" for values in times.values())
        print(f"| {batch} | " + " | ".join(cells) + " |", flush=True)
        batch *= 4


if __name__ == "__main__":
    main()
