"""Small data sets to be made, and what is in their folders."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.datasets import generate_dataset
from nbody_surrogate.datasets.manifest import read_manifest

SMALL = {"particles": 3, "trajectories": 7, "frames": 4, "shard": 3}
"""Shards of 3, 3 and 1 trajectories, by the default system and solver."""
PLACES = {"rows": 49, "offsets": {"validation": 9, "test": 20}}
STARTS = {"first": 0, "frames": 1, "task": None}
LEGACY = {"preset": "nbody-small", "trajectories": 14, "shard": 3, "legacy": PLACES, **STARTS}
"""Six trajectories for training, from the beginning of the stream, then gaps of 3 and of 7."""
CASES = {
    "dop853-compiled": {},
    "leapfrog": {"integrator": "leapfrog"},
    "a seed and an option": {"system": "trap", "seed": 7, "options": {"rtol": 1e-6}},
    "masses": {"system": "gravity", "parameters": {"mass_range": [0.5, 2.0]}},
    "couplings": {"system": "springs", "dimensions": 2, "integrator": "dop853"},
    "a magnetic field": {"system": "penning", "integrator": "boris"},
    "one particle": {"system": "oscillator", "particles": 1},
}


class StopError(Exception):
    """Stands for whatever ends a run."""


def contents(folder):
    """All files of a folder, and what is in them."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def written(folder):
    """When each shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*.h5")}


def shards(folder):
    return {name: data for name, data in contents(folder).items() if name.startswith("shard-")}


def edit(folder, **changes):
    """Change the manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def listed(folder):
    return [record.name for record in read_manifest(folder).shards]


def arrays(data):
    """Positions, velocities, charges, masses, and couplings where there are any."""
    block = data.read(0, len(data))
    found = [block.x, block.v, block.particles.charges, block.particles.masses]
    return found if block.particles.couplings is None else [*found, block.particles.couplings]


def assert_same(some, others):
    """All bits are the same."""
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


def stopped(spec, folder, trajectories, error=StopError, **options):
    """Make a part of a data set."""

    def progress(done, total):
        if done >= trajectories:
            raise error

    with pytest.raises(error):
        generate_dataset(spec, folder, progress=progress, **options)


def refused(kind, *arguments, **options):
    """The one line with which `generate` refuses."""
    with pytest.raises(kind) as caught:
        generate_dataset(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def no_leftovers(folder):
    return not [path for path in folder.iterdir() if path.suffix in (".part", ".lock")]


class Counting(AbstractIntegrator):
    """Leaves everything where it is, and notes the sizes of batches."""

    name: ClassVar[str] = "counting"
    invariant: ClassVar[bool] = False
    sizes: ClassVar[list[int]] = []

    @property
    def batch_invariant(self):
        return self.invariant

    def _start(self, problem, state):
        return {}

    def _advance(self, carry, frames, tick):
        x, v = (np.repeat(carry.arrays[key][:, None], frames, axis=1) for key in ("x", "v"))
        self.sizes.append(len(x))
        return Frames(x, v)
