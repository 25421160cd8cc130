"""`train_from_discovery`: a learned stepper out of a law that was found in tracks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nbody_surrogate.contracts.arguments import demand_number, demand_path, demand_whole
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.device import resolve_device
from nbody_surrogate.contracts.model_card import Card, CardSystem
from nbody_surrogate.contracts.surrogate import AbstractSurrogate
from nbody_surrogate.errors import InputError
from nbody_surrogate.evaluation.plan.meter import Meter
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.files.json_file import read_json, write_json
from nbody_surrogate.files.limits import CONFIG
from nbody_surrogate.parallel.limits import check_workers
from nbody_surrogate.registry.law_folder import law_parameters
from nbody_surrogate.registry.registry import surrogate_class, system_class
from nbody_surrogate.surrogates.places import CONFIG_FILE
from nbody_surrogate.surrogates.weights import save_weights
from nbody_surrogate.training.found_law import SYSTEM, LearnableLaw, learnable_law
from nbody_surrogate.training.plan_cost import data_of, step_cost
from nbody_surrogate.training.recipe import NAME, Recipe, checked_recipe, recipe_of_run
from nbody_surrogate.training.summary import WEIGHTS
from nbody_surrogate.training.train import TrainedModel
from nbody_surrogate.training.trainer import Progress, Trainer

__all__ = ["train_from_discovery"]

SURROGATE = "set"
INITIAL = "initial"
"""Folder of the model that training begins with, whose pair function is the curve."""

BASIS = 32
"""Gaussians of the pair function: Plummer's law takes so many for 2e-4 of the force."""

CURVE = 600
"""Distances that the pair function is fitted at."""

FRAMES = 96
CHUNK = 12
LARGEST_BATCH, PAIRS = 64, 1200
"""Windows of a batch, and how many pairs they are to have together, at most."""

LEAST_TRAJECTORIES, MOST_TRAJECTORIES, MOST_PAIRS = 40, 1000, 15_000
"""Of a source; pairs are those of all trajectories, whose forces take the time."""

DENSER = 0.5
"""Of the measured size, clouds that bring more particles together than tracks do: encounters, rare
as they are, make the error."""

LEAST_STEPS, MOST_STEPS = 20, 200_000
SHARE = 0.85
"""Of the time that is given, for steps; the rest is for data and scores."""


