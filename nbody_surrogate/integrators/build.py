"""DOC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbody_surrogate.contracts.origin import origin_of
from nbody_surrogate.registry.registry import integrator_class, is_surrogate

if TYPE_CHECKING:
    from nbody_surrogate.contracts.integrator import AbstractIntegrator

__all__ = ["make_integrator"]


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
        from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

        return SurrogateIntegrator(name, **options)
    from nbody_surrogate.contracts.violations import held_to

    cls = integrator_class(name)
    with held_to(origin_of(cls, "integrator", name), "__init__"):
        return cls(**options)


def integrator_options(name: str, label: str = "integrator") -> frozenset[str]:
    """Names of the options an integrator takes; `label` names the parameter in errors."""
    if is_surrogate(name):
        from nbody_surrogate.surrogates.integrator import SurrogateIntegrator

        return frozenset(SurrogateIntegrator.Options.model_fields)
    return frozenset(integrator_class(name, label).Options.model_fields)
