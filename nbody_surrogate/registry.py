"""Find systems, integrators and surrogates by name, through entry points.

Built-ins come through the same door as strangers. Nothing is imported before it is asked for.
A preset of a data set is a mapping of parameters, found in the same way.
``NBODY_SURROGATE_PLUGINS`` (a comma list of distributions; empty means built-ins only) limits
which distributions are looked at.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from nbody_surrogate.errors import InputError, PluginError

if TYPE_CHECKING:
    from nbody_surrogate.integrator import AbstractIntegrator
    from nbody_surrogate.surrogate import AbstractSurrogate
    from nbody_surrogate.system import AbstractSystem

__all__ = [
    "API_VERSION",
    "make_integrator",
    "make_system",
    "names",
    "preset",
    "register_integrator",
    "register_surrogate",
    "register_system",
    "surrogate_class",
]

API_VERSION = 1
Kind = Literal["systems", "integrators", "surrogates", "presets"]
Class = TypeVar("Class", bound=type)

_OWN_DISTRIBUTION = "nbody-surrogate"
_registered: dict[tuple[str, str], type] = {}


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
    cls: type[AbstractSystem] = _load("systems", name, "system")
    return cls(**parameters)


def make_integrator(name: str, /, **options: Any) -> AbstractIntegrator:
    """Build an integrator by name; a surrogate's name gives a `SurrogateIntegrator`.

    Raises
    ------
    InputError
        If the name is unknown or an option does not fit.
    FileFormatError
        If a surrogate's weights cannot be read.
    PluginError
        If its plugin cannot be imported.
    """
    if is_surrogate(name):
        from nbody_surrogate.surrogate_integrator import SurrogateIntegrator

        return SurrogateIntegrator(name, **options)
    cls: type[AbstractIntegrator] = _load("integrators", name, "integrator")
    return cls(**options)


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


def provider(name: str) -> str:
    """Name the distribution that an integrator or surrogate comes from, and its version."""
    short = name.rpartition(":")[2]
    points = [
        point
        for kind in _rivals("integrators")
        for point in _entry_points(kind)
        if point.name == short and point.dist is not None
    ]
    found = sorted(f"{point.dist.name} {point.dist.version}" for point in points if point.dist)
    return ", ".join(found) or "this process"


def is_local(kind: Kind, name: str) -> bool:
    """Whether a name was registered in this process, so that no other process knows it."""
    return (kind, name) in _registered


def integrator_options(name: str, label: str = "integrator") -> frozenset[str]:
    """Names of the options an integrator takes; `label` names the parameter in errors."""
    if is_surrogate(name):
        from nbody_surrogate.surrogate_integrator import SurrogateIntegrator

        return frozenset(SurrogateIntegrator.Options.model_fields)
    return frozenset(_load("integrators", name, label).Options.model_fields)


def is_surrogate(name: str) -> bool:
    """Whether a name is a surrogate's. A name that is both is an error."""
    short = name.split(":")[-1]
    surrogate = short in names("surrogates")
    if surrogate and short in names("integrators"):
        raise PluginError(f"{short!r} is registered both as an integrator and as a surrogate")
    return surrogate


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
    kinds = _rivals(kind)

    def decorate(cls: Class) -> Class:
        if name in names(*kinds):
            raise InputError(f"`name` {name!r} is taken among the {' and '.join(kinds)}")
        _registered[kind, name] = cls
        return cls

    return decorate


def _rivals(kind: Kind) -> tuple[Kind, ...]:
    """Return the kinds that share their names with this one."""
    steppers: tuple[Kind, ...] = ("integrators", "surrogates")
    return steppers if kind in steppers else (kind,)


def _load(kind: Kind, name: str, label: str) -> Any:
    if (kind, name) in _registered:
        return _registered[kind, name]
    distribution, _, short = name.rpartition(":")
    points = [
        point
        for point in _entry_points(kind)
        if point.name == short and distribution in ("", _distribution(point))
    ]
    if not points:
        raise InputError(_unknown(label, name, names(*_rivals(kind))))
    if len(points) > 1:
        owners = " and ".join(sorted(f"{_distribution(p)}:{p.name}" for p in points))
        raise PluginError(f"{label} {name!r} is provided twice; choose {owners}")
    try:
        return points[0].load()
    except Exception as error:
        raise PluginError(
            f"{label} {name!r} of {_distribution(points[0])} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error


def _entry_points(kind: Kind) -> list[EntryPoint]:
    points = list(entry_points(group=f"nbody_surrogate.{kind}"))
    allowed = os.environ.get("NBODY_SURROGATE_PLUGINS")
    if allowed is None:
        return points
    kept = {part.strip() for part in allowed.split(",") if part.strip()} | {_OWN_DISTRIBUTION}
    return [point for point in points if _distribution(point) in kept]


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown"


def _unknown(label: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"`{label}` {name!r} is unknown; there are: {', '.join(known)}{hint}"
