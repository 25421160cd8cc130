"""What a run and its method hand each other: the problem, carries, segments and their frames."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.convergence import Convergence
from nbody_surrogate.contracts.hidden_variables import Hidden
from nbody_surrogate.contracts.state import Particles
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.errors import InputError, PluginError

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["HIDDEN_PREFIX", "Carry", "Limits", "Problem", "Segment", "Tick", "frame_count"]

HIDDEN_PREFIX = "hidden."
"""Begins the names of a carry's arrays that are hidden variables."""


Tick = Callable[[float], None]
"""Called with the frames done so far in a segment; may raise to cancel."""


OK, FAILED, OVER_BUDGET = 0, -1, -2


@dataclass(frozen=True)
class Problem:
    """What stays fixed during a run. Frame n is at ``t0 + n * dt``.

    Attributes
    ----------
    system : AbstractSystem
    particles : Particles
    t0, dt : float
        Time of the start and between frames, in reduced units.
    """

    system: AbstractSystem
    particles: Particles
    t0: float
    dt: float

    __repr__ = brief

    def time(self, frame: int) -> float:
        """Time of a frame; never a sum of steps.

        Parameters
        ----------
        frame : int
            Counted from the start.

        Returns
        -------
        float
        """
        return self.t0 + self.elapsed(frame)

    def elapsed(self, frame: int) -> float:
        """Time of a frame since the start, in which a method should count its steps.

        Forces do not depend on the time, and near t0 = 1.7e9, such as seconds of the calendar,
        float64 has steps of 2e-7: a method that adds to `time` there takes no smaller one.

        Parameters
        ----------
        frame : int
            Counted from the start.

        Returns
        -------
        float
        """
        return frame * self.dt

    def age(self, frame: int) -> float:
        """Time of a frame by which a run is young or old: since its start, whatever the clock says.

        Of a system whose forces depend on the time, which has not the symmetry ``time-shift``, the
        time itself.

        Parameters
        ----------
        frame : int
            Counted from the start.

        Returns
        -------
        float
        """
        autonomous = "time-shift" in self.system.symmetries
        return self.elapsed(frame) if autonomous else self.time(frame)


@dataclass(frozen=True)
class Carry:
    """Everything the next segment depends on, at a segment boundary.

    Attributes
    ----------
    problem : Problem
    frame : int
        Frames since the start, a multiple of the segment.
    arrays : mapping
        A flat mapping of names to arrays and scalars, the integrator's own. It always holds
        ``x`` and ``v``, shape (B, N, D), and ``hidden.NAME``, shape (B, N, ...), for each
        hidden variable that the integrator keeps.
    """

    problem: Problem
    frame: int
    arrays: MappingProxyType[str, Any]

    __repr__ = brief

    @property
    def hidden(self) -> Hidden:
        """The hidden variables by their names, arrays of shape (B, N, ...)."""
        found = {}
        for each in self.problem.system.hidden_variables:
            if HIDDEN_PREFIX + each.name in self.arrays:  # a surrogate keeps none of them
                found[each.name] = self.arrays[HIDDEN_PREFIX + each.name]
        return found

    def with_row(self, b: int, other: Carry) -> Carry:
        """Return this carry with trajectory `b` replaced by the only one of `other`.

        The axis of trajectories of each array is the one along which the two differ in length.

        Parameters
        ----------
        b : int
        other : Carry
            Of the same problem and frame, with B = 1.

        Returns
        -------
        Carry

        Raises
        ------
        PluginError
            If an array has no such axis, or more than one.
        """
        batch = len(self.arrays["x"])
        arrays = {
            key: _with_row(key, value, b, batch, other.arrays[key])
            for key, value in self.arrays.items()
        }
        return Carry(self.problem, self.frame, MappingProxyType(arrays))


class Limits(NamedTuple):
    """What a method is for, as far as it says so, in reduced units.

    Attributes
    ----------
    closest : float
        Smallest distance of a pair.
    fastest : float
        Largest speed of a particle.
    most : float
        Largest number of particles.
    longest : float
        Latest time since the start, see `Problem.age`.
    """

    closest: float = 0.0
    fastest: float = math.inf
    most: float = math.inf
    longest: float = math.inf


