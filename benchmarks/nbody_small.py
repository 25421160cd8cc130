"""The published charged set, made again, and what an exact solution scores on it.

    python benchmarks/nbody_small.py

Row 30 to row 40 of the 2000 test trajectories, mean squared error per coordinate, with bootstrap
95 % intervals of the means. Exact physics: DOP853 at 1e-9 on unclipped forces, from positions and
velocities as stored, and with velocities brought to the time of the positions. Linear: x + tau v,
with tau fitted to the training split by least squares.
"""

from __future__ import annotations

import tempfile

import numpy as np

from nbody_surrogate import State, make_integrator, simulate
from nbody_surrogate.datasets import Dataset, generate_dataset
from nbody_surrogate.datasets.spec import resolve
from nbody_surrogate.datasets.velocity_lag import velocities_in_step
from nbody_surrogate.results.bootstrap import bootstrap_mean

INPUT, TARGET = 30, 40
JUMP = 0.05


def row(name: str, errors: np.ndarray, clean: np.ndarray) -> None:
    low, high = bootstrap_mean(errors)
    print(
        f"{name:38} mean {errors.mean():.4f} ({low:.4f}..{high:.4f})  median "
        f"{np.median(errors):.1e}  p95 {np.quantile(errors, 0.95):.1e}  clean subset "
        f"{errors[clean].mean():.1e}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = generate_dataset(resolve({"preset": "nbody-small"}), folder, workers=2)
        evaluate(data)


def evaluate(data: Dataset) -> None:
    x, v, particles = data.read(data.part("test").start, data.part("test").stop)
    system, lag = data.system().ideal(), data.spec.velocity_lag
    dt = float(data.t[TARGET] - data.t[INPUT])
    given_x, target = x[:, INPUT], x[:, TARGET]
    in_step = {k: velocities_in_step(system, lag, x[:, k], v[:, k], particles) for k in
               (INPUT, TARGET)}  # fmt: skip
    energies = [system.invariants(x[:, k], in_step[k], particles).energy for k in (INPUT, TARGET)]
    clean = np.abs(energies[1] - energies[0]) <= JUMP
    print(f"{len(x)} test trajectories; the label's energy jumps in {1 - clean.mean():.1%}")

    train = data.read(0, data.part("train").stop)
    moved, speed = train.x[:, TARGET] - train.x[:, INPUT], train.v[:, INPUT]
    tau = float((moved * speed).sum() / (speed**2).sum())
    linear = given_x + tau * v[:, INPUT]
    row(f"linear, fitted time {tau:.3f}", ((linear - target) ** 2).mean((1, 2)), clean)
    for name, velocity in (("as stored", v[:, INPUT]), ("velocities in step", in_step[INPUT])):
        for tolerance in (1e-9, 1e-12):
            options = {"rtol": tolerance, "atol": tolerance, "threads": 2, "segment": 1}
            solver = make_integrator("dop853-compiled", **options)
            run = simulate(system, State(0.0, given_x, velocity), particles, 1, solver, dt=dt)
            assert run.info.success
            errors = ((run.x[:, 1] - target) ** 2).mean((1, 2))
            row(f"exact physics, {name}, {tolerance:g}", errors, clean)


if __name__ == "__main__":
    main()
