"""The options `--against` and `--no-against`: which file holds a run's reference."""

from __future__ import annotations

from pathlib import Path

from nbody_surrogate.errors import InputError

__all__ = ["reference_file"]


def reference_file(run: Path, against: Path | None, no_against: bool) -> Path | None:
    """Return the file asked for, else `RUN.reference.h5` beside the run where there is one.

    Raises
    ------
    InputError
        If one is asked for and none.
    """
    if no_against:
        if against is not None:
            raise InputError("`against` and `no_against` do not go together")
        return None
    if not run.name:  # a folder such as "/", which is refused where it is read
        return against
    beside = run.with_suffix(".reference.h5")
    return beside if against is None and beside.is_file() else against
