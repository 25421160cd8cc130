"""Who provides a name: what is installed, what was registered in this process, and its class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any, NamedTuple, TypeVar

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.contracts.origin import (
    OWN_DISTRIBUTION,
    THIS_SESSION,
    Origin,
    note_origin,
)
from nbody_surrogate.contracts.signals import SignalWatch, is_blameless
from nbody_surrogate.errors import InputError, PluginError, said_by
from nbody_surrogate.registry.entry_points import (
    KINDS,
    VARIABLE,
    Kind,
    distribution_of,
    installed,
    is_hidden,
    normalised,
    package_exists,
    rescan_if_changed,
)
from nbody_surrogate.registry.importing import import_plugin
from nbody_surrogate.registry.law_folder import demand_law, plain_name
from nbody_surrogate.spelling import nearest

__all__ = [
    "Entry",
    "accept",
    "demand_name",
    "entries",
    "is_local",
    "is_new_edition",
    "is_surrogate",
    "load",
    "matching",
    "names",
    "owners_of",
    "plugin_of",
    "register",
    "registered",
    "same_namespace",
    "short_name",
]


Class = TypeVar("Class", bound=type)


registered: dict[tuple[str, str], type] = {}


class Entry(NamedTuple):
    """One name that is provided.

    Attributes
    ----------
    name, kind : str
        The kind is ``system``, ``integrator``, ``surrogate`` or ``preset``.
    distribution, version : str
        Empty where it was registered in this process.
    target : str
        ``module:attribute``.
    status : str
        ``built-in``, ``installed``, or ``registered`` in this process; ``duplicate`` where
        another distribution provides the name too; ``hidden`` by ``NBODY_SURROGATE_PLUGINS``;
        ``missing`` where its package is not there.
    """

    name: str
    kind: str
    distribution: str
    version: str
    target: str
    status: str


def names(*kinds: Kind) -> list[str]:
    """Names of the given kinds, sorted."""
    found = {point.name for kind in kinds for point in _entry_points(kind)}
    found |= {name for kind, name in registered if kind in kinds}
    return sorted(found)


def plugin_of(name: str) -> str:
    """Name the distribution that an integrator or surrogate comes from, and its version."""
    name = name.partition("@")[0]  # whatever forces it moves by
    points = [point for kind in same_namespace("integrators") for point in matching(kind, name)]
    found = sorted(" ".join(distribution_of(point)) for point in points)
    return ", ".join(found) or "this process"


def is_local(kind: Kind, name: str) -> bool:
    """Whether a name was registered in this process, so that no other process knows it."""
    return (kind, name) in registered


def is_surrogate(name: str) -> bool:
    """Whether a name is a surrogate's. A name that is both is an error."""
    _rescan_for("integrators", name)
    surrogates = owners_of("surrogates", name)
    integrators = owners_of("integrators", name)
    # they share `--integrator`, so that a name must say which it is
    if surrogates and integrators:
        raise PluginError(
            f"{name!r} is provided both as a surrogate, by {' and '.join(surrogates)}, and as an "
            f"integrator, by {' and '.join(integrators)}{_advice([*surrogates, *integrators])}"
        )
    return bool(surrogates)


def demand_name(kinds: tuple[Kind, ...], name: str, label: str) -> None:
    """Refuse a name that nobody provides, without importing who does.

    Raises
    ------
    InputError
    """
    if "systems" in kinds:
        demand_law(name)
        name = plain_name(name)
    if not any((kind, name) in registered or matching(kind, name) for kind in kinds):
        raise InputError(_unknown(label, name, kinds[0]))


def short_name(name: str) -> str:
    """Return a name without the distribution before it, or a folder behind it."""
    return plain_name(name).rpartition(":")[2]


def entries() -> list[Entry]:
    """All that is provided, by kind and name, hidden names too. Nothing is imported."""
    rescan_if_changed()
    found = []
    points = {kind: installed(kind) for kind in KINDS}
    for kind in KINDS:
        rivals = [(each, point) for each in same_namespace(kind) for point in points[each]]
        # what is hidden takes no name away: it cannot be asked for
        visible = Counter(point.name for _, point in rivals if not is_hidden(point))
        visible.update(name for each, name in registered if each in same_namespace(kind))
        for point in points[kind]:
            status = _status(point, visible[point.name] > 1)
            # groups of entry points are plural, kinds in words singular
            found.append(Entry(point.name, kind[:-1], *distribution_of(point), point.value, status))
    for (kind_, name), cls in registered.items():
        target = f"{cls.__module__}:{cls.__qualname__}"
        found.append(Entry(name, kind_[:-1], "", "", target, "registered"))
    order = [kind[:-1] for kind in KINDS]
    return sorted(found, key=lambda entry: (order.index(entry.kind), entry.name, entry[2:]))


