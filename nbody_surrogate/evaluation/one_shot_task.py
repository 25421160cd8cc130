"""The task of a data set, as one-shot models are scored on it: windows and their targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.state import Particles, Selection, selected
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.datasets.dataset import Dataset
from nbody_surrogate.datasets.task_rows import task_rows
from nbody_surrogate.datasets.velocity_lag import velocities_in_step

__all__ = ["OneShotTask", "clean_subset", "read_task"]

JUMP = 0.05
"""Change of a label's energy from which on it is not in the clean subset."""


class OneShotTask(NamedTuple):
    """Windows and their targets.

    Attributes
    ----------
    system : AbstractSystem
        The physics that the data stand for.
    x, v : ndarray, shape (B, L, N, D)
    particles : Particles, shape (B, N)
    end_x, end_v : ndarray, shape (B, N, D)
        The target.
    spacing : float
        Time from one frame to the next; of a single frame, to the target.
    horizon : float
        Time from the last frame to the target.
    lag : float
        How far in time velocities are behind positions.
    """

    system: AbstractSystem
    x: np.ndarray
    v: np.ndarray
    particles: Particles
    end_x: np.ndarray
    end_v: np.ndarray
    spacing: float
    horizon: float
    lag: float

    def subset(self, index: Selection) -> OneShotTask:
        """Return the task of some trajectories, as `Particles` takes them.

        Raises
        ------
        InputError
            If they are not there, or there are none.
        """
        some = selected(index, len(self.x))
        return self._replace(
            x=self.x[some],
            v=self.v[some],
            particles=self.particles[some],
            end_x=self.end_x[some],
            end_v=self.end_v[some],
        )

    def turned(self, matrices: np.ndarray) -> OneShotTask:
        """Return the task with trajectory b turned by the b-th of matrices (B, D, D)."""
        return self._replace(
            x=np.einsum("btnd,bde->btne", self.x, matrices),
            v=np.einsum("btnd,bde->btne", self.v, matrices),
            end_x=np.einsum("bnd,bde->bne", self.end_x, matrices),
            end_v=np.einsum("bnd,bde->bne", self.end_v, matrices),
        )


def read_task(
    dataset: Dataset, split: str | None, history: int, most: int | None = None
) -> OneShotTask:
    """Read the task of a data set, or of one split, for a model of a given history.

    Parameters
    ----------
    dataset : Dataset
    split : str or None
        None for all trajectories.
    history : int
        Input rows, L.
    most : int, optional
        Of the trajectories; the first ones are taken.

    Raises
    ------
    InputError
        If there is no task or no such split, or its rows do not fit the history.
    FileFormatError
        If the data set is damaged.
    """
    rows = task_rows(dataset.spec, history)
    part = dataset.part(split)
    stop = part.stop if most is None else min(part.start + most, part.stop)
    block = dataset.read(part.start, stop)
    system = dataset.system()
    picked = list(rows.rows)
    x, v = block.x[:, picked], block.v[:, picked]
    return OneShotTask(
        # Data that are made with clipped forces stand for the physics without the clipping.
        system.ideal(),
        x[:, :-1],
        v[:, :-1],
        block.particles,
        x[:, -1],
        v[:, -1],
        rows.spacing * system.spec.frame_dt,
        rows.horizon * system.spec.frame_dt,
        dataset.spec.velocity_lag,
    )


def clean_subset(task: OneShotTask) -> np.ndarray:
    """Say which labels keep their energy, shape (B,): all, where the system does not.

    A label whose energy jumps is wrong: its solver stepped over a close encounter. No model can be
    expected to be wrong in the same way.
    """
    if "energy" not in task.system.conserved:
        return np.ones(len(task.x), bool)
    energies = []
    with np.errstate(all="ignore"):  # a target of zeros has no energy
        for x, v in ((task.x[:, -1], task.v[:, -1]), (task.end_x, task.end_v)):
            in_step = velocities_in_step(task.system, task.lag, x, v, task.particles)
            energies.append(task.system.invariants(x, in_step, task.particles).energy)
        return np.asarray(np.abs(energies[1] - energies[0]) <= JUMP)