@guided(
    folder="`law`",
    discovery="`law`",
    steps="`minutes`",
    output="the folder that gets weights and log, such as output='runs/mine'",
)
def train_from_discovery(
    law: str | os.PathLike[str] | Mapping[str, Any],
    minutes: float,
    seed: int,
    output: str | os.PathLike[str],
    *,
    frame_dt: float | None = None,
    workers: int = 1,
    device: str = "auto",
    report: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> TrainedModel:
    """Train the surrogate `set` for a law that was found in tracks.

    Trajectories are made by the law, from starts that resemble the tracks, of one particle less
    than were measured, of one more, and of twice as many. The pair function of the model begins as
    the curve that was found; what is learned is what its sub-steps leave out. A folder with a part
    of the same training is gone on with. Lengths and times are in the units of the measurement.

    Parameters
    ----------
    law : path_like or mapping
        The folder of a discovery, or parameters of the system `discovered`.
    minutes : float
        Processor time of the steps, about; making the data comes to it.
    seed : int
    output : path_like
        As that of `train`: its `weights` go with ``--system discovered:FOLDER``.
    frame_dt : float, optional
        Time between frames of the model; by default that of the tracks.
    workers : int
        Trajectories that are made at a time.
    device : {"auto", "cpu", "cuda"}
    report, progress : callable, optional
        See `train`.
    command : str
        How it was called, for the card; by default the call of this function.

    Returns
    -------
    TrainedModel

    Raises
    ------
    InputError
        If an argument is wrong, or the law has what the model cannot learn: directed forces, a
        drag, couplings of pairs, or no force of pairs.
    FileFormatError
        If the folder of the law is damaged.
    RunError
        If the loss is no number any more, memory runs out, or nothing can be written.
    """
    check_workers(workers)
    spent = demand_number("minutes", minutes)
    if not 0 < spent < 1e6:
        raise InputError(f"`minutes` must be above 0, got {minutes!r}")
    demand_whole("seed", seed, 0)
    folder, where = demand_path("output", output), str(resolve_device(device))
    found = learnable_law(_parameters(law), frame_dt)
    said = command or _call(law, minutes, seed, folder)
    say = report if report is not None else _silent
    with sole_writer(folder):
        recipe = _recipe(found, spent, seed, folder, say)
        trainer = Trainer(recipe, folder, workers, say, where, said)
        for line in trainer.run(progress):
            say(line)
        _put_law_on_card(folder / WEIGHTS, found)
    return TrainedModel(folder.absolute(), recipe)


def _parameters(law: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(law, Mapping):
        return dict(law)
    if not isinstance(law, str | os.PathLike):
        raise InputError(
            f"`law` must be the folder of a discovery or a mapping, got {type(law).__name__}"
        )
    name = f"{SYSTEM}:{demand_path('law', law)}"
    return law_parameters(name, system_class(SYSTEM))


def _call(law: object, minutes: float, seed: int, folder: Path) -> str:
    which = repr(os.fspath(law)) if isinstance(law, str | os.PathLike) else "law"
    return f"nbody_surrogate.train_from_discovery({which}, {minutes:g}, {seed}, {str(folder)!r})"


def _recipe(
    found: LearnableLaw, minutes: float, seed: int, folder: Path, say: Callable[[str], None]
) -> Recipe:
    """Return the recipe that the folder holds, or a new one with as many steps as there is time."""
    if (folder / NAME).is_file():  # the clock would give another number of steps
        there = recipe_of_run(folder)
        if _values(found, seed, folder, there.steps) != there:
            raise InputError(
                f"`output` {str(folder)!r} holds a training of another law, seed or `frame_dt`; "
                "choose another folder"
            )
        return there
    recipe = _values(found, seed, folder, 1000)
    model = _initial_model(recipe, found, folder / INITIAL)
    meter = Meter(time.process_time, 60.0)
    first, step = step_cost(recipe, data_of(recipe), model, found.system, meter, seed)
    steps = int(min(max(SHARE * 60.0 * minutes / step, LEAST_STEPS), MOST_STEPS))
    say(f"{steps} steps of {1e3 * step:.3g} ms, {first:.2g} s to compile")
    return _values(found, seed, folder, steps)


def _values(found: LearnableLaw, seed: int, folder: Path, steps: int) -> Recipe:
    every = max(steps // 10, 1)
    values = {
        "surrogate": SURROGATE,
        "initial": str(folder / INITIAL),
        "model": _config(found),
        "data": _data(found, seed, steps),
        "steps": steps,
        "chunk": CHUNK,
        "learning_rate": 1e-3,  # it begins near the end
        "rise": min(200, max(steps // 10, 1)),
        "quantiles": {0.5: 1.0, 0.98: 10.0},
        "engine": "fused",
        "seed": seed,
        "validate_every": every,
        "checkpoint_every": min(250, every),
    }
    return checked_recipe(values, "from a discovery")


def _config(found: LearnableLaw) -> dict[str, Any]:
    return {
        "prior": "kernel",
        "basis": BASIS,
        "softening": found.softening,
        "frame_dt": found.parameters["frame_dt"],
    }


def _data(found: LearnableLaw, seed: int, steps: int) -> list[dict[str, Any]]:
    """Return sources: other numbers of particles are drawn anew, and so of endless variety."""
    n = found.particles
    sizes = sorted({max(n - 1, 2), n + 1, 2 * n})
    sources = []
    for number, size in enumerate(sizes):
        batch = min(max(2 * PAIRS // (size * (size - 1)), 4), LARGEST_BATCH)
        most = max(2 * MOST_PAIRS // (size * (size - 1)), LEAST_TRAJECTORIES)
        most = min(most, MOST_TRAJECTORIES)
        wanted = batch * steps * CHUNK // (len(sizes) * FRAMES)  # so that no window comes twice
        spec = {
            "system": SYSTEM,
            "parameters": found.parameters if size == 2 * n else _denser(found.parameters),
            "particles": size,
            "dimensions": found.parameters["dimensions"],
            "trajectories": min(max(wanted, LEAST_TRAJECTORIES), most),
            "frames": FRAMES,
            "seed": seed + 1 + number,
            "options": {"rtol": 1e-10, "atol": 1e-10},
        }
        sources.append({"batch": batch, "spec": spec})
    return sources


def _denser(law: dict[str, Any]) -> dict[str, Any]:
    """Bring measured starts nearer to their centre."""
    if not law["starts_x"]:
        return law
    x = np.array(law["starts_x"])
    centre = x.mean((0, 1))
    return {**law, "starts_x": (centre + DENSER * (x - centre)).tolist()}


def _initial_model(recipe: Recipe, found: LearnableLaw, folder: Path) -> AbstractSurrogate:
    """Make the model that training begins with, and write it to a folder."""
    cls = surrogate_class(SURROGATE)
    torch.manual_seed(recipe.seed)
    model = cls(cls.Config(**recipe.model))
    model.begin_with_curve(*found.curve(CURVE))
    card = Card.of(model, found.system, found.parameters["frame_dt"])
    card = card.model_copy(update={"training": {"minutes": 0.0}})
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_weights(folder, model, SURROGATE, card)
    return model


def _put_law_on_card(weights: Path, found: LearnableLaw) -> None:
    """Say on the card that the model is for the law as it was found, beside that of its data."""
    path = weights / CONFIG_FILE
    content = read_json(path)
    card = Card(**content["card"])
    spec = found.system.spec
    mine = CardSystem(
        system=SYSTEM,
        spec=json.loads(json.dumps(spec.of_forces())),
        numerical=spec.numerical(),
        time_range=card.systems[0].time_range,
    )
    if mine in card.systems:
        return
    both = [each.model_dump(mode="json") for each in (mine, *card.systems)]
    content["card"] = {**content["card"], "systems": both}
    write_json(path, content, indent=2, limit=CONFIG)


def _silent(line: str) -> None:
    return
