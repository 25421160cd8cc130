"""A user's own quantities, taken of each frame of a run and kept with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float64

from nbody_surrogate.contracts.memory import demand_memory
from nbody_surrogate.contracts.segment import Problem
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.error_estimate import ERROR_ESTIMATE
from nbody_surrogate.results.observables import demand_observable_name
from nbody_surrogate.simulation.observers import Observer

__all__ = ["Quantity", "Reporter", "reporters_among", "tails_of"]

MOST_AXES = 8

Quantity = Callable[[np.ndarray, np.ndarray, np.ndarray, Particles], Any]
"""Called with ``t`` (F,), ``x`` and ``v`` (B, F, N, D), and the particles, (B, N)."""


@final
class Reporter(Observer):
    """Takes a quantity of each frame: an observer whose result becomes part of the run.

    The values are ``ensemble.observables[name]``, float64 of shape (B, T, ...), and
    ``trajectory.observables[name]``, shape (T, ...). A file has them as H5MD observables. A run
    that is gone on with by `resume` has to be handed its reporters again, by the same names; what
    was reported before is kept.

    Parameters
    ----------
    name : str
        Letters, digits and underscores; none that a run or its file uses already, as ``valid``.
    quantity : callable
        ``quantity(t, x, v, particles)`` is called once for the start, and then for each segment of
        F frames, of all B trajectories at once: `t` has shape (F,), `x` and `v` (B, F, N, D), both
        in reduced units and read-only, and ``particles.charges`` and ``particles.masses`` (B, N).
        It returns real numbers of shape (B, F, ...), the axes beyond the first two being the same
        in each call, as in ``np.linalg.norm(x, axis=3).mean(2)`` of shape (B, F). What a frame has
        must depend on that frame alone, since segments are cut as the method likes. Numbers must
        be finite, but where a trajectory has stopped: there they are not looked at, and the
        `valid_part` of the run has NaN in place of them.

    Raises
    ------
    InputError
        If the name is none, or the quantity cannot be called.

    Examples
    --------
    >>> radius = Reporter("radius", lambda t, x, v, particles: np.linalg.norm(x, axis=3).mean(2))
    >>> radius.name
    'radius'
    """

    def __init__(self, name: str, quantity: Quantity) -> None:
        self.name = demand_observable_name(name)
        if name == ERROR_ESTIMATE:
            raise InputError(f"the name of a reporter must not be {name!r}, which a run gives")
        if not callable(quantity):
            raise InputError(f"`quantity` of reporter {name!r} must be callable, got {quantity!r}")
        self.quantity = quantity

    def __repr__(self) -> str:
        return f"Reporter({self.name!r})"

    def measure(
        self,
        t: Float64[np.ndarray, " F"],
        x: Float64[np.ndarray, "B F N D"],
        v: Float64[np.ndarray, "B F N D"],
        particles: Particles,
        valid: Bool[np.ndarray, "B F"],
    ) -> Float64[np.ndarray, "B F ..."]:
        """Take the quantity of some frames.

        Raises
        ------
        InputError
            If it is not of their shape, no real numbers, or not finite where `valid`.
        """
        values = self._array(t, x, v, particles)
        if values.dtype.kind not in "biuf":
            raise self._wrong(f"real numbers, got {values.dtype}")
        # so many axes and no empty one: those that a file may have
        if values.shape[:2] != x.shape[:2] or values.ndim > MOST_AXES or not values.size:
            raise self._wrong(f"shape (B, F, ...) with (B, F) = {x.shape[:2]}, got {values.shape}")
        # before any is made of it: a view of one number may have any shape
        what = f"what reporter {self.name!r} returns, shape {values.shape},"
        demand_memory(9 * values.size, what, "report less")
        with np.errstate(over="ignore"):  # of more digits, a number may be too large for float64
            values = np.asarray(values, dtype=np.float64).copy()
        finite = np.isfinite(values).all(tuple(range(2, values.ndim)))
        if not (finite | ~valid).all():
            b, frame = np.argwhere(~finite & valid)[0]
            raise self._wrong(
                f"finite numbers, got NaN or infinity in trajectory {b} at t = {t[frame]:.6g}"
            )
        return values

    def _array(
        self, t: np.ndarray, x: np.ndarray, v: np.ndarray, particles: Particles
    ) -> np.ndarray:
        """Call the quantity, and make an array of what it returns."""
        try:
            given = self.quantity(_read_only(t), _read_only(x), _read_only(v), particles)
        except Exception as error:
            error.add_note(f"in the `quantity` of reporter {self.name!r}")
            raise
        if np.ma.is_masked(given):  # what is under the mask would be taken for numbers
            raise self._wrong("numbers that are not masked; fill them")
        try:
            return np.asarray(given)
        except (TypeError, ValueError):
            kind = type(given).__name__
            raise self._wrong(f"an array of shape (B, F, ...), got a {kind} that is none") from None

    def _wrong(self, what: str) -> InputError:
        return InputError(f"`quantity` of reporter {self.name!r} must return {what}")


def _read_only(values: np.ndarray) -> np.ndarray:
    seen = values.view()
    seen.flags.writeable = False
    return seen


def reporters_among(observers: Iterable[Observer]) -> list[Reporter]:
    """Return those observers that are reporters.

    Raises
    ------
    InputError
        If two have one name.
    """
    found = [each for each in observers if isinstance(each, Reporter)]
    names = [each.name for each in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"`observers` must be reporters of different names, got two {twice!r}")
    return found


def tails_of(
    reporters: Sequence[Reporter], problem: Problem, start: State, frames: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each quantity of a trajectory at a frame, by taking it of the start.

    Raises
    ------
    InputError
        If a quantity is not what it should be, or there is not the memory for all frames.
    """
    t, x, v = np.array([problem.t0]), start.x[:, None], start.v[:, None]
    valid = np.ones(x.shape[:2], dtype=bool)
    first = [each.measure(t, x, v, problem.particles, valid) for each in reporters]
    needed = (frames + 1) * sum(values.nbytes for values in first)
    demand_memory(needed, "what the reporters give", "report less, or fewer frames")
    return {each.name: y.shape[2:] for each, y in zip(reporters, first, strict=True)}
