"""Accuracy and cost of `set` beside leapfrog and DOP853, on one fixed seeded sample.

    python benchmarks/set_accuracy.py

Truth is `dop853-compiled` at 1e-11. One step: from true frames, the x-MSE per coordinate of the
next frame, over all trajectories and frames >= 4; mean, and median over (trajectory, frame).
Roll-out k: from the state at frame 6, k frames on; the x-MSE at the last; median over
trajectories. All with bootstrap 95 % intervals over trajectories. The cost is the median time
of one frame of one trajectory, one thread.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from nbody_surrogate import (
    Ensemble,
    Particles,
    State,
    SurrogateIntegrator,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.integrator import AbstractIntegrator
from nbody_surrogate.surrogate import ParticleTensors

SAMPLE = {5: (500, 80), 10: (200, 60), 20: (200, 60), 30: (200, 60)}  # trajectories, frames
SEED = 20_000
FIRST = 4
START, HORIZONS = 6, (10, 20, 40)
RESAMPLES = 2000


def truth(n: int) -> Ensemble:
    system = make_system("charged")
    trajectories, frames = SAMPLE[n]
    state, particles = system.sample(SEED + n, n, trajectories)
    solver = make_integrator("dop853-compiled", rtol=1e-11, atol=1e-11)
    return simulate(system, state, particles, frames, solver)


def one_step_of_solver(method: AbstractIntegrator, run: Ensemble) -> np.ndarray:
    """x-MSE of the next frame, (B, F), from every frame from FIRST on."""
    batch, _, n, dims = run.x.shape
    start = State(
        0.0,
        run.x[:, FIRST:-1].reshape(-1, n, dims),
        run.v[:, FIRST:-1].reshape(-1, n, dims),
    )
    count = start.x.shape[0] // batch
    particles = Particles(
        np.repeat(run.particles.charges, count, 0), np.repeat(run.particles.masses, count, 0)
    )
    made = simulate(run.system(), start, particles, 1, method)
    error = made.x[:, 1].reshape(batch, count, n, dims) - run.x[:, FIRST + 1 :]
    return (error**2).mean((2, 3))


@torch.inference_mode()
def one_step_of_surrogate(method: SurrogateIntegrator, run: Ensemble) -> np.ndarray:
    """The same from windows of true frames, history included."""
    errors = []
    for b in range(len(run)):
        x, v = (torch.tensor(values[b, None]) for values in (run.x, run.v))
        particles = ParticleTensors.from_particles(
            run.particles[b], method.device, method.model.dtype
        )
        dx, _ = method.model(x[:, :-1], v[:, :-1], particles)
        error = (x[:, :-1] + dx - x[:, 1:]).square().mean((2, 3))
        errors.append(error[0, FIRST:].numpy())
    return np.stack(errors)


def roll_out(method: AbstractIntegrator, run: Ensemble) -> dict[int, np.ndarray]:
    """x-MSE after each horizon, (B,), from the single state at frame START."""
    made = simulate(run.system(), run.state(START), run.particles, max(HORIZONS), method)
    errors = ((made.x - run.x[:, START : START + max(HORIZONS) + 1]) ** 2).mean((2, 3))
    return {k: errors[:, k] for k in HORIZONS}


def milliseconds_per_frame(
    methods: dict[str, AbstractIntegrator], run: Ensemble, rounds: int = 9
) -> dict[str, float]:
    """Median over starts, the methods in turn, so that a slow moment of the machine hits all."""
    frames, times = 50, {name: [] for name in methods}
    for b in range(rounds):
        start = run[b].state(0), run.particles[b]
        for name, method in methods.items():
            made = simulate(run.system(), *start, frames, method, warm_up=b == 0)
            times[name].append(made.info.wall_time / frames)
    return {name: 1e3 * float(np.median(values)) for name, values in times.items()}


def interval(values: np.ndarray, statistic: str) -> tuple[float, float, float]:
    """A statistic of (B, ...) and its bootstrap 95 % interval over B."""
    rng = np.random.default_rng(0)
    rows = (rng.integers(len(values), size=len(values)) for _ in range(RESAMPLES))
    if statistic == "mean":
        values = values.reshape(len(values), -1).mean(1)
    function = {"mean": np.mean, "median": np.median}[statistic]
    low, high = np.quantile([function(values[row]) for row in rows], (0.025, 0.975))
    return float(function(values)), float(low), float(high)


def measure(name: str, method: AbstractIntegrator, run: Ensemble) -> dict[str, object]:
    row: dict[str, object] = {"method": name, "particles": run.particles.n}
    if isinstance(method, SurrogateIntegrator):
        one = one_step_of_surrogate(method, run)
    elif name.startswith("leapfrog"):
        one = one_step_of_solver(method, run)
    else:
        one = None  # an adaptive solver has no step of one frame
    for statistic in ("mean", "median"):
        row[f"one_step_{statistic}"] = None if one is None else interval(one, statistic)
    rolled = roll_out(method, run)
    row |= {f"roll_out_{k}": interval(rolled[k], "median") for k in HORIZONS}
    return row


def cell(value: object) -> str:
    if isinstance(value, tuple):
        return "{:.1e} ({:.1e}..{:.1e})".format(*value)
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="folder; default: the shipped weights")
    parser.add_argument("--particles", type=int, nargs="+", default=[5, 10, 20, 30])
    parser.add_argument("--output", type=Path, help="also write the rows as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    methods = {"set": make_integrator("set", weights=options.weights)}
    for substeps in (8, 16, 32):
        methods[f"leapfrog {substeps}"] = make_integrator("leapfrog", substeps=substeps)
    for solver in ("dop853", "dop853-compiled"):
        methods[f"{solver} 1e-9"] = make_integrator(solver)
    horizons = " | ".join(f"roll-out {k}, median" for k in HORIZONS)
    print(f"| method | N | one step, mean | one step, median | {horizons} | ms per frame |")
    print("|---" * (5 + len(HORIZONS)) + "|")
    rows = []
    for n in options.particles:
        run = truth(n)
        cost = milliseconds_per_frame(methods, run)
        for name, method in methods.items():
            rows.append({**measure(name, method, run), "ms_per_frame": cost[name]})
            print("| " + " | ".join(cell(value) for value in rows[-1].values()) + " |", flush=True)
    if options.output is not None:
        options.output.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
