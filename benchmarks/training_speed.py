"""How long a step of a training takes by compiled code, against plain torch.

    python benchmarks/training_speed.py [RECIPE] [--unroll M] [--rounds R]

Two trainings of one recipe, on the same windows, take their steps in turn; a round is one step of
each source. Shown are medians over rounds, of the processor's time since a machine that does other
things too stretches any other. The recipe's data are made with few trajectories.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from nbody_surrogate.training.recipe import Recipe, checked_recipe, read_recipe
from nbody_surrogate.training.trainer import Trainer

RECIPE = Path(__file__).parents[1] / "plugins/nbody_set/recipes/set-first.toml"
ENGINES = ("torch", "fused")


def shortened(recipe: Recipe, engine: str, unroll: int) -> Recipe:
    """The recipe with few data, as many windows a step, and no end in sight."""
    values = recipe.model_dump(mode="json")
    for data in values["data"]:
        data["spec"] |= {"trajectories": 2 * data["batch"], "frames": recipe.chunk + 1}
        data["spec"]["splits"] = {"train": 2 * data["batch"]}
    steps = {"steps": 100_000, "unroll": unroll, "unroll_steps": 100_000 if unroll > 1 else 0}
    more = {"engine": engine, "pushforward": False, "checkpoint_every": 100_000}
    return checked_recipe(values | steps | more, "shortened")


def measure(trainers: dict[str, Trainer], rounds: int) -> list[dict[str, float]]:
    """Median seconds of each source's step, by engine; the first round warms up."""
    sources = len(next(iter(trainers.values())).sources)
    times: list[dict[str, list[float]]] = [{name: [] for name in trainers} for _ in range(sources)]
    for _ in range(rounds + 1):
        for source in times:
            for name, trainer in trainers.items():
                began = time.process_time()
                trainer._train_step()
                source[name].append(time.process_time() - began)
    return [{name: statistics.median(each[1:]) for name, each in of.items()} for of in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", nargs="?", type=Path, default=RECIPE)
    parser.add_argument("--unroll", type=int, default=1, help="frames in a row")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = read_recipe(options.recipe)
    with tempfile.TemporaryDirectory() as place:
        trainers = {
            engine: Trainer(
                shortened(recipe, engine, options.unroll), Path(place) / engine, 1, lambda _: None
            )
            for engine in ENGINES
        }
        found = measure(trainers, options.rounds)
        of_spec = [source.spec for source in trainers["torch"].sources]
    print(f"{'source':>24}  {'torch, ms':>9}  {'fused, ms':>9}  ratio")
    for spec, of in zip(of_spec, found, strict=True):
        name = f"{spec.system}, N = {spec.particles}"
        slow, fast = (1e3 * of[engine] for engine in ENGINES)
        print(f"{name:>24}  {slow:9.1f}  {fast:9.1f}  {slow / fast:5.2f}")
    slow, fast = (1e3 * sum(of[engine] for of in found) / len(found) for engine in ENGINES)
    print(f"{'mean of a step':>24}  {slow:9.1f}  {fast:9.1f}  {slow / fast:5.2f}")


if __name__ == "__main__":
    main()
