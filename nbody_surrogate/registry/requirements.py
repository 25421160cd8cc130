"""What a plugin's class must be before anything is made of it."""

from __future__ import annotations

import inspect
from typing import Any

from nbody_surrogate import contracts  # whose names load when used: torch for surrogates alone
from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.violations import described
from nbody_surrogate.errors import LONGEST, PluginError

__all__ = ["API_VERSION", "check_plugin_class", "contract_of"]

API_VERSION = 1
"""Of the contracts that plugins implement; it rises when they have to change.

What is added with a default, such as a capability, does not change them.
"""


def check_plugin_class(cls: Any, origin: Origin) -> None:
    """Demand a complete subclass of the contract, written for this version of it.

    Raises
    ------
    PluginError
        Naming what is lacking.
    """
    contract, attributes = contract_of(origin.kind)
    if not _is_subclass(cls, contract):
        what = f"class {cls.__qualname__}" if inspect.isclass(cls) else f"a {type(cls).__name__}"
        raise PluginError(f"{origin} must be a subclass of {contract.__name__}, it is {what}")
    _demand_version(cls, origin)
    # here and not when it is first built, with Python's own words
    missing = sorted(cls.__abstractmethods__)
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        raise PluginError(
            f"{origin}: class {cls.__qualname__} lacks {listed}, which {contract.__name__} asks for"
        )
    for name, kind in attributes.items():
        _demand_attribute(cls, name, kind, origin)
    if origin.kind == "system" and cls.name != origin.name:  # by which stored runs find it again
        raise PluginError(
            f"{origin}: class {cls.__qualname__} must set `name` to {origin.name!r}, "
            f"got {cls.name!r}"
        )


def _demand_version(cls: type, origin: Origin) -> None:
    version = inspect.getattr_static(cls, "api_version", None)
    if type(version) is not int:  # nor a bool
        raise PluginError(
            f"{origin}: class {cls.__qualname__} must set `api_version` to a whole number, such "
            f"as {API_VERSION}, got {_shown(version)}"
        )
    if version != API_VERSION:
        older = "update the plugin" if version < API_VERSION else "update nbody-surrogate"
        raise PluginError(
            f"{origin} is written for `api_version` {version}, "
            f"this release has {API_VERSION}; {older}"
        )


def _demand_attribute(cls: type, name: str, kind: type, origin: Origin) -> None:
    """Demand a class attribute: text, or a subclass of the base of parameters."""
    # static, so that no property or descriptor of a stranger's is run
    value = inspect.getattr_static(cls, name, None)
    fits = isinstance(value, str) and value if kind is str else _is_subclass(value, kind)
    if not fits:
        wanted = "its name, as text" if kind is str else f"a subclass of {kind.__name__}"
        raise PluginError(
            f"{origin}: class {cls.__qualname__} must set `{name}` to {wanted}, got {_shown(value)}"
        )


def _shown(value: object) -> str:
    """Show a stranger's value: text and numbers as they are, of others only what they are."""
    # whose `repr` is code of the stranger's, and may be of any length
    plain = value is None or type(value) in (str, int, float, bool)
    return repr(value)[:LONGEST] if plain or inspect.isclass(value) else described(value)


def _is_subclass(value: object, kind: type) -> bool:
    return inspect.isclass(value) and issubclass(value, kind)


def contract_of(kind: str) -> tuple[Any, dict[str, type]]:
    """Return the abstract class of a kind, and the class attributes that it asks for."""
    if kind == "system":
        return contracts.AbstractSystem, {"name": str, "Spec": contracts.SystemSpec}
    if kind == "integrator":
        return contracts.AbstractIntegrator, {"Options": contracts.IntegratorOptions}
    return contracts.AbstractSurrogate, {"Config": contracts.SurrogateConfig}
