"""What the motion remembers beyond positions and velocities: hidden variables.

A system whose present does not tell its future has *hidden variables*: the charge of a grain that
relaxes with a delay, the oscillators of a heat bath, the strength of a bond that takes time to
form. They are part of the state, so a solver keeps them and moves them on, and a run is still a
pure function of its state. Nothing else remembers: forces are handed the present alone. What
surrogates look back on is a matter of theirs, see `AbstractSurrogate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, final

import numpy as np

from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.violations import described, violation
from nbody_surrogate.errors import InputError

__all__ = [
    "NOTHING_HIDDEN",
    "Hidden",
    "HiddenVariable",
    "demand_hidden",
    "listed",
    "refuse_unstored",
    "refuse_wrong_hidden",
]

Hidden = Mapping[str, np.ndarray]
"""Values of hidden variables by their names, float64 arrays of shape (B, N, ...)."""

NOTHING_HIDDEN: Hidden = MappingProxyType({})
"""That of a system without any."""


@final
@dataclass(frozen=True)
class HiddenVariable:
    """A variable of each particle that belongs to the state, and that only solvers see.

    Parameters
    ----------
    name : str
        A Python identifier, other than x and v.
    shape : tuple of int or {"N", "D"}
        Axes beyond those of trajectories and particles: ``()`` for one number per particle,
        ``("N",)`` for one per pair, ``(8, "D")`` for eight vectors per particle.
    description : str
        What it is, with its unit.

    Raises
    ------
    InputError
        If the name is none of these, or an axis is neither a positive number nor N or D.
    """

    name: str
    shape: tuple[int | Literal["N", "D"], ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        # it ends the name of a carry's array, as in `hidden.charge`
        if not self.name.isidentifier() or self.name in ("x", "v"):
            raise InputError(
                f"`name` of a hidden variable must be a word, and neither x nor v, "
                f"got {self.name!r}"
            )
        for axis in self.shape:
            if axis not in ("N", "D") and not (isinstance(axis, int) and axis > 0):
                raise InputError(
                    f"`shape` of hidden variable {self.name!r} must be of positive numbers, "
                    f"'N' and 'D', got {axis!r}"
                )

    def axes(self, n: int, dimensions: int) -> tuple[int, ...]:
        """Return its shape for one trajectory.

        Parameters
        ----------
        n, dimensions : int
            N and D.

        Returns
        -------
        tuple of int
            (N, ...).
        """
        known = {"N": n, "D": dimensions}
        return (n, *(axis if isinstance(axis, int) else known[axis] for axis in self.shape))


def listed(names: Sequence[str] | Mapping[str, object]) -> str:
    """Name variables in a message."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def refuse_wrong_hidden(
    system: str, variables: Sequence[HiddenVariable], hidden: Hidden, shape: tuple[int, int, int]
) -> None:
    """Raise where a state of shape (B, N, D) holds other hidden variables than its system has.

    Raises
    ------
    InputError
        If one is missing, unknown, or of another shape.
    """
    batch, n, dimensions = shape
    wanted = {each.name: (batch, *each.axes(n, dimensions)) for each in variables}
    # too many are refused as well: they would be dropped without a word
    if hidden and not wanted.keys() & hidden.keys():
        other = "none" if not wanted else f"{listed(wanted)}"
        raise InputError(
            f"`state` holds the hidden variables {listed(hidden)}, and system {system!r} has "
            f"{other}; name the system that the state is of, or leave them out"
        )
    if wanted.keys() != hidden.keys():
        raise InputError(
            f"`state` must hold the hidden variables of system {system!r}, {listed(wanted)}, got "
            f"{listed(hidden)}; frames of a surrogate's run hold none, so draw a start, or give "
            "State(..., hidden={...})"
        )
    for name, axes in wanted.items():
        if hidden[name].shape != axes:
            raise InputError(
                f"`state` must hold `{name}` of system {system!r} in shape {axes}, "
                f"got {hidden[name].shape}"
            )


def refuse_unstored(system: str, variables: Sequence[HiddenVariable], place: str) -> None:
    """Raise where a system has hidden variables, for a place that cannot hold them.

    Raises
    ------
    InputError
    """
    if variables:
        raise InputError(
            f"{place} cannot hold hidden variables, and system {system!r} has "
            f"{listed([each.name for each in variables])}"
        )


def demand_hidden(
    origin: Origin,
    method: str,
    variables: Sequence[HiddenVariable],
    values: object,
    lead: tuple[int, ...],
    shape: tuple[int, int],
) -> None:
    """Demand that a plugin's method gave every hidden variable, and in its shape.

    Parameters
    ----------
    origin : Origin
    method : str
    variables : sequence of HiddenVariable
    values : object
        What it gave: a mapping of names to float64 arrays of shape ``(*lead, N, ...)``.
    lead : tuple of int
        (B,), or (B, F) of frames, or () of one start.
    shape : tuple of int
        (N, D).

    Raises
    ------
    PluginError
        If it did not.
    """
    names = [each.name for each in variables]
    if not isinstance(values, Mapping) or sorted(values) != sorted(names):
        given = listed(values) if isinstance(values, Mapping) else described(values)
        what = f"must give the hidden variables {listed(names)}, got {given}"
        raise violation(origin, method, what)
    for each in variables:
        array, wanted = values[each.name], (*lead, *each.axes(*shape))
        fits = isinstance(array, np.ndarray) and array.dtype == np.float64
        if not (fits and array.shape == wanted):
            what = f"must give `{each.name}` as a float64 array of shape {wanted}"
            raise violation(origin, method, f"{what}, got {described(array)}")
