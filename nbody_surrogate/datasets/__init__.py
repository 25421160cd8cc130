"""Data sets that reproduce: a recipe, shards with their hashes, and what is known of their errors.

A data set is a folder::

    manifest.json       the recipe, versions, and for each shard its name, size and SHA-256
    shard-00000.h5      trajectories 0, 1, ... in plain HDF5, see `nbody_surrogate.datasets.shard`
    shard-00001.h5

Trajectory i is drawn by ``SeedSequence(seed, spawn_key=(i,))`` and simulated by itself, so it is
the same bits whatever the size of the shards, the number of workers, or their order. Data sets
of the literature draw their starts one after the other from one stream, as their programs do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbody_surrogate.datasets.auditing import Audit, Finding, audit
    from nbody_surrogate.datasets.dataset import Block, Dataset
    from nbody_surrogate.datasets.exports import export_npz, export_nri
    from nbody_surrogate.datasets.generation import generate
    from nbody_surrogate.datasets.imports import import_nri
    from nbody_surrogate.datasets.live import LiveWindows
    from nbody_surrogate.datasets.spec import DatasetSpec, read_spec
    from nbody_surrogate.datasets.verification import verify
    from nbody_surrogate.datasets.windows import DatasetWindows, Windows

_HOMES = {
    "Audit": "auditing",
    "Block": "dataset",
    "Dataset": "dataset",
    "DatasetSpec": "spec",
    "DatasetWindows": "windows",
    "Finding": "auditing",
    "LiveWindows": "live",
    "Windows": "windows",
    "audit": "auditing",
    "export_npz": "exports",
    "export_nri": "exports",
    "generate": "generation",
    "import_nri": "imports",
    "read_spec": "spec",
    "verify": "verification",
}

__all__ = [
    "Audit",
    "Block",
    "Dataset",
    "DatasetSpec",
    "DatasetWindows",
    "Finding",
    "LiveWindows",
    "Windows",
    "audit",
    "export_npz",
    "export_nri",
    "generate",
    "import_nri",
    "read_spec",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
