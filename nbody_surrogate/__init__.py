"""Charged particles by SciPy's solvers and by learned steppers, under the same call.

Public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from nbody_surrogate.lazy import lazy_names

if TYPE_CHECKING:
    __version__: str
    from nbody_surrogate.comparison.comparison import Comparison, compare
    from nbody_surrogate.contracts.card import Card
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.contracts.state import Particles, State
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.contracts.system import AbstractSystem
    from nbody_surrogate.errors import (
        FileFormatError,
        InputError,
        NBodyError,
        NBodyWarning,
        PluginError,
        RunError,
    )
    from nbody_surrogate.formats.h5md import read_h5md
    from nbody_surrogate.formats.initial import read_initial
    from nbody_surrogate.integrators.build import make_integrator
    from nbody_surrogate.registry.registry import (
        make_system,
        register_integrator,
        register_surrogate,
        register_system,
    )
    from nbody_surrogate.results.trajectory import Ensemble, Trajectory
    from nbody_surrogate.simulation.guard.options import Guard
    from nbody_surrogate.simulation.resume import resume
    from nbody_surrogate.simulation.simulate import simulate
    from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
    from nbody_surrogate.viz.scene import render
else:
    _load, __dir__ = lazy_names(
        __name__,
        {
            "nbody_surrogate.comparison.comparison": ["Comparison", "compare"],
            "nbody_surrogate.contracts.card": ["Card"],
            "nbody_surrogate.contracts.integrator": ["AbstractIntegrator"],
            "nbody_surrogate.contracts.state": ["Particles", "State"],
            "nbody_surrogate.contracts.surrogate": ["AbstractSurrogate"],
            "nbody_surrogate.contracts.system": ["AbstractSystem"],
            "nbody_surrogate.errors": [
                "FileFormatError",
                "InputError",
                "NBodyError",
                "NBodyWarning",
                "PluginError",
                "RunError",
            ],
            "nbody_surrogate.formats.h5md": ["read_h5md"],
            "nbody_surrogate.formats.initial": ["read_initial"],
            "nbody_surrogate.integrators.build": ["make_integrator"],
            "nbody_surrogate.registry.registry": [
                "make_system",
                "register_integrator",
                "register_surrogate",
                "register_system",
            ],
            "nbody_surrogate.results.trajectory": ["Ensemble", "Trajectory"],
            "nbody_surrogate.simulation.guard.options": ["Guard"],
            "nbody_surrogate.simulation.resume": ["resume"],
            "nbody_surrogate.simulation.simulate": ["simulate"],
            "nbody_surrogate.surrogates.integrator": ["SurrogateIntegrator"],
            "nbody_surrogate.viz.scene": ["render"],
        },
    )

    def __getattr__(name: str) -> Any:
        return version("nbody-surrogate") if name == "__version__" else _load(name)


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
