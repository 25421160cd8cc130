"""`nbody-sim plugins`: what is there, what it is, whether it keeps its contract, and a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nbody_surrogate.cli.json_output import print_json
from nbody_surrogate.cli.parameters import parameters_of
from nbody_surrogate.cli.terminal import echo, wide_option
from nbody_surrogate.errors import PluginError

if TYPE_CHECKING:
    from nbody_surrogate.testing.check import Check

__all__ = ["plugins"]

KIND = click.Choice(["system", "integrator", "surrogate", "preset"])
CODE = click.Choice(["system", "integrator", "surrogate"])


@click.group()
def plugins() -> None:
    """List, show and check systems, integrators and surrogates; write a new plugin."""


@plugins.command("list")
@wide_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
def list_(wide: bool, as_json: bool) -> None:
    """List all that is provided, by kind and name. Nothing of it is imported."""
    from nbody_surrogate.registry.lookup import entries

    found = entries()
    if as_json:
        print_json("plugins list", [entry._asdict() for entry in found])
        return
    from nbody_surrogate.cli.table import print_table
    from nbody_surrogate.comparison.text_table import TextTable

    heads = ("name", "kind", "distribution", "version", "status")
    rows = tuple(
        (each.name, each.kind, each.distribution or "this session", each.version, each.status)
        for each in found
    )
    print_table(TextTable("What is provided", heads, rows, words=True), wide=wide)


@plugins.command()
@click.argument("name")
@click.option("--kind", type=KIND, help="Where a name is of several.")
def show(name: str, kind: str | None) -> None:
    """Print what NAME is, where it comes from, and its parameters."""
    from nbody_surrogate.registry.describe import facts

    echo("\n\n".join("\n".join(lines) for lines in facts(name, kind)))


@plugins.command()
@click.argument("name")
@click.option("--kind", type=CODE, help="Where a name is of several.")
@click.option("--system", help="To run on.  [default: that of the weights, or charged]")
@click.option("--weights", help="Of a surrogate: a folder, or shipped ones.  [default: random]")
@click.option(
    "-p",
    "--parameter",
    multiple=True,
    metavar="KEY=VALUE",
    help="Of a surrogate's config, such as width=8; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of lines.")
def check(
    name: str,
    kind: str | None,
    system: str | None,
    weights: str | None,
    parameter: tuple[str, ...],
    as_json: bool,
) -> None:
    """Hold NAME to its contract, check by check; the exit code is 1 where one fails.

    What the plugin declares in `known_failures` is shown as known while it fails, and fails when it
    passes.
    """
    from nbody_surrogate.cli.table import print_lines
    from nbody_surrogate.testing import checks

    config = parameters_of(parameter, {}) or None
    every = checks(name, kind=kind, system=system, weights=weights, config=config)
    every[0].case()  # so that a plugin which cannot be loaded says so once
    results = []
    for each in every:
        result, said = _outcome(each)
        results.append({"check": each.name, "result": result, "message": said})
        if not as_json:
            print_lines([f"{result:7} {each.name:26} {said}"], indent=35)
    if as_json:
        print_json("plugins check", results)
    failed = [row["check"] for row in results if row["result"] == "FAILED"]
    if failed:
        raise PluginError(
            f"{name!r} fails {len(failed)} of {len(every)} checks: {', '.join(failed)}"
        )


def _outcome(each: Check) -> tuple[str, str]:
    from unittest import SkipTest

    from nbody_surrogate.testing import ConformanceError, KnownFailure

    try:
        each()
    except KnownFailure as known:
        return "known", str(known)
    except SkipTest as why:
        return "skipped", str(why)
    except ConformanceError as error:
        return "FAILED", str(error)
    return "passed", each.demand


@plugins.command()
@click.argument("name")
@click.option("--kind", type=CODE, default="surrogate", show_default=True, help="What it is to be.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder.  [default: NAME]")
def new(name: str, kind: str, output: Path | None) -> None:
    """Write a plugin package called NAME: complete, installable and tested as it stands."""
    from nbody_surrogate.registry.scaffold import write_package

    folder = Path(name) if output is None else output
    written = write_package(name, kind, folder)
    for path in written:
        echo(path)
    echo(f"Next: pip install -e '{folder}[test]' && nbody-sim plugins check {name}")
