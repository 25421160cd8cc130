"""What a trajectory and an ensemble have in common: what is conserved, files, and how they show."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from nbody_surrogate.contracts.attributes import Suggesting
from nbody_surrogate.contracts.calls import guided
from nbody_surrogate.contracts.hidden_variables import Hidden
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.time_text import time_span_text
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.registry import system_from
from nbody_surrogate.results.conserved import energies, motions
from nbody_surrogate.results.error_estimate import ERROR_ESTIMATE, SYSTEM_ERROR
from nbody_surrogate.results.run_info import RunInfo

if TYPE_CHECKING:
    from jaxtyping import Float64
    from matplotlib.figure import Figure

__all__ = ["AbstractRun"]


class AbstractRun(Suggesting, ABC):
    """A run: frames at growing times, in reduced units, of one trajectory or of several.

    To write one: declare the fields below, implement `_batch`, and `_taken`, its way back.

    Attributes
    ----------
    t : ndarray, shape (T,)
    x, v : ndarray, shape ([B,] T, N, D)
    particles : Particles
    info : RunInfo
    observables : mapping of str to ndarray
    hidden : mapping of str to ndarray
    """

    t: np.ndarray
    x: np.ndarray
    v: np.ndarray
    particles: Particles
    info: RunInfo
    observables: Mapping[str, np.ndarray]
    hidden: Hidden

    other_words = MappingProxyType(
        {
            **dict.fromkeys(["positions", "position", "coordinates", "pos", "xyz"], "`x`"),
            **dict.fromkeys(["velocities", "velocity", "vel"], "`v`"),
            **dict.fromkeys(["times", "time", "ts"], "`t`"),
            "y": "`x` and `v`",
            "charges": "`particles.charges`",
            "masses": "`particles.masses`",
            **dict.fromkeys(["n_frames", "frames", "num_frames"], "`len(run.t)`"),
            "n_particles": "`particles.n`",
            "shape": "`x.shape`",
            "success": "`info.success`",
            "status": "`info.status`",
            "message": "`info.message`",
            "forces": "`system().acceleration(run.x, run.v, run.particles)`",
            "invariants": "`energy`, `momentum` and `angular_momentum`",
            **dict.fromkeys(["trajectories", "trajectory"], "`run[0]`, `run[1]`, ..."),
            **dict.fromkeys(["write", "to_hdf5", "to_hdf", "export"], "`save('run.h5')`"),
            **dict.fromkeys(["to_dataframe", "to_pandas", "numpy"], "`t`, `x` and `v`, arrays"),
            **dict.fromkeys(["render", "animate", "show"], "`nbody_surrogate.render(run, path)`"),
            "compare": "`nbody_surrogate.compare(reference, run)`",
        }
    )

    @abstractmethod
    def _batch(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return `x` and `v` (B, T, N, D), and which frames are valid (B, T)."""

    @abstractmethod
    def _taken(self, values: np.ndarray) -> np.ndarray:
        """Return values (B, T, ...) with the axes that this run has."""

    @property
    def error_estimate(self) -> Float64[np.ndarray, "*B T"] | None:
        """Bound of the position RMSE at each frame, shape (T,) or (B, T); None where not made.

        Against the exact motion from the run's start, per coordinate, as that of `compare`. It is
        made while a surrogate runs, and is above the true error in the share of runs that
        ``info.error_estimate.coverage`` says. NaN in frames that are not valid.
        """
        return self.observables.get(ERROR_ESTIMATE)

    @property
    def system_error(self) -> Float64[np.ndarray, "*B T"] | None:
        """Error of the system's own truncation, shape (T,) or (B, T); None where not measured.

        Of a run made with ``verify``, whose system has a `finer` version: the position RMSE, per
        coordinate, between sharper runs of the two. `label_error` is that of the run's steps in
        time. NaN from the first frame that is not good in either.
        """
        return self.observables.get(SYSTEM_ERROR)

    @property
    def energy(self) -> Float64[np.ndarray, "*B T"]:
        """Total energy at each frame, shape (T,) or (B, T); NaN in frames that are not valid.

        It is made from the frames each time, whether or not the system conserves it:
        ``run.system().conserved`` says that.

        Raises
        ------
        InputError
            If the system has no potential energy, or the run does not name its system.
        """
        system = self.system()
        if not system.has_potential:
            raise InputError(
                f"`energy` needs a potential energy, which system {system.name!r} has not; "
                "there is `kinetic_energy`"
            )
        x, v, valid = self._batch()
        return self._taken(energies(system, x, v, self.particles, valid))

    @property
    def potential_energy(self) -> Float64[np.ndarray, "*B T"]:
        """Potential energy at each frame, shape (T,) or (B, T); NaN as of `energy`."""
        return np.asarray(self.energy - self.kinetic_energy)

    @property
    def kinetic_energy(self) -> Float64[np.ndarray, "*B T"]:
        """Kinetic energy at each frame, shape (T,) or (B, T); NaN in frames that are not valid."""
        x, v, valid = self._batch()
        return self._taken(motions(x, v, self.particles, valid).kinetic)

    @property
    def momentum(self) -> Float64[np.ndarray, "*B T D"]:
        """Total momentum at each frame, shape (T, D) or (B, T, D); NaN as of `energy`."""
        x, v, valid = self._batch()
        return self._taken(motions(x, v, self.particles, valid).momentum)

    @property
    def angular_momentum(self) -> Float64[np.ndarray, "*B T A"]:
        """Angular momentum about the origin, shape ([B,] T, 3), or ([B,] T, 1) in the plane."""
        x, v, valid = self._batch()
        return self._taken(motions(x, v, self.particles, valid).angular_momentum)

    def system(self) -> AbstractSystem:
        """Build the system that the run was made with.

        Returns
        -------
        AbstractSystem

        Raises
        ------
        InputError
            If the run does not say, or its system is not installed.
        """
        return system_from(self.info.system)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the run to a file, as `nbody_surrogate.save` does.

        Parameters
        ----------
        path : path_like
            By its ending H5MD (``.h5``), which `nbody_surrogate.load` reads back to the bit, or
            ``.npz``, ``.extxyz`` or ``.vtkhdf`` for other programs.
        overwrite : bool
            Whether to replace a file that is there already.

        Returns
        -------
        Path
        """
        # by its public name: no module of results knows what writes them
        from nbody_surrogate import save

        return save(self, path, overwrite=overwrite)  # type: ignore[arg-type]  # one of the two

    @guided(
        args="to a file by run.plot().savefig('run.png'), a coordinate of one trajectory by "
        "plt.plot(trajectory.t, trajectory.x[:, :, 0])"
    )
    def plot(self) -> Figure:
        """Draw the paths of the first trajectory and what is conserved.

        As `nbody_surrogate.plot` does.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from nbody_surrogate import plot

        return plot(self)  # type: ignore[arg-type]  # a Trajectory or an Ensemble

    # NumPy would make an array of objects of what has a length and can be indexed
    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise InputError(f"a run is no array: there are {self.other_words['numpy']}")

    # IPython looks for this name
    def _repr_html_(self) -> str:
        """Show a small picture in a notebook, of the first trajectory."""
        from nbody_surrogate import thumbnail

        return thumbnail(self)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        frames, n, dimensions = self.x.shape[-3:]
        batch = f"{counted(len(self.x), 'trajectory')}, " * (self.x.ndim == 4)
        stopped = sum(1 for why in self.info.message if why)
        valid = f", {stopped} stopped early" if stopped else ""
        name = self.info.system.get("system", "unknown system")
        return (
            f"<{type(self).__name__}: {name} by {self.info.label}, {batch}"
            f"{counted(frames, 'frame')}, t = {time_span_text(self.t)}, "
            f"{counted(n, 'particle')} in {dimensions} dimensions{valid}>"
        )
