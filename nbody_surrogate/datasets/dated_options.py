"""Options of a solver as a spec writes them out, so that it means the same in all releases."""

from __future__ import annotations

from typing import Any

from nbody_surrogate.errors import NBodyError
from nbody_surrogate.integrators.build import find_method
from nbody_surrogate.registry.registry import system_class

__all__ = ["dated_options"]


def dated_options(system: str, integrator: str, options: dict[str, Any]) -> dict[str, Any]:
    """Write out the options whose default changed since they came; as of before, leave them out."""
    try:
        method, tolerance = find_method(integrator), system_class(system).tolerance
    except NBodyError:  # told when it is to be used, with all else that is wrong
        return options
    found, defaults = dict(options), method.defaults
    for key, value in method.of_before.items():
        now = found.pop(key, defaults[key])
        if now != value:
            found = method.settled(tolerance, found) | {key: now}
    return found
