"""`nbody-sim resume`: go on with a run that was interrupted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nbody_surrogate.cli.files import Files
from nbody_surrogate.cli.methods import methods
from nbody_surrogate.cli.request import InitialValueProblem, Request, not_none
from nbody_surrogate.cli.two_runs import Stage, TwoRuns
from nbody_surrogate.errors import FileFormatError, NBodyWarning

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
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def resume(
    file: Path,
    allow_inexact: bool,
    weights: str | None,
    threads: int | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Go on with a run from FILE, which `nbody-sim run --checkpoint FILE` has kept.

    However the run ended, it goes on to the same bits, and then to the reference, the table and
    the picture that it was to have. The machine, all versions, the weights and the number of
    threads must be what they were.
    """
    from nbody_surrogate.simulation.checkpoint import read_restart

    restart = read_restart(file)
    note = _Note.of(restart, file)
    request = replace(
        note.request,
        checkpoint=file,
        overwrite=overwrite,  # no file says what may be replaced
        as_json=as_json or note.request.as_json,
        quiet=quiet or note.request.quiet,
        **not_none(weights=weights, threads=threads),
    )
    if request.quiet:
        warnings.simplefilter("ignore", NBodyWarning)
    problem = _problem(restart)
    method, reference = methods(request, problem)
    both, frames = TwoRuns(request, note.files), problem.frames
    if note.stage == "reference" and reference is not None:
        from nbody_surrogate.formats.h5md import read_h5md

        # the method's run had ended: its file holds it
        first = read_h5md(note.files.output)
        both.conclude([first, both.resume(reference, frames, "reference", allow_inexact)])
        return
    runs: list[Ensemble] = [both.resume(method, frames, "method", allow_inexact)]
    if reference is not None:
        # The restart file holds where the run was, its frame 0 where it began. A frame knows no
        # seed, which the reference is to record as the run does.
        drawn = replace(runs[0].state(0), seed=restart.document.seed)
        start = replace(problem, state=drawn)
        runs.append(both.simulate(start, reference, "reference"))
    both.conclude(runs)


@dataclass(frozen=True)
class _Note:
    """What `nbody-sim run` notes in a restart file."""

    stage: Stage
    request: Request
    files: Files

    @classmethod
    def of(cls, restart: Restart, file: Path) -> _Note:
        from pydantic import TypeAdapter, ValidationError

        try:
            note: _Note = TypeAdapter(cls).validate_python(restart.document.note)
        except ValidationError:
            raise FileFormatError(
                f"{str(file)!r} is not of nbody-sim run; use nbody_surrogate.resume in Python"
            ) from None
        return note


def _problem(restart: Restart) -> InitialValueProblem:
    """Pose the problem from where the run is by now."""
    from nbody_surrogate.contracts.state import State
    from nbody_surrogate.registry.registry import system_from

    document, arrays = restart.document, restart.arrays
    state = State(document.t0, arrays["carry.x"], arrays["carry.v"], seed=document.seed)
    system = system_from(document.system)
    return InitialValueProblem(system, state, restart.particles, document.frames)
