"""Data sets in memory that are audited."""

from __future__ import annotations

import json

import numpy as np

from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.datasets import DatasetSpec, audit_dataset
from nbody_surrogate.datasets.block import TrajectoryBlock
from nbody_surrogate.datasets.dataset import AbstractTrajectories

CONVERGED = 1e-17
"""Mean MSE of two solutions at tolerances of 1e-9 and 1e-10 one frame apart; 4e-20 is measured."""
SPLITS = {"train": 24, "validation": 6, "test": 10}
SIZE, ROWS, N = 40, 16, 5
RECIPE = {"trajectories": SIZE, "splits": SPLITS, "frames": ROWS - 1, "particles": N, "shard": 20}
TASK = {"input": 6, "target": 9}


class Rows(AbstractTrajectories):
    """Arrays that a test may spoil, served as a data set."""

    def __init__(self, block, recipe):
        self.spec = DatasetSpec(**recipe)
        self.x, self.v = block.x.copy(), block.v.copy()
        self.charges = block.particles.charges.copy()

    def _read(self, start, stop):
        charges = self.charges[start:stop]
        particles = Particles(charges, np.ones_like(charges))
        return TrajectoryBlock(self.x[start:stop], self.v[start:stop], particles)


def audited(trajectories, **options):
    """Audit, and demand what holds of every audit."""
    found = audit_dataset(trajectories, **options)
    assert found.trajectories == len(trajectories)
    assert all("\n" not in finding.text for finding in found.findings)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["level"] == found.level
    assert [each["check"] for each in told["findings"]] == [each.check for each in found.findings]
    return found


def levels(found):
    """Levels of all findings that are not ok."""
    return {each.check: each.level for each in found.findings if each.level != "ok"}


def duplicate(data, source, copy, order=slice(None)):
    data.x[copy], data.v[copy] = data.x[source][:, order], data.v[source][:, order]
    data.charges[copy] = data.charges[source][order]
