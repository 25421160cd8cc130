"""Parareal: iterations, force evaluations and gain by several coarse methods, for one fine one.

    python benchmarks/parareal.py charged --coarse leapfrog:4,srkn6:1,srkn6:2,set
    python benchmarks/parareal.py spheres --frames 16 --coarse srkn6:1@p4,srkn6:1@p4+pairs

Each coarse method prepares the same slices of time for the fine one, from the same seeded start.
The table says iterations k, evaluations of all forces by both methods and by the fine one alone,
the length of the critical path on a worker for each slice in evaluations of the fine method (the
coarse method's work in it by counts, or where its forces are others by processor time), the
speed-up over the fine method alone, the same over P / k (slices over iterations), the bound of
parareal, and the largest error against the serial run: position RMSE of a frame over the spread of
the particles. `--changes` shows the changes of the slices' starts, iteration by iteration.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from nbody_surrogate import Ensemble, InputError, make_integrator, make_system, parareal, simulate
from nbody_surrogate.integrators.parareal.integrator import Parareal
from nbody_surrogate.results.parareal_report import PararealReport
from nbody_surrogate.simulation.parareal import window_of

HEAD = (
    f"{'coarse':24} {'k':>2} {'fine calls':>10} {'coarse':>7} {'serial':>7} {'critical':>9} "
    f"{'speed-up':>8} {'of P/k':>6} {'error':>8} {'seconds':>8}"
)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system")
    parser.add_argument("--coarse", default="leapfrog:4", help="a comma list of methods")
    parser.add_argument("--fine", default="dop853")
    parser.add_argument("--particles", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="starts, from that seed on")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--slices", type=int, default=8)
    parser.add_argument("--tolerance", type=float, help="default: the fine method's")
    parser.add_argument("-p", dest="parameters", action="append", default=[], metavar="KEY=NUMBER")
    parser.add_argument("--changes", action="store_true")
    return parser.parse_args()


def error(run: Ensemble, serial: Ensemble) -> float:
    """The largest position RMSE of a frame, over the spread of the particles."""
    off = np.sqrt(((run.x - serial.x) ** 2).mean((2, 3)))
    spread = serial.x - serial.x.mean(2, keepdims=True)
    return float((off / np.sqrt((spread**2).mean((2, 3)))).max())


def row(coarse: str, report: PararealReport, off: float, seconds: float) -> str:
    gain = report.speed_up or float("nan")
    return (
        f"{coarse:24} {report.iterations:2d} {report.fine_calls:10d} {report.coarse_calls:7d} "
        f"{report.serial_calls:7d} {report.critical_calls:9.0f} {gain:8.2f} "
        f"{gain * report.iterations / report.slices:6.2f} {off:8.1e} {seconds:8.1f}"
    )


def changes(report: PararealReport) -> list[str]:
    return [
        "    " + " ".join("      -" if each is None else f"{each:7.0e}" for each in values)
        for window in report.windows
        for values in window.defects
    ]


def main() -> None:
    asked = parsed()
    given = {key: float(value) for key, _, value in (e.partition("=") for e in asked.parameters)}
    system = make_system(asked.system, **given)
    window = window_of(asked.frames, asked.slices)
    for seed in range(asked.seed, asked.seed + asked.seeds):
        state, particles = system.sample(rng=seed, n=asked.particles)
        whole = Parareal(fine=asked.fine, segment=window, slices=asked.slices)
        fine = whole.pair(system).fine
        began = time.thread_time()
        serial = simulate(
            system,
            state,
            particles,
            asked.frames,
            make_integrator(fine.name, **fine.options.model_dump()),
        )
        print(
            f"{system.name}, {asked.particles} particles, seed {seed}, {asked.frames} frames, "
            f"{asked.slices} slices, fine {serial.info.label}: {serial.info.counters['nfev']} "
            f"calls, {time.thread_time() - began:.1f} s\n{HEAD}"
        )
        for coarse in asked.coarse.split(","):
            began = time.thread_time()
            try:
                run = parareal(
                    *(system, state, particles, asked.frames),
                    coarse=coarse,
                    fine=asked.fine,
                    slices=asked.slices,
                    tolerance=asked.tolerance,
                )
            except InputError as refusal:
                print(f"{coarse:24} {refusal}")
                continue
            report = run.info.parareal
            print(row(coarse, report, error(run, serial), time.thread_time() - began), flush=True)
            if asked.changes:
                print("\n".join(changes(report)))
        print()


if __name__ == "__main__":
    main()
