"""`nbody-sim resume`: go on with a run that was interrupted."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nbody_surrogate.cli.files import Files
from nbody_surrogate.cli.foresight import check_hardware
from nbody_surrogate.cli.method_options import OF_BOTH
from nbody_surrogate.cli.methods import methods
from nbody_surrogate.cli.progress import compiling_shown, sign
from nbody_surrogate.cli.request import InitialValueProblem, Request, not_none
from nbody_surrogate.cli.two_runs import Stage, TwoRuns
from nbody_surrogate.errors import FileFormatError, InputError, NBodyWarning
from nbody_surrogate.files.output_path import check_distinct, check_not_read

if TYPE_CHECKING:
    from nbody_surrogate.results.trajectory import Ensemble
    from nbody_surrogate.simulation.checkpoint import Restart

__all__ = ["resume"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--allow-inexact",
    is_flag=True,
    help="Go on with other weights, versions or threads, and so with other bits.",
)
@click.option("--weights", help="Where the weights are by now.  [default: where they were]")
@click.option("--threads", type=int, help="On the CPU.  [default: as many as there were]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where the H5MD file is by now.  [default: where it was, in FILE's folder or below]",
)
@click.option(
    "--render", type=click.Path(path_type=Path), help="The picture.  [default: as for --output]"
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="The page.  [default: as for --output]"
)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def resume(
    file: Path,
    allow_inexact: bool,
    weights: str | None,
    threads: int | None,
    output: Path | None,
    render: Path | None,
    report: Path | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Go on with a run from FILE, which `nbody-sim run --checkpoint FILE` has kept.

    However the run ended, it goes on to the same bits, and then to the reference, the table and
    the picture that it was to have. The machine, all versions, the weights and the number of
    threads must be what they were.

    A file says nothing about places outside of its own folder: what is to be written there is
    named here. Whether a file is the run's is seen by what is in it.
    """
    from nbody_surrogate.simulation.checkpoint import read_restart

    restart = read_restart(file)
    note = _Note.of(restart, file)
    files = _named_files(note.files, file, output, render, report)
    named = [
        ("output", files.output),
        ("output", files.reference),
        ("render", files.picture),
        ("report", files.report),
    ]
    check_not_read([("file", file)], named)
    check_distinct(named)
    request = replace(
        note.request,
        checkpoint=file,
        overwrite=overwrite,  # no file says what may be replaced
        as_json=as_json or note.request.as_json,
        quiet=quiet or note.request.quiet,
        # no other places than those that were looked at
        render=None if files.picture is None else Path(files.picture),
        report=None if files.report is None else Path(files.report),
        **not_none(weights=weights, threads=threads),
    )
    if request.quiet:
        warnings.simplefilter("ignore", NBodyWarning)
    both = TwoRuns(request, files)
    check_hardware(request.device, request.dtype, request.threads)
    silent = request.silent
    with compiling_shown(hidden=silent), sign(f"loading {request.integrator}", hidden=silent):
        _go_on(restart, note, request, both, allow_inexact)


def _go_on(
    restart: Restart, note: _Note, request: Request, both: TwoRuns, allow_inexact: bool
) -> None:
    """Finish the run that was interrupted, and then what was to come after it."""
    problem = _problem(restart, both.output(note.stage))
    method, reference = methods(
        request, problem, of_before=note.of_before, unknown=note.unknown_options
    )
    frames = problem.frames
    if note.stage == "reference" and reference is not None:
        first = _method_run(note, both.files, problem)
        both.conclude([first, both.resume(reference, frames, "reference", allow_inexact)])
        return
    runs: list[Ensemble] = [both.resume(method, frames, "method", allow_inexact)]
    if reference is not None:
        # The restart file holds where the run was, its frame 0 where it began. A frame knows no
        # seed, which the reference is to record as the run does.
        drawn = replace(runs[0].state(0), seed=restart.document.seed)
        start = replace(problem, state=drawn)
        runs.append(both.simulate(start, reference, "reference", after=runs[0]))
    both.conclude(runs)


@dataclass(frozen=True)
class _Note:
    """What `nbody-sim run` notes in a restart file."""

    stage: Stage
    request: Request
    files: Files
    method_run: str = ""
    """Identifier of the method's run, where that is done; releases before noted none."""
    of_before: bool = False
    """Whether a release made it whose tolerances were of both methods."""
    unknown_options: frozenset[str] = frozenset()
    """Options of methods that the release which made it did not have."""

    @classmethod
    def of(cls, restart: Restart, file: Path) -> _Note:
        from pydantic import TypeAdapter, ValidationError

        try:
            note: _Note = TypeAdapter(cls).validate_python(restart.document.note)
        except ValidationError:
            raise FileFormatError(
                f"{str(file)!r} is not of nbody-sim run; use nbody_surrogate.resume in Python"
            ) from None
        options = restart.document.note.get("request", {})
        return replace(
            note,
            of_before="reference_rtol" not in options,
            unknown_options=frozenset((*OF_BOTH, "engine")).difference(options),
        )


def _named_files(
    files: Files, restart: Path, output: Path | None, render: Path | None, report: Path | None
) -> Files:
    """Take the places that the user names, and of the others those below the restart file's."""
    from nbody_surrogate.simulation.run_output import is_below

    if output is not None:
        beside = None if files.reference is None else output.with_suffix(".reference.h5")
        files = replace(files, output=output, reference=beside)
    files = replace(files, **not_none(picture=render, report=report))
    named = [
        ("output", files.output, output),
        ("output", files.reference, output),
        ("render", files.picture, render),
        ("report", files.report, report),
    ]
    for option, path, given in named:
        if path is None or given is not None or is_below(Path(path), restart.absolute().parent):
            continue
        raise InputError(
            f"`{option}` must be given, since the restart file {str(restart)!r} names one outside "
            f"of its folder: if it is yours, pass --{option} {os.fspath(path)!r}"
        )
    return files


def _method_run(note: _Note, files: Files, problem: InitialValueProblem) -> Ensemble:
    """Read the method's run, which had ended: its file holds it."""
    import numpy as np

    from nbody_surrogate.formats.h5md import read_h5md
    from nbody_surrogate.simulation.run_output import of_another_run

    first = read_h5md(files.output)
    known = note.method_run == first.info.identifier
    if not known or len(first.t) != problem.frames + 1:
        raise of_another_run(Path(files.output))
    same = first.info.method.get("integrator") == note.request.integrator
    start = problem.particles
    # all that is known where releases before drew no identifier
    if not (same and np.array_equal(first.particles.charges, start.charges)):
        raise of_another_run(Path(files.output))
    return first


def _problem(restart: Restart, output: Path) -> InitialValueProblem:
    """Pose the problem from where the run is by now."""
    from nbody_surrogate.contracts.state import State
    from nbody_surrogate.registry.registry import system_from
    from nbody_surrogate.simulation.run_output import RunOutput, hidden_of

    document, arrays = restart.document, restart.arrays
    hidden = hidden_of(restart)
    state = State(
        document.t0, arrays["carry.x"], arrays["carry.v"], hidden=hidden, seed=document.seed
    )
    particles = RunOutput(restart, output).particles()
    return InitialValueProblem(system_from(document.system), state, particles, document.frames)
