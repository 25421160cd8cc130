"""Particles and states: the arrays every method reads and none changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nbody_surrogate.contracts.attributes import Suggesting
from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.calls import guided_class
from nbody_surrogate.contracts.hidden_variables import Hidden
from nbody_surrogate.errors import InputError, OutsideError

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Particles", "Selection", "State", "selected"]

Selection = int | np.integer | slice | list[int] | list[bool] | np.ndarray
"""Trajectories of a batch, as NumPy's indexing names them: one by its number, or several by a
slice, a mask of shape (B,), or an array of numbers, which may repeat."""


def frozen_array(name: str, values: ArrayLike, axes: str, *, single: bool = True) -> np.ndarray:
    """Copy `values` to a read-only, C-contiguous, finite float64 array with the named axes.

    Where B alone is missing, there is one trajectory, if a `single` one may be meant.
    """
    try:
        # same_kind takes integers and single precision, and refuses text and complex numbers;
        # astype copies, so that the caller may go on changing what was handed in
        array = np.asarray(values).astype(np.float64, order="C", casting="same_kind")
    except (TypeError, ValueError, RuntimeError) as error:  # the last of a tensor with gradients
        raise InputError(f"`{name}` must hold real numbers: {error}") from None
    if single and axes.startswith("B ") and array.ndim == len(axes.split()) - 1:
        array = array[None]
    if array.ndim != len(axes.split()):
        raise InputError(f"`{name}` must have shape ({axes.replace(' ', ', ')}), got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"`{name}` must be finite, got NaN or infinity")
    array.flags.writeable = False
    return array


@guided_class(
    q="`charges`",
    m="`masses`",
    charge="`charges`",
    mass="`masses`",
    n="`charges` and `masses`, one number for each; or `system.sample(rng=0, n=30)`",
    charges="`charges` and `masses` of shape (B, N)",
    radius="`radii`",
)
@dataclass(frozen=True, eq=False)
class Particles(Suggesting):
    """What stays constant during a run, in reduced units.

    Parameters
    ----------
    charges, masses : array_like, shape (B, N)
        Masses are positive. Of one trajectory (N,) will do, and of one of the two a number, or
        (N,), that all share.
    couplings : array_like, shape (B, N, N), optional
        Symmetric strengths of pair bonds (springs); (N, N) where all trajectories share them.
    radii : array_like, shape (B, N), optional
        Positive radii of particles that have a size (spheres); a number, or (N,), that all share.

    Raises
    ------
    InputError
        If shapes disagree, a value is not finite, or a mass or a radius is not positive.
    """

    charges: Float64[np.ndarray, "B N"]
    masses: Float64[np.ndarray, "B N"]
    couplings: Float64[np.ndarray, "B N N"] | None = None
    radii: Float64[np.ndarray, "B N"] | None = None

    other_words = MappingProxyType(
        {
            "q": "`charges`",
            "m": "`masses`",
            "mass": "`masses`",
            "charge": "`charges`",
            "radius": "`radii`",
        }
    )
    __repr__ = brief

    def __post_init__(self) -> None:
        charges, masses = _alike(self.charges, self.masses)
        charges = frozen_array("charges", charges, "B N")
        masses = frozen_array("masses", masses, "B N")
        object.__setattr__(self, "charges", charges)
        object.__setattr__(self, "masses", masses)
        if charges.shape != masses.shape:
            raise InputError(
                f"`masses` must have the shape of `charges` {charges.shape}, got {masses.shape}"
            )
        if charges.size == 0:
            raise InputError("`charges` must hold at least one particle, got none")
        if not (masses > 0).all():
            raise InputError(f"`masses` must be > 0, got {masses.min():g}")
        if self.couplings is not None:
            couplings = frozen_array("couplings", self.couplings, "B N N")
            if couplings.shape == (1, *charges.shape[1:], charges.shape[1]):
                couplings = frozen_array(
                    "couplings", np.repeat(couplings, len(charges), 0), "B N N"
                )
            if couplings.shape != (*charges.shape, charges.shape[1]):
                raise InputError(
                    f"`couplings` must have shape (B, N, N) with (B, N) = {charges.shape}, "
                    f"got {couplings.shape}"
                )
            # to the bit: opposite forces of a pair are what the momentum rests on
            if not np.array_equal(couplings, couplings.swapaxes(1, 2)):
                raise InputError("`couplings` must be symmetric in the two particles, they are not")
            object.__setattr__(self, "couplings", couplings)
        if self.radii is not None:
            object.__setattr__(self, "radii", _frozen_radii(self.radii, charges.shape))

    @property
    def batch(self) -> int:
        """Number of trajectories, B."""
        return int(self.charges.shape[0])

    @property
    def n(self) -> int:
        """Number of particles, N."""
        return int(self.charges.shape[1])

    def __getitem__(self, index: Selection) -> Particles:
        """Return the particles of some trajectories; of a single one with a batch axis of length 1.

        Raises
        ------
        InputError
            If they are not there, there are none, or `index` is of another kind.
        """
        some = selected(index, self.batch)
        couplings = None if self.couplings is None else self.couplings[some]
        radii = None if self.radii is None else self.radii[some]
        charges, masses = self.charges[some], self.masses[some]
        return replace(self, charges=charges, masses=masses, couplings=couplings, radii=radii)

    def __iter__(self) -> Iterator[Particles]:
        return (self[b] for b in range(self.batch))


@guided_class(
    position="`x`",
    positions="`x`",
    velocity="`v`",
    velocities="`v`",
    pos="`x`",
    vel="`v`",
    time="`t`",
    charges="`charges` of `Particles`",
    masses="`masses` of `Particles`",
    v="`State(0.0, x, v)`, time first",
)
@dataclass(frozen=True, eq=False)
class State(Suggesting):
    """Where the particles are at one time, in reduced units.

    Parameters
    ----------
    t : float
    x, v : array_like, shape (B, N, D)
        Positions and velocities; D is 2 or 3. Of one trajectory (N, D) will do. In a periodic box
        positions are unwrapped.
    hidden : mapping of str to array_like, shapes (B, N, ...), optional
        The hidden variables of a system that has some; by default there are none. Without B where
        `x` is.
    seed : int, optional
        That it was sampled with, which a run from it records.

    Raises
    ------
    InputError
        If shapes disagree, D is neither 2 nor 3, or a value is not finite.
    """

    t: float
    x: Float64[np.ndarray, "B N D"]
    v: Float64[np.ndarray, "B N D"]
    hidden: Hidden = field(default_factory=dict, kw_only=True)
    seed: int | None = field(default=None, kw_only=True)

    other_words = MappingProxyType(
        {
            **dict.fromkeys(["positions", "position", "pos"], "`x`"),
            **dict.fromkeys(["velocities", "velocity", "vel"], "`v`"),
            **dict.fromkeys(["charges", "masses", "q", "m"], "`particles.charges`, `.masses`"),
            "time": "`t`",
            "shape": "`x.shape`",
            "to": "`device` of a surrogate, `make_integrator('set', device='cuda')`: states are "
            "NumPy arrays",
        }
    )
    __repr__ = brief

    def __post_init__(self) -> None:
        x = frozen_array("x", self.x, "B N D")
        v = frozen_array("v", self.v, "B N D")
        single = np.ndim(self.x) == 2
        object.__setattr__(self, "t", float(frozen_array("t", self.t, "")))
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "v", v)
        if x.shape != v.shape:
            raise InputError(f"`v` must have the shape of `x` {x.shape}, got {v.shape}")
        if x.shape[2] not in (2, 3):
            raise InputError(f"`x` must have 2 or 3 space dimensions, got {x.shape[2]}")
        if not x.size:
            raise InputError(f"`x` must hold at least one particle, got shape {x.shape}")
        if not isinstance(self.hidden, Mapping):
            raise InputError(
                f"`hidden` must be a mapping of names to arrays, got {type(self.hidden).__name__}"
            )
        hidden = {
            name: _frozen_hidden(name, [y] if single else y, x.shape[:2])
            for name, y in self.hidden.items()
        }
        object.__setattr__(self, "hidden", MappingProxyType(hidden))

    def __getitem__(self, index: Selection) -> State:
        """Return the state of some trajectories; of a single one with a batch axis of length 1.

        The seed is forgotten: it would give the first ones.

        Raises
        ------
        InputError
            If they are not there, there are none, or `index` is of another kind.
        """
        some = selected(index, len(self.x))
        hidden = {name: values[some] for name, values in self.hidden.items()}
        return replace(self, x=self.x[some], v=self.v[some], hidden=hidden, seed=None)

    def __iter__(self) -> Iterator[State]:
        return (self[b] for b in range(len(self.x)))

    def __getstate__(self) -> dict[str, Any]:
        # a read-only mapping can be neither copied deeply nor sent to another process
        return {**vars(self), "hidden": dict(self.hidden)}

    def __setstate__(self, values: dict[str, Any]) -> None:
        vars(self).update(values, hidden=MappingProxyType(values["hidden"]))


def _alike(charges: ArrayLike, masses: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
    """Let charges and masses share a number, or those of one trajectory, where they fit."""
    try:
        shapes = np.shape(charges), np.shape(masses)
        common = np.broadcast_shapes(*shapes)
    except (TypeError, ValueError, RuntimeError):  # which their own check words
        return charges, masses
    # (B, 1) beside (B, N), or (1, N), would be a table, which nobody means
    if shapes[0] == shapes[1] or common not in shapes or min(map(len, shapes)) > 1:
        return charges, masses
    try:
        return np.broadcast_to(charges, common), np.broadcast_to(masses, common)
    except (TypeError, ValueError, RuntimeError):
        return charges, masses


def _frozen_radii(values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Freeze radii of particles (B, N); of a number, or of (N,), each trajectory has them."""
    # a number or a row may be shared; what is no array of numbers is left to its own check
    with suppress(TypeError, ValueError, RuntimeError):
        if np.ndim(values) < 2 and np.shape(values) in ((), shape[1:]):
            values = np.broadcast_to(np.asarray(values), shape)
    radii = frozen_array("radii", values, "B N")
    if radii.shape != shape:
        raise InputError(f"`radii` must have the shape of `charges` {shape}, got {radii.shape}")
    if not (radii > 0).all():
        raise InputError(f"`radii` must be > 0, got {radii.min():g}")
    return radii


