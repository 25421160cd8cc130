"""Data sets that reproduce: a spec, shards with their hashes, and what is known of their errors.

A data set is a folder::

    manifest.json       the spec, versions, and for each shard its name, size and SHA-256
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
    from nbody_surrogate.datasets.audit.audit import Audit, Finding, audit_dataset
    from nbody_surrogate.datasets.block import TrajectoryBlock
    from nbody_surrogate.datasets.dataset import Dataset
    from nbody_surrogate.datasets.exchange.exports import export_npz, export_nri
    from nbody_surrogate.datasets.exchange.imports import import_nri
    from nbody_surrogate.datasets.generation.generate import generate_dataset
    from nbody_surrogate.datasets.generation.live_windows import LiveWindows
    from nbody_surrogate.datasets.spec import DatasetSpec, read_spec
    from nbody_surrogate.datasets.verify import verify_dataset
    from nbody_surrogate.datasets.windows import DatasetWindows, Windows

_HOMES = {
    "Audit": "audit.audit",
    "TrajectoryBlock": "block",
    "Dataset": "dataset",
    "DatasetSpec": "spec",
    "DatasetWindows": "windows",
    "Finding": "audit.audit",
    "LiveWindows": "generation.live_windows",
    "Windows": "windows",
    "audit_dataset": "audit.audit",
    "export_npz": "exchange.exports",
    "export_nri": "exchange.exports",
    "generate_dataset": "generation.generate",
    "import_nri": "exchange.imports",
    "read_spec": "spec",
    "verify_dataset": "verify",
}

__all__ = [
    "Audit",
    "Dataset",
    "DatasetSpec",
    "DatasetWindows",
    "Finding",
    "LiveWindows",
    "TrajectoryBlock",
    "Windows",
    "audit_dataset",
    "export_npz",
    "export_nri",
    "generate_dataset",
    "import_nri",
    "read_spec",
    "verify_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
