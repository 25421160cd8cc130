"""A data set of a law in a folder: its spec takes all numbers, and needs the folder no more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbody_surrogate.registry.law_folder import law_parameters, named_folder, plain_name
from nbody_surrogate.registry.registry import system_class

__all__ = ["without_folder"]


def without_folder(values: dict[str, Any]) -> dict[str, Any]:
    """Take what a folder of a law has for parameters: the data set is to need it no more.

    Parameters
    ----------
    values : mapping
        Of a spec, as they are given; ``system`` may be ``discovered:FOLDER``.

    Returns
    -------
    dict
        With the measured numbers of particles and of dimensions, where none are given.

    Raises
    ------
    InputError
        If there is no such folder, or a parameter is wrong.
    FileFormatError
        If its law is damaged.
    """
    system, given = values.get("system"), values.get("parameters", {})
    if not isinstance(system, str) or named_folder(system) is None:
        return values
    if not isinstance(given, Mapping):  # which is told as it is of any system
        return {**values, "system": plain_name(system)}
    cls = system_class(system)
    made = cls(**law_parameters(system, cls, given))
    usual = {"particles": made.usual_particles, "dimensions": made.usual_dimensions}
    named = {"system": plain_name(system), "parameters": made.spec.model_dump(mode="json")}
    return {**usual, **values, **named}
