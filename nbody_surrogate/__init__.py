"""Charged particles by SciPy's solvers and by learned steppers, under the same call.

Public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

from nbody_surrogate.lazy import lazy_names

TYPE_CHECKING = False  # as type checkers know it, without the time that `typing` takes
if TYPE_CHECKING:
    __version__: str
    """That of the installed distribution."""

    from nbody_surrogate.comparison.comparison import Comparison, compare
    from nbody_surrogate.comparison.lyapunov import Twins, twins_of
    from nbody_surrogate.comparison.table import comparison_table, run_table
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.contracts.model_card import Card
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
    from nbody_surrogate.formats.foreign.supplements import Supplements
    from nbody_surrogate.formats.h5md import read_h5md
    from nbody_surrogate.formats.initial import read_initial
    from nbody_surrogate.formats.opening import read_run
    from nbody_surrogate.integrators.build import make_integrator
    from nbody_surrogate.registry.registry import (
        make_system,
        register_integrator,
        register_surrogate,
        register_system,
    )
    from nbody_surrogate.results.trajectory import Ensemble, Trajectory
    from nbody_surrogate.simulation.checkpoint import Checkpoint
    from nbody_surrogate.simulation.file_writer import Output
    from nbody_surrogate.simulation.guard.options import Guard
    from nbody_surrogate.simulation.observers import Observer, WarmUp
    from nbody_surrogate.simulation.reporters import Reporter
    from nbody_surrogate.simulation.resume import resume
    from nbody_surrogate.simulation.simulate import simulate
    from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
    from nbody_surrogate.viz.figures.plot import plot
    from nbody_surrogate.viz.html.report import write_report
    from nbody_surrogate.viz.html.thumbnail import thumbnail
    from nbody_surrogate.viz.render import render
else:
    _load, __dir__ = lazy_names(
        __name__,
        {
            "nbody_surrogate.comparison.comparison": ["Comparison", "compare"],
            "nbody_surrogate.comparison.lyapunov": ["Twins", "twins_of"],
            "nbody_surrogate.comparison.table": ["comparison_table", "run_table"],
            "nbody_surrogate.comparison.text_table": ["TextTable"],
            "nbody_surrogate.contracts.integrator": ["AbstractIntegrator"],
            "nbody_surrogate.contracts.model_card": ["Card"],
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
            "nbody_surrogate.formats.foreign.supplements": ["Supplements"],
            "nbody_surrogate.formats.h5md": ["read_h5md"],
            "nbody_surrogate.formats.initial": ["read_initial"],
            "nbody_surrogate.formats.opening": ["read_run"],
            "nbody_surrogate.integrators.build": ["make_integrator"],
            "nbody_surrogate.registry.registry": [
                "make_system",
                "register_integrator",
                "register_surrogate",
                "register_system",
            ],
            "nbody_surrogate.results.trajectory": ["Ensemble", "Trajectory"],
            "nbody_surrogate.simulation.checkpoint": ["Checkpoint"],
            "nbody_surrogate.simulation.file_writer": ["Output"],
            "nbody_surrogate.simulation.guard.options": ["Guard"],
            "nbody_surrogate.simulation.observers": ["Observer", "WarmUp"],
            "nbody_surrogate.simulation.reporters": ["Reporter"],
            "nbody_surrogate.simulation.resume": ["resume"],
            "nbody_surrogate.simulation.simulate": ["simulate"],
            "nbody_surrogate.surrogates.integrator": ["SurrogateIntegrator"],
            "nbody_surrogate.viz.figures.plot": ["plot"],
            "nbody_surrogate.viz.html.report": ["write_report"],
            "nbody_surrogate.viz.html.thumbnail": ["thumbnail"],
            "nbody_surrogate.viz.render": ["render"],
        },
    )

    def __getattr__(name: str) -> object:
        if name != "__version__":
            return _load(name)
        from importlib.metadata import version  # it takes as long as the rest of this package

        return version("nbody-surrogate")


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
    "Reporter",
    "RunError",
    "State",
    "Supplements",
    "SurrogateIntegrator",
    "TextTable",
    "Trajectory",
    "Twins",
    "WarmUp",
    "__version__",
    "compare",
    "comparison_table",
    "make_integrator",
    "make_system",
    "plot",
    "read_h5md",
    "read_initial",
    "read_run",
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
