"""`nbody-sim run`: roll out one method, and hold it against the ground truth."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nbody_surrogate.cli.command_line import command_line
from nbody_surrogate.cli.files import Files
from nbody_surrogate.cli.group import interruptible
from nbody_surrogate.cli.methods import methods
from nbody_surrogate.cli.progress import progress_bar
from nbody_surrogate.cli.request import DEFAULT_PARTICLES, Problem, Request
from nbody_surrogate.errors import NBodyWarning, RunError

if TYPE_CHECKING:
    from nbody_surrogate.comparison import Comparison
    from nbody_surrogate.integrator import AbstractIntegrator
    from nbody_surrogate.trajectory import Ensemble

__all__ = ["run"]


@click.command()
@click.option("--system", default="charged", show_default=True, help="Physics to simulate.")
@click.option(
    "-p",
    "--parameter",
    multiple=True,
    metavar="KEY=VALUE",
    help="Parameter of the system, such as softening=0.2; may be repeated.",
)
@click.option("-n", "--particles", type=int, help=f"Particles.  [default: {DEFAULT_PARTICLES}]")
@click.option("--trajectories", type=int, help="Starts, run as one batch.  [default: 1]")
@click.option("--seed", type=int, help="Seed of the sampler.  [default: 0]")
@click.option(
    "--initial",
    type=click.Path(path_type=Path),
    help="Start from a file: .npz with x, v, charges, masses, or a frame of an .h5 run.",
)
@click.option("--initial-frame", type=int, help="Frame of that run.  [default: 0]")
@click.option("--duration", type=float, default=5.0, show_default=True, help="Time units.")
@click.option("--frame-dt", type=float, help="Between frames.  [default: the system's]")
@click.option("--softening", type=float, help="Plummer length.  [default: the system's]")
@click.option("--integrator", default="dop853", show_default=True, help="Solver or surrogate.")
@click.option(
    "--reference",
    help="The ground truth.  [default: dop853, or dop853-compiled for more than one start]",
)
@click.option("--no-reference", is_flag=True, help="Run without ground truth.")
@click.option("--verify", is_flag=True, help="Estimate the error of the ground truth itself.")
@click.option("--rtol", type=float, help="Relative tolerance of adaptive solvers.")
@click.option("--atol", type=float, help="Absolute tolerance of adaptive solvers.")
@click.option("--substeps", type=int, help="Steps per frame of fixed-step methods.")
@click.option("--step", type=float, help="Their step size, in place of --substeps.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--dtype", help="Of a surrogate: float32 or float64.  [default: its weights']")
@click.option(
    "--threads", type=int, default=1, show_default=True, help="More pay for large batches."
)
@click.option("--weights", help="Shipped ones by name, or the folder of a trained model.")
@click.option(
    "--compile", "compiled", is_flag=True, help="Compile a surrogate's step, for long runs."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="H5MD file.  [default: in runs/]"
)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option(
    "--render", type=click.Path(path_type=Path), help="Picture (.png), movie (.mp4, .gif) or page."
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="A page (.html): numbers, curves, 3D."
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.version_option(package_name="nbody-surrogate", prog_name="nbody-sim")
def run(**options: Any) -> None:
    """Roll out a solver or a surrogate and compare it with the ground truth.

    Without further options: a seeded sample of the preset, 5 time units, the ground truth for
    the same start, one table, and two H5MD files in `runs/`.

    With `--verify` the ground truth, which is the method itself under `--no-reference`, is run
    once more, 100 times more tightly or with 4 times the sub-steps. The position RMSE between
    the two is its label error.
    """
    request = Request(**options)
    if request.quiet:
        warnings.simplefilter("ignore", NBodyWarning)
    problem = Problem.of(request)
    method, reference = methods(request, problem)
    files = Files.of(request)
    verify_method = request.verify and reference is None
    runs = [_simulate(request, problem, method, files.output, verify_method)]
    if reference is not None and files.reference is not None:
        runs.append(_simulate(request, problem, reference, files.reference, request.verify))
    if request.render is not None:
        from nbody_surrogate.rendering import render

        pair = [each[0] for each in runs]
        truth = pair[1] if len(pair) > 1 else None
        render(pair[0], request.render, reference=truth, overwrite=request.overwrite)
    if request.report is not None:
        from nbody_surrogate.cli.report import write_report_of

        against = runs[1] if len(runs) > 1 else None
        command = command_line(("overwrite", "as_json", "quiet"))
        write_report_of(runs[0], against, request.report, command, request.overwrite)
    _report(request, runs, files)
    _tell_failures(runs)


def _simulate(
    request: Request, problem: Problem, method: AbstractIntegrator, output: Path, verify: bool
) -> Ensemble:
    from nbody_surrogate.simulation import simulate

    kept = interruptible("frames of finished segments stay readable in .h5.part")
    bar = progress_bar(method.name, problem.frames, hidden=request.quiet)
    with kept, bar as progress:
        return simulate(
            problem.system,
            problem.state,
            problem.particles,
            problem.frames,
            method,
            dt=problem.dt,
            seed=problem.seed,
            progress=progress,
            output=output,
            overwrite=request.overwrite,
            warm_up=True,
            verify=verify,
        )


def _tell_failures(runs: list[Ensemble]) -> None:
    failed = [
        f"{each.info.label}, trajectory {b} stopped: {why}"
        for each in runs
        for b, why in enumerate(each.info.message)
        if why
    ]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise RunError(failed[0] + more)


def _report(request: Request, runs: list[Ensemble], files: Files) -> None:
    from nbody_surrogate.comparison import compare

    comparison: Comparison | None = compare(runs[1], runs[0]) if len(runs) > 1 else None
    if request.as_json:
        click.echo(json.dumps(_as_dict(runs, comparison, files.written), indent=2))
    elif not request.quiet:
        from nbody_surrogate.cli.table import print_report

        print_report(runs, comparison, files.written)


def _as_dict(
    runs: list[Ensemble], comparison: Comparison | None, written: list[Path]
) -> dict[str, Any]:
    from nbody_surrogate.metrics import summary
    from nbody_surrogate.verification import label_errors

    info, errors = runs[0].info, label_errors(runs[-1])
    return {
        "system": info.system,
        "particles": runs[0].particles.n,
        "trajectories": len(runs[0]),
        "seed": info.seed,
        "frames": len(runs[0].t) - 1,
        "methods": [run.info.method for run in runs],
        "status": [list(run.info.status) for run in runs],
        "message": [list(run.info.message) for run in runs],
        "comparison": None if comparison is None else comparison.to_dict(),
        "drift": None if comparison is not None else summary(runs[0]),
        "label_error": None if errors is None else errors.to_dict(),
        "wall_time": [run.info.wall_time for run in runs],
        "files": [str(path) for path in written],
    }
