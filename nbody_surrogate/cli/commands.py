"""All commands of `nbody-sim`. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

import rich_click as click

from nbody_surrogate.cli.bench import bench
from nbody_surrogate.cli.calibrate import calibrate
from nbody_surrogate.cli.compare import compare
from nbody_surrogate.cli.dataset import dataset
from nbody_surrogate.cli.evaluate import evaluate
from nbody_surrogate.cli.export import export
from nbody_surrogate.cli.group import OneLineErrors
from nbody_surrogate.cli.models import models
from nbody_surrogate.cli.plugins import plugins
from nbody_surrogate.cli.render import render
from nbody_surrogate.cli.report import report
from nbody_surrogate.cli.resume import resume
from nbody_surrogate.cli.run import run
from nbody_surrogate.cli.study import study
from nbody_surrogate.cli.train import train

__all__ = ["main"]


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nbody-surrogate", prog_name="nbody-sim")
def main() -> None:
    """Simulate charged particles by a solver or by a learned stepper."""


main.add_command(bench)
main.add_command(calibrate)
main.add_command(compare)
main.add_command(dataset)
main.add_command(evaluate)
main.add_command(export)
main.add_command(models)
main.add_command(plugins)
main.add_command(resume)
main.add_command(render)
main.add_command(report)
main.add_command(run)
main.add_command(study)
main.add_command(train)
