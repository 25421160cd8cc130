"""Results: trajectories, and ensembles of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nbody_surrogate.contracts.arguments import demand_whole
from nbody_surrogate.contracts.segment import OVER_BUDGET
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.registry import system_from
from nbody_surrogate.results.frame_arrays import demand_frames
from nbody_surrogate.results.guard_report import GuardReport
from nbody_surrogate.results.observables import known_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Ensemble", "RunInfo", "Trajectory", "as_ensemble"]


@dataclass(frozen=True)
class RunInfo:
    """How a run came about and how it ended.

    Attributes
    ----------
    system : dict
        Name and parameters of the system.
    method : dict
        Name and options of the integrator; for a surrogate also its weights' hash.
    versions : dict
        Of the libraries that matter for the numbers.
    wall_time : float
        Seconds spent stepping, loading and compilation excluded as far as they came before; NaN
        where nobody knows, as of another program's file.
    counters : dict
        Such as ``nfev``.
    status : tuple of int
        One for each trajectory: 0 for success, -1 where it stopped, and -2 where it reached its
        end but lost more than its guard's budget.
    message : tuple of str
        One for each trajectory.
    good : tuple of int
        Valid frames of each trajectory, the start included.
    seed : int or None
        Of the sampler, where there was one.
    guard : GuardReport or None
        What the guard of a guarded run found and did.
    threads : int
        Of the CPU, that the method computed on; 0 where nobody knows.
    identifier : str
        Drawn at random for a run that goes into a file: by it a restart file knows its output.
        Empty where there is none.
    """

    # descriptions, no objects: they go into files, which are read where a plugin is missing too
    system: dict[str, Any]
    method: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    wall_time: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    status: tuple[int, ...] = ()
    message: tuple[str, ...] = ()
    good: tuple[int, ...] = ()
    seed: int | None = None
    guard: GuardReport | None = None
    threads: int = 0
    identifier: str = ""

    @property
    def success(self) -> bool:
        """Whether every trajectory reached its last frame, within its guard's budget."""
        return all(code == 0 for code in self.status)

    @property
    def label(self) -> str:
        """The method's name with its tolerance, step or sub-steps, and its guard."""
        # tables must tell it from a run of the method alone
        return self._method if self.guard is None else f"{self._method}, guard {self.guard.policy}"

    def failures(self, name: str) -> list[str]:
        """Say, a line each, which trajectories of the run called `name` failed, and why."""
        return [
            f"{name}, trajectory {b} {self._failed(b)}: {why}"
            for b, why in enumerate(self.message)
            if why
        ]

    def _failed(self, b: int) -> str:
        over_budget = self.status[b : b + 1] == (OVER_BUDGET,)
        return "did not keep its budget" if over_budget else "stopped"

    def of(self, b: int) -> RunInfo:
        """Return what concerns trajectory `b`, as the only one."""
        return replace(
            self,
            # slices, since nothing is noted of trajectories before a run has ended
            status=self.status[b : b + 1],
            message=self.message[b : b + 1],
            good=self.good[b : b + 1],
            guard=None if self.guard is None else self.guard.of(b),
        )

    @property
    def _method(self) -> str:
        name = str(self.method["integrator"])
        if "rtol" in self.method:
            return f"{name} (rtol {self.method['rtol']:g})"
        # a step takes the place of the sub-steps, which have a default
        if self.method.get("step") is not None:
            return f"{name} (step {self.method['step']:g})"
        if self.method.get("substeps") is not None:
            return f"{name} ({counted(self.method['substeps'], 'sub-step')})"
        return name


