"""Find systems, integrators and surrogates by name, through entry points.

Built-ins come through the same door as strangers. Nothing is imported before it is asked for.
A preset of a data set is a mapping of parameters, found in the same way.
``NBODY_SURROGATE_PLUGINS`` (a comma list of distributions; empty means built-ins only) limits
which distributions are looked at. Where two distributions provide one name, ``dist:name`` tells
them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nbody_surrogate.contracts.arguments import demand_kind
from nbody_surrogate.errors import InputError, PluginError, warn
from nbody_surrogate.registry.law_folder import law_parameters, plain_name
from nbody_surrogate.registry.lookup import Class, load, names, register

if TYPE_CHECKING:
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.contracts.system import AbstractSystem

__all__ = [
    "demand_callable",
    "installed_system",
    "integrator_class",
    "list_integrators",
    "list_systems",
    "make_system",
    "preset",
    "register_integrator",
    "register_surrogate",
    "register_system",
    "surrogate_class",
    "surrogate_classes",
    "system_class",
    "system_from",
]


def list_systems() -> list[str]:
    """Return the names that `make_system` takes, sorted.

    Returns
    -------
    list of str
    """
    return names("systems")


def list_integrators() -> list[str]:
    """Return the names that `make_integrator` takes, sorted: those of solvers and of surrogates.

    Returns
    -------
    list of str
    """
    return names("integrators", "surrogates")


def make_system(name: str, /, **parameters: Any) -> AbstractSystem:
    """Build a system by name.

    Parameters
    ----------
    name : str
        ``distribution:name`` where two distributions have it. ``discovered:FOLDER`` takes the
        parameters that `nbody_surrogate.discover` wrote to a folder.
    **parameters
        Those of the system, in reduced units; they replace those of a folder.

    Returns
    -------
    AbstractSystem

    Raises
    ------
    InputError
        If the name is unknown or a parameter does not fit.
    FileFormatError
        If the law of a folder is damaged.
    PluginError
        If its plugin cannot be imported.
    """
    cls = system_class(name)
    return cls(**law_parameters(name, cls, parameters))


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
    demand_callable(name, parameters)
    return make_system(name, **parameters)


def demand_callable(name: str, parameters: Mapping[str, Any]) -> None:
    """Refuse a system of a callable that this process does not have, and say what would do.

    Raises
    ------
    InputError
    """
    made_of = parameters.get("callable")
    if isinstance(made_of, str) and name not in names("systems"):
        raise InputError(
            f"`system` {name!r} is of a callable, {made_of!r}, that this process does not have: "
            f"call system_from_callable({made_of}, name={name!r}) first"
        )


def installed_system(description: Mapping[str, Any]) -> AbstractSystem | None:
    """Build a system from the description that is stored with a run, if it is installed here.

    Returns
    -------
    AbstractSystem or None

    Raises
    ------
    InputError
        If a parameter does not fit: a file may come from anybody.
    """
    parameters = dict(description)
    name = parameters.pop("system", None)
    if not isinstance(name, str):
        return None
    try:
        cls = system_class(name)
    except (InputError, PluginError):
        return None
    return cls(**parameters)


def system_class(name: str) -> type[AbstractSystem]:
    """Return a system's class by name.

    Raises
    ------
    InputError
        If the name is unknown.
    PluginError
        If its plugin cannot be imported, or its class is none of a system.
    """
    demand_kind("system", name, str, "a name, as text")
    cls: type[AbstractSystem] = load("systems", plain_name(name), "system")
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
    cls: type[AbstractIntegrator] = load("integrators", name, label)
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
    cls: type[AbstractSurrogate] = load("surrogates", name, "surrogate")
    return cls


def surrogate_classes() -> dict[str, type[AbstractSurrogate]]:
    """Return all surrogates by name; one that cannot be loaded is warned about and left out."""
    found = {}
    for name in names("surrogates"):
        try:
            found[name] = surrogate_class(name)
        except PluginError as error:
            warn(str(error))
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
    found = load("presets", name, "preset")
    if not isinstance(found, Mapping):
        raise PluginError(f"preset {name!r} must be a mapping, got {type(found).__name__}")
    return found


def register_system(name: str) -> Callable[[Class], Class]:
    """Register a system class under a name, for this process.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
        Decorates the class, and returns it.

    Raises
    ------
    InputError
        If the name is taken.
    PluginError
        If the class lacks what its contract asks for.
    """
    return register("systems", name)


def register_integrator(name: str) -> Callable[[Class], Class]:
    """Register an integrator class under a name, for this process.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
        Decorates the class, and returns it.

    Raises
    ------
    InputError
        If the name is taken.
    PluginError
        If the class lacks what its contract asks for.
    """
    return register("integrators", name)


def register_surrogate(name: str) -> Callable[[Class], Class]:
    """Register a surrogate class under a name, for this process.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
        Decorates the class, and returns it.

    Raises
    ------
    InputError
        If the name is taken.
    PluginError
        If the class lacks what its contract asks for.
    """
    return register("surrogates", name)
