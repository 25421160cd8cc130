"""Charged particles by SciPy's solvers and by learned steppers, under the same call.

Public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbody_surrogate.comparison import Comparison, compare
    from nbody_surrogate.errors import (
        FileFormatError,
        InputError,
        NBodyError,
        NBodyWarning,
        PluginError,
        RunError,
    )
    from nbody_surrogate.guard import Guard
    from nbody_surrogate.h5md import read_h5md
    from nbody_surrogate.initial import read_initial
    from nbody_surrogate.integrator import AbstractIntegrator
    from nbody_surrogate.registry import (
        make_integrator,
        make_system,
        register_integrator,
        register_surrogate,
        register_system,
    )
    from nbody_surrogate.rendering import render
    from nbody_surrogate.resumption import resume
    from nbody_surrogate.simulation import simulate
    from nbody_surrogate.state import Particles, State
    from nbody_surrogate.surrogate import AbstractSurrogate, Card
    from nbody_surrogate.surrogate_integrator import SurrogateIntegrator
    from nbody_surrogate.system import AbstractSystem
    from nbody_surrogate.trajectory import Ensemble, Trajectory

_HOMES = {
    "AbstractIntegrator": "integrator",
    "AbstractSurrogate": "surrogate",
    "AbstractSystem": "system",
    "Card": "surrogate",
    "Comparison": "comparison",
    "Ensemble": "trajectory",
    "FileFormatError": "errors",
    "Guard": "guard",
    "InputError": "errors",
    "NBodyError": "errors",
    "NBodyWarning": "errors",
    "Particles": "state",
    "PluginError": "errors",
    "RunError": "errors",
    "State": "state",
    "SurrogateIntegrator": "surrogate_integrator",
    "Trajectory": "trajectory",
    "compare": "comparison",
    "make_integrator": "registry",
    "make_system": "registry",
    "read_h5md": "h5md",
    "read_initial": "initial",
    "register_integrator": "registry",
    "register_surrogate": "registry",
    "register_system": "registry",
    "render": "rendering",
    "resume": "resumption",
    "simulate": "simulation",
}

__all__ = [
    "AbstractIntegrator",
    "AbstractSurrogate",
    "AbstractSystem",
    "Card",
    "Comparison",
    "Ensemble",
    "FileFormatError",
    "Guard",
    "InputError",
    "NBodyError",
    "NBodyWarning",
    "Particles",
    "PluginError",
    "RunError",
    "State",
    "SurrogateIntegrator",
    "Trajectory",
    "__version__",
    "compare",
    "make_integrator",
    "make_system",
    "read_h5md",
    "read_initial",
    "register_integrator",
    "register_surrogate",
    "register_system",
    "render",
    "resume",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("nbody-surrogate")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
