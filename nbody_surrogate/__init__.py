"""Charged particles by SciPy's solvers and by learned steppers, under the same call.

Public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbody_surrogate.comparison.comparison import Comparison, compare
    from nbody_surrogate.comparison.lyapunov import Twins, twins_of
    from nbody_surrogate.comparison.table import comparison_table, run_table
    from nbody_surrogate.comparison.text_table import TextTable
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
    from nbody_surrogate.simulation.checkpoint import Checkpoint
    from nbody_surrogate.simulation.guard.options import Guard
    from nbody_surrogate.simulation.observers import Observer, WarmUp
    from nbody_surrogate.simulation.output import Output
    from nbody_surrogate.simulation.resume import resume
    from nbody_surrogate.simulation.simulate import simulate
    from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
    from nbody_surrogate.viz.figures.plot import plot
    from nbody_surrogate.viz.html.report import write_report
    from nbody_surrogate.viz.html.thumbnail import thumbnail
    from nbody_surrogate.viz.scene import render

_HOMES = {
    "AbstractIntegrator": "contracts.integrator",
    "AbstractSurrogate": "contracts.surrogate",
    "AbstractSystem": "contracts.system",
    "Card": "contracts.card",
    "Checkpoint": "simulation.checkpoint",
    "Comparison": "comparison.comparison",
    "Ensemble": "results.trajectory",
    "FileFormatError": "errors",
    "Guard": "simulation.guard.options",
    "InputError": "errors",
    "NBodyError": "errors",
    "NBodyWarning": "errors",
    "Observer": "simulation.observers",
    "Output": "simulation.output",
    "Particles": "contracts.state",
    "PluginError": "errors",
    "RunError": "errors",
    "State": "contracts.state",
    "SurrogateIntegrator": "surrogates.integrator",
    "TextTable": "comparison.text_table",
    "Trajectory": "results.trajectory",
    "WarmUp": "simulation.observers",
    "Twins": "comparison.lyapunov",
    "compare": "comparison.comparison",
    "comparison_table": "comparison.table",
    "make_integrator": "integrators.build",
    "make_system": "registry.registry",
    "plot": "viz.figures.plot",
    "read_h5md": "formats.h5md",
    "read_initial": "formats.initial",
    "register_integrator": "registry.registry",
    "register_surrogate": "registry.registry",
    "register_system": "registry.registry",
    "render": "viz.scene",
    "resume": "simulation.resume",
    "run_table": "comparison.table",
    "simulate": "simulation.simulate",
    "thumbnail": "viz.html.thumbnail",
    "twins_of": "comparison.lyapunov",
    "write_report": "viz.html.report",
}

__all__ = [
    "AbstractIntegrator",
    "AbstractSurrogate",
    "AbstractSystem",
    "Card",
    "Checkpoint",
    "Comparison",
    "Ensemble",
    "FileFormatError",
    "Guard",
    "InputError",
    "NBodyError",
    "NBodyWarning",
    "Observer",
    "Output",
    "Particles",
    "PluginError",
    "RunError",
    "State",
    "SurrogateIntegrator",
    "TextTable",
    "Trajectory",
    "WarmUp",
    "Twins",
    "__version__",
    "compare",
    "comparison_table",
    "make_integrator",
    "make_system",
    "plot",
    "read_h5md",
    "read_initial",
    "register_integrator",
    "register_surrogate",
    "register_system",
    "render",
    "resume",
    "run_table",
    "simulate",
    "thumbnail",
    "twins_of",
    "write_report",
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