def register(kind: Kind, name: str) -> Callable[[Class], Class]:
    """Return a decorator that registers a class under a name, for this process."""
    kinds = same_namespace(kind)

    def decorate(cls: Class) -> Class:
        taken = [owner for each in kinds for owner in owners_of(each, name)]
        if taken and not is_new_edition(registered.get((kind, name)), cls):
            raise InputError(
                f"`name` {name!r} is taken among the {' and '.join(kinds)}, "
                f"by {' and '.join(taken)}"
            )
        accept(kind, cls, Origin(kind[:-1], name, THIS_SESSION))
        registered[kind, name] = cls
        return cls

    return decorate


def is_new_edition(before: type | None, cls: type) -> bool:
    """Whether a class is one of a notebook's, run again."""
    return (
        before is not None
        # a cell that is run again makes the class anew; elsewhere one name for two is a mistake
        and cls.__module__ == "__main__" == before.__module__
        and cls.__qualname__ == before.__qualname__
    )


def same_namespace(kind: Kind) -> tuple[Kind, ...]:
    """Return the kinds that share their names with this one."""
    steppers: tuple[Kind, ...] = ("integrators", "surrogates")
    return steppers if kind in steppers else (kind,)


def owners_of(kind: Kind, name: str) -> list[str]:
    """Who provides a name: ``dist:name`` of each, and this session."""
    owners = [f"{distribution_of(point)[0]}:{point.name}" for point in matching(kind, name)]
    return sorted(owners) + [THIS_SESSION] * ((kind, name) in registered)


def matching(kind: Kind, name: str) -> list[EntryPoint]:
    """Entry points of a name, which may have its distribution before it, as ``dist:name``."""
    distribution, _, short = name.rpartition(":")
    return [
        point
        for point in _entry_points(kind)
        if point.name == short
        and (not distribution or normalised(distribution) == normalised(distribution_of(point)[0]))
    ]


def _rescan_for(kind: Kind, name: str) -> None:
    """Look for what was installed since, where nobody provides a name; one look is expensive."""
    if not any(owners_of(each, name) for each in same_namespace(kind)):
        rescan_if_changed()


def _advice(owners: list[str]) -> str:
    """Say how to choose between owners, where that can be said."""
    return f"; choose one of {', '.join(owners)}" if len(set(owners)) > 1 else ""


def load(kind: Kind, name: str, label: str) -> Any:
    """Import what a name stands for; `label` names the parameter in errors.

    Raises
    ------
    InputError
        If nobody provides it.
    PluginError
        If two do, it cannot be imported, or its class is none of the kind.
    """
    demand_kind(label, name, str, "a name, as text")
    if (kind, name) in registered:
        return registered[kind, name]
    _rescan_for(kind, name)
    points = matching(kind, name)
    if not points:
        raise InputError(_unknown(label, name, kind))
    if len(points) > 1:
        owners = " and ".join(owners_of(kind, name))
        raise PluginError(f"{label} {name!r} is provided twice; choose {owners}")
    distribution, version = distribution_of(points[0])
    built_in = distribution == OWN_DISTRIBUTION
    origin = Origin(kind[:-1], points[0].name, f"{distribution} {version}", built_in)
    if kind != "presets":
        from nbody_surrogate.registry.requirements import contract_of  # names do without NumPy

        contract_of(origin.kind)  # before the plugin, which would else import torch for it
    found = import_plugin(points[0], origin)
    # a preset is a mapping, which no contract describes further
    if kind != "presets":
        accept(kind, found, origin)
    return found


def accept(kind: Kind, cls: Any, origin: Origin) -> None:
    """Demand a complete class of a kind, and remember where it is from."""
    from nbody_surrogate.registry.requirements import check_plugin_class

    with SignalWatch():
        try:
            check_plugin_class(cls, origin)
        except BaseException as error:  # to look at a class may run code of its metaclass
            if is_blameless(error):
                raise
            raise PluginError(f"{origin} cannot be looked at: {said_by(error)}") from error
    note_origin(cls, origin)


def _entry_points(kind: Kind) -> list[EntryPoint]:
    return [point for point in installed(kind) if not is_hidden(point)]


def _status(point: EntryPoint, duplicate: bool) -> str:
    if is_hidden(point):
        return "hidden"
    if duplicate:
        return "duplicate"
    if distribution_of(point)[0] == OWN_DISTRIBUTION:
        return "built-in"
    return "installed" if package_exists(point.value.partition(":")[0]) else "missing"


def _unknown(label: str, name: str, kind: Kind) -> str:
    # what is asked for by `--integrator` may be either, but a surrogate is no solver
    known = names(kind) if kind == "surrogates" else names(*same_namespace(kind))
    if kind == "surrogates" and owners_of("integrators", name):
        return f"`{label}` {name!r} is an integrator, no surrogate; there are: {', '.join(known)}"
    hidden = [point for point in installed(kind) if point.name == short_name(name)]
    if hidden:
        owners = " and ".join(distribution_of(point)[0] for point in hidden)
        left_out = f", or hidden by {VARIABLE}: {owners} has it"
    else:
        left_out = ""
    close = nearest(name, known)
    hint = "" if close is None else f"; did you mean {close!r}?"
    return f"`{label}` {name!r} is unknown{left_out}; there are: {', '.join(known)}{hint}"
