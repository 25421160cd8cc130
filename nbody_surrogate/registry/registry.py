"""Find systems, integrators and surrogates by name, through entry points.

Built-ins come through the same door as strangers. Nothing is imported before it is asked for.
A preset of a data set is a mapping of parameters, found in the same way.
``NBODY_SURROGATE_PLUGINS`` (a comma list of distributions; empty means built-ins only) limits
which distributions are looked at. Where two distributions provide one name, ``dist:name`` tells
them apart.
"""

from __future__ import annotations

import difflib
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nbody_surrogate.contracts.origin import OWN_DISTRIBUTION, Origin, note_origin
from nbody_surrogate.errors import InputError, NBodyWarning, PluginError
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

if TYPE_CHECKING:
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = [
    "Entry",
    "entries",
    "integrator_class",
    "make_system",
    "names",
    "preset",
    "register_integrator",
    "register_surrogate",
    "register_system",
    "surrogate_class",
    "surrogate_classes",
    "system_class",
    "system_from",
]

Class = TypeVar("Class", bound=type)

_registered: dict[tuple[str, str], type] = {}


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
    found |= {name for kind, name in _registered if kind in kinds}
    return sorted(found)


def make_system(name: str, /, **parameters: Any) -> AbstractSystem:
    """Build a system by name.

    Raises
    ------
    InputError
        If the name is unknown or a parameter does not fit.
    PluginError
        If its plugin cannot be imported.
    """
    return system_class(name)(**parameters)


def system_from(description: Mapping[str, Any]) -> AbstractSystem:
    """Build a system from the description that is stored with a run.

    Raises
    ------
    InputError
        If it does not name its system, that is not installed, or a parameter does not fit.
    PluginError
        If its plugin cannot be imported.
    """
    parameters = dict(description)
    name = parameters.pop("system", None)
    if not isinstance(name, str):
        raise InputError("the description of this run does not name its `system`")
    return make_system(name, **parameters)


def system_class(name: str) -> type[AbstractSystem]:
    """Return a system's class by name.

    Raises
    ------
    InputError
        If the name is unknown.
    PluginError
        If its plugin cannot be imported, or its class is none of a system.
    """
    cls: type[AbstractSystem] = _load("systems", name, "system")
    return cls


def integrator_class(name: str, label: str = "integrator") -> type[AbstractIntegrator]:
    """Return an integrator's class by name; `label` names the parameter in errors.

    Raises
    ------
    InputError
        If the name is unknown.
    PluginError
        If its plugin cannot be imported, or its class is none of an integrator.
    """
    cls: type[AbstractIntegrator] = _load("integrators", name, label)
    return cls


def surrogate_class(name: str) -> type[AbstractSurrogate]:
    """Return a surrogate's class by name.

    Raises
    ------
    InputError
        If the name is unknown.
    PluginError
        If its plugin cannot be imported.
    """
    cls: type[AbstractSurrogate] = _load("surrogates", name, "surrogate")
    return cls


def surrogate_classes() -> dict[str, type[AbstractSurrogate]]:
    """Return all surrogates by name; one that cannot be loaded is warned about and left out."""
    found = {}
    for name in names("surrogates"):
        try:
            found[name] = surrogate_class(name)
        except PluginError as error:
            warnings.warn(str(error), NBodyWarning, stacklevel=2)
    return found


def preset(name: str) -> Mapping[str, Any]:
    """Return the parameters of a data set by name.

    Raises
    ------
    InputError
        If the name is unknown.
    PluginError
        If its plugin cannot be imported, or it is no mapping.
    """
    found = _load("presets", name, "preset")
    if not isinstance(found, Mapping):
        raise PluginError(f"preset {name!r} must be a mapping, got {type(found).__name__}")
    return found


def plugin_of(name: str) -> str:
    """Name the distribution that an integrator or surrogate comes from, and its version."""
    points = [point for kind in _same_namespace("integrators") for point in _matching(kind, name)]
    found = sorted(" ".join(distribution_of(point)) for point in points)
    return ", ".join(found) or "this process"


def is_local(kind: Kind, name: str) -> bool:
    """Whether a name was registered in this process, so that no other process knows it."""
    return (kind, name) in _registered


def is_surrogate(name: str) -> bool:
    """Whether a name is a surrogate's. A name that is both is an error."""
    _rescan_for("integrators", name)
    surrogates = _owners("surrogates", name)
    integrators = _owners("integrators", name)
    # they share `--integrator`, so that a name must say which it is
    if surrogates and integrators:
        raise PluginError(
            f"{name!r} is provided both as a surrogate, by {' and '.join(surrogates)}, and as an "
            f"integrator, by {' and '.join(integrators)}{_advice([*surrogates, *integrators])}"
        )
    return bool(surrogates)


def short_name(name: str) -> str:
    """Return a name without the distribution that may stand before it."""
    return name.rpartition(":")[2]


