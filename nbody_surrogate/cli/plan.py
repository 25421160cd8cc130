"""`nbody-sim plan`: whether a surrogate can pay, before it is trained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import rich_click as click

from nbody_surrogate.cli.json_output import print_json
from nbody_surrogate.cli.parameters import key_and_value, parameters_of
from nbody_surrogate.cli.physics import PARTICLES, PHYSICS, usual_particles
from nbody_surrogate.cli.progress import progress_bar, sign
from nbody_surrogate.cli.terminal import wide_option
from nbody_surrogate.errors import InputError

__all__ = ["plan"]


@click.command()
@click.option("--system", default="charged", show_default=True, help=PHYSICS)
@click.option(
    "-p", "--parameter", multiple=True, metavar="KEY=VALUE", help="Parameter of the system."
)
@click.option("-n", "--particles", type=int, help=PARTICLES)
@click.option("--surrogate", default="set", show_default=True, help="Surrogate to be trained.")
@click.option(
    "--model",
    multiple=True,
    metavar="KEY=VALUE",
    help="Setting of the surrogate, such as width=16; may be repeated.",
)
@click.option(
    "--accuracy",
    type=float,
    default=1e-3,
    show_default=True,
    help="Position RMSE at the horizon, which the surrogate is assumed to reach.",
)
@click.option(
    "--horizon",
    type=float,
    help="Time units, whole frames; one frame asks for a one-frame error.  [default: 2]",
)
@click.option(
    "--frames",
    type=int,
    default=100,
    show_default=True,
    help="Frames of the trajectories that training is paid back by.",
)
@click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    help="TOML file of the training.  [default: the surrogate's own]",
)
@click.option(
    "--seconds",
    type=float,
    default=30.0,
    show_default=True,
    help="For forces, or the time of 200 of them where that is longer.",
)
@click.option(
    "--clock",
    default="wall",
    show_default=True,
    help="wall or processor; the latter where the machine is busy.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the starts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table.")
@wide_option
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def plan(**options: Any) -> None:
    """Say whether a surrogate can pay for a system on this machine, before it is trained.

    On one thread it measures what a force costs, how many of them the cheapest classical method
    takes for a frame at the accuracy asked, and what a frame of the untrained surrogate costs. From
    these: the gain or loss, the cost of a force from which on the surrogate pays, and after how
    many trajectories its training is paid back. How accurate it will be nobody knows beforehand:
    the accuracy asked is an assumption.
    """
    if options["particles"] is None:
        options["particles"] = usual_particles(options["system"])
    _check(options)
    hidden = options["quiet"] or options["as_json"]
    parameters = parameters_of(options["parameter"])
    config = dict(key_and_value(text, "model", "width=16") for text in options["model"])
    if options["recipe"] is not None:
        from nbody_surrogate.files.toml import read_toml

        read_toml(options["recipe"], "recipe")  # all that is wrong with a file
    with sign("loading torch", hidden=hidden):
        from nbody_surrogate.evaluation.plan.text import plan_table
        from nbody_surrogate.registry.registry import make_system
        from nbody_surrogate.training.plan import plan as planned

    taken = ("particles", "surrogate", "accuracy", "horizon", "frames", "recipe")
    with progress_bar("plan", None, hidden=hidden) as progress:
        found = planned(
            make_system(options["system"], **parameters),
            **{key: options[key] for key in (*taken, "seconds", "clock", "seed")},
            model=config,
            progress=progress,
        )
    if options["as_json"]:
        print_json("plan", found.to_dict())
        return
    from nbody_surrogate.cli.table import print_table

    print_table(plan_table(found), wide=options["wide"])


def _check(options: dict[str, Any]) -> None:
    """Check what needs no system, before anything heavy is imported."""
    from nbody_surrogate.evaluation.work_precision.clocks import check_clock
    from nbody_surrogate.registry.lookup import demand_name

    check_clock(options["clock"], 1)
    for name, least in (("particles", 1), ("frames", 1), ("seed", 0)):
        if options[name] < least:
            raise InputError(f"`{name}` must be at least {least}, got {options[name]}")
    for name in ("accuracy", "horizon", "seconds"):
        value = options[name]
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"`{name}` must be finite and > 0, got {value}")
    demand_name(("systems",), options["system"], "system")
    demand_name(("surrogates",), options["surrogate"], "surrogate")
