"""Options that one of our own solvers has and no other, told before any solver is imported.

What a solver takes is known by its class, which needs numba. Of our own it is written down here;
a test holds it against the classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nbody_surrogate.cli.request import Request
from nbody_surrogate.contracts.origin import OWN_DISTRIBUTION
from nbody_surrogate.errors import InputError

__all__ = ["CHOICES", "check_choices"]

CHOICES: Mapping[str, Mapping[str, tuple[object, ...]]] = MappingProxyType(
    {"form": {"leapfrog": ("dkd", "kdk")}, "order": {"exact-flow": (2, 4, 6)}}
)
"""By option and solver: what it may be."""


def check_choices(request: Request) -> None:
    """Refuse a form or an order that a method of ours does not have.

    Raises
    ------
    InputError
    """
    own = None if request.no_reference else request.reference
    for prefix, name in (("", request.integrator), ("reference_", own)):
        for key, having in CHOICES.items():
            value = getattr(request, prefix + key)
            # of a stranger's solver, and of one that nobody named, its class says it
            if value is not None and name is not None and _is_ours(name):
                _check(prefix + key, value, name, having)


def _is_ours(name: str) -> bool:
    from nbody_surrogate.registry.lookup import owners_of, short_name

    owners = owners_of("integrators", name) + owners_of("surrogates", name)
    return owners == [f"{OWN_DISTRIBUTION}:{short_name(name)}"]


def _check(option: str, value: object, name: str, having: Mapping[str, tuple[object, ...]]) -> None:
    role = "reference" if option.startswith("reference_") else "integrator"
    allowed = having.get(name.rpartition(":")[2])
    if allowed is None:
        raise InputError(
            f"`{option}` does not apply to {role} {name!r}: it is of {', '.join(having)}; "
            "leave it out"
        )
    if value not in allowed:
        *some, last = map(str, allowed)
        raise InputError(f"`{option}` of {name} must be {', '.join(some)} or {last}, got {value!r}")
