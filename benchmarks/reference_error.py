"""What the default solver is off by on each built-in system, and what the norm of particles costs.

    python benchmarks/reference_error.py [--starts 40] [--second 3] [--cost]

Errors are root-mean-square position errors of a start after 5 time units, over its spread at the
start (the root-mean-square distance from the centroid), of `dop853-compiled` at its default
tolerance or the system's own: the median, the 95th percentile and the largest over starts, against
the same solver at 1e-13. That is held against itself at 3e-13, over all starts, and against
another method, `rk45` at 1e-12, over the first few: the largest difference of either. With
`--cost`, the time and the evaluations of the norm of particles over those of the norm over all
components, at equal tolerance, on `charged`.
"""

from __future__ import annotations

import argparse

import numpy as np
from timing import ratio

from nbody_surrogate import Ensemble, make_integrator, make_system, simulate

SYSTEMS = (
    "charged",
    "charged-clipped",
    "gravity",
    "springs",
    "trap",
    "penning",
    "oscillator",
    "pendulum",
)
PARTICLES, DURATION, SEED = (5, 30), 5.0, 77
METHOD, EXACT, DEFAULT = "dop853-compiled", 1e-13, 1e-9


class Sample:
    """Starts of one system, solved by different methods."""

    def __init__(self, name: str, n: int, starts: int) -> None:
        self.system = make_system(name)
        self.start = self.system.sample(SEED, n, starts)
        self.frames = round(DURATION / self.system.spec.frame_dt)
        x = self.start[0].x
        self.spread = np.sqrt(((x - x.mean(1, keepdims=True)) ** 2).sum(2).mean(1))

    def run(self, method: str, count: int | None = None, **options: object) -> Ensemble:
        state, particles = (each[:count] for each in self.start)
        solver = make_integrator(method, **options)
        return simulate(self.system, state, particles, self.frames, solver)

    def apart(self, first: Ensemble, second: Ensemble) -> np.ndarray:
        """Difference at the end of each start, over its spread."""
        few = min(len(first.x), len(second.x))
        off = ((first.x[:few, -1] - second.x[:few, -1]) ** 2).sum(2).mean(1)
        return np.sqrt(off) / self.spread[:few]


def table(starts: int, second: int) -> None:
    print("| system | tolerance | N | median | 95 % | largest | at 3e-13 | rk45 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in SYSTEMS:
        for n in PARTICLES:
            sample = Sample(name, n, starts)
            truth = sample.run(METHOD, rtol=EXACT, atol=EXACT)
            tolerance = sample.system.tolerance or DEFAULT
            named = {"rtol": tolerance, "atol": tolerance}
            off = sample.apart(sample.run(METHOD, **named), truth)
            own = sample.apart(sample.run(METHOD, rtol=3e-13, atol=3e-13), truth)
            other = sample.apart(sample.run("rk45", second, rtol=1e-12, atol=1e-12), truth)
            figures = [*np.quantile(off, [0.5, 0.95, 1.0]), own.max(), other.max()]
            cells = " | ".join(f"{figure:.0e}" for figure in figures)
            print(f"| `{name}` | {tolerance:.0e} | {n} | {cells} |", flush=True)


def cost() -> None:
    for method in ("dop853", METHOD):
        for n in PARTICLES:
            sample = Sample("charged", n, 3 if method == "dop853" else 20)
            runs = {
                norm: lambda norm=norm, method=method, sample=sample: (
                    sample.run(method, norm=norm, threads=1)
                    if method == METHOD
                    else sample.run(method, norm=norm)
                )
                for norm in ("rms", "particle")
            }
            spent = ratio(runs["particle"], runs["rms"], repeats=5)
            nfev = [runs[norm]().info.counters["nfev"] for norm in ("particle", "rms")]
            print(
                f"{method} N = {n}: time {spent}, evaluations {nfev[0] / nfev[1]:.3f}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=40)
    parser.add_argument("--second", type=int, default=3, help="starts that rk45 solves too")
    parser.add_argument("--cost", action="store_true", help="measure what the norm costs, only")
    given = parser.parse_args()
    if given.cost:
        cost()
    else:
        table(given.starts, given.second)


if __name__ == "__main__":
    main()
