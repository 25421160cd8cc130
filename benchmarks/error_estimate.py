"""Whether the error estimates of a surrogate hold: coverage, sharpness, cost.

    python benchmarks/error_estimate.py

Fresh starts, of seeds that were neither trained nor calibrated on: as the systems draw them, N = 5,
10 and 30, and the nineteen kinds of wild starts, most of them outside of what a model was trained
for. A true error is the position RMSE against a reference of relative tolerance 1e-12. Coverage is
the share of runs whose true error is below the estimate at a frame; nominally it is 95 %. Sharpness
is the median of the estimate over the true error. The last part is what an estimate costs, and what
becomes of it where a start is moved by 10^4 and boosted by 10: of true errors near the rounding of
single precision, the model itself makes others then.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

import nbody_surrogate as nb
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.integrators.build import make_integrator
from nbody_surrogate.simulation.error_estimate.estimator import ErrorEstimator
from nbody_surrogate.testing.wild_starts import WILD_STARTS, wild_starts

SEED = 40_123
FRAMES = (1, 3, 10, 30, 100)
REPEATS = 9


PARTS = ("domain", "wild", "cost")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="set")
    parser.add_argument("--starts", type=int, default=100, help="of each system and number")
    parser.add_argument("--wild", type=int, default=16, help="of each kind of wild starts")
    parser.add_argument("--only", choices=PARTS, help="one part of the tables")
    options = parser.parse_args()
    parts = PARTS if options.only is None else (options.only,)
    warnings.simplefilter("ignore", nb.NBodyWarning)  # that wild starts are outside is meant
    method = make_integrator(options.model, device="cpu")
    if parts != ("cost",):
        frames = " | ".join(f"frame {frame}" for frame in FRAMES)
        print(f"| starts | system | N | {frames} |\n|---|---|---|{'---|' * len(FRAMES)}")
    if "domain" in parts:
        in_domain(method, options.starts)
    if "wild" in parts:
        wild(method, options.wild)
    if "cost" in parts:
        for n in (5, 30):
            print(cost(method, n))
            print(frame_of_reference(method, n))


def in_domain(method: nb.AbstractIntegrator, starts: int) -> None:
    """Print a row for each system and number of particles, and one for all."""
    made = []
    for name in ("charged", "trap"):
        system = nb.make_system(name)
        for n in (5, 10, 30):
            made.append(run(method, system, *system.sample(SEED, n, starts)))
            print(row("in domain", name, str(n), made[-1]), flush=True)
    print(row("in domain", "both", "all", pooled(made)))


def wild(method: nb.AbstractIntegrator, starts: int) -> None:
    """Print a row for each kind of wild starts, and one for all."""
    made = []
    for name in ("charged", "trap"):
        for kind in WILD_STARTS:
            state, particles = wild_starts(kind, starts, SEED)
            if state.x.shape[2] == 2 and name == "trap":
                continue  # whose frequencies are three
            if particles.n > 30:
                few = np.arange(min(4, starts))
                state, particles = State(0.0, state.x[few], state.v[few]), particles[few]
            made.append(run(method, nb.make_system(name), state, particles))
            print(row(kind, name, str(particles.n), made[-1]), flush=True)
    print(row("wild", "both", "all", pooled(made)))


Errors = tuple[np.ndarray, np.ndarray]
"""Estimates and true errors, (B, T) both."""


def pooled(made: list[Errors]) -> Errors:
    """Put the runs of several rows together."""
    estimates, true = (np.concatenate(each) for each in zip(*made, strict=True))
    return estimates, true


def run(
    method: nb.AbstractIntegrator,
    system: nb.AbstractSystem,
    state: State,
    particles: Particles,
    frames: int = FRAMES[-1],
) -> Errors:
    """Run a method, and hold it against a reference."""
    made = nb.simulate(system, state, particles, frames, method)
    solver = make_integrator("dop853-compiled", rtol=1e-12, atol=1e-13)
    truth = nb.simulate(system, state, particles, frames, solver)
    true = np.sqrt(((made.x - truth.x) ** 2).mean((2, 3)))
    return made.error_estimate, np.where(made.valid & truth.valid, true, np.nan)


def row(name: str, system: str, n: str, errors: Errors) -> str:
    """Give coverage and sharpness of a cell at each of the frames."""
    estimate, true = errors
    cells = []
    for frame in FRAMES:
        known = np.isfinite(true[:, frame])
        bound, error = estimate[known, frame], true[known, frame]
        cells.append(f"{np.mean(error <= bound):.0%}, {np.median(bound / error):.3g}")
    return f"| {name} | {system} | {n} | {' | '.join(cells)} |"


def cost(method: nb.AbstractIntegrator, n: int) -> str:
    """Take the estimate's and the method's processor time in turn, of one trajectory."""
    system = nb.make_system("charged")
    state, particles = system.sample(SEED, n)
    carry = method.start(system, state, particles, system.spec.frame_dt)
    frames = method.options.segment
    made = nb.simulate(system, state, particles, frames, method, error_estimate=False)
    problem = Problem(system, particles, 0.0, system.spec.frame_dt)
    shares = []
    for _ in range(REPEATS):
        began = time.process_time()
        method.advance(carry, frames)
        between = time.process_time()
        estimator = ErrorEstimator(problem, 3)
        estimator.extend(0, made.x, made.v)
        shares.append((time.process_time() - between) / (between - began))
    calls = estimator.report.force_calls / frames
    return (
        f"N = {n}, one trajectory: the estimate takes {np.median(shares):.1%} of the time, "
        f"{calls:.0f} force evaluations per frame"
    )


def frame_of_reference(method: nb.AbstractIntegrator, n: int) -> str:
    """Compare the estimates of starts with those of the same, moved by 10^4 and boosted by 10."""
    system = nb.make_system("charged")
    state, particles = system.sample(SEED, n, 20)
    moved = State(0.0, state.x + 1e4, state.v + 10.0)
    (here, _), (there, true) = (run(method, system, s, particles, 20) for s in (state, moved))
    change = np.median(np.abs(there[:, -1] / here[:, -1] - 1))
    return (
        f"N = {n}: moved and boosted, estimates after 20 frames change by {change:.1%} in the "
        f"median, and cover {np.mean(true[:, -1] <= there[:, -1]):.0%} of the true errors"
    )


if __name__ == "__main__":
    main()
