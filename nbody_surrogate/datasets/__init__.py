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

from typing import TYPE_CHECKING

from nbody_surrogate.lazy import lazy_names

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
    from nbody_surrogate.datasets.windows import DatasetWindows, SizedWindows, Windows
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "nbody_surrogate.datasets.audit.audit": ["Audit", "Finding", "audit_dataset"],
            "nbody_surrogate.datasets.block": ["TrajectoryBlock"],
            "nbody_surrogate.datasets.dataset": ["Dataset"],
            "nbody_surrogate.datasets.exchange.exports": ["export_npz", "export_nri"],
            "nbody_surrogate.datasets.exchange.imports": ["import_nri"],
            "nbody_surrogate.datasets.generation.generate": ["generate_dataset"],
            "nbody_surrogate.datasets.generation.live_windows": ["LiveWindows"],
            "nbody_surrogate.datasets.spec": ["DatasetSpec", "read_spec"],
            "nbody_surrogate.datasets.verify": ["verify_dataset"],
            "nbody_surrogate.datasets.windows": ["DatasetWindows", "SizedWindows", "Windows"],
        },
    )

__all__ = [
    "Audit",
    "Dataset",
    "DatasetSpec",
    "DatasetWindows",
    "Finding",
    "LiveWindows",
    "SizedWindows",
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
