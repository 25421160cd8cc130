"""What a guard knows of position errors: how many bad ends it finds, and what that costs.

    python benchmarks/guard_witness.py charged trap wild moved

Each of these words is a part of it, which may be run alone. Starts are those of the presets, of N =
5, 10 and 30, and wild ones, none of them of seeds of a training. Each set is run by SET without a
guard, by the ground truth (dop853-compiled at 1e-12), and by the ground truth from starts that are
moved by 1e-9 of their spread.

An end is *bad* where the root-mean-square error of the positions is more than a tenth of the spread
at the start, and more than what the moved start makes; *good* where it is at most a tenth. What
lies between is chaos, and not judged. `caught` is the share of the bad that a guard flags, and
`false` that of the good: by the conserved quantities alone, with a budget of 1 % and 0.1 % of the
energy, with spot checks beside them, with the error estimate at a tenth of the spread, and by the
guard as it is by default. `left` counts the ends that are bad after `fallback`. `cost` is the share
of the run that all checks of the default guard take, replays apart. `rank` is Spearman's
correlation of the errors of energy and position at the end.

`moved` are the same starts with a boost of 10 and a shift of 1e4: `changed` counts trajectories of
which the default guard says another thing, or finds another frame.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import stats

from nbody_surrogate import (
    Ensemble,
    Guard,
    Particles,
    State,
    WarmUp,
    make_integrator,
    make_system,
    simulate,
)
from nbody_surrogate.results.metrics import drift, rmse
from nbody_surrogate.testing.wild_starts import WILD_STARTS, wild_starts

SEED, WILD_SEED = 424_200, 4242
STARTS = {5: 100, 10: 50, 30: 20}
FRAMES = (50, 100)
WILD, WILD_FRAMES = 4, 50
BAD, MOVED = 0.1, 1e-9
OFF = np.inf
KEPT: dict[str, Any] = {"spot_checks": 0.0, "position": OFF}
GUARDS: dict[str, dict[str, Any]] = {
    "energy 1 %": KEPT,
    "0.1 %": KEPT | {"energy": 1e-3},
    "spot checks": {"position": OFF},
    "estimate": KEPT | {"estimate": 0.1},
    "default": {},
}
LIMITS = {"closest": 0.0, "fastest": OFF, "most": OFF, "longest": OFF}
"""Those of the card are off: what is measured is what the guard sees of the frames."""


class Starts(NamedTuple):
    """A set of starts of one system."""

    label: str
    system: str
    state: State
    particles: Particles
    frames: int


class Outcome(NamedTuple):
    """What became of a set, counted over its trajectories."""

    bad: np.ndarray
    good: np.ndarray
    flagged: dict[str, np.ndarray]
    left: np.ndarray
    fallen: float
    cost: float
    rank: float


def presets(name: str, share: float) -> Iterator[Starts]:
    """Draw starts of a system as it samples them."""
    for n, count in STARTS.items():
        for frames in FRAMES:
            state, particles = make_system(name).sample(
                SEED + frames, n, max(round(share * count), 4)
            )
            yield Starts(f"N = {n}", name, state, particles, frames)


def wild(name: str, share: float) -> Iterator[Starts]:
    """Draw wild starts, but for those of more particles than SET was trained with."""
    for kind in WILD_STARTS:
        state, particles = wild_starts(kind, max(round(share * WILD), 2), WILD_SEED)
        if particles.n <= max(STARTS):
            yield Starts(kind, name, state, particles, WILD_FRAMES)


def spread(x: np.ndarray) -> np.ndarray:
    """Spread of the positions of a start, per coordinate."""
    return np.asarray(np.sqrt(((x - x.mean(1, keepdims=True)) ** 2).mean((1, 2))))


def end_error(truth: Ensemble, run: Ensemble) -> np.ndarray:
    """Error at the last frame over the spread at the start; infinite where the run failed."""
    with np.errstate(all="ignore"):
        error = rmse(truth.x[:, -1:], run.x[:, -1:])[:, 0] / spread(truth.x[:, 0])
    failed = ~np.isfinite(run.valid_part().x[:, -1]).all((1, 2))
    return np.where(failed | ~np.isfinite(error), np.inf, error)


def guarded(starts: Starts, policy: str, options: dict[str, Any]) -> Ensemble:
    """Run SET under a guard."""
    guard = Guard(policy, **LIMITS, **options)
    start = starts.state, starts.particles
    # what the estimate costs is no cost of a guard that does not ask for it
    estimated = "estimate" in options
    return simulate(
        *(starts.system, *start, starts.frames, "set"),
        guard=guard,
        error_estimate=estimated,
        observers=WarmUp(),
    )


def outcome(starts: Starts) -> Outcome:
    """Run a set by all methods and guards."""
    system, state, particles = make_system(starts.system), starts.state, starts.particles
    solver = make_integrator("dop853-compiled", rtol=1e-12, atol=1e-12)
    step = np.random.default_rng(0).normal(size=state.x.shape)
    step *= MOVED * (spread(state.x) / spread(step))[:, None, None]
    truth, twin = (
        simulate(system, State(0.0, x, state.v), particles, starts.frames, solver)
        for x in (state.x, state.x + step)
    )
    plain = simulate(system, state, particles, starts.frames, "set", error_estimate=False)
    error, chaos = end_error(truth, plain), end_error(truth, twin)
    flagged = {}
    for name, options in GUARDS.items():
        run = guarded(starts, "warn", options)
        flagged[name] = _flagged(run)
    report = run.info.guard  # of the last one, the default
    mended = guarded(starts, "fallback", {})
    left = end_error(truth, mended)
    ends = [0, -1]
    with np.errstate(all="ignore"):
        lost = drift(system, plain.x[:, ends], plain.v[:, ends], particles).energy
    return Outcome(
        bad=(error > BAD) & (error > chaos),
        good=error <= BAD,
        flagged=flagged,
        left=(left > BAD) & (left > chaos),
        fallen=mended.info.guard.fallback_share,
        cost=report.check_time / report.run_time,
        rank=float(stats.spearmanr(lost, error).statistic),
    )


def _flagged(run: Ensemble) -> np.ndarray:
    flagged = np.zeros(len(run), dtype=bool)
    flagged[run.info.guard.gathered.trajectory] = True
    return flagged


def row(label: str, system: str, frames: int, found: list[Outcome]) -> str:
    """Write what was found of some sets, as a row of Markdown."""
    bad, good, left = (
        np.concatenate([getattr(each, key) for each in found]) for key in ("bad", "good", "left")
    )
    cells = [f"{bad.sum()}", f"{good.sum()}", f"{np.nanmean([each.rank for each in found]):.2f}"]
    for name in GUARDS:
        flagged = np.concatenate([each.flagged[name] for each in found])
        for chosen in (bad, good):
            share = f"{flagged[chosen].mean():.1%}" if chosen.any() else ""
            cells.append(share)
    fallen, cost = (np.mean([getattr(each, key) for each in found]) for key in ("fallen", "cost"))
    cells += [f"{left.sum()}", f"{fallen:.1%}", f"{cost:.1%}"]
    return f"| {system} | {label} | {frames} | {' | '.join(cells)} |"


def changed(starts: Starts) -> tuple[int, int]:
    """Count trajectories of which a guard says another thing when the start is moved."""
    state = starts.state
    moved = State(0.0, state.x + 1e4, state.v + np.array([10.0, 0.0, 0.0]))
    found = [
        {event.trajectory: event for event in reversed(guarded(each, "warn", {}).info.guard.events)}
        for each in (starts, starts._replace(state=moved))
    ]
    said = [{b: (event.reason, event.frame) for b, event in each.items()} for each in found]
    different = [b for b in range(len(state.x)) if said[0].get(b) != said[1].get(b)]
    return len(different), len(said[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=["charged", "trap", "wild", "moved"])
    parser.add_argument("--share", type=float, default=1.0, help="of the starts, for a first look")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    columns = ["system", "starts", "frames", "bad", "good", "rank"]
    columns += [f"{name}: {what}" for name in GUARDS for what in ("caught", "false")]
    columns += ["left", "fallen back", "cost"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name in ("charged", "trap"):
        if name in options.parts:
            for starts in presets(name, options.share):
                found = [outcome(starts)]
                print(row(starts.label, name, starts.frames, found), flush=True)
        if "wild" in options.parts:
            found = [outcome(starts) for starts in wild(name, options.share)]
            print(row("wild", name, WILD_FRAMES, found), flush=True)
    if "moved" in options.parts:
        for starts in presets("charged", options.share):
            different, tripped = changed(starts)
            words = f"{different} of {len(starts.state.x)} are told another thing, {tripped} trip"
            print(f"moved: charged, {starts.label}, {starts.frames} frames: {words}", flush=True)


if __name__ == "__main__":
    main()
