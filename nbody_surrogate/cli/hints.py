"""What was probably meant, where an option or a command is unknown: the words of other programs."""

from __future__ import annotations

import difflib
import re

import click

__all__ = ["method_names", "with_hint"]

OPTIONS: dict[str, tuple[str, ...]] = {
    "n": ("--particles",),
    "num-particles": ("--particles",),
    "bodies": ("--particles",),
    "method": ("--integrator", "--integrators"),
    "methods": ("--integrators", "--integrator"),
    "solver": ("--integrator", "--integrators"),
    "model": ("--integrator", "--integrators"),
    "models": ("--integrators", "--integrator"),
    "surrogate": ("--integrator", "--integrators"),
    "integrator": ("--integrators",),
    "integrators": ("--integrator",),
    "stepper": ("--integrator", "--integrators"),
    "i": ("--integrator", "--integrators"),
    "steps": ("--duration", "--horizon", "--frames"),
    "frames": ("--duration", "--horizon"),
    "n-steps": ("--duration", "--horizon", "--frames"),
    "time": ("--duration", "--horizon"),
    "t": ("--duration", "--horizon"),
    "tmax": ("--duration", "--horizon"),
    "t-end": ("--duration", "--horizon"),
    "dt": ("--frame-dt",),
    "timestep": ("--step", "--frame-dt"),
    "tol": ("--rtol",),
    "tolerance": ("--rtol",),
    "eps": ("--softening",),
    "epsilon": ("--softening",),
    "out": ("--output",),
    "save": ("--output",),
    "file": ("--output",),
    "force": ("--overwrite",),
    "f": ("--overwrite",),
    "gpu": ("--device",),
    "cuda": ("--device",),
    "precision": ("--dtype",),
    "cpus": ("--threads", "--workers"),
    "jobs": ("--workers", "--threads"),
    "j": ("--workers", "--threads"),
    "batch": ("--trajectories", "--seeds"),
    "samples": ("--trajectories", "--seeds"),
    "truth": ("--reference", "--against"),
    "baseline": ("--reference", "--against"),
    "movie": ("--render", "--output"),
    "video": ("--render", "--output"),
    "plot": ("--render", "--output"),
    "picture": ("--render", "--output"),
    "html": ("--report", "--output"),
    "start": ("--initial",),
    "input": ("--initial",),
    "restart": ("--checkpoint",),
    "physics": ("--system",),
    "silent": ("--quiet",),
    "color": ("--colouring",),
    "colour": ("--colouring",),
    "coloring": ("--colouring",),
}
"""By words of other programs; of the options the first that the command has is meant."""

NOTES = {
    "--duration": "in time units, of which a frame is --frame-dt",
    "--device": "cpu or cuda",
    "--horizon": "in frames or time units, as its help says",
}

COMMANDS: dict[str, str] = {
    "plot": "render",
    "draw": "render",
    "movie": "render",
    "view": "render",
    "simulate": "run",
    "sim": "run",
    "integrate": "run",
    "solve": "run",
    "start": "run",
    "list": "models list` or `nbody-sim plugins list",
    "ls": "models list` or `nbody-sim plugins list",
    "systems": "plugins list",
    "integrators": "plugins list",
    "model": "models",
    "show": "models show` or `nbody-sim report",
    "info": "models show` or `nbody-sim dataset info",
    "convert": "export",
    "save": "export",
    "eval": "evaluate",
    "score": "evaluate",
    "test": "evaluate",
    "benchmark": "bench",
    "continue": "resume",
    "restart": "resume",
    "generate": "dataset generate",
    "gen": "generate",
    "make": "generate",
    "data": "dataset",
    "fit": "train",
    "learn": "train",
    "infer": "discover",
    "identify": "discover",
    "law": "discover",
    "diff": "compare",
    "page": "report",
    "help": "--help",
    "version": "--version",
}


def with_hint(error: click.ClickException) -> str:
    """Return an error of click's parser in one line, with what was probably meant."""
    said = error.format_message().rstrip()
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return said
    if isinstance(error, click.NoSuchOption):
        return _of_option(error.option_name, context)
    if found := re.match(r"No such command '([^']*)'", said):
        return _of_command(found[1], context)
    if found := re.match(r"Got unexpected extra arguments? \(([^)]*)\)", said):
        return _of_argument(found[1], context)
    if isinstance(error, click.MissingParameter):
        return f"{said.rstrip('.')}; see {context.command_path} --help"
    return said


def method_names() -> list[str]:
    """Name all that a run may be made by: solvers, surrogates and the models that ship."""
    from nbody_surrogate.registry.lookup import names
    from nbody_surrogate.surrogates.places import shipped_places

    shipped = {place.name for place in shipped_places()}
    return sorted({*names("integrators", "surrogates"), *shipped})


def _of_option(given: str, context: click.Context) -> str:
    known = [name for each in context.command.params for name in each.opts]
    word = given.lstrip("-").lower().replace("_", "-")
    meant = [option for option in OPTIONS.get(word, ()) if option in known]
    # a word that is cut short, or one with the other sign between its parts
    meant += [option for option in known if option.startswith(f"--{word}")] if len(word) > 2 else []
    if not meant:
        meant = difflib.get_close_matches(f"--{word}", known, n=1, cutoff=0.7)
    if not meant:
        return f"No such option {given!r}; see {context.command_path} --help"
    note = f" ({NOTES[meant[0]]})" if meant[0] in NOTES else ""
    return f"No such option {given!r}; did you mean {meant[0]}{note}?"


def _of_command(given: str, context: click.Context) -> str:
    group = context.command
    known = list(group.commands) if isinstance(group, click.Group) else []
    meant = COMMANDS.get(given.lower(), "")
    first = meant.partition(" ")[0].strip("`")
    if meant and (first in known or meant.startswith("--")):
        return f"No such command {given!r}; did you mean `{context.command_path} {meant}`?"
    if "run" in known and given in method_names():
        return f"No such command {given!r}; did you mean `nbody-sim run --integrator {given}`?"
    close = difflib.get_close_matches(given, known, n=1) or [
        name for name in known if name.startswith(given)
    ]
    if close:
        return f"No such command {given!r}; did you mean {close[0]!r}?"
    return f"No such command {given!r}; there are: {', '.join(sorted(known))}"


def _of_argument(given: str, context: click.Context) -> str:
    """Tell what a word is that stands where none is read."""
    name, first = context.command_path, given.split()[0]
    known = {option for each in context.command.params for option in each.opts}
    said = f"{name!r} takes no further argument, got {given!r}"
    for option in ("--integrator", "--integrators"):
        if option in known and first.partition(":")[0] in method_names():
            return f"{said}; did you mean {option} {first}?"
    if first.endswith(".h5"):
        return f"{said}; a run that is there is for render, report, compare and export"
    return f"{said}; see {name} --help"
