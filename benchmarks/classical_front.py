"""The classical front: which solver is the cheapest for an error, in evaluations and in time.

    python benchmarks/classical_front.py [--systems charged,trap] [--batch 8] [--rounds 5]

Each method runs at many sub-steps or tolerances from the same starts, for two time units. Errors
are medians over starts of the root-mean-square position error at the end, against
`dop853-compiled` at 3e-14. Times are medians of rounds in which all runs take turns, on one thread,
`--batch` trajectories side by side, and times of the processor, of which other work on the machine
takes less than of the clock's. What a method costs at an error between two of its runs is read off
the line between them, log over log. Shown are, for each error, the cheapest method and how many
times its cost the others have; `-` where a method does not reach the error in its runs.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbody_surrogate import InputError, make_integrator, make_system

FRAMES, SEED = 20, 5
TARGETS = [10.0**-power for power in range(2, 11)]
TOLERANCES = [10.0**-power for power in range(2, 13)]
SUBSTEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512)
MOST_EVALUATIONS = 1024  # to a frame, beyond which no run is of use

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "leapfrog dkd": ("leapfrog", {"form": "dkd"}),
    "leapfrog kdk": ("leapfrog", {"form": "kdk"}),
    "yoshida4": ("yoshida4", {}),
    "srkn4": ("srkn4", {}),
    "srkn6": ("srkn6", {}),
    "rk4": ("rk4", {}),
    "dop853-compiled": ("dop853-compiled", {}),
}
IN_FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "boris": ("boris", {}),
    **{f"exact-flow {order}": ("exact-flow", {"order": order}) for order in (2, 4, 6)},
}


@dataclass
class Run:
    """A method at one setting."""

    label: str
    method: Any
    carry: Any
    error: float = float("nan")
    evaluations: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def take(self) -> np.ndarray:
        """Run it once, and return positions at the end (B, N, D)."""
        self.method.advance(self.carry, 1)  # what all segments of a run share is there by then
        start = time.process_time()
        segment = self.method.advance(self.carry, FRAMES)
        self.seconds.append(time.process_time() - start)
        self.evaluations = segment.counters["nfev"] / len(segment.x) / FRAMES
        return segment.x[:, -1]


def settings(name: str, evaluations: int) -> list[dict[str, Any]]:
    """Return what a method is run at."""
    if name == "dop853-compiled":
        return [{"rtol": value, "atol": value} for value in TOLERANCES]
    return [{"substeps": k} for k in SUBSTEPS if k * evaluations <= MOST_EVALUATIONS]


def methods_for(system: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return those that take it; without a field, an exact flow is a drift."""
    in_field = system.force_laws().field is not None
    found = {}
    for label, (name, options) in (METHODS | (IN_FIELDS if in_field else {})).items():
        try:
            make_integrator(name).check(system, *system.sample(0, 2), system.spec.frame_dt)
        except InputError:
            continue
        found[label] = name, options
    return found


def runs_of(system: Any, start: Any, dt: float) -> list[Run]:
    """Return all runs of one system."""
    made = []
    for label, (name, options) in methods_for(system).items():
        each = getattr(make_integrator(name, **options), "evaluations", 1)
        for setting in settings(name, each):
            method = make_integrator(name, segment=FRAMES, threads=1, **options, **setting)
            made.append(Run(label, method, method.start(system, *start, dt)))
    return made


def cost_at(error: float, errors: np.ndarray, costs: np.ndarray) -> float:
    """Return what an error costs, between the runs above and below it, or infinity."""
    order = np.argsort(costs)
    best = np.minimum.accumulate(errors[order])
    reached = np.flatnonzero(best <= error)
    if not reached.size:
        return float("inf")
    first = reached[0]
    if first == 0:
        return float(costs[order][0])
    below, above = np.log(best[first]), np.log(best[first - 1])
    share = (above - np.log(error)) / (above - below)
    ends = np.log(costs[order][[first - 1, first]])
    return float(np.exp(ends[0] + share * (ends[1] - ends[0])))


def table(runs: list[Run], cost: str, unit: str) -> list[str]:
    """Return the rows of a table, one for each error that some method reaches."""
    labels = list(dict.fromkeys(each.label for each in runs))
    rows = [f"| error | cheapest | {unit} | " + " | ".join(labels) + " |"]
    rows.append("|---" * (len(labels) + 3) + "|")
    for target in TARGETS:
        costs = []
        for label in labels:
            some = [each for each in runs if each.label == label and np.isfinite(each.error)]
            spent = [
                each.evaluations if cost == "evaluations" else float(np.median(each.seconds))
                for each in some
            ]
            errors = np.array([max(each.error, 1e-300) for each in some])
            costs.append(cost_at(target, errors, np.array(spent)))
        least = min(costs)
        if not np.isfinite(least):
            continue
        shown = [f"{each / least:.2f}" if np.isfinite(each) else "-" for each in costs]
        best = labels[int(np.argmin(costs))]
        amount = f"{least:.1f}" if cost == "evaluations" else f"{1e6 * least:.0f}"
        rows.append(f"| {target:.0e} | {best} | {amount} | " + " | ".join(shown) + " |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", default="charged,gravity,trap,penning")
    parser.add_argument("--particles", default="5,30")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name in options.systems.split(","):
        for n in map(int, options.particles.split(",")):
            front(make_system(name), n, options.batch, options.rounds)


def front(system: Any, n: int, batch: int, rounds: int) -> None:
    """Measure one system, and print its tables."""
    start, dt = system.sample(SEED, n, batch), system.spec.frame_dt
    sharp = {"rtol": 3e-14, "atol": 1e-14, "segment": FRAMES}
    exact = make_integrator("dop853-compiled", **sharp)
    truth = exact.advance(exact.start(system, *start, dt), FRAMES).x[:, -1]
    runs = runs_of(system, start, dt)
    for each in runs:  # the first time compiles
        wrong = np.sqrt(((each.take() - truth) ** 2).mean((1, 2)))
        each.error = float(np.median(wrong))
        each.seconds.clear()
    for _ in range(rounds):
        for each in runs:
            each.take()
    print(f"\n{system.name}, N = {n}, {batch} at once, {FRAMES * dt:g} time units, 1 thread")
    for cost, unit in (("evaluations", "evaluations a frame"), ("seconds", "us in all")):
        print(f"\nBy {cost}, over the cheapest:\n")
        print("\n".join(table(runs, cost, unit)), flush=True)


if __name__ == "__main__":
    main()
