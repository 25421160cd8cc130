"""From tracks to a learned stepper: `set` trained by a law that was found, beside `set-kernel`.

    python benchmarks/discover_set.py --output runs/discover-set --minutes 20

Tracks are positions alone, without noise: 20 runs of `charged` with 5 particles, 1000 frames of
0.005. `discover` finds the law, without a drag unless `--drag shared` asks for one: it then finds
0.002 in these tracks, which is false, and of which `set` knows nothing. `train_from_discovery`
trains `set` for frames of 0.1 on what the law makes. All rows are of the starts that
`nbody-sim evaluate` takes, which no training has seen: x-MSE of one step from true frames, the mean
over starts and frames with a bootstrap interval of 95 %, and the median over starts. Charges and
masses of `charged` are those of the law on average, with the signs that they have. `over
set-kernel` is the ratio of the means, its interval by draws of starts together. Rows of the law are
a solver with the law in place of the true one; "bounded" is the law that trajectories are made
with.

What the output folder holds already is taken from there: tracks that were looked at, a training
that was begun.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nbody_surrogate as nb
from nbody_surrogate.contracts import Particles
from nbody_surrogate.discovery.discover import Discovery, discover
from nbody_surrogate.discovery.law import masses_of
from nbody_surrogate.evaluation.rollouts import FIRST, Truth, one_step, one_step_of_model
from nbody_surrogate.evaluation.scorecard import truth_of_system
from nbody_surrogate.files.json_file import read_json, write_json
from nbody_surrogate.results.bootstrap import bootstrap_mean
from nbody_surrogate.tracks.tracks import Tracks
from nbody_surrogate.training.found_law import LearnableLaw, learnable_law
from nbody_surrogate.training.from_discovery import INITIAL, train_from_discovery

RUNS, N, FRAMES, DT, FRAME_DT = 20, 5, 1000, 0.005, 0.1
RESAMPLES = 2000
BAR = 3.0
SUBSTEPS = 256
"""Of leapfrog, whose own error is then 1e-14."""


def tracks(first_seed: int) -> list[Tracks]:
    """Runs of `charged`, of which positions alone are kept."""
    system = nb.make_system("charged", frame_dt=DT)
    solver = nb.make_integrator("dop853-compiled", rtol=1e-11, atol=1e-11)
    runs = []
    for seed in range(first_seed, first_seed + RUNS):
        (run,) = nb.simulate(system, *system.sample(seed, N), FRAMES, solver)
        runs.append(nb.observe(run, noise=0.0, seed=0))
    return runs


def law_of_tracks(output: Path, first_seed: int, drag: str) -> dict[str, Any]:
    """Find the law, or take that which is there."""
    path = output / "law.json"
    if path.is_file():
        return dict(read_json(path))
    began = time.process_time()
    found = discover(tracks(first_seed), axis=None, drag=drag, hold_out=0.0, bootstrap=20)
    print(f"discover took {time.process_time() - began:.0f} s of processor time")
    law = {**found.law, **particles_of(found)}  # a run may have found no sound charges
    output.mkdir(parents=True, exist_ok=True)
    write_json(path, law)
    return law


def particles_of(found: Discovery) -> dict[str, Any]:
    """Take charges and masses of the run whose particles scatter least, of positive masses."""
    every = [masses_of(found.estimate, run)[:2] for run in range(RUNS)]
    scatter = [
        np.inf if (masses <= 0).any() else float(np.ptp(masses) / masses.mean())
        for _, masses in every
    ]
    sound = sum(each < 0.01 for each in scatter)
    print(f"{sound} of {RUNS} runs have particles whose masses agree within 1 %")
    charges, masses = every[int(np.argmin(scatter))]
    return {"charges": charges.tolist(), "masses": masses.tolist()}


def mapped(truth: Truth, system: Any, law: dict[str, Any]) -> Truth:
    """Give a truth of `charged` the law's charges and masses."""
    charge, mass = np.abs(law["charges"]).mean(), np.mean(law["masses"])
    signs = np.sign(truth.particles.charges)
    return Truth(system, truth.x, truth.v, Particles(signs * charge, np.full_like(signs, mass)))


