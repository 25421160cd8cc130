"""Force laws, written once for every array library: of pairs, of external fields, of a system."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["DirectedLaw", "FieldLaw", "ForceLaws", "PairLaw"]


class PairLaw(NamedTuple):
    """A central pair law, written once for every array library.

    Attributes
    ----------
    parameters : tuple
        A named tuple of floats, handed to the law as its first argument.
    factory : callable
        ``factory(sqrt, where)`` returns
        ``law(parameters, r2, charge_i, charge_j, mass_i, mass_j, coupling)
        -> (force, energy)``: the force on i over the separation x_i - x_j, and the pair's
        potential energy, as functions of the squared distance. Arithmetic, powers, comparisons,
        ``sqrt`` and ``where`` are known to all that evaluate or differentiate it. The coupling is
        that of the pair in ``Particles.couplings``, and 1 where there are none.
    """

    parameters: tuple[float, ...]
    factory: Callable[..., Callable[..., Any]]


class DirectedLaw(NamedTuple):
    """A law of ordered pairs, neither central nor reciprocal, for every array library.

    The force on i by j need not be along their distance, nor the opposite of that on j by i, as
    that of the wake of an ion flow. It has no energy.

    Attributes
    ----------
    parameters : tuple
        A named tuple of floats, handed to the law as its first argument.
    factory : callable
        ``factory(sqrt, where)`` returns
        ``law(parameters, dx, dy, dz, charge_i, charge_j, mass_i, mass_j) -> (fx, fy, fz)``: the
        force on i by j, where (dx, dy, dz) = x_i - x_j. In two dimensions dz is zero, and fz is
        left out. What a law may be written with is said at `PairLaw`. Its value at d = 0, a
        particle and itself, is never used.
    """

    parameters: tuple[float, ...]
    factory: Callable[..., Callable[..., Any]]


class FieldLaw(NamedTuple):
    """The law of an external field, written once for every array library.

    Attributes
    ----------
    parameters : tuple
        A named tuple of floats, handed to the law as its first argument.
    factory : callable
        ``factory(sqrt, where)`` returns
        ``law(parameters, x, v, charge, mass) -> (acceleration, energy)``, where x, v and the
        acceleration are tuples of three components. In two dimensions the third is zero.
    """

    parameters: tuple[float, ...]
    factory: Callable[..., Callable[..., Any]]


class ForceLaws(NamedTuple):
    """All forces of a system as laws, which compiled and batched integrators need.

    Attributes
    ----------
    pair : PairLaw or None
        None where the particles do not see each other, or by a directed law alone.
    field : FieldLaw or None
        None where there is no external field.
    clip : float
        Each component of a particle's summed pair force is held within this, of either sign;
        directed forces are not.
    directed : DirectedLaw or None
        Forces of ordered pairs, added to those of `pair`. A system that has some has no potential.
    """

    pair: PairLaw | None = None
    field: FieldLaw | None = None
    clip: float = math.inf
    directed: DirectedLaw | None = None

    @property
    def has_pairs(self) -> bool:
        """Whether particles see each other."""
        return self.pair is not None or self.directed is not None
