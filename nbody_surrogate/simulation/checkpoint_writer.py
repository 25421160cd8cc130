"""DOC."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from nbody_surrogate.contracts.integrator import AbstractIntegrator
from nbody_surrogate.contracts.segment import Carry
from nbody_surrogate.results.trajectory import RunInfo
from nbody_surrogate.simulation.checkpoint import Checkpoint, Document, GuardState, Maker, Restart
from nbody_surrogate.simulation.guard.monitor import Watch
from nbody_surrogate.simulation.recorder import Loop

if TYPE_CHECKING:
    from nbody_surrogate.formats.h5md import H5MDWriter

__all__ = ["Keeper"]


@final
class Keeper:
    """Writes the restart file of one run, at each boundary.

    Parameters
    ----------
    checkpoint : Checkpoint
    method : AbstractIntegrator
    info : RunInfo
        What is known of the run from its start.
    output : path_like
        The run's H5MD file.

    Attributes
    ----------
    writer : H5MDWriter or None
        Of the output; what it has written is on the disk before the restart file says so.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        method: AbstractIntegrator,
        info: RunInfo,
        output: str | os.PathLike[str],
    ) -> None:
        self._path, self._method, self._info = Path(checkpoint.path), method, info
        self._output, self._note = str(Path(output).absolute()), dict(checkpoint.note)
        self._made_by = Maker.of(method)
        self.writer: H5MDWriter | None = None

    def __call__(self, loop: Loop, carry: Carry) -> None:
        """Replace the file by that of a boundary."""
        if self.writer is not None:
            self.writer.sync()
        problem = carry.problem
        document = Document(
            system=self._info.system,
            method=self._info.method,
            made_by=self._made_by,
            t0=problem.t0,
            dt=problem.dt,
            frames=loop.frames,
            frame=carry.frame,
            seed=self._info.seed,
            output=self._output,
            counters=loop.counters,
            wall_time=loop.wall_time,
            good=tuple(int(count) for count in loop.good),
            message=tuple(loop.message),
            guard=None if loop.watch is None else _guard_state(loop.watch),
            note=self._note,
        )
        particles = problem.particles
        arrays = {"charges": particles.charges, "masses": particles.masses}
        if particles.couplings is not None:
            arrays["couplings"] = particles.couplings
        arrays |= {f"carry.{key}": y for key, y in self._method.stored(carry).items()}
        if loop.watch is not None:
            arrays |= {f"guard.{key}": y for key, y in loop.watch.budget.arrays.items()}
        whole = {key: np.ascontiguousarray(y).reshape(y.shape) for key, y in arrays.items()}
        Restart(document, whole).write(self._path)


def _guard_state(watch: Watch) -> GuardState:
    return GuardState(
        policy=watch.guard.policy,
        thresholds=watch.guard.thresholds.model_dump(),
        reference=watch.report.reference,
        report=watch.report,
    )
