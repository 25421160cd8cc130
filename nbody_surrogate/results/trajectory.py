"""Results: trajectories, and ensembles of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from nbody_surrogate.contracts.arguments import demand_whole
from nbody_surrogate.contracts.hidden_variables import Hidden
from nbody_surrogate.contracts.state import Particles, Selection, State, selected
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.abstract_run import AbstractRun
from nbody_surrogate.results.frame_arrays import demand_frames, frame_number, frame_range
from nbody_surrogate.results.observables import known_part, taken
from nbody_surrogate.results.run_info import RunInfo, valid_frames

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int64

__all__ = ["Ensemble", "RunInfo", "Trajectory", "as_ensemble", "as_trajectory"]


# arrays are equal element by element, so that == of two runs would have no answer
@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(AbstractRun):
    """One trajectory, in reduced units.

    ``run[10]`` is the `State` at a frame, ``run[::10]`` the trajectory of every tenth one; a loop
    goes through the states, and `len` counts them. All frames are meant, valid or not:
    `valid_part` leaves the others out.

    >>> import nbody_surrogate as nb
    >>> system = nb.make_system("charged")
    >>> run = nb.simulate(system, *system.sample(rng=0, n=3), frames=20)[0]
    >>> run
    <Trajectory: charged by dop853 (rtol 1e-09), 21 frames, t = 0 to 2, 3 particles in 3 dimensions>
    >>> run[-1]
    State(t=2, x=<float64 (1, 3, 3)>, v=<float64 (1, 3, 3)>)
    >>> run[::10].t
    array([0., 1., 2.])
    >>> run.energy.shape
    (21,)

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
    hidden : mapping of str to ndarray, shape (T, N, ...)
        The hidden variables of the system, where it has some; those of a surrogate's run are none.

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
    hidden: Hidden = field(default_factory=dict)

    def __post_init__(self) -> None:
        demand_frames(self, "(T, N, D)")

    @property
    def valid_frames(self) -> int:
        """How many of the frames are data, the start included.

        From there on a trajectory that stopped only repeats the last of them.
        """
        return int(valid_frames(self.info.good, 1, len(self.t))[0])

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
            Counted from the end where negative.

        Returns
        -------
        State, shape (1, N, D)

        Raises
        ------
        InputError
            If there is no such frame; as an `IndexError` too.
        """
        n = frame_number(frame, len(self.t))
        hidden = taken(self.hidden, np.s_[n : n + 1])
        return State(float(self.t[n]), self.x[n][None], self.v[n][None], hidden=hidden)

    def __len__(self) -> int:
        return len(self.t)

    @overload
    def __getitem__(self, index: int) -> State: ...

    @overload
    def __getitem__(self, index: slice) -> Trajectory: ...

    def __getitem__(self, index: int | slice) -> State | Trajectory:
        if not isinstance(index, slice):
            return self.state(index)
        return as_ensemble(self)._at(index)[0]

    def __iter__(self) -> Iterator[State]:
        return (self.state(frame) for frame in range(len(self)))

    def _batch(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        whole = as_ensemble(self)
        return whole.x, whole.v, whole.valid

    def _taken(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(values[0])


@dataclass(frozen=True, eq=False, repr=False)
class Ensemble(AbstractRun):
    """A batch of trajectories, in reduced units.

    ``runs[0]`` is a `Trajectory`; a slice, a list of numbers or a mask gives an ensemble of those.
    A second index is one of frames: ``runs[0, -1]`` is the last state of the first trajectory,
    ``runs[:, ::10]`` every tenth frame of all. `len` and loops are about trajectories. Of what is
    taken, `info` tells messages and valid frames; counters, method and what a guard found, with its
    frame numbers, are those of the whole run.

    >>> import nbody_surrogate as nb
    >>> system = nb.make_system("charged")
    >>> runs = nb.simulate(system, *system.sample(rng=0, n=3, trajectories=4), frames=20)
    >>> len(runs), runs.x.shape
    (4, (4, 21, 3, 3))
    >>> len(runs[1:]), len(runs[[0, -1]]), runs[:, ::10].x.shape
    (3, 2, (4, 3, 3, 3))
    >>> runs.energy.shape, runs.momentum.shape
    ((4, 21), (4, 21, 3))

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
    hidden : mapping of str to ndarray, shape (B, T, N, ...)
        The hidden variables, as of a `Trajectory`.

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
    hidden: Hidden = field(default_factory=dict)

    def __post_init__(self) -> None:
        demand_frames(self, "(B, T, N, D)")

    def __len__(self) -> int:
        return int(self.x.shape[0])

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...

    @overload
    def __getitem__(self, index: tuple[int, slice]) -> Trajectory: ...

    @overload
    def __getitem__(self, index: tuple[Selection, int]) -> State: ...

    @overload
    def __getitem__(self, index: slice | list[int] | list[bool] | np.ndarray) -> Ensemble: ...

    @overload
    def __getitem__(
        self, index: tuple[slice | list[int] | list[bool] | np.ndarray, slice]
    ) -> Ensemble: ...

    def __getitem__(
        self, index: Selection | tuple[Selection, int | slice]
    ) -> Trajectory | Ensemble | State:
        if isinstance(index, tuple):
            return self._of_both(*index)
        some = selected(index, len(self))  # a slice stays one, and its arrays are views
        numbers = np.arange(len(self))[some]
        if np.ndim(index) == 0 and not isinstance(index, slice):  # type: ignore[arg-type]
            b = int(numbers[0])
            error = None if self.label_error is None else self.label_error[b]
            arrays = (self.x[b], self.v[b], self.particles[b], self.info.of(b))
            more = (taken(self.observables, b), taken(self.hidden, b))
            return Trajectory(self.t, *arrays, error, *more)
        return replace(
            self,
            x=self.x[some],
            v=self.v[some],
            particles=self.particles[some],
            info=self.info.taking(numbers),
            label_error=None if self.label_error is None else self.label_error[some],
            observables=taken(self.observables, some),
            hidden=taken(self.hidden, some),
        )

    def _of_both(self, *index: Any) -> Trajectory | Ensemble | State:
        """Return some frames of some trajectories."""
        if len(index) != 2:
            raise InputError(
                f"`index` must be trajectories and frames, got {len(index)} indices; "
                "particles are an axis of `x` and `v`"
            )
        rows, frames = index
        some: Trajectory | Ensemble = self[rows]
        if isinstance(frames, slice):
            return some._at(frames) if isinstance(some, Ensemble) else some[frames]
        return some.state(frames)

    def _at(self, frames: slice) -> Ensemble:
        """Return some frames of all trajectories."""
        chosen = frame_range(frames, len(self.t))
        kept = slice(chosen.start, chosen.stop, chosen.step)
        return replace(
            self,
            t=self.t[kept],
            x=self.x[:, kept],
            v=self.v[:, kept],
            info=self.info.at(chosen, len(self.t)),
            label_error=None if self.label_error is None else self.label_error[:, kept],
            observables=taken(self.observables, np.s_[:, kept]),
            hidden=taken(self.hidden, np.s_[:, kept]),
        )

    def __iter__(self) -> Iterator[Trajectory]:
        return (self[b] for b in range(len(self)))

    @property
    def valid_frames(self) -> Int64[np.ndarray, " B"]:
        """How many frames of each trajectory are data, the start included, shape (B,).

        From there on a trajectory that stopped only repeats the last of them.
        """
        return valid_frames(self.info.good, len(self), len(self.t))

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
            known_part(self.hidden, self.valid[:, kept]),
        )

    def state(self, frame: int) -> State:
        """Return the states of all trajectories at a frame.

        Parameters
        ----------
        frame : int
            Counted from the end where negative.

        Returns
        -------
        State, shape (B, N, D)

        Raises
        ------
        InputError
            If there is no such frame; as an `IndexError` too.
        """
        n = frame_number(frame, len(self.t))
        # those of a surrogate hold no hidden variables: what needs them refuses the state
        hidden = taken(self.hidden, np.s_[:, n])
        return State(float(self.t[n]), self.x[:, n], self.v[:, n], hidden=hidden)

    def _batch(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.x, self.v, self.valid

    def _taken(self, values: np.ndarray) -> np.ndarray:
        return values


def as_ensemble(
    run: Trajectory | Ensemble | str | os.PathLike[str], parameter: str = "run"
) -> Ensemble:
    """Return a trajectory as an ensemble of one (B = 1), an ensemble as it is, and a file read.

    Parameters
    ----------
    run : Trajectory, Ensemble or path_like
    parameter : str
        What the caller's user calls it.

    Raises
    ------
    InputError
        If it is none of them.
    FileFormatError
        If it is a file that is missing, damaged or of a kind that is not read.
    """
    if isinstance(run, Ensemble):
        return run
    if isinstance(run, str | os.PathLike):
        # by its public name: no module of results knows what reads them
        from nbody_surrogate import load

        return load(run)
    if not isinstance(run, Trajectory):
        kind = type(run).__name__
        several = isinstance(run, list | tuple)
        hint = "; give one, and what it is held against as the `reference`" if several else ""
        raise InputError(
            f"`{parameter}` must be a Trajectory or an Ensemble, or the path of a run, "
            f"got {kind}{hint}"
        )
    label_error = None if run.label_error is None else run.label_error[None]
    arrays = (run.x[None], run.v[None], run.particles)
    more = (taken(run.observables, None), taken(run.hidden, None))
    return Ensemble(run.t, *arrays, run.info, label_error, *more)


def as_trajectory(
    run: Trajectory | Ensemble | str | os.PathLike[str], parameter: str = "run"
) -> Trajectory:
    """Return a trajectory as it is, and the first one of what `as_ensemble` takes."""
    return run if isinstance(run, Trajectory) else as_ensemble(run, parameter)[0]
