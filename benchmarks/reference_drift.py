"""Drift of the reference at default tolerance: N = 30, 5 time units, 50 starts.

    python benchmarks/reference_drift.py

Energy over the time-mean kinetic energy; momentum and angular momentum in reduced units.
"""

from __future__ import annotations

import numpy as np

from nbody_surrogate import make_system, simulate
from nbody_surrogate.results.metrics import drift

STARTS = 50


def main() -> None:
    system = make_system("charged")
    state, particles = system.sample(0, 30, STARTS)
    run = simulate(system, state, particles, 50, "dop853")
    values = drift(system, run.x, run.v, particles)
    print(f"dop853, rtol = atol = 1e-9, N = 30, 5 time units, {STARTS} starts")
    for key, value in values._asdict().items():
        print(f"{key:>17}: median {np.median(value):.1e}, largest {value.max():.1e}")


if __name__ == "__main__":
    main()
