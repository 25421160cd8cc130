"""Sources of training data: data sets that are there, are made, or grow as they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.laws import FieldLaw
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.generation.on_the_fly import LiveWindows
from nbody_surrogate.datasets.manifest import spec_hash
from nbody_surrogate.datasets.shard import Block
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.datasets.task_rows import task_rows
from nbody_surrogate.datasets.windows import AbstractWindows, DatasetWindows, Windows
from nbody_surrogate.evaluation.rollouts import Truth
from nbody_surrogate.results.metrics import closest_pair, fastest
from nbody_surrogate.training.recipe import DataRecipe, Recipe

__all__ = ["Source", "open_sources"]

SAMPLED = 64  # live trajectories that the card's ranges are taken from
BLOCKS = 8  # of trajectories that a model is initialised by


@dataclass
class Source:
    """Windows to train on, without end, and trajectories to validate by.

    Of a task, trajectories are the rows that it is of. `spacing` is the time between frames, and
    `horizon` that from the last one to the answer of a task.
    """

    spec: DatasetSpec
    system: AbstractSystem
    windows: AbstractWindows
    digest: str
    charges: tuple[float, float]
    masses: tuple[float, float]
    closest: float
    fastest: float
    train: Truth
    validation: Truth | None
    beginning: Callable[[], Truth]
    spacing: float
    horizon: float | None
    _rest: Iterator[Windows] | None = None

    def next(self) -> Windows:
        """Return the next batch; an epoch follows on the other."""
        while True:
            if self._rest is None:
                self._rest = iter(self.windows)
            batch = next(self._rest, None)
            if batch is not None:
                return batch
            self._rest = None

    @property
    def field(self) -> FieldLaw | None:
        """The law of the system's external field, where there is one."""
        laws = self.system.force_laws()
        return None if laws is None else laws.field

    def particle_tensors(
        self, charges: Tensor, masses: Tensor, dtype: torch.dtype
    ) -> ParticleTensors:
        """Bring the particles of a batch to a model's dtype."""
        return ParticleTensors(charges.to(dtype), masses.to(dtype), self.field)

    def go_to(self, state: dict[str, int]) -> None:
        """Go on at a place that a checkpoint holds."""
        self.windows.load_state_dict(state)
        self._rest = None


def open_sources(
    recipe: Recipe,
    folder: Path,
    workers: int,
    report: Callable[[str], None],
    history: int = 1,
) -> list[Source]:
    """Open the sources of a recipe, making what is missing in the run folder.

    For a task, `history` is the number of frames that the model is given.
    """
    sources = []
    for number, data in enumerate(recipe.data):
        seed = recipe.seed + number
        if data.live:
            sources.append(_live(recipe, data, workers, seed, history))
            continue
        spec = data.dataset_spec()
        if spec is not None:
            place = folder / f"data-{number}"
            if not (place / "manifest.json").is_file():
                report(f"making {spec.trajectories} of {spec.system}, {spec.particles} particles")
            dataset = generate_dataset(spec, place, workers=workers)
        else:
            assert data.folder is not None
            dataset = Dataset(data.folder)
        sources.append(_stored(recipe, data, dataset, seed, history))
    return sources


class _Rows(NamedTuple):
    """Which rows make a window: so many that follow one another, or those of a task."""

    window: int | None
    picked: tuple[int, ...] | None
    spacing: float
    horizon: float | None


def _rows(recipe: Recipe, spec: DatasetSpec, history: int) -> _Rows:
    dt = spec.make_system().spec.frame_dt
    if not recipe.task:
        return _Rows(recipe.chunk + 1, None, dt, None)
    rows = task_rows(spec, history)
    return _Rows(None, rows.rows, rows.spacing * dt, rows.horizon * dt)


def _stored(recipe: Recipe, data: DataRecipe, dataset: Dataset, seed: int, history: int) -> Source:
    window, picked, spacing, horizon = _rows(recipe, dataset.spec, history)
    windows = DatasetWindows(dataset, window=window, batch=data.batch, seed=seed, picked=picked)
    box = dataset.system().box
    columns = [
        (b.particles.charges, b.particles.masses, *_extremes(b, box))
        for b in dataset.blocks("train")
    ]
    charges, masses, near, fast = zip(*columns, strict=True)
    return Source(
        dataset.spec,
        dataset.system(),
        windows,
        dataset.manifest.digest,
        _range([abs(each) for each in charges]),
        _range(list(masses)),
        min(near),
        max(fast),
        _truth(dataset, "train", recipe.validation, picked),
        _truth(dataset, "validation", recipe.validation, picked)
        if dataset.spec.splits.get("validation")
        else None,
        lambda: _truth(dataset, "train", BLOCKS * dataset.block_size, picked),
        spacing,
        horizon,
    )


def _live(recipe: Recipe, data: DataRecipe, workers: int, seed: int, history: int) -> Source:
    spec = data.dataset_spec()
    assert spec is not None
    window, picked, spacing, horizon = _rows(recipe, spec, history)
    count = max(SAMPLED, recipe.validation)  # the first trajectories are kept for validation
    windows = LiveWindows(
        spec,
        window=window,
        batch=data.batch,
        threads=workers,
        seed=seed,
        first=count,
        picked=picked,
    )
    block = windows.trajectories(0, count)
    truth = _picked(spec.make_system(), block, picked)
    return Source(
        spec,
        truth.system,
        windows,
        spec_hash(spec),
        _range([abs(block.particles.charges)]),
        _range([block.particles.masses]),
        *_extremes(block, truth.system.box),
        truth,
        truth,
        lambda: truth,
        spacing,
        horizon,
    )


def _truth(dataset: Dataset, split: str, most: int, picked: tuple[int, ...] | None) -> Truth:
    part = dataset.part(split)
    block = dataset.read(part.start, min(part.start + most, part.stop))
    return _picked(dataset.system(), block, picked)


def _picked(system: AbstractSystem, block: Block, picked: tuple[int, ...] | None) -> Truth:
    """Keep the rows of a task, or all."""
    rows = slice(None) if picked is None else list(picked)
    return Truth(system, block.x[:, rows], block.v[:, rows], block.particles)


def _extremes(block: Block, box: Box | None) -> tuple[float, float]:
    """Smallest distance of a pair and largest speed in a block."""
    return float(closest_pair(block.x, box).min()), float(fastest(block.v).max())


def _range(columns: list[np.ndarray]) -> tuple[float, float]:
    return min(float(c.min()) for c in columns), max(float(c.max()) for c in columns)
