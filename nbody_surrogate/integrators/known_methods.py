"""Which methods there are to be compared: all solvers, the best of them, and what was trained."""

from __future__ import annotations

from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.errors import NBodyError
from nbody_surrogate.integrators.approximation_text import SIGN
from nbody_surrogate.registry.lookup import names

__all__ = ["FRONT", "approximated_names", "classical_names", "learned_names"]

FRONT = ("leapfrog", "srkn4", "srkn6", "dop853")
"""Solvers that are best where forces are dear: of each order, the one with the least error for its
evaluations."""

KNOBS = frozenset({"rtol", "substeps", "eta"})
"""Options by which a solver is made more accurate; what has none is no solver."""


def classical_names() -> list[str]:
    """Name all registered solvers, by the rule that they have a knob of accuracy.

    Those that run on threads, which are compiled, come first. What cannot be imported is left out.
    """
    from nbody_surrogate.integrators.build import find_method

    found: list[tuple[bool, str]] = []
    for name in names("integrators"):
        try:
            known = find_method(name).options
        except NBodyError:
            continue
        if KNOBS & known:
            found.append(("threads" not in known, name))
    return [name for _, name in sorted(found)]


def learned_names() -> list[str]:
    """Name the trained models that ship; none where a plugin of theirs is broken."""
    from nbody_surrogate.surrogates.trained_models import shipped_models

    try:
        return [model.name for model in shipped_models()]
    except NBodyError:
        return []


def approximated_names(system: AbstractSystem) -> list[str]:
    """Name the best solvers by each approximation that a system has, coarse ones first."""
    return [f"{name}{SIGN}{each}" for each in system.approximations for name in FRONT]
