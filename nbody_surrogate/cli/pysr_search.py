"""The option `--pysr`: a search for a formula of the curve that was found."""

from __future__ import annotations

from typing import Any

from nbody_surrogate.errors import InputError, RunError, one_line
from nbody_surrogate.registry.entry_points import package_exists

__all__ = ["check_search", "search_for"]


def check_search(minutes: float | None) -> None:
    """Refuse a search that cannot be, before anything heavy is imported.

    Raises
    ------
    InputError
    """
    if minutes is None:
        return
    if not 0 < minutes < 1e6:
        raise InputError(f"`pysr` must be a time in minutes above 0, got {minutes:g}")
    if not package_exists("pysr"):
        raise InputError(
            "`pysr` needs the package pysr, which is not installed: "
            "pip install 'nbody-surrogate[pysr]'"
        )


def search_for(minutes: float | None, seed: int) -> Any:
    """Return a search of so long, or None; what it draws in and writes is its own business."""
    if minutes is None:
        return None
    try:
        from pysr import PySRRegressor

        return PySRRegressor(
            timeout_in_seconds=60.0 * minutes,
            niterations=10**6,
            binary_operators=["+", "-", "*", "/", "^"],
            unary_operators=["exp"],
            constraints={"^": (-1, 1)},
            random_state=seed,
            temp_equation_file=True,
            progress=False,
            verbosity=0,
        )
    except Exception as error:  # it fetches Julia as it is imported
        raise RunError(f"`pysr`: {one_line(error)}") from error
