"""Force laws, written once for every array library: of pairs, of external fields, of a system."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["FieldLaw", "ForceLaws", "PairLaw"]


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
        None where the particles do not see each other.
    field : FieldLaw or None
        None where there is no external field.
    clip : float
        Each component of a particle's summed pair force is held within this, of either sign.
    """

    pair: PairLaw | None = None
    field: FieldLaw | None = None
    clip: float = math.inf
