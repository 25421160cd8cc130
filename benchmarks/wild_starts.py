"""`set` beside leapfrog with 8 sub-steps, as many as it has, from nineteen kinds of wild starts.

    python benchmarks/wild_starts.py
    python benchmarks/wild_starts.py --method leapfrog --substeps 9

40 starts of each kind, 50 frames, against dop853-compiled at 1e-12. Shown are ratios of position
RMSE, that of `set` over that of leapfrog.

- "one frame": from each true frame of the reference; of the RMSE over all of a kind, and the median
  and largest over frames.
- "frame 1, 10, 50": of a roll-out from the start; median and largest over starts.
- "both at most the spread": the largest at the last frame where neither error counts for more than
  the spread of the particles, since two trajectories that have nothing to do with each other any
  more differ by luck.

The second line shows what luck does: leapfrog with 9 sub-steps over that with 8.

Errors below a floor count as the floor, 1e-7 of what the particles move in a frame: the rounding of
a network in float32. Of one frame, ratios are taken where leapfrog's error is at least a tenth of
its median over the trajectory: elsewhere it passes through zero.

    python benchmarks/wild_starts.py --separations

are pairs of opposite charges alone, for 400 frames: the error of the separation over its largest,
median and largest over starts, of `set` and of leapfrog with 8 and 16 sub-steps.
"""

from __future__ import annotations

import argparse
import warnings
from typing import NamedTuple

import numpy as np
import torch

from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.evaluation.rollouts import Truth, one_step, roll_out
from nbody_surrogate.testing.wild_starts import WILD_STARTS, wild_starts

SEED = 90_000
ROUNDING = 1e-7
FRAMES = (1, 10, 50)
PAIRS = [kind for kind in WILD_STARTS if kind.startswith("opposite charges")]
LONG = 400


class Ratios(NamedTuple):
    """Of one kind: errors of the method over those of leapfrog."""

    together: float
    frames: np.ndarray
    ends: np.ndarray  # (len(FRAMES), B)
    saturated: np.ndarray  # (B,)
    leapfrog: float  # median error at the last frame


def reference_of(system: AbstractSystem, kind: str, count: int, seed: int, frames: int) -> Truth:
    """Return trajectories of one kind."""
    state, particles = wild_starts(kind, count, seed)
    solver = make_integrator("dop853-compiled", rtol=1e-12, atol=1e-12)
    run = simulate(system, state, particles, frames, solver)
    return Truth(system, run.x, run.v, particles)


def ratios(truth: Truth, method: AbstractIntegrator, leapfrog: AbstractIntegrator) -> Ratios:
    """Hold a method against leapfrog on trajectories."""
    dt = truth.system.spec.frame_dt
    moved = dt * np.sqrt((truth.v**2).mean((2, 3)))  # (B, T) rms of what is moved in a frame
    floor = ROUNDING * moved[:, :-1]
    mine, theirs = (np.sqrt(one_step(each, truth, 0)) for each in (method, leapfrog))
    seen = theirs >= np.maximum(0.1 * np.median(theirs, axis=1, keepdims=True), floor)
    last = min(FRAMES[-1], truth.x.shape[1] - 1)
    runs = [np.sqrt(roll_out(each, truth, last, 0)) for each in (method, leapfrog)]
    # roundings of frames add up as a random walk does
    floors = np.sqrt(np.cumsum(floor**2, axis=1))
    at = np.minimum(FRAMES, last)
    rolled = np.maximum(runs[0][:, at], floors[:, at - 1]) / np.maximum(
        runs[1][:, at], floors[:, at - 1]
    )
    spread = truth.x[:, last].std(axis=1).mean(-1)
    ends = [np.maximum(np.minimum(run[:, last], spread), floors[:, last - 1]) for run in runs]
    together = np.sqrt((mine**2).mean() / max((theirs**2).mean(), (floor**2).mean()))
    return Ratios(
        float(together),
        np.maximum(mine, floor)[seen] / theirs[seen],
        rolled.T,
        ends[0] / ends[1],
        float(np.median(runs[1][:, last])),
    )


def row(kind: str, found: Ratios) -> str:
    """Return a row of the table."""
    frames = found.frames if found.frames.size else np.zeros(1)
    one = f"{found.together:.3f} | {np.median(frames):.3f}, {frames.max():.2f}"
    ends = " | ".join(f"{np.median(each):.3f}, {each.max():.2f}" for each in found.ends)
    return f"| {kind} | {found.leapfrog:.1e} | {one} | {ends} | {found.saturated.max():.2f} |"


def separations(
    system: AbstractSystem, methods: dict[str, AbstractIntegrator], count: int, seed: int
) -> None:
    """Print how well methods keep the separation of pairs."""
    print(f"| start | {' | '.join(methods)} |")
    print("|---" * (1 + len(methods)) + "|")
    for kind in PAIRS:
        state, particles = wild_starts(kind, count, seed)
        solver = make_integrator("dop853-compiled", rtol=1e-12, atol=1e-12)
        runs = [simulate(system, state, particles, LONG, m).x for m in (solver, *methods.values())]
        truth, *others = (np.linalg.norm(x[:, :, 0] - x[:, :, 1], axis=-1) for x in runs)  # (B, T)
        errors = [np.abs(apart[:, -1] - truth[:, -1]) / truth.max(1) for apart in others]
        cells = [f"{np.median(error):.2%}, {error.max():.2%}" for error in errors]
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="set")
    parser.add_argument("--method", default="set", help="a surrogate, or leapfrog")
    parser.add_argument("--substeps", type=int, default=8, help="of `--method leapfrog`")
    parser.add_argument("--starts", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--kinds", nargs="*", default=list(WILD_STARTS))
    parser.add_argument("--separations", action="store_true", help="of lone pairs, only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NBodyWarning)  # these starts are what a card warns of
    system = make_system("charged")
    leapfrog = make_integrator("leapfrog", substeps=8)
    if options.method == "leapfrog":
        method = make_integrator("leapfrog", substeps=options.substeps)
    else:
        method = make_integrator(options.method, weights=options.weights, device="cpu")
    if options.separations:
        methods = {method.name: method, "leapfrog, 8": leapfrog}
        methods["leapfrog, 16"] = make_integrator("leapfrog", substeps=16)
        separations(system, methods, options.starts, options.seed)
        return
    print(
        "| start | leapfrog, last frame | one frame: all | median, largest | frame 1 | frame 10 "
        "| frame 50 | both at most the spread |"
    )
    print("|---" * 8 + "|")
    for kind in options.kinds:
        truth = reference_of(system, kind, options.starts, options.seed, FRAMES[-1])
        print(row(kind, ratios(truth, method, leapfrog)), flush=True)


if __name__ == "__main__":
    main()
