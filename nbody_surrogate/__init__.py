"""Charged particles by SciPy's solvers and by learned steppers, under the same call.

Public names are loaded when they are first used, so that importing the package is cheap.
"""

from __future__ import annotations

from nbody_surrogate.lazy import lazy_names

TYPE_CHECKING = False  # as type checkers know it, without the time that `typing` takes
if TYPE_CHECKING:
    __version__: str
    """That of the installed distribution."""

    from nbody_surrogate import contracts as contracts
    from nbody_surrogate import datasets as datasets
    from nbody_surrogate import layers as layers
    from nbody_surrogate import testing as testing
    from nbody_surrogate.comparison.comparison import Comparison, compare
    from nbody_surrogate.comparison.lyapunov import Twins, twins_of
    from nbody_surrogate.comparison.pairs import paired_table, pairs_of
    from nbody_surrogate.comparison.table import comparison_table, run_table
    from nbody_surrogate.comparison.text_table import TextTable
    from nbody_surrogate.contracts.integrator import AbstractIntegrator
    from nbody_surrogate.contracts.model_card import Card
    from nbody_surrogate.contracts.state import Particles, State
    from nbody_surrogate.contracts.surrogate import AbstractSurrogate
    from nbody_surrogate.contracts.system import AbstractSystem
    from nbody_surrogate.datasets.audit.audit import audit_dataset
    from nbody_surrogate.datasets.dataset import Dataset
    from nbody_surrogate.datasets.generation.generate import generate_dataset
    from nbody_surrogate.discovery.discover import Discovery, discover
    from nbody_surrogate.errors import (
        FileFormatError,
        InputError,
        NBodyError,
        NBodyWarning,
        PluginError,
        RunError,
    )
    from nbody_surrogate.evaluation.evaluate import Scorecard, evaluate
    from nbody_surrogate.evaluation.plan.result import Plan
    from nbody_surrogate.formats.foreign.supplements import Supplements
    from nbody_surrogate.formats.h5md import read_h5md
    from nbody_surrogate.formats.initial import read_initial
    from nbody_surrogate.formats.opening import read_run
    from nbody_surrogate.formats.saving import load, save
    from nbody_surrogate.integrators.build import make_integrator
    from nbody_surrogate.integrators.parareal.integrator import Parareal
    from nbody_surrogate.registry.callable_system import system_from_callable
    from nbody_surrogate.registry.registry import (
        list_integrators,
        list_systems,
        make_system,
        register_integrator,
        register_surrogate,
        register_system,
    )
    from nbody_surrogate.results.paired import PairedTest
    from nbody_surrogate.results.trajectory import Ensemble, Trajectory
    from nbody_surrogate.simulation.checkpoint import Checkpoint
    from nbody_surrogate.simulation.file_writer import Output
    from nbody_surrogate.simulation.guard.options import Guard
    from nbody_surrogate.simulation.guard.outside import Outside
    from nbody_surrogate.simulation.observers import Observer, WarmUp
    from nbody_surrogate.simulation.parareal import parareal
    from nbody_surrogate.simulation.reporters import Reporter
    from nbody_surrogate.simulation.resume import resume
    from nbody_surrogate.simulation.simulate import simulate
    from nbody_surrogate.surrogates.integrator import SurrogateIntegrator
    from nbody_surrogate.surrogates.trained_models import list_models, load_model
    from nbody_surrogate.tracks.noise import PositionNoise, position_noise
    from nbody_surrogate.tracks.observe import observe
    from nbody_surrogate.tracks.reading import read_tracks
    from nbody_surrogate.tracks.tracks import Tracks
    from nbody_surrogate.tracks.writing import write_tracks
    from nbody_surrogate.training.from_discovery import train_from_discovery
    from nbody_surrogate.training.plan import plan
    from nbody_surrogate.training.train import TrainedModel, train
    from nbody_surrogate.viz.discovery.report import write_discovery_report
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
            "nbody_surrogate.comparison.pairs": ["paired_table", "pairs_of"],
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
            "nbody_surrogate.registry.callable_system": ["system_from_callable"],
            "nbody_surrogate.registry.registry": [
                "list_integrators",
                "list_systems",
                "make_system",
                "register_integrator",
                "register_surrogate",
                "register_system",
            ],
            "nbody_surrogate.results.paired": ["PairedTest"],
            "nbody_surrogate.results.trajectory": ["Ensemble", "Trajectory"],
            "nbody_surrogate.simulation.checkpoint": ["Checkpoint"],
            "nbody_surrogate.simulation.file_writer": ["Output"],
            "nbody_surrogate.simulation.guard.options": ["Guard"],
            "nbody_surrogate.simulation.guard.outside": ["Outside"],
            "nbody_surrogate.simulation.observers": ["Observer", "WarmUp"],
            "nbody_surrogate.simulation.parareal": ["parareal"],
            "nbody_surrogate.integrators.parareal.integrator": ["Parareal"],
            "nbody_surrogate.simulation.reporters": ["Reporter"],
            "nbody_surrogate.simulation.resume": ["resume"],
            "nbody_surrogate.simulation.simulate": ["simulate"],
            "nbody_surrogate.surrogates.integrator": ["SurrogateIntegrator"],
            "nbody_surrogate.datasets.audit.audit": ["audit_dataset"],
            "nbody_surrogate.datasets.dataset": ["Dataset"],
            "nbody_surrogate.datasets.generation.generate": ["generate_dataset"],
            "nbody_surrogate.discovery.discover": ["Discovery", "discover"],
            "nbody_surrogate.evaluation.evaluate": ["Scorecard", "evaluate"],
            "nbody_surrogate.evaluation.plan.result": ["Plan"],
            "nbody_surrogate.formats.saving": ["load", "save"],
            "nbody_surrogate.surrogates.trained_models": ["list_models", "load_model"],
            "nbody_surrogate.tracks.noise": ["PositionNoise", "position_noise"],
            "nbody_surrogate.tracks.observe": ["observe"],
            "nbody_surrogate.tracks.reading": ["read_tracks"],
            "nbody_surrogate.tracks.tracks": ["Tracks"],
            "nbody_surrogate.tracks.writing": ["write_tracks"],
            "nbody_surrogate.training.from_discovery": ["train_from_discovery"],
            "nbody_surrogate.training.plan": ["plan"],
            "nbody_surrogate.training.train": ["TrainedModel", "train"],
            "nbody_surrogate.viz.figures.plot": ["plot"],
            "nbody_surrogate.viz.discovery.report": ["write_discovery_report"],
            "nbody_surrogate.viz.html.report": ["write_report"],
            "nbody_surrogate.viz.html.thumbnail": ["thumbnail"],
            "nbody_surrogate.viz.render": ["render"],
        },
        other_words={
            **dict.fromkeys(["open", "read"], "`load(path)`"),
            **dict.fromkeys(["run", "solve", "solve_ivp", "integrate", "Simulation"], "`simulate`"),
            **dict.fromkeys(["animate", "movie", "show", "draw", "view"], "`render(run, path)`"),
            **dict.fromkeys(["read_csv", "load_tracks", "from_trackpy"], "`read_tracks(paths)`"),
            **dict.fromkeys(["audit", "check_dataset"], "`audit_dataset(folder)`"),
            **dict.fromkeys(["generate", "make_dataset"], "`generate_dataset(spec, folder)`"),
            **dict.fromkeys(["load_dataset", "open_dataset"], "`Dataset(folder)`"),
            **dict.fromkeys(["from_ase", "from_file"], "`read_initial(path)`, or State(t, x, v)"),
            **dict.fromkeys(["from_callable", "from_forces"], "`system_from_callable(forces)`"),
            **dict.fromkeys(["models", "list_surrogates"], "`list_models()`"),
            **dict.fromkeys(["plugins", "systems"], "`list_systems()`"),
            **dict.fromkeys(["integrators", "solvers", "methods"], "`list_integrators()`"),
            **dict.fromkeys(["Surrogate", "Model"], "`AbstractSurrogate`"),
            **dict.fromkeys(["System"], "`AbstractSystem` to write one, make_system(name) to have"),
            **dict.fromkeys(["Integrator"], "`AbstractIntegrator`, or make_integrator(name)"),
            **dict.fromkeys(["report", "html"], "`write_report(run)`"),
            **dict.fromkeys(["metrics", "errors", "rmse", "mse"], "`compare(reference, run)`"),
            **dict.fromkeys(["Trainer", "fit"], "`train(recipe, output)`"),
            **dict.fromkeys(["sample", "random_state"], "`make_system(name).sample(rng=0, n=30)`"),
            **dict.fromkeys(["Callback", "Reporter", "Logger"], "`Observer`"),
        },
        rooms=("contracts", "datasets", "layers", "testing"),
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
    "Dataset",
    "Discovery",
    "Ensemble",
    "FileFormatError",
    "Guard",
    "InputError",
    "NBodyError",
    "NBodyWarning",
    "Observer",
    "Output",
    "Outside",
    "PairedTest",
    "Parareal",
    "Particles",
    "Plan",
    "PluginError",
    "PositionNoise",
    "Reporter",
    "RunError",
    "Scorecard",
    "State",
    "Supplements",
    "SurrogateIntegrator",
    "TextTable",
    "Tracks",
    "TrainedModel",
    "Trajectory",
    "Twins",
    "WarmUp",
    "__version__",
    "audit_dataset",
    "compare",
    "comparison_table",
    "discover",
    "evaluate",
    "generate_dataset",
    "list_integrators",
    "list_models",
    "list_systems",
    "load",
    "load_model",
    "make_integrator",
    "make_system",
    "observe",
    "paired_table",
    "pairs_of",
    "parareal",
    "plan",
    "plot",
    "position_noise",
    "read_h5md",
    "read_initial",
    "read_run",
    "read_tracks",
    "register_integrator",
    "register_surrogate",
    "register_system",
    "render",
    "resume",
    "run_table",
    "save",
    "simulate",
    "system_from_callable",
    "thumbnail",
    "train",
    "train_from_discovery",
    "twins_of",
    "write_discovery_report",
    "write_report",
    "write_tracks",
]
