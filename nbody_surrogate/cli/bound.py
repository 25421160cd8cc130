"""The option `--bound`: within which factor of errors two methods are called equivalent."""

from __future__ import annotations

import math

import rich_click as click

from nbody_surrogate.errors import InputError

__all__ = ["bound_option", "check_factor"]

DEFAULT = 1.25  # that of `results.paired`, which needs NumPy; a test holds the two together

bound_option = click.option(
    "--bound",
    type=float,
    default=DEFAULT,
    show_default=True,
    help="Factor of errors, either way, within which methods are equivalent.",
)


def check_factor(bound: float) -> None:
    """Demand a factor above 1, before anything is loaded.

    Raises
    ------
    InputError
        If it is none.
    """
    if not 1 < bound < math.inf:
        raise InputError(f"`bound` must be a factor > 1, such as {DEFAULT:g}, got {bound:g}")