def rows_of(truth: Truth, law: dict[str, Any], output: Path) -> dict[str, np.ndarray]:
    """Return the error of each start, (S,), by the name of the method."""
    found = learnable_law(law, FRAME_DT)
    ours = mapped(truth, found.system, law)
    rows = laws_alone(ours, found)
    for name, folder in (("set, begun with the law", INITIAL), ("set from tracks", "weights")):
        model = nb.load_model(output / "model" / folder)
        rows[name] = one_step_of_model(model, ours)[0][:, -count(truth) :].mean(1)
    for name in ("set-kernel", "set"):
        model = nb.load_model(name)
        rows[name] = one_step_of_model(model, truth)[0][:, -count(truth) :].mean(1)
    for steps in (8, 16):
        solver = nb.make_integrator("leapfrog", substeps=steps)
        rows[f"leapfrog, {steps}"] = one_step(solver, truth).mean(1)
    return rows


def count(truth: Truth) -> int:
    """Frames that are scored of each start."""
    return truth.x.shape[1] - 1 - FIRST


def laws_alone(ours: Truth, found: LearnableLaw) -> dict[str, np.ndarray]:
    """The law by a solver, as it was found and as trajectories are made with it."""
    bounded = nb.make_system("discovered", **found.parameters)
    # with fixed steps: a force that grows without bound stops any other
    solver = nb.make_integrator("leapfrog", substeps=SUBSTEPS)
    return {
        f"law by leapfrog, {SUBSTEPS}": one_step(solver, ours).mean(1),
        f"law, bounded, by leapfrog, {SUBSTEPS}": one_step(
            solver, ours._replace(system=bounded)
        ).mean(1),
    }


def ratio(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Return the ratio of two means over the same starts, with its interval."""
    draws = np.random.default_rng(0).integers(len(a), size=(RESAMPLES, len(a)))
    low, high = np.quantile(a[draws].mean(1) / b[draws].mean(1), [0.025, 0.975])
    return float(a.mean() / b.mean()), float(low), float(high)


def show(rows: dict[str, np.ndarray], n: int) -> None:
    """Print a table."""
    print(f"\n`charged`, N = {n}, frames of {FRAME_DT}, one step\n")
    print("| method | mean | median over starts | over set-kernel |\n|---|---|---|---|")
    for name, each in rows.items():
        low, high = bootstrap_mean(each)
        of, least, most = ratio(each, rows["set-kernel"])
        print(
            f"| {name} | {each.mean():.1e} ({low:.1e}..{high:.1e}) | {np.median(each):.1e} "
            f"| {of:.2g} ({least:.2g}..{most:.2g}) |"
        )
    of, _, most = ratio(rows["set from tracks"], rows["set-kernel"])
    print(f"\nwithin {BAR:g} times set-kernel: {of <= BAR}, with its whole interval: {most <= BAR}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Find a law, train by it, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("runs/discover-set"))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=100, help="of the first run of the tracks")
    parser.add_argument("--drag", choices=("shared", "none"), default="none", help="to look for")
    parser.add_argument("--particles", type=int, nargs="+", default=[5])
    parser.add_argument("--json", action="store_true", help="the errors of all starts as well")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    law = law_of_tracks(given.output, given.seed, given.drag)
    model = given.output / "model"
    began = time.process_time()
    train_from_discovery(law, given.minutes, 0, model, frame_dt=FRAME_DT, report=print)
    print(
        f"training took {(time.process_time() - began) / 60:.1f} min of processor time, with data"
    )
    for n in given.particles:
        rows = rows_of(truth_of_system(nb.make_system("charged"), n), law, given.output)
        show(rows, n)
        if given.json:
            print(json.dumps({name: each.tolist() for name, each in rows.items()}))


if __name__ == "__main__":
    main()