def entries() -> list[Entry]:
    """All that is provided, by kind and name, hidden names too. Nothing is imported."""
    rescan_if_changed()
    found = []
    points = {kind: installed(kind) for kind in KINDS}
    for kind in KINDS:
        rivals = [(each, point) for each in _same_namespace(kind) for point in points[each]]
        # what is hidden takes no name away: it cannot be asked for
        visible = Counter(point.name for _, point in rivals if not is_hidden(point))
        visible.update(name for each, name in _registered if each in _same_namespace(kind))
        for point in points[kind]:
            status = _status(point, visible[point.name] > 1)
            # groups of entry points are plural, kinds in words singular
            found.append(Entry(point.name, kind[:-1], *distribution_of(point), point.value, status))
    for (kind_, name), cls in _registered.items():
        target = f"{cls.__module__}:{cls.__qualname__}"
        found.append(Entry(name, kind_[:-1], "", "", target, "registered"))
    order = [kind[:-1] for kind in KINDS]
    return sorted(found, key=lambda entry: (order.index(entry.kind), entry.name, entry[2:]))


def register_system(name: str) -> Callable[[Class], Class]:
    """Register a system class under a name, for this process."""
    return _register("systems", name)


def register_integrator(name: str) -> Callable[[Class], Class]:
    """Register an integrator class under a name, for this process."""
    return _register("integrators", name)


def register_surrogate(name: str) -> Callable[[Class], Class]:
    """Register a surrogate class under a name, for this process."""
    return _register("surrogates", name)


def _register(kind: Kind, name: str) -> Callable[[Class], Class]:
    kinds = _same_namespace(kind)

    def decorate(cls: Class) -> Class:
        taken = [owner for each in kinds for owner in _owners(each, name)]
        if taken and not _is_new_edition(_registered.get((kind, name)), cls):
            raise InputError(
                f"`name` {name!r} is taken among the {' and '.join(kinds)}, "
                f"by {' and '.join(taken)}"
            )
        _accept(kind, cls, Origin(kind[:-1], name, "this session"))
        _registered[kind, name] = cls
        return cls

    return decorate


def _is_new_edition(before: type | None, cls: type) -> bool:
    """Whether a class is one of a notebook's, run again."""
    return (
        before is not None
        # a cell that is run again makes the class anew; elsewhere one name for two is a mistake
        and cls.__module__ == "__main__" == before.__module__
        and cls.__qualname__ == before.__qualname__
    )


def _same_namespace(kind: Kind) -> tuple[Kind, ...]:
    """Return the kinds that share their names with this one."""
    steppers: tuple[Kind, ...] = ("integrators", "surrogates")
    return steppers if kind in steppers else (kind,)


def _owners(kind: Kind, name: str) -> list[str]:
    """Who provides a name: ``dist:name`` of each, and this session."""
    owners = [f"{distribution_of(point)[0]}:{point.name}" for point in _matching(kind, name)]
    return sorted(owners) + ["this session"] * ((kind, name) in _registered)


def _matching(kind: Kind, name: str) -> list[EntryPoint]:
    # `dist:name`, by which a user chooses between two that provide the name
    distribution, _, short = name.rpartition(":")
    return [
        point
        for point in _entry_points(kind)
        if point.name == short
        and (not distribution or normalised(distribution) == normalised(distribution_of(point)[0]))
    ]


def _rescan_for(kind: Kind, name: str) -> None:
    """Look for what was installed since, where nobody provides a name; one look is expensive."""
    if not any(_owners(each, name) for each in _same_namespace(kind)):
        rescan_if_changed()


def _advice(owners: list[str]) -> str:
    """Say how to choose between owners, where that can be said."""
    return f"; choose one of {', '.join(owners)}" if len(set(owners)) > 1 else ""


def _load(kind: Kind, name: str, label: str) -> Any:
    if (kind, name) in _registered:
        return _registered[kind, name]
    _rescan_for(kind, name)
    points = _matching(kind, name)
    if not points:
        raise InputError(_unknown(label, name, kind))
    if len(points) > 1:
        owners = " and ".join(_owners(kind, name))
        raise PluginError(f"{label} {name!r} is provided twice; choose {owners}")
    distribution, version = distribution_of(points[0])
    built_in = distribution == OWN_DISTRIBUTION
    origin = Origin(kind[:-1], points[0].name, f"{distribution} {version}", built_in)
    try:
        found = points[0].load()
    # a module may do anything when it is imported, also end the program
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())
        raise PluginError(
            f"{origin} cannot be imported: {type(error).__name__}: {reason}"
        ) from error
    # a preset is a mapping, which no contract describes further
    if kind != "presets":
        _accept(kind, found, origin)
    return found


def _accept(kind: Kind, cls: Any, origin: Origin) -> None:
    """Demand a complete class of a kind, and remember where it is from."""
    # not at the top: the contracts load NumPy and pydantic, which names alone do not need
    from nbody_surrogate.registry.requirements import check_plugin_class

    check_plugin_class(cls, origin)
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
    known = names(*_same_namespace(kind))
    hidden = [point for point in installed(kind) if point.name == short_name(name)]
    if hidden:
        owners = " and ".join(distribution_of(point)[0] for point in hidden)
        left_out = f", or hidden by {VARIABLE}: {owners} has it"
    else:
        left_out = ""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"`{label}` {name!r} is unknown{left_out}; there are: {', '.join(known)}{hint}"
