"""`nbody-sim dataset`: make data sets, and look at anybody's."""

from __future__ import annotations

import rich_click as click

from nbody_surrogate.cli.dataset.audit import audit
from nbody_surrogate.cli.dataset.exchange import export, import_
from nbody_surrogate.cli.dataset.generate import generate
from nbody_surrogate.cli.dataset.info import info
from nbody_surrogate.cli.dataset.verify import verify

__all__ = ["dataset"]


@click.group()
def dataset() -> None:
    """Make data sets that reproduce, and find what is wrong with any."""


for command in (generate, info, verify, audit, export, import_):
    dataset.add_command(command)
