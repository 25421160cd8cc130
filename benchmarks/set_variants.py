"""What the parts of SET are worth: short trainings, each with one thing changed.

    python benchmarks/set_variants.py --output runs/variants

The base is `set-small`'s architecture, trained for 2000 steps on `charged` with 5 and 10 particles.
Each variant has the same data, steps and seeds as the base; what a step costs is shown beside it.
All are scored on the same starts, which no training saw: one step, mean; 40 frames, median; and
the error of the energy after 200 frames over the mean kinetic energy, median. The figure is the
geometric mean over seeds, in brackets the ends of all their 95 % intervals. Trainings that are
done are kept in the output folder, and a further run goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import nbody_set.model as set_model
from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.cli.files import write_text
from nbody_surrogate.contracts.state import State
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.spec import resolve
from nbody_surrogate.errors import NBodyWarning
from nbody_surrogate.evaluation.rollouts import Truth, one_step_of_model, roll_out
from nbody_surrogate.evaluation.scorecard import truth_of_system
from nbody_surrogate.results.bootstrap import bootstrap_mean, bootstrap_median
from nbody_surrogate.results.metrics import mean_kinetic
from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
from nbody_surrogate.training.recipe import Recipe
from nbody_surrogate.training.trainer import Trainer

STEPS, FRAMES, HORIZON, LONG = 2000, 96, 40, 200
DATA = {5: (1500, 64), 10: (400, 16)}  # particles: trajectories, windows per step
STARTS = {5: 300, 10: 150}
MODEL = {"width": 16, "substeps": 4, "history": 4}

UNROLLED = {"unroll": 4, "unroll_steps": 400, "pushforward": False}

# name: (changes of the model, changes of the recipe)
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "base": ({}, {}),
    "loss: mean squared error": ({}, {"loss": "mse"}),
    "loss: log at the median alone": ({}, {"quantiles": {0.5: 1.0}}),
    "history 1": ({"history": 1}, {}),
    "history 8": ({"history": 8}, {}),
    "shares not palindromic": ({}, {}),
    "prior kernel": ({"prior": "kernel"}, {}),
    "prior none": ({"prior": "none"}, {}),
    "8 sub-steps": ({"substeps": 8}, {}),
    "last 400 steps unrolled 4 times": ({}, UNROLLED),
    "the same without gradients between": ({}, UNROLLED | {"pushforward": True}),
    "no average of weights": ({}, {"ema": 0.0}),
}
FREE_SHARES = "shares not palindromic"


def free_share(weights: Tensor, k: int) -> Tensor:
    """Return the k-th share, each learned by itself, the sum still 1."""
    return weights[k] / weights.sum()


def make_data(place: Path, n: int) -> Path:
    """Make the trajectories with N particles, unless they are there."""
    spec = {
        "system": "charged",
        "particles": n,
        "trajectories": DATA[n][0],
        "frames": FRAMES,
        "seed": 40 + n,
        "options": {"rtol": 1e-10, "atol": 1e-10},
    }
    folder = place / f"data-{n}"
    generate_dataset(resolve(spec, "`spec`"), folder, workers=1)
    return folder


def train(name: str, seed: int, place: Path, folder: Path) -> tuple[SurrogateIntegrator, float]:
    """Train a variant; return it, and the milliseconds that a step took."""
    model, changes = VARIANTS[name]
    sources = [
        {"folder": str(make_data(place, n)), "batch": batch} for n, (_, batch) in DATA.items()
    ]
    recipe = Recipe.model_validate(
        {
            "surrogate": "set",
            "model": MODEL | model,
            "data": sources,
            "steps": STEPS,
            "validate_every": STEPS,
            "seed": seed,
        }
        | changes
    )
    trainer = Trainer(recipe, folder, 1, print)
    trainer.run()
    stepper = make_integrator("set", weights=str(folder / "weights"), device="cpu")
    assert isinstance(stepper, SurrogateIntegrator)
    return stepper, 1e3 * trainer.seconds / STEPS


def score(stepper: SurrogateIntegrator, truth: Truth) -> dict[str, list[float]]:
    """One step, mean; a roll-out and the energy of a long one, medians; with 95 % intervals."""
    step = one_step_of_model(stepper.model, truth)[0].mean(1)
    rolled = roll_out(stepper, truth, HORIZON)[:, HORIZON]
    state = State(0.0, truth.x[:, 0], truth.v[:, 0])
    run = simulate(truth.system, state, truth.particles, LONG, stepper)
    first, last = (
        truth.system.invariants(run.x[:, k], run.v[:, k], truth.particles).energy for k in (0, -1)
    )
    energy = abs(last - first) / mean_kinetic(truth.v, truth.particles)
    return {
        "one step": [float(step.mean()), *bootstrap_mean(step)],
        "roll-out": [float(np.median(rolled)), *bootstrap_median(rolled[:, None])],
        "energy": [float(np.median(energy)), *bootstrap_median(energy[:, None])],
    }


def cell(name: str, seed: int, place: Path, truths: dict[int, Truth]) -> dict[str, Any]:
    """Train and score a variant with one seed, or read what that gave."""
    folder = place / f"{name.replace(' ', '-').replace(':', '')}-{seed}"
    done = folder / "scores.json"
    if done.is_file():
        return dict(json.loads(done.read_text()))
    palindromic = set_model._share
    if name == FREE_SHARES:
        set_model._share = free_share
    try:
        stepper, milliseconds = train(name, seed, place, folder)
        found = {f"{n}": score(stepper, truth) for n, truth in truths.items()}
    finally:
        set_model._share = palindromic
    found["milliseconds"] = milliseconds  # type: ignore[assignment]
    write_text(done, json.dumps(found, indent=1))
    return found


def over_seeds(cells: list[dict[str, Any]], n: int, figure: str) -> str:
    """Write the geometric mean over seeds, and the ends of their intervals."""
    values = [each[f"{n}"][figure] for each in cells]
    mean = math.exp(sum(math.log(value) for value, _, _ in values) / len(values))
    return f"{mean:.1e} ({min(v[1] for v in values):.1e}..{max(v[2] for v in values):.1e})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NBodyWarning)
    options.output.mkdir(parents=True, exist_ok=True)
    truths = {n: truth_of_system(make_system("charged"), n, many) for n, many in STARTS.items()}
    cells: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    for seed in range(options.seeds):
        for name in VARIANTS:
            cells[name].append(cell(name, seed, options.output, truths))
    columns = [(f, n) for f in ("one step", "roll-out", "energy") for n in DATA]
    print("| variant |" + "".join(f" {f}, N = {n} |" for f, n in columns) + " ms per step |")
    print("|---" * (len(columns) + 2) + "|")
    for name, found in cells.items():
        milliseconds = np.median([each["milliseconds"] for each in found])
        texts = [over_seeds(found, n, figure) for figure, n in columns]
        print(f"| {name} | {' | '.join(texts)} | {milliseconds:.0f} |")


if __name__ == "__main__":
    main()
