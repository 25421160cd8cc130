"""`nbody-sim run`: roll out one method, and hold it against the ground truth."""

from __future__ import annotations

import warnings
from typing import Any

import rich_click as click
from click import get_current_context
from click.core import ParameterSource

from nbody_surrogate.cli.files import Files
from nbody_surrogate.cli.foresight import foreseen
from nbody_surrogate.cli.guards import guard_of
from nbody_surrogate.cli.methods import methods, with_default_method
from nbody_surrogate.cli.options import options_of, show_groups
from nbody_surrogate.cli.outside import outside_of
from nbody_surrogate.cli.progress import compiling_shown, sign
from nbody_surrogate.cli.request import InitialValueProblem, Request
from nbody_surrogate.cli.two_runs import TwoRuns
from nbody_surrogate.errors import NBodyWarning

__all__ = ["run"]


show_groups(Request, "nbody-sim run")


@click.command()
@options_of(Request)
@click.version_option(package_name="nbody-surrogate", prog_name="nbody-sim")
def run(**options: Any) -> None:
    """Roll out a solver or a surrogate and compare it with the ground truth.

    Without further options: a seeded sample of the preset, 5 time units, the ground truth for
    the same start, one table, and two H5MD files in `runs/`.

    A surrogate knows what it was trained for: `--outside` says what becomes of other starts and
    frames. With `--guard` each segment is checked for what is not finite, or lost of what should be
    conserved.

    With `--verify` the ground truth, which is the method itself under `--no-reference`, is run
    once more, 100 times more tightly or with 4 times the sub-steps. The position RMSE between
    the two is its label error.
    """
    request = Request(**options)
    if request.quiet:
        warnings.simplefilter("ignore", NBodyWarning)
    # until there are frames to be counted: the methods and their libraries take seconds to load
    silent = request.silent
    with compiling_shown(hidden=silent), sign(f"loading {request.integrator}", hidden=silent):
        request = foreseen(request)
        source = get_current_context().get_parameter_source("integrator")
        if source is ParameterSource.DEFAULT:
            request = with_default_method(request)
        _run(request)


def _run(request: Request) -> None:
    files = Files.of(request)  # held from here on, so that nobody else writes to them
    problem = InitialValueProblem.of(request)
    method, reference = methods(request, problem)
    guard, outside = guard_of(request, reference), outside_of(request, reference)
    both = TwoRuns(request, files)
    alone = request.verify and reference is None
    runs = [both.simulate(problem, method, "method", guard=guard, verify=alone, outside=outside)]
    if reference is not None:
        verify = request.verify
        runs.append(both.simulate(problem, reference, "reference", verify=verify, after=runs[0]))
    both.conclude(runs)
