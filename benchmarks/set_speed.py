"""What a frame of the learned models costs, by the engine of its steps; one thread.

    python benchmarks/set_speed.py
    python benchmarks/set_speed.py --inductor

Medians of repeats, the methods in turn within one round, and ratios of one run: a shared machine is
now fast and now slow, for all of them alike. Times are the processor's, so that what else runs on
the machine counts less. With `--inductor` torch.compile stands beside them,
which takes a minute and more for each shape. The last table is what a user waits for: from the
start of a process to its first frame, after an empty and after a full cache of numba.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import torch

from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.errors import NBodyWarning

MODELS = ("set", "set-small")
CASES = ((5, 1), (30, 1), (60, 1), (5, 64), (30, 64))
WORK = 1500  # pairs of all frames of a call, in thousands: so many frames are taken

FIRST = """
import time
start = time.process_time()
from nbody_surrogate import make_integrator, make_system, simulate
system = make_system("charged")
state, particles = system.sample(0, 30)
method = make_integrator("set", engine="{engine}", device="cpu")
loaded = time.process_time()
if "{engine}" == "fused":
    import numba
imported = time.process_time()
simulate(system, state, particles, 1, method, error_estimate=False, outside=None)
done = time.process_time()
print(loaded - start, imported - loaded, done - imported)
"""


def cost(
    methods: dict[str, AbstractIntegrator], n: int, batch: int, rounds: int
) -> dict[str, float]:
    """Median milliseconds per frame and trajectory, after a warm-up of each."""
    system = make_system("charged")
    state, particles = system.sample(0, n, batch)
    frames = max(min(WORK * 1000 // (batch * n * n), 90), 2)
    times: dict[str, list[float]] = {label: [] for label in methods}
    for round_ in range(rounds + 1):
        for label, method in methods.items():
            start = time.process_time()
            simulate(system, state, particles, frames, method, error_estimate=False, outside=None)
            if round_:
                times[label].append(1e3 * (time.process_time() - start) / frames / batch)
    return {label: statistics.median(values) for label, values in times.items()}


def engines(models: list[str], inductor: bool) -> dict[str, AbstractIntegrator]:
    """Return the models by each engine, and what they are held against."""
    names = ("torch", "inductor", "fused") if inductor else ("torch", "fused")
    made = {
        f"{model} {engine}": make_integrator("set", weights=model, engine=engine, device="cpu")
        for model in models
        for engine in names
    }
    solvers = {"dop853-compiled": make_integrator("dop853-compiled", rtol=1e-5, atol=1e-5)}
    solvers["leapfrog, 8"] = make_integrator("leapfrog", substeps=8)
    return made | solvers


def first_frame(engine: str, cache: str) -> list[float]:
    """Seconds to load the model, to import numba, and to make a frame of 30 particles."""
    told = os.environ | {"NUMBA_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", FIRST.format(engine=engine)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=told)
    return [float(each) for each in done.stdout.split()]


def show_first_frames() -> None:
    print("s to the first frame: loading the model, importing numba, the frame")
    for engine in ("torch", "fused"):
        with tempfile.TemporaryDirectory() as cache:
            for label in ("an empty cache", "a full one"):
                parts = first_frame(engine, cache)
                cells = ", ".join(f"{each:.2f}" for each in parts)
                print(f"  {engine:>6}, after {label:<14}: {cells}; together {sum(parts):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inductor", action="store_true", help="beside torch.compile")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", default=" ".join(f"{n},{batch}" for n, batch in CASES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NBodyWarning)
    for case in options.cases.split():
        n, batch = (int(each) for each in case.split(","))
        # the code of torch.compile is of one shape
        found = cost(engines(options.models.split(","), options.inductor), n, batch, options.rounds)
        print(f"N = {n}, B = {batch}: ms per frame and trajectory (over the model's fused)")
        for label, value in found.items():
            fused = found.get(f"{label.split()[0]} fused")
            times = "" if fused is None else f" ({value / fused:.2f})"
            print(f"  {label:>20}: {value:.4f}{times}", flush=True)
    show_first_frames()


if __name__ == "__main__":
    main()
