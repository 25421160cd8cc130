"""The classical front of charged spheres: what cheaper forces are wrong by, and what they cost.

    python benchmarks/sphere_front.py forces --particles 5 10 30 --samples 24
    python benchmarks/sphere_front.py runs --particles 10 --trajectories 8 --duration 2

`forces` holds each approximation of system `spheres` against the order of the truth with exact
pairs: the rms error of forces over their rms, with a 95 % interval by resampled clouds, and the
time of one evaluation of a single cloud. The repulsion of close surfaces, which all have, is left
out. `runs` takes, for each approximation, solvers over their settings to the end of the duration,
from the same starts, and shows the cheapest setting by which the error is that of the forces, with
its position RMSE against the converged truth, dop853 at 1e-9, and what is on the front. Methods
that are named, such as a trained model, stand beside them. Times are of one thread, processor time,
medians.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any, NamedTuple

import numpy as np

from nbody_surrogate import AbstractSystem, InputError, Particles, State, make_system, simulate
from nbody_surrogate.integrators.method_text import contender
from nbody_surrogate.results.metrics import rmse

SOLVERS = {
    "leapfrog": ("1", "2", "4", "8", "16"),
    "srkn4": ("1", "2", "4"),
    "srkn6": ("1", "2"),
    "dop853": ("1e-3", "1e-5", "1e-7"),
}
NEAR = 1.15
"""Times the least error of an approximation: what counts as its own error, no more of the steps."""

RESAMPLES = 1000


def median_time(call: Any, seconds: float) -> float:
    """Processor time of one call, the median of some, after a first one."""
    call()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 5:
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return float(np.median(times))


def interval(errors: np.ndarray, scales: np.ndarray) -> tuple[float, float, float]:
    """The root of a ratio of means, and its 95 % interval by resampled clouds."""
    draws = np.random.default_rng(0).integers(len(errors), size=(RESAMPLES, len(errors)))
    ratios = np.sqrt(errors[draws].mean(1) / scales[draws].mean(1))
    low, high = np.quantile(ratios, (0.025, 0.975))
    return math.sqrt(errors.mean() / scales.mean()), float(low), float(high)


def electric(system: AbstractSystem, x: np.ndarray, particles: Particles) -> np.ndarray:
    """Forces (B, N, 3) without the repulsion, which does not depend on the charges."""
    bare = Particles(0.0 * particles.charges, particles.masses, radii=particles.radii)
    made = system.pair_acceleration(x, particles) - system.pair_acceleration(x, bare)
    return np.asarray(made * particles.masses[..., None])


def forces(given: argparse.Namespace) -> None:
    """Print errors and costs of the forces of each approximation."""
    truth = true_system(given)
    names = [*truth.approximations, "itself"]
    for n in given.particles:
        state, particles = truth.sample(given.seed, n, given.samples)
        exact = electric(truth, state.x, particles)
        scale = (exact**2).mean((1, 2))
        print(f"\nN = {n}, {given.samples} clouds, truth: order {given.order} with exact pairs")
        print(f"{'forces':14} {'rms error':>10} {'95 % interval':>20} {'ms a force':>11}")
        for name in names:
            system = truth if name == "itself" else truth.approximated(name)
            error = ((electric(system, state.x, particles) - exact) ** 2).mean((1, 2))
            value, low, high = interval(error, scale)
            x, alone = state.x[:1], particles[0]
            cost = median_time(
                lambda s=system, x=x, p=alone: s.pair_acceleration(x, p), given.seconds
            )
            print(
                f"{name:14} {value:10.2e} {low:9.2e} to {high:.2e} {1e3 * cost:11.3f}", flush=True
            )


class Point(NamedTuple):
    """A method at a setting."""

    family: str
    label: str
    error: float
    low: float
    high: float
    milliseconds: float


def runs(given: argparse.Namespace) -> None:
    """Print work and precision of roll-outs."""
    system = true_system(given)
    for n in given.particles:
        state, particles = system.sample(given.seed, n, given.trajectories)
        frames = round(given.duration / system.spec.frame_dt)
        truth, bound = (
            simulate(system, state, particles, frames, f"dop853:{tolerance}").x[:, -1]
            for tolerance in ("1e-9", "1e-8")
        )
        own = float(np.median(rmse(truth[:, None], bound[:, None])))
        print(f"\nN = {n}, {given.trajectories} starts, RMSE after {given.duration:g} time units")
        print(
            f"truth: order {given.order} with exact pairs, dop853 at 1e-9, itself within {own:.0e}"
        )
        points = []
        for text in texts(system, given):
            made = point(text, system, state, particles, frames, truth, given)
            if made is not None:
                points.append(made)
                if given.all:
                    print(
                        f"  {made.label:28} {made.error:9.2e} {made.milliseconds:9.3f}", flush=True
                    )
        show(points)


def texts(system: AbstractSystem, given: argparse.Namespace) -> list[str]:
    """Methods: all approximations by all solvers, the truth's own forces, and those named."""
    names = given.approximations or [*system.approximations, ""]
    made = [
        f"{solver}:{setting}{'@' * bool(name)}{name}"
        for name in names
        for solver, settings in SOLVERS.items()
        for setting in settings
    ]
    return [*made, *given.methods]


