"""Sources of training data: data sets that are there, are made, or grow as they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch

from nbody_surrogate.contracts.box import Box
from nbody_surrogate.contracts.domain import DomainRanges
from nbody_surrogate.contracts.force_laws import FieldLaw
from nbody_surrogate.contracts.surrogate import ParticleTensors
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.generation.generate import generate_dataset
from nbody_surrogate.datasets.generation.live_windows import LiveWindows
from nbody_surrogate.datasets.manifest import spec_hash
from nbody_surrogate.datasets.spec import DatasetSpec
from nbody_surrogate.datasets.task_rows import task_rows
from nbody_surrogate.datasets.windows import (
    AbstractWindows,
    DatasetWindows,
    SizedWindows,
    Windows,
)
from nbody_surrogate.errors import RunError, one_line
from nbody_surrogate.evaluation.rollouts import Truth
from nbody_surrogate.files.new_file import make_subfolder
from nbody_surrogate.results.metrics import closest_pair, fastest
from nbody_surrogate.training.measure_domain import measure_ranges
from nbody_surrogate.training.recipe import DataRecipe, Recipe

__all__ = ["Source", "open_sources"]

SAMPLED = 64  # live trajectories that the card's ranges are taken from
BLOCKS = 8  # of trajectories that a model is initialised by


@dataclass
class Source:
    """Windows to train on, without end, and trajectories to validate by.

    Of a task, trajectories are the rows that it is of.

    Attributes
    ----------
    spec : DatasetSpec
    system : AbstractSystem
    windows : AbstractWindows
    digest : str
        SHA-256 that names the data, for the card.
    charges, masses : tuple of float
        From the smallest to the largest; of charges, the absolute values.
    radii : tuple of float, or None
        The same, of particles that have some.
    closest, fastest : float
        Smallest distance of a pair, largest speed of a particle.
    train, validation : Truth
        Trajectories to score by; without a validation split the latter is None.
    beginning : callable
        Returns the trajectories that a model is initialised by.
    ranges : callable
        Measures the invariants of all frames that are trained on, once.
    spacing : float
        Time between frames.
    horizon : float or None
        Time from the last frame to the answer of a task.
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
    ranges: Callable[[], DomainRanges]
    spacing: float
    horizon: float | None
    radii: tuple[float, float] | None = None
    _rest: Iterator[Windows | SizedWindows] | None = None

    def next(self) -> Windows | SizedWindows:
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
        self, windows: Windows | SizedWindows, device: torch.device | str, dtype: torch.dtype
    ) -> ParticleTensors:
        """Bring the particles of a batch to a model's device and dtype."""
        # to the device first, which is the faster way for small tensors
        charges, masses = windows.charges.to(device), windows.masses.to(device)
        radii = windows.radii.to(device).to(dtype) if isinstance(windows, SizedWindows) else None
        return ParticleTensors(charges.to(dtype), masses.to(dtype), self.field, radii)

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
            place = _place(folder, number)
            if not (place / "manifest.json").is_file():
                made = counted(spec.trajectories, "trajectory")
                of_each = counted(spec.particles, "particle")
                report(f"making {made} of {spec.system}, {of_each}")
            dataset = generate_dataset(spec, place, workers=workers)
        else:
            assert data.folder is not None
            dataset = Dataset(data.folder)
        sources.append(_stored(recipe, data, dataset, seed, history))
    return sources


def _place(folder: Path, number: int) -> Path:
    """Make the folder of a data set within that of a run."""
    try:
        return make_subfolder(folder, f"data-{number}")
    except OSError as error:
        raise RunError(f"`output`: {one_line(error)}") from None


class _Extent(NamedTuple):
    """From where to where the properties of some trajectories go."""

    charges: tuple[float, float]
    masses: tuple[float, float]
    closest: float
    fastest: float
    radii: tuple[float, float] | None

    @classmethod
    def of(cls, blocks: Iterable[TrajectoryBlock], box: Box | None) -> _Extent:
        """Look at all frames of some trajectories, block by block."""
        charges, masses, near, fast, radii = [], [], [], [], []
        for block in blocks:
            sizes = abs(block.particles.charges)
            charges += [float(sizes.min()), float(sizes.max())]
            masses += [float(block.particles.masses.min()), float(block.particles.masses.max())]
            near.append(float(closest_pair(block.x, box).min()))
            fast.append(float(fastest(block.v).max()))
            if block.particles.radii is not None:
                radii += [float(block.particles.radii.min()), float(block.particles.radii.max())]
        return cls(
            (min(charges), max(charges)),
            (min(masses), max(masses)),
            min(near),
            max(fast),
            (min(radii), max(radii)) if radii else None,
        )


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
    system = dataset.system()
    extent = _Extent.of(dataset.blocks("train"), system.box)
    has_validation = dataset.spec.splits.get("validation", 0) > 0
    return Source(
        spec=dataset.spec,
        system=system,
        windows=windows,
        digest=dataset.manifest.digest,
        charges=extent.charges,
        masses=extent.masses,
        closest=extent.closest,
        fastest=extent.fastest,
        train=_truth(dataset, "train", recipe.validation, picked),
        validation=_truth(dataset, "validation", recipe.validation, picked)
        if has_validation
        else None,
        beginning=lambda: _truth(dataset, "train", BLOCKS * dataset.block_size, picked),
        # when a card is written: it takes a minute for a million frames of 30 particles
        ranges=cache(partial(_measured, dataset, system)),
        spacing=spacing,
        horizon=horizon,
        radii=extent.radii,
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
    extent = _Extent.of([block], truth.system.box)
    return Source(
        spec=spec,
        system=truth.system,
        windows=windows,
        digest=spec_hash(spec),
        charges=extent.charges,
        masses=extent.masses,
        closest=extent.closest,
        fastest=extent.fastest,
        train=truth,
        validation=truth,
        beginning=lambda: truth,
        ranges=cache(partial(measure_ranges, truth.system, [block], count, block.x.shape[1])),
        spacing=spacing,
        horizon=horizon,
        radii=extent.radii,
    )


def _measured(dataset: Dataset, system: AbstractSystem) -> DomainRanges:
    """Measure all that is trained on."""
    trajectories = len(dataset.part("train"))
    return measure_ranges(system, dataset.blocks("train"), trajectories, dataset.spec.rows)


def _truth(dataset: Dataset, split: str, most: int, picked: tuple[int, ...] | None) -> Truth:
    part = dataset.part(split)
    block = dataset.read(part.start, min(part.start + most, part.stop))
    return _picked(dataset.system(), block, picked)


def _picked(
    system: AbstractSystem, block: TrajectoryBlock, picked: tuple[int, ...] | None
) -> Truth:
    """Keep the rows of a task, or all."""
    rows = slice(None) if picked is None else list(picked)
    hidden = {name: values[:, rows] for name, values in block.hidden.items()}
    return Truth(system, block.x[:, rows], block.v[:, rows], block.particles, hidden)
