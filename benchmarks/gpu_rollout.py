"""Roll-outs of batches on a GPU: `set` beside leapfrogs there and the compiled solver.

    python benchmarks/gpu_rollout.py

For B = 1 to 4096 trajectories of 30 particles: milliseconds per frame and trajectory of the
flagship, as it is and by torch.compile, of leapfrog with 8 sub-steps on the device, and of
`dop853-compiled` on all threads of the CPU; medians of repeats in turn. A learned step in float32
is held against a leapfrog that is as well off: `fused` are frames of leapfrog by torch.compile, in
float64 and in float32. Without a GPU it says so; `--device cpu` runs it there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from nbody_surrogate import Particles, State, make_integrator, make_system, simulate
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.errors import NBodyWarning

N, FRAMES, SUBSTEPS, ROUNDS = 30, 50, 8, 5
SOFTENING2, FRAME_DT = 0.1**2, 0.1  # of `charged`

Run = Callable[[State, Particles], float]


def by_integrator(method: AbstractIntegrator) -> Run:
    """Return what runs a method, in seconds."""
    system = make_system("charged")

    def run(state: State, particles: Particles) -> float:
        return simulate(system, state, particles, FRAMES, method).info.wall_time

    return run


def leapfrog_frame(x: Tensor, v: Tensor, charges: Tensor, masses: Tensor) -> tuple[Tensor, Tensor]:
    """One frame of drift-kick-drift steps, x and v (B, N, D), charges and masses (B, N)."""
    step = FRAME_DT / SUBSTEPS
    for _ in range(SUBSTEPS):
        x = x + (0.5 * step) * v
        apart = x[:, :, None] - x[:, None]
        s2 = (apart * apart).sum(-1) + SOFTENING2
        force = charges[:, :, None] * charges[:, None] * s2.rsqrt() / s2
        v = v + step * (force[..., None] * apart).sum(2) / masses[..., None]
        x = x + (0.5 * step) * v
    return x, v


def fused_leapfrog(device: str, dtype: torch.dtype) -> Run:
    """Return what runs leapfrog with each frame compiled for the device, in seconds."""
    frame = torch.compile(leapfrog_frame, dynamic=False)

    def run(state: State, particles: Particles) -> float:
        x, v, charges, masses = (
            torch.tensor(y, device=device, dtype=dtype)
            for y in (state.x, state.v, particles.charges, particles.masses)
        )
        began = time.perf_counter()
        for _ in range(FRAMES):
            x, v = frame(x, v, charges, masses)
        x.cpu()  # waits for the device
        return time.perf_counter() - began

    return run


def methods(device: str, weights: str) -> dict[str, Run]:
    """Return all that is compared."""
    learned = {"weights": weights, "device": device}
    return {
        "set": by_integrator(make_integrator("set", engine="torch", **learned)),
        "set, inductor": by_integrator(make_integrator("set", engine="inductor", **learned)),
        "leapfrog": by_integrator(make_integrator("leapfrog", substeps=SUBSTEPS, device=device)),
        "leapfrog, fused, float64": fused_leapfrog(device, torch.float64),
        "leapfrog, fused, float32": fused_leapfrog(device, torch.float32),
        "dop853-compiled on the CPU": by_integrator(
            make_integrator("dop853-compiled", threads=os.cpu_count() or 1)
        ),
    }


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
    compared = methods(options.device, options.weights)
    print("| B | " + " | ".join(compared) + " |")
    print("|---" * (len(compared) + 1) + "|")
    batch = 1
    while batch <= options.largest:
        state, particles = make_system("charged").sample(0, N, batch)
        times: dict[str, list[float]] = {label: [] for label in compared}
        for round_ in range(ROUNDS + 1):
            for label, run in compared.items():
                seconds = run(state, particles)
                if round_:  # the first warms up
                    times[label].append(1e3 * seconds / FRAMES / batch)
        cells = (f"{statistics.median(values):.4f}" for values in times.values())
        print(f"| {batch} | " + " | ".join(cells) + " |", flush=True)
        batch *= 4


if __name__ == "__main__":
    main()
