"""Sources of training data: data sets that are there, are made, or grow as they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.generation import generate
from nbody_surrogate.datasets.live import LiveWindows
from nbody_surrogate.datasets.manifest import spec_hash
from nbody_surrogate.datasets.shard import Block
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.datasets.windows import AbstractWindows, DatasetWindows, Windows
from nbody_surrogate.evaluation import Truth
from nbody_surrogate.metrics import closest_pair, fastest
from nbody_surrogate.surrogate import ParticleTensors
from nbody_surrogate.system import AbstractSystem, FieldLaw
from nbody_surrogate.training.recipe import DataRecipe, Recipe

__all__ = ["Source", "open_sources"]

SAMPLED = 64  # live trajectories that the card's ranges are taken from


@dataclass
class Source:
    """Windows to train on, without end, and trajectories to validate by."""

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
    recipe: Recipe, folder: Path, workers: int, report: Callable[[str], None]
) -> list[Source]:
    """Open the sources of a recipe, making what is missing in the run folder."""
    sources = []
    for number, data in enumerate(recipe.data):
        seed = recipe.seed + number
        if data.live:
            sources.append(_live(recipe, data, workers, seed))
            continue
        spec = data.dataset_spec()
        if spec is not None:
            place = folder / f"data-{number}"
            if not (place / "manifest.json").is_file():
                report(f"making {spec.trajectories} of {spec.system}, {spec.particles} particles")
            dataset = generate(spec, place, workers=workers)
        else:
            assert data.folder is not None
            dataset = Dataset(data.folder)
        sources.append(_stored(recipe, data, dataset, seed))
    return sources


def _stored(recipe: Recipe, data: DataRecipe, dataset: Dataset, seed: int) -> Source:
    rows = recipe.chunk + 1
    windows = DatasetWindows(dataset, window=rows, batch=data.batch, seed=seed)
    columns = [
        (b.particles.charges, b.particles.masses, *_extremes(b)) for b in dataset.blocks("train")
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
        _truth(dataset, "train", recipe.validation),
        _truth(dataset, "validation", recipe.validation)
        if dataset.spec.splits.get("validation")
        else None,
    )


def _live(recipe: Recipe, data: DataRecipe, workers: int, seed: int) -> Source:
    spec = data.dataset_spec()
    assert spec is not None
    rows = recipe.chunk + 1
    count = max(SAMPLED, recipe.validation)  # the first trajectories are kept for validation
    windows = LiveWindows(
        spec, window=rows, batch=data.batch, threads=workers, seed=seed, first=count
    )
    system, block = spec.make_system(), windows.trajectories(0, count)
    truth = Truth(system, block.x, block.v, block.particles)
    return Source(
        spec,
        system,
        windows,
        spec_hash(spec),
        _range([abs(block.particles.charges)]),
        _range([block.particles.masses]),
        *_extremes(block),
        truth,
        truth,
    )


def _truth(dataset: Dataset, split: str, most: int) -> Truth:
    part = dataset.part(split)
    block = dataset.read(part.start, min(part.start + most, part.stop))
    return Truth(dataset.system(), block.x, block.v, block.particles)


def _extremes(block: Block) -> tuple[float, float]:
    """Smallest distance of a pair and largest speed in a block."""
    return float(closest_pair(block.x).min()), float(fastest(block.v).max())


def _range(columns: list[np.ndarray]) -> tuple[float, float]:
    return min(float(c.min()) for c in columns), max(float(c.max()) for c in columns)
