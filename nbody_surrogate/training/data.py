"""Training data: trajectories of the reference solver, made once and kept in the run folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nbody_surrogate.errors import FileFormatError, RunError
from nbody_surrogate.integrator import AbstractIntegrator
from nbody_surrogate.registry import integrator_options, make_integrator, make_system
from nbody_surrogate.simulation import simulate
from nbody_surrogate.training.recipe import Recipe

__all__ = ["Pool", "load_or_make", "make_reference"]

PART = 25  # trajectories of one task


class Pool(NamedTuple):
    """Trajectories of one particle number: x, v (B, T, N, D) and charges, masses (B, N)."""

    x: Tensor
    v: Tensor
    charges: Tensor
    masses: Tensor

    @property
    def n(self) -> int:
        """Number of particles."""
        return int(self.charges.shape[1])


def load_or_make(
    recipe: Recipe, folder: Path, workers: int, report: Callable[[str], None]
) -> tuple[list[Pool], str]:
    """Read the data of a run folder, making what is missing; return them and their SHA-256."""
    pools, digest = [], hashlib.sha256()
    for n, trajectories in zip(recipe.data.particles, recipe.data.trajectories, strict=True):
        path = folder / f"data-n{n}.npz"
        if not path.is_file():
            report(f"making {trajectories} trajectories of {n} particles")
            _write(path, _make(recipe, n, trajectories, workers))
        try:
            with np.load(path, allow_pickle=False) as arrays:
                columns = [arrays[key] for key in Pool._fields]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            raise FileFormatError(f"{str(path)!r} is damaged; remove it to make it again") from None
        for column in columns:
            digest.update(np.ascontiguousarray(column).data)
        pools.append(Pool(*(torch.from_numpy(column) for column in columns)))
    return pools, digest.hexdigest()


def make_reference(recipe: Recipe) -> AbstractIntegrator:
    """Build the solver that makes the data."""
    data = recipe.data
    tolerances = {"rtol": data.tolerance, "atol": data.tolerance}
    known = integrator_options(data.integrator)
    options = {key: value for key, value in tolerances.items() if key in known}
    return make_integrator(data.integrator, **options)


def _make(recipe: Recipe, n: int, trajectories: int, workers: int) -> dict[str, np.ndarray]:
    starts = range(0, trajectories, PART)
    tasks = [(recipe, n, first, min(PART, trajectories - first)) for first in starts]
    with ProcessPoolExecutor(workers) as executor:
        parts = list(executor.map(_make_part, tasks))
    return {key: np.concatenate([part[i] for part in parts]) for i, key in enumerate(Pool._fields)}


def _make_part(task: tuple[Recipe, int, int, int]) -> tuple[np.ndarray, ...]:
    """Trajectories first, first + 1, ... of one particle number, each by its own seed."""
    recipe, n, first, count = task
    data, integrator = recipe.data, make_reference(recipe)
    system = make_system(recipe.system, **recipe.system_parameters)
    runs = []
    for i in range(first, first + count):
        rng = np.random.default_rng(np.random.SeedSequence(data.seed, spawn_key=(n, i)))
        state, particles = system.sample(rng, n)
        run = simulate(system, state, particles, data.frames, integrator)
        if not run.info.success:
            raise RunError(f"training trajectory {i} of {n} particles: {run.info.message[0]}")
        runs.append(run)
    return (
        np.concatenate([run.x for run in runs]),
        np.concatenate([run.v for run in runs]),
        np.concatenate([run.particles.charges for run in runs]),
        np.concatenate([run.particles.masses for run in runs]),
    )


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    temporary.replace(path)
