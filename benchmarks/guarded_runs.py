"""SET under guard beside SET alone: 100 starts of charged, 200 frames, and 50 of trap, 500 frames.

    python benchmarks/guarded_runs.py

N = 30, the same starts for all rows. The error is the largest change of the energy over all frames,
over the scale that a guard measures it by; `within` counts the runs that end within the energy
budget of the row's guard. `fallen back` is the share of frames that the reference computed, which
is dop853-compiled. Times are for the whole batch on one thread: per frame, of which checks and
replays; they vary with what else the machine does, so compare within one run only.

`default` is the guard as it is: a budget of 1 %, the companion run, spot checks, and the limits of
the card, which on charged ends at t = 9.6 and on trap at t = 24. `1 %` and `0.1 %` go by the
conserved quantities alone, with all else switched off. What a guard knows of positions is in
guard_witness.py.
"""

from __future__ import annotations

import argparse
import math
import warnings
from typing import Any

import numpy as np
import torch

from nbody_surrogate import Ensemble, Guard, WarmUp, make_integrator, make_system, simulate
from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.simulation.guard.conserved_quantities import ConservedQuantities
from nbody_surrogate.simulation.guard.start_scales import StartScales

N, SEED = 30, 88_000
RUNS = {"charged": (100, 200), "trap": (50, 500)}
ALONE: dict[str, Any] = {"longest": math.inf, "position": math.inf, "spot_checks": 0.0}
GUARDS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "default": {},
    "1 %": ALONE,
    "0.1 %": ALONE | {"energy": 1e-3},
}


def row(name: str, label: str, run: Ensemble, frames: int, budget: float) -> str:
    """Write what one run showed, as a row of Markdown."""
    system, report = run.system(), run.info.guard
    energy = ConservedQuantities.of(system, run.x, run.v, run.particles).values["energy"]
    scale = StartScales.of(system, run.x[:, 0], run.v[:, 0], run.particles).scales["energy"]
    lost = abs(energy - energy[:, :1]) / scale[:, None]
    largest, ends = lost.max(1), lost[:, -1]
    milliseconds = [1e3 * run.info.wall_time / frames]
    milliseconds += [] if report is None else [1e3 * report.check_time / frames]
    milliseconds += [] if report is None else [1e3 * report.replay_time / frames]
    return (
        f"| {name} | {frames} | {label} | {np.median(largest):.2%} | {largest.max():.2%} | "
        f"{(ends <= budget).sum()} of {len(run)} | "
        f"{'' if report is None else format(report.fallback_share, '.1%')} | "
        f"{' | '.join(f'{value:.3g}' for value in milliseconds)}{' |' * (3 - len(milliseconds))} |"
    )


def measure(name: str, starts: int, frames: int, weights: str) -> None:
    system = make_system(name)
    state, particles = system.sample(SEED, N, starts)
    for label, thresholds in GUARDS.items():
        guard = None if thresholds is None else Guard("fallback", **thresholds)
        method = make_integrator("set", weights=weights)
        run = simulate(
            *(system, state, particles, frames, method),
            guard=guard,
            error_estimate=False,
            observers=WarmUp(),
        )
        budget = 0.01 if guard is None else guard.thresholds.energy
        print(row(name, label, run, frames, budget), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="set")
    parser.add_argument("--starts", type=int, help="fewer, for a first look")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NBodyWarning)  # these runs go beyond the times of training
    print(
        "| system | frames | guard | energy error, median | largest | within | fallen back | "
        "ms per frame | checks | replays |"
    )
    print("|---" * 10 + "|")
    for name, (starts, frames) in RUNS.items():
        measure(name, options.starts or starts, frames, options.weights)


if __name__ == "__main__":
    main()