@dataclass(frozen=True)
class Segment:
    """The frames of one call of `advance`, in reduced units.

    Attributes
    ----------
    x, v : ndarray, shape (B, F, N, D)
        A trajectory that failed is frozen at its last good frame.
    carry : Carry or None
        None where the frames end inside a segment: a run goes on from boundaries only.
    status : ndarray, shape (B,)
        0 for success, -1 for failure, as on SciPy's result; -2 where a guard's budget was not
        kept to the end of the run, of frames that are all there.
    message : tuple of str
        One for each trajectory, empty for success.
    good : ndarray, shape (B,)
        Valid frames of each trajectory, F for success.
    counters : dict
        Such as ``nfev``, force evaluations summed over trajectories.
    hidden : mapping of str to ndarray, shapes (B, F, N, ...)
        The hidden variables, where the system has some and the method keeps them.
    vouched : ndarray, shape (B, F), or None
        Position RMSE that each frame adds at most to the one before, of frames that a solver with
        tolerances made in place of the method; NaN of all others. None where it made none.
    convergence : tuple of Convergence
        One for each window and trajectory, of a method that iterates over slices of time.
    """

    x: Float64[np.ndarray, "B F N D"]
    v: Float64[np.ndarray, "B F N D"]
    carry: Carry | None
    status: Int64[np.ndarray, " B"]
    message: tuple[str, ...]
    good: Int64[np.ndarray, " B"]
    counters: dict[str, int]
    hidden: Hidden = field(default_factory=dict)
    vouched: Float64[np.ndarray, "B F"] | None = None
    convergence: tuple[Convergence, ...] = ()

    __repr__ = brief


@dataclass
class Frames:
    """What `_advance` fills in: the frames, the next carry's arrays, and what went wrong.

    Arrays are of float64 and in reduced units; `AbstractIntegrator.advance` checks their shapes.

    Attributes
    ----------
    x, v : ndarray, shape (B, F, N, D)
    arrays : dict of str to array
        What the next segment starts from beyond its first frame, each with an axis of length B.
    failures : dict of int to tuple
        Trajectory to (its valid frames, why it failed).
    counters : dict of str to int
        Such as ``nfev``, force evaluations summed over trajectories.
    hidden : dict of str to ndarray, shapes (B, F, N, ...)
        One array for each hidden variable of the system.
    convergence : tuple of Convergence
        Of a method that iterates over slices of time.
    """

    x: np.ndarray
    v: np.ndarray
    arrays: dict[str, Any] = field(default_factory=dict)
    failures: dict[int, tuple[int, str]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    hidden: dict[str, np.ndarray] = field(default_factory=dict)
    convergence: tuple[Convergence, ...] = ()

    __repr__ = brief


def _with_row(key: str, values: Any, b: int, batch: int, row: Any) -> Any:
    """Copy an array, or a tensor, with its part for trajectory `b` replaced."""
    if batch == 1:  # no axis tells the two apart
        return row
    shape, single = tuple(values.shape), tuple(row.shape)
    unequal = [axis for axis in range(min(len(shape), len(single))) if shape[axis] != single[axis]]
    fits = len(shape) == len(single) and len(unequal) == 1
    if not fits or (shape[unequal[0]], single[unequal[0]]) != (batch, 1):
        raise PluginError(
            f"the carry's {key!r} must have one axis of length {batch}, that of trajectories; "
            f"its shape is {shape}, and {single} for a single one"
        )
    before = (slice(None),) * unequal[0]  # a cache may have other axes in front of it
    copied = copy.deepcopy(values)  # which arrays and tensors have alike
    copied[(*before, b)] = row[(*before, 0)]
    return copied


FRAME_TOLERANCE = 1e-6  # relative
ADVICE_DIGITS = 10


MOST_FRAMES = 1e9


def frame_count(duration: float, dt: float, parameter: str = "duration") -> int:
    """Return how many frames a duration is; `parameter` is what messages call it.

    Raises
    ------
    InputError
        If it is no whole number of frames.
    """
    if not (math.isfinite(duration) and duration > 0):
        raise InputError(f"`{parameter}` must be finite and > 0, got {duration}")
    if not duration / dt <= MOST_FRAMES:
        raise InputError(
            f"`{parameter}` must be at most {MOST_FRAMES:g} frames of {number_text(dt)}, "
            f"got {number_text(duration)}"
        )
    # rounded, as 0.3 / 0.1 is 2.9999999999999996
    frames = round(duration / dt)
    if frames < 1 or abs(duration / dt - frames) > FRAME_TOLERANCE * frames:
        # with digits enough that what is advised is itself accepted
        near = number_text(max(frames, 1) * dt, ADVICE_DIGITS)
        raise InputError(
            f"`{parameter}` must be a whole number of frames of {number_text(dt)}, "
            f"got {number_text(duration)}; use {near}"
        )
    return frames