def point(
    text: str,
    system: AbstractSystem,
    state: State,
    particles: Particles,
    frames: int,
    truth: np.ndarray,
    given: argparse.Namespace,
) -> Point | None:
    """Run all starts by a method, and time some of them one by one."""
    each = contender(text, threads=1)
    of_run = system
    if each.learned:  # a model has a card, of the system that it was trained on
        of_run = make_system("spheres")
    try:
        each.method.check(of_run, state[:1], particles[0], system.spec.frame_dt)
    except InputError as error:
        print(f"  {text}: {error}")
        return None

    def run(some: slice) -> np.ndarray:
        made = simulate(
            of_run,
            state[some],
            particles[some],
            frames,
            each.method,
            outside=None,
            error_estimate=False,
        )
        return np.where(np.array(made.info.status)[:, None, None] == 0, made.x[:, -1], np.inf)

    errors = rmse(truth[:, None], run(slice(None))[:, None])[:, 0]
    draws = np.random.default_rng(0).integers(len(errors), size=(RESAMPLES, len(errors)))
    low, high = np.quantile(np.median(errors[draws], axis=1), (0.025, 0.975))
    timed = slice(0, 1)
    cost = median_time(lambda: run(timed), given.seconds) / given.duration
    approximation = text.partition("@")[2]
    family = text if each.learned else approximation or "itself"
    return Point(family, text, float(np.median(errors)), float(low), float(high), 1e3 * cost)


def show(points: list[Point]) -> None:
    """Print the best setting of each family, and whether anything is faster and more accurate."""
    print(f"{'forces':14} {'best method':28} {'RMSE':>9} {'95 % interval':>20} {'ms a unit':>10}")
    for family in dict.fromkeys(each.family for each in points):
        own = [each for each in points if each.family == family]
        least = min(each.error for each in own)
        best = min((e for e in own if e.error <= NEAR * least), key=lambda e: e.milliseconds)
        beaten = any(
            e.error <= best.error and e.milliseconds < best.milliseconds
            for e in points
            if e != best
        )
        span = f"{best.low:9.2e} to {best.high:.2e}"
        mark = "" if beaten else "on the front"
        print(
            f"{family:14} {best.label:28} {best.error:9.2e} {span:>20} "
            f"{best.milliseconds:10.3f} {mark}",
            flush=True,
        )


def true_system(given: argparse.Namespace) -> AbstractSystem:
    """The system at the order of the truth, with exact pairs."""
    return make_system("spheres", order=given.order, pairs=True, truncation=None)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("forces", "runs"))
    parser.add_argument("--particles", type=int, nargs="+", default=[5, 10, 30])
    parser.add_argument("--samples", type=int, default=24, help="clouds, of forces")
    parser.add_argument("--trajectories", type=int, default=8, help="starts, of runs")
    parser.add_argument("--duration", type=float, default=2.0)
    parser.add_argument("--order", type=int, default=10, help="of the truth")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.2, help="timing of each number")
    parser.add_argument("--approximations", nargs="+", help="default: all")
    parser.add_argument("--methods", nargs="+", default=[], help="such as set-spheres")
    parser.add_argument("--all", action="store_true", help="print every setting")
    given = parser.parse_args()
    {"forces": forces, "runs": runs}[given.what](given)


if __name__ == "__main__":
    main()