def selected(index: Selection, batch: int) -> slice | np.ndarray:
    """Check what is to be taken of the axis of trajectories.

    Returns
    -------
    slice or ndarray of int
        It keeps the axis, also where `index` is a single number.

    Raises
    ------
    InputError
        If a trajectory is not there, none is taken, or `index` is of another kind.
    """
    some = _whole_numbered(index) if isinstance(index, slice) else _numbers(index, batch)
    # NumPy takes a slice or a mask without anything in it; a run of no trajectories is a mistake
    if not np.arange(batch)[some].size:
        raise InputError(f"`index` must take at least one of the {batch} trajectories, got none")
    return some


def _whole_numbered(index: slice) -> slice:
    try:
        index.indices(0)  # raises for what is no slice of numbers, whatever the length
    except (TypeError, ValueError) as error:  # of its ends, or of a step of 0
        raise InputError(
            f"`index` must be a slice of whole numbers, got {index}: {error}"
        ) from None
    return index


def _numbers(index: Selection, batch: int) -> np.ndarray:
    """Return the numbers of the trajectories that an index names, shape (S,)."""
    given = np.asarray(index)
    if given.dtype == bool and given.shape == (batch,):
        return np.flatnonzero(given)
    if isinstance(index, list) and not index:
        return np.empty(0, int)  # NumPy would make it floats
    # x[0, 1] would be a trajectory and a particle in NumPy: refused rather than taken for two.
    if given.dtype.kind not in "iu" or given.ndim > 1 or isinstance(index, tuple):
        raise InputError(
            f"`index` must be the number of a trajectory, a slice, a mask of shape ({batch},) or "
            f"an array of numbers, got {type(index).__name__} of {given.dtype} with shape "
            f"{given.shape}"
        )
    numbers = np.atleast_1d(given)
    outside = (numbers < -batch) | (numbers >= batch)
    if outside.any():
        raise OutsideError(
            f"`index` must be one of the trajectories 0 to {batch - 1}, got {numbers[outside][0]}"
        )
    return numbers


def _frozen_hidden(name: str, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Freeze a hidden variable of particles (B, N), with whatever axes come after."""
    # any axes will do here: what shape it must have, the system knows, and a run asks it
    more = max(np.ndim(values) - 2, 0)
    array = frozen_array(f"hidden[{name!r}]", values, "B N" + " K" * more, single=False)
    if array.shape[:2] != shape:
        raise InputError(
            f"`hidden[{name!r}]` must have shape (B, N, ...) with (B, N) = {shape}, "
            f"got {array.shape}"
        )
    return array
