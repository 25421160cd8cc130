"""What a frame of a roll-out costs by the history that `set` looks back on.

    python benchmarks/memory_cost.py

Five particles, 4 sub-steps, one thread: `step_cache` with a full cache, each model in turn,
medians of the repeats; ratios of each repeat to that of history 2.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

import nbody_surrogate as nb
from nbody_set.model import SET, SETConfig
from nbody_surrogate.contracts import ParticleTensors

HISTORIES = (2, 8, 16, 64)
N, FRAMES = 5, 70


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=60)
    given = parser.parse_args()
    torch.set_num_threads(1)
    system = nb.make_system("charging")
    run = nb.simulate(system, *system.sample(0, N), FRAMES, nb.make_integrator("rk4"))
    x, v = torch.tensor(run.x), torch.tensor(run.v)
    field = system.force_laws().field
    particles = ParticleTensors.from_particles(
        run.particles, torch.device("cpu"), torch.float32, field
    )
    print("| memory | " + " | ".join(f"history {each}" for each in HISTORIES) + " |")
    print("|---" * (1 + len(HISTORIES)) + "|")
    for kind in ("charges", "pairs", "forces"):
        with torch.inference_mode():
            models = [
                SET(SETConfig(memory=(kind,), history=each, substeps=4)).eval()
                for each in HISTORIES
            ]
            caches = [model.start_cache(x[:, :-1], v[:, :-1], particles) for model in models]
            spent = np.empty((given.repeats, len(models)))
            for repeat in range(given.repeats):
                for k, (model, cache) in enumerate(zip(models, caches, strict=True)):
                    began = time.perf_counter()
                    model.step_cache(cache, x[:, -1], v[:, -1], particles)
                    spent[repeat, k] = time.perf_counter() - began
        ratios = np.median(spent / spent[:, :1], axis=0)
        cells = [
            f"{1e3 * milliseconds:.2f} ms ({ratio:.2f})"
            for milliseconds, ratio in zip(np.median(spent, axis=0), ratios, strict=True)
        ]
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
