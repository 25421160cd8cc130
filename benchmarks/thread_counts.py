"""What a number of threads costs, and what the rule that chooses it loses: by N and by batch.

    python benchmarks/thread_counts.py [--particles 5,30,100] [--batches 1,8,64,512] [--seconds 2]

Milliseconds per frame of the whole batch, medians of rounds in which the counts take turns. What is
`chosen` is what a method takes where it is not told; it `loses` its time over that of the best
count. A case of which one frame would take longer than ``--seconds`` is left out. On a busy machine
more threads look worse than on a quiet one: its load is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import warnings
from collections.abc import Iterator

from timing import seconds

from nbody_surrogate import make_integrator, make_system
from nbody_surrogate.contracts import usable_cores
from nbody_surrogate.errors import NBodyWarning

METHODS = {
    "set": ("set", {"weights": "set", "device": "cpu"}),
    "set-small": ("set", {"weights": "set-small", "device": "cpu"}),
    "dop853-compiled": ("dop853-compiled", {}),
    "leapfrog": ("leapfrog", {"substeps": 16}),
}
ROUNDS = 5
SEGMENT = 50


def counts() -> list[int]:
    """Powers of two up to the cores, and the cores."""
    cores = usable_cores()
    return sorted({min(1 << power, cores) for power in range(cores.bit_length() + 1)})


def cost(label: str, n: int, batch: int, longest: float) -> dict[int, float] | None:
    """Median milliseconds per frame by number of threads, or None where it takes too long."""
    name, options = METHODS[label]
    system = make_system("charged")
    state, particles = system.sample(0, n, batch)
    methods = {k: make_integrator(name, threads=k, segment=SEGMENT, **options) for k in counts()}
    carry = methods[1].start(system, state, particles, system.spec.frame_dt)
    methods[1].advance(carry, 1)  # compiles
    once = seconds(lambda: methods[1].advance(carry, 1))
    if once > longest:
        return None
    frames = max(1, min(SEGMENT, int(longest / ROUNDS / once)))
    times: dict[int, list[float]] = {count: [] for count in methods}
    for round_ in range(ROUNDS + 1):
        for count, method in methods.items():
            spent = seconds(lambda method=method: method.advance(carry, frames))
            if round_:  # the first one warms up
                times[count].append(1e3 * spent / frames)
    return {count: statistics.median(values) for count, values in times.items()}


def lines(args: argparse.Namespace) -> Iterator[str]:
    """Say of each case what each count costs, which is chosen, and what that loses."""
    for label in args.methods.split(","):
        name, options = METHODS[label]
        method = make_integrator(name, **options)
        for n in map(int, args.particles.split(",")):
            for batch in map(int, args.batches.split(",")):
                case = f"{label:>16}  N = {n:>3}  B = {batch:>3}  "
                found = cost(label, n, batch, args.seconds)
                if found is None:
                    yield case + "left out"
                    continue
                chosen = method.threads_for(batch, n)
                nearest = max(count for count in found if count <= chosen)
                loses = found[nearest] / min(found.values())
                cells = ", ".join(f"{count}: {value:.3g}" for count, value in found.items())
                yield f"{case}{cells}  chosen {chosen}, loses {loses:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", default="5,30,100")
    parser.add_argument("--batches", default="1,8,64,512")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="about, for each count of a case"
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore", NBodyWarning)
    load = "" if not hasattr(os, "getloadavg") else f", load {os.getloadavg()[0]:.1f}"
    print(f"{usable_cores()} cores{load}; ms per frame of the batch by threads")
    for line in lines(args):
        print(line, flush=True)


if __name__ == "__main__":
    main()