# arrays are equal element by element, so that == of two runs would have no answer
@dataclass(frozen=True, eq=False)
class Trajectory:
    """One trajectory, in reduced units.

    Attributes
    ----------
    t : ndarray, shape (T,)
    x, v : ndarray, shape (T, N, D)
    particles : Particles
        With B = 1.
    info : RunInfo
    label_error : ndarray, shape (T,), or None
        Of a verified run, as described for `Ensemble`.
    observables : mapping of str to ndarray, shape (T, ...)
        What each `Reporter` of the run gave, by its name.

    Raises
    ------
    InputError
        If shapes disagree, or times are not finite or do not grow.
    """

    t: Float64[np.ndarray, " T"]
    x: Float64[np.ndarray, "T N D"]
    v: Float64[np.ndarray, "T N D"]
    particles: Particles
    info: RunInfo
    label_error: Float64[np.ndarray, " T"] | None = None
    observables: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        demand_frames(self, "(T, N, D)")

    @property
    def valid_frames(self) -> int:
        """How many of the frames are data, the start included.

        From there on a trajectory that stopped only repeats the last of them.
        """
        return int(_valid_frames(self.info.good, 1, len(self.t))[0])

    def valid_part(self) -> Trajectory:
        """Return the trajectory up to the last frame that is data.

        Returns
        -------
        Trajectory
            Itself, where all frames are.
        """
        if self.valid_frames == len(self.t):
            return self
        return as_ensemble(self).valid_part()[0]

    def state(self, frame: int) -> State:
        """Return the state at a frame.

        Parameters
        ----------
        frame : int

        Returns
        -------
        State, shape (1, N, D)
        """
        return State(float(self.t[frame]), self.x[frame][None], self.v[frame][None])

    def system(self) -> AbstractSystem:
        """Build the system that the run was made with, as `Ensemble.system` does.

        Returns
        -------
        AbstractSystem
        """
        return system_from(self.info.system)

    def plot(self) -> Figure:
        """Draw the paths and what is conserved, as `nbody_surrogate.plot` does.

        Returns
        -------
        matplotlib.figure.Figure
        """
        # by its public name: no module of results knows what draws them
        from nbody_surrogate import plot

        return plot(self)

    # IPython looks for this name
    def _repr_html_(self) -> str:
        """Show a small picture in a notebook."""
        from nbody_surrogate import thumbnail

        return thumbnail(self)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A batch of trajectories, in reduced units.

    Attributes
    ----------
    t : ndarray, shape (T,)
    x, v : ndarray, shape (B, T, N, D)
    particles : Particles, shape (B, N)
    info : RunInfo
    label_error : ndarray, shape (B, T), or None
        Of a run that was made with ``verify``: the position RMSE, per coordinate, between the run
        and a sharper one of the same start, and NaN from the first frame that is not good in
        either. It is the difference between two runs, so an estimate of the error of the looser
        one, and it means nothing once growth has taken it to the size of the cloud.
    observables : mapping of str to ndarray, shape (B, T, ...)
        What each `Reporter` of the run gave, by its name.

    Raises
    ------
    InputError
        If shapes disagree, or times are not finite or do not grow.
    """

    t: Float64[np.ndarray, " T"]
    x: Float64[np.ndarray, "B T N D"]
    v: Float64[np.ndarray, "B T N D"]
    particles: Particles
    info: RunInfo
    label_error: Float64[np.ndarray, "B T"] | None = None
    observables: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        demand_frames(self, "(B, T, N, D)")

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def __getitem__(self, b: int) -> Trajectory:
        label_error = None if self.label_error is None else self.label_error[b]
        info = self.info.of(b)
        observables = {name: y[b] for name, y in self.observables.items()}
        arrays = (self.x[b], self.v[b], self.particles[b])
        return Trajectory(self.t, *arrays, info, label_error, observables)

    def __iter__(self) -> Iterator[Trajectory]:
        return (self[b] for b in range(len(self)))

    @property
    def valid_frames(self) -> Int64[np.ndarray, " B"]:
        """How many frames of each trajectory are data, the start included, shape (B,).

        From there on a trajectory that stopped only repeats the last of them.
        """
        return _valid_frames(self.info.good, len(self), len(self.t))

    @property
    def valid(self) -> Bool[np.ndarray, "B T"]:
        """Which frames are data, shape (B, T)."""
        return np.arange(len(self.t)) < self.valid_frames[:, None]

    def valid_part(self, frames: int | None = None) -> Ensemble:
        """Return what is data: what all statistics, tables and figures are made of.

        Frames of a trajectory that stopped before the others are NaN, so that no number can be made
        of them unnoticed.

        Parameters
        ----------
        frames : int, optional
            How many to return, at least 1; by default up to the last that is data in any
            trajectory.

        Returns
        -------
        Ensemble
            Itself, where all frames are data and wanted.

        Raises
        ------
        InputError
            If `frames` is no whole number, or less than 1.
        """
        last = int(self.valid_frames.max()) if frames is None else demand_whole("frames", frames, 1)
        kept = slice(0, last)
        data = self.valid[:, kept, None, None]
        if data.size == self.valid.size and data.all():
            return self
        return Ensemble(
            self.t[kept],
            np.where(data, self.x[:, kept], np.nan),
            np.where(data, self.v[:, kept], np.nan),
            self.particles,
            self.info,
            None if self.label_error is None else self.label_error[:, kept],
            known_part(self.observables, self.valid[:, kept]),
        )

    def state(self, frame: int) -> State:
        """Return the states of all trajectories at a frame.

        Parameters
        ----------
        frame : int

        Returns
        -------
        State, shape (B, N, D)
        """
        # frames hold no hidden variables: a system that has some will refuse the state, and say so
        return State(float(self.t[frame]), self.x[:, frame], self.v[:, frame])

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

    def plot(self) -> Figure:
        """Draw the first trajectory and what all conserve, as `nbody_surrogate.plot` does.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from nbody_surrogate import plot

        return plot(self)

    def _repr_html_(self) -> str:
        """Show a small picture of the first trajectory in a notebook."""
        from nbody_surrogate import thumbnail

        return thumbnail(self)


def as_ensemble(run: Trajectory | Ensemble, parameter: str = "run") -> Ensemble:
    """Return a trajectory as an ensemble of one (B = 1), and an ensemble as it is.

    Parameters
    ----------
    run : Trajectory or Ensemble
    parameter : str
        What the caller's user calls it.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(run, Ensemble):
        return run
    if not isinstance(run, Trajectory):
        kind = type(run).__name__
        raise InputError(f"`{parameter}` must be a Trajectory or an Ensemble, got {kind}")
    label_error = None if run.label_error is None else run.label_error[None]
    observables = {name: y[None] for name, y in run.observables.items()}
    arrays = (run.x[None], run.v[None], run.particles)
    return Ensemble(run.t, *arrays, run.info, label_error, observables)


def _valid_frames(good: tuple[int, ...], batch: int, frames: int) -> Int64[np.ndarray, " B"]:
    """Count the frames that are data; all of them, where a run does not say."""
    told = np.array(good if len(good) == batch else (frames,) * batch, dtype=np.int64)
    # the start is given, and a run that is read while it is written has fewer frames than it knows
    return np.clip(told, 1, frames)
