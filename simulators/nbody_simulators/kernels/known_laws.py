"""The laws that kernels know, each under the class of its parameters; numba is not needed for it.

A law system is often made to be asked for its parameters alone, as where one of them is refused.
So laws are only noted here, and built where a kernel is compiled for the first of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbody_surrogate.contracts import DirectedLaw, FieldLaw, InputError, PairLaw

__all__ = ["factory_of", "register_law"]

_factories: dict[type, Callable[..., Any]] = {}
"""What the laws are built by: a factory builds a new function each time, but is itself one thing,
so that it tells whether a class stands for another law."""


def register_law(law: PairLaw | DirectedLaw | FieldLaw) -> None:
    """Make a law known to the kernels, under the class of its parameters.

    Raises
    ------
    InputError
        If the class stands for another law already, or is no named tuple.
    """
    kind = type(law.parameters)
    if not hasattr(kind, "_fields"):
        raise InputError(f"`parameters` of a law must be a named tuple, got {kind.__name__}")
    if _factories.setdefault(kind, law.factory) is not law.factory:
        raise InputError(
            f"`parameters` of a law are of class {kind.__name__}, which stands for another law; "
            "each needs a class of its own and one factory that depends on nothing else"
        )


def factory_of(kind: type) -> Callable[..., Any] | None:
    """Return what builds the law of a class of parameters, or None where it stands for no law."""
    return _factories.get(kind)
