"""What a plugin is, in lines of text."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from nbody_surrogate.contracts.origin import THIS_SESSION, Origin
from nbody_surrogate.contracts.system_versions import finer_text, finer_version
from nbody_surrogate.contracts.violations import plugin_errors
from nbody_surrogate.errors import InputError
from nbody_surrogate.registry.lookup import Entry, entries, short_name
from nbody_surrogate.registry.registry import (
    integrator_class,
    preset,
    surrogate_class,
    system_class,
)

__all__ = ["facts"]


def facts(name: str, kind: str | None = None) -> list[list[str]]:
    """Describe all that is provided under a name, or that of one kind. Only this is imported.

    Raises
    ------
    InputError
        If there is none.
    PluginError
        If it cannot be loaded.
    """
    distribution = name.rpartition(":")[0]
    there = entries()
    found = [
        entry
        for entry in there
        if entry.name == short_name(name)
        and kind in (None, entry.kind)
        and distribution in ("", entry.distribution)
    ]
    if not found:
        listed = ", ".join(dict.fromkeys(e.name for e in there if kind in (None, e.kind)))
        raise InputError(f"`name` {name!r} is unknown; there are: {listed}")
    return [_described(entry) for entry in found]


def _described(entry: Entry) -> list[str]:
    # a description runs properties and defaults of the plugin's
    with plugin_errors(Origin(entry.kind, entry.name, _provider(entry)), "description"):
        return _lines(entry)


def _provider(entry: Entry) -> str:
    return f"{entry.distribution} {entry.version}" if entry.distribution else THIS_SESSION


def _lines(entry: Entry) -> list[str]:
    lines = [f"{entry.kind} {entry.name}, of {_provider(entry)} ({entry.status})", entry.target]
    # all that follows would have to import it
    if entry.status in ("hidden", "missing"):
        return lines
    # in full, so that a name which two provide is described once for each
    name = f"{entry.distribution}:{entry.name}" if entry.distribution else entry.name
    if entry.kind == "preset":
        return [*lines, *(f"  {key} = {value!r}" for key, value in preset(name).items())]
    if entry.kind == "system":
        return lines + _of_system(system_class(name))
    if entry.kind == "integrator":
        cls = integrator_class(name)
        can = f"capabilities: {_listed(cls.capabilities)}"
        return [*lines, *_summary(cls), can, "options:", *_fields(cls.Options)]
    return lines + _of_surrogate(surrogate_class(name))


def _of_system(cls: Any) -> list[str]:
    system = cls()
    finer = finer_version(system)
    return [
        *_summary(cls),
        f"symmetries: {_listed(system.symmetries)}",
        f"conserved: {_listed(system.conserved)}",
        f"forces depend on velocity: {'yes' if system.velocity_dependent else 'no'}",
        f"forces are written as laws: {'yes' if system.force_laws() is not None else 'no'}",
        f"potential energy: {'yes' if system.has_potential else 'no'}",
        f"needs: {_listed(system.needs | ({'radii'} if system.needs_radii else set()))}",
        *([] if finer is None else [f"finer version: {finer_text(system, finer)}"]),
        *([f"approximations: {', '.join(known)}"] if (known := system.approximations) else []),
        "parameters:",
        *_fields(cls.Spec),
    ]


def _of_surrogate(cls: Any) -> list[str]:
    return [
        *_summary(cls),
        f"symmetries: {_listed(cls.symmetries)}",
        f"capabilities: {_listed(cls.capabilities)}",
        f"starts from: {cls.min_history} frame{'s' if cls.min_history > 1 else ''}",
        f"weights that ship: {_listed(cls.shipped_weights)}",
        "config:",
        *_fields(cls.Config),
    ]


def _summary(cls: type) -> list[str]:
    text = inspect.getdoc(cls) or ""
    first = text.split("\n\n")[0].replace("\n", " ")
    return [first] if first else []


def _fields(model: type[BaseModel]) -> list[str]:
    lines = []
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        value = "(required)" if field.is_required() else repr(default)
        lines.append(f"  {key} = {value}  {field.description or ''}".rstrip())
    return lines


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
