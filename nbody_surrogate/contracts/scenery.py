"""What a system is beside its particles, for pictures: bonds, rods, surfaces, fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.state import Particles, State
from nbody_surrogate.contracts.violations import described, plugin_errors, violation
from nbody_surrogate.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

__all__ = ["Arrow", "Bonds", "Curve", "Ellipsoid", "Rods", "Shape", "SystemScenery"]

MOST_WORDS = 40  # letters that a legend has room for


@dataclass(frozen=True, eq=False, repr=False)
class Bonds:
    """Straight lines between particles, wherever these are.

    Parameters
    ----------
    pairs : array_like of int, shape (K, 2)
        Numbers of particles.
    words : str
        What it is called in the legend; nothing where empty.
    strengths : array_like, shape (K,), optional
        By which some lines are thinner than others; their sign does not matter.

    Raises
    ------
    InputError
        If shapes disagree, or a strength is not finite.
    """

    pairs: Int64[np.ndarray, "K 2"]
    words: str = ""
    strengths: Float64[np.ndarray, " K"] | None = None

    __repr__ = brief

    def __post_init__(self) -> None:
        _demand_words(self.words)
        pairs = _numbers("pairs", self.pairs)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise InputError(f"`pairs` must have shape (K, 2), got {pairs.shape}")
        object.__setattr__(self, "pairs", pairs)
        if self.strengths is not None:
            strengths = _finite("strengths", self.strengths)
            if strengths.shape != pairs.shape[:1]:
                raise InputError(
                    f"`strengths` must have shape {pairs.shape[:1]}, one for each of `pairs`, "
                    f"got {strengths.shape}"
                )
            object.__setattr__(self, "strengths", strengths)


@dataclass(frozen=True, eq=False, repr=False)
class Rods:
    """Straight lines from points that are fixed to particles, wherever these are.

    Parameters
    ----------
    particles : array_like of int, shape (K,)
        Their numbers.
    points : array_like, shape (K, D)
        Where the other ends are, in two dimensions or in three.
    words : str
        What it is called in the legend; nothing where empty.

    Raises
    ------
    InputError
        If shapes disagree, or a point is not finite.
    """

    particles: Int64[np.ndarray, " K"]
    points: Float64[np.ndarray, "K 3"]
    words: str = ""

    __repr__ = brief

    def __post_init__(self) -> None:
        _demand_words(self.words)
        particles, points = _numbers("particles", self.particles), _places("points", self.points)
        if particles.ndim != 1 or points.shape != (len(particles), 3):
            raise InputError(
                "`points` must have shape (K, 2) or (K, 3) and `particles` (K,), "
                f"got {np.shape(self.points)} and {particles.shape}"
            )
        object.__setattr__(self, "particles", particles)
        object.__setattr__(self, "points", points)


@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """A line through fixed points.

    Parameters
    ----------
    points : array_like, shape (P, D)
        At least two, in two dimensions or in three.
    words : str
        What it is called in the legend; nothing where empty.

    Raises
    ------
    InputError
        If the shape is another, or a point is not finite.
    """

    points: Float64[np.ndarray, "P 3"]
    words: str = ""

    __repr__ = brief

    def __post_init__(self) -> None:
        _demand_words(self.words)
        points = _places("points", self.points)
        if points.ndim != 2 or len(points) < 2:
            raise InputError(
                f"`points` must have shape (P, 2) or (P, 3) with P >= 2, got {points.shape}"
            )
        object.__setattr__(self, "points", points)


@dataclass(frozen=True, eq=False, repr=False)
class Ellipsoid:
    """A surface about a fixed centre, its axes along x, y and z, drawn as three rings.

    Parameters
    ----------
    centre : array_like, shape (D,)
        In two dimensions or in three.
    semi_axes : array_like, shape (D,)
        Not negative. A flat run shows the ring in its plane alone.
    words : str
        What it is called in the legend; nothing where empty.

    Raises
    ------
    InputError
        If a shape is another, or a number is not finite or negative.
    """

    centre: Float64[np.ndarray, "3"]
    semi_axes: Float64[np.ndarray, "3"]
    words: str = ""

    __repr__ = brief

    def __post_init__(self) -> None:
        _demand_words(self.words)
        for name in ("centre", "semi_axes"):
            values = _places(name, getattr(self, name))
            if values.shape != (3,):
                raise InputError(f"`{name}` must have shape (2,) or (3,), got {values.shape}")
            object.__setattr__(self, name, values)
        if (self.semi_axes < 0).any():
            raise InputError(f"`semi_axes` must be >= 0, got {self.semi_axes.min():g}")


@dataclass(frozen=True, eq=False, repr=False)
class Arrow:
    """A fixed direction, such as that of a field.

    Parameters
    ----------
    start, end : array_like, shape (D,)
        In two dimensions or in three, and unlike. In a flat run an arrow out of the plane is a
        circle with a dot, and one into it a circle with a cross.
    words : str
        What it is called in the legend; nothing where empty.

    Raises
    ------
    InputError
        If a shape is another, a number is not finite, or the two points are the same.
    """

    start: Float64[np.ndarray, "3"]
    end: Float64[np.ndarray, "3"]
    words: str = ""

    __repr__ = brief

    def __post_init__(self) -> None:
        _demand_words(self.words)
        for name in ("start", "end"):
            values = _places(name, getattr(self, name))
            if values.shape != (3,):
                raise InputError(f"`{name}` must have shape (2,) or (3,), got {values.shape}")
            object.__setattr__(self, name, values)
        if np.array_equal(self.start, self.end):
            raise InputError("`end` must be another point than `start`, got the same")


Shape = Bonds | Rods | Curve | Ellipsoid | Arrow
"""What pictures can show beside particles."""


class SystemScenery:
    """What pictures show of a system beside its particles; nothing by default.

    To declare it, implement `_scenery`. It is for the eye alone: no number depends on it.
    """

    name: ClassVar[str]
    origin: Origin

    def _scenery(self, state: State, particles: Particles) -> Sequence[Shape]:
        """Return what a run from a start shows.

        Parameters
        ----------
        state : State, shape (1, N, D)
            At the start, for what depends on the size of the cloud, on energies, or on hidden
            variables; these are there where the run's frames hold them.
        particles : Particles, shape (1, N)

        Returns
        -------
        sequence of Bonds, Rods, Curve, Ellipsoid or Arrow
        """
        return ()

    @final
    def scenery(self, state: State, particles: Particles) -> tuple[Shape, ...]:
        """Return what a run from a start shows beside its particles.

        Parameters
        ----------
        state : State, shape (1, N, D)
        particles : Particles, shape (1, N)

        Returns
        -------
        tuple of Bonds, Rods, Curve, Ellipsoid or Arrow

        Raises
        ------
        InputError
            If `state` is of another number of trajectories, or of particles.
        PluginError
            If the system's shapes are none of these, name particles that are not there, or it
            raises.
        """
        if state.x.shape[:2] != (1, particles.n) or particles.batch != 1:
            raise InputError(
                f"`state` must be of one trajectory and of the particles, (1, {particles.n}), "
                f"got {state.x.shape[:2]}"
            )
        with plugin_errors(self.origin, "_scenery"):
            try:
                made = tuple(self._scenery(state, particles))
            except InputError as error:  # of a shape, that the system built
                raise violation(self.origin, "_scenery", f"built a wrong shape: {error}") from None
        for shape in made:
            self._demand_shape(shape, particles.n)
        return made

    def _demand_shape(self, shape: object, n: int) -> None:
        if not isinstance(shape, Shape):
            kinds = "Bonds, Rods, Curve, Ellipsoid or Arrow"
            what = f"must return shapes, each of {kinds}, got {described(shape)}"
            raise violation(self.origin, "_scenery", what)
        numbers = shape.pairs if isinstance(shape, Bonds) else np.empty(0, int)
        if isinstance(shape, Rods):
            numbers = shape.particles
        wrong = numbers[(numbers < 0) | (numbers >= n)]
        if len(wrong):
            what = f"must name particles from 0 to {n - 1}, got {wrong[0]}"
            raise violation(self.origin, "_scenery", what)


def _numbers(name: str, values: ArrayLike) -> np.ndarray:
    """Return a read-only array of whole numbers."""
    array = np.array(values)
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"`{name}` must be numbers of particles, got {array.dtype}")
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array


def _finite(name: str, values: ArrayLike) -> np.ndarray:
    """Return a read-only array of finite numbers."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{name}` must hold real numbers: {error}") from None
    if not np.isfinite(array).all():
        raise InputError(f"`{name}` must be finite, got NaN or infinity")
    array.flags.writeable = False
    return array


def _places(name: str, values: ArrayLike) -> np.ndarray:
    """Return points of space; those of the plane are at z = 0."""
    array = _finite(name, values)
    if array.ndim == 0 or array.shape[-1] not in (2, 3):
        raise InputError(f"`{name}` must have 2 or 3 coordinates, got shape {array.shape}")
    array = np.pad(array, (*((0, 0),) * (array.ndim - 1), (0, 3 - array.shape[-1])))
    array.flags.writeable = False
    return array


def _demand_words(words: str) -> None:
    if not isinstance(words, str) or len(words) > MOST_WORDS or not words.isprintable():
        raise InputError(
            f"`words` must be one line of at most {MOST_WORDS} letters, got {words!r:.60}"
        )
