"""`nbody-sim run`: roll out one method, and hold it against the ground truth."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import rich_click as click

from nbody_surrogate.cli.files import Files
from nbody_surrogate.cli.guards import guard_of
from nbody_surrogate.cli.job import Job
from nbody_surrogate.cli.methods import methods
from nbody_surrogate.cli.request import DEFAULT_PARTICLES, Problem, Request
from nbody_surrogate.errors import InputError, NBodyWarning

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
    "--guard",
    help="What becomes of a segment that goes wrong: warn, stop, or fallback on the reference.",
)
@click.option(
    "--threshold",
    multiple=True,
    metavar="KEY=VALUE",
    help="Of the guard, such as energy=0.005; others: momentum, angular_momentum, closest, "
    "fastest, most, longest. May be repeated.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Restart file, replaced at each segment's end; nbody-sim resume goes on from it.",
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

    With `--guard` each segment is checked for what is not finite, lost of what should be conserved,
    or outside the range that a surrogate was trained for.

    With `--verify` the ground truth, which is the method itself under `--no-reference`, is run
    once more, 100 times more tightly or with 4 times the sub-steps. The position RMSE between
    the two is its label error.
    """
    request = Request(**options)
    if request.quiet:
        warnings.simplefilter("ignore", NBodyWarning)
    if request.verify and request.checkpoint is not None:
        raise InputError("`checkpoint` does not go with `verify`; verify a run of its own")
    problem = Problem.of(request)
    method, reference = methods(request, problem)
    guard = guard_of(request, reference)
    job = Job(request, Files.of(request))
    alone = request.verify and reference is None
    runs = [job.simulate(problem, method, "method", guard=guard, verify=alone)]
    if reference is not None:
        runs.append(job.simulate(problem, reference, "reference", verify=request.verify))
    job.conclude(runs)
