"""Where a discovery may be written: asked before anything is computed for it."""

from __future__ import annotations

import os
from pathlib import Path

from nbody_surrogate.contracts.arguments import demand_flag, demand_path
from nbody_surrogate.errors import InputError, one_line
from nbody_surrogate.files.output_path import OTHERWISE
from nbody_surrogate.registry.law_folder import LAW

__all__ = ["FOUND", "REPORT", "check_folder"]

FOUND, REPORT = "discovery.json", "report.html"


def check_folder(folder: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Refuse a folder that cannot be written, before anything is computed for it.

    Parameters
    ----------
    folder : path_like
        A new folder, or an empty one.
    overwrite : bool
        Whether a discovery that is there may be replaced; nothing else ever is.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If there is something else, or a discovery that may not be replaced.
    """
    path = demand_path("output", folder)
    demand_flag("overwrite", overwrite)
    if not path.name:
        raise InputError(f"`output` must be a folder with a name, got {str(folder)!r}")
    try:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise InputError(f"`output` {str(path)!r} is no folder; choose another name")
        held = {each.name: each.is_file() for each in path.iterdir()} if path.exists() else {}
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"`output` {str(path)!r}: {one_line(error)}") from None
    # a page alone, or a folder by the name of a file, may be anybody's
    whole = held.get(LAW, False) and held.get(FOUND, False)
    others = [name for name, is_file in held.items()
              if not (whole and is_file and name in (LAW, FOUND, REPORT))]  # fmt: skip
    if others:
        raise InputError(
            f"`output` {str(path)!r} holds {min(others)!r}, which is of no discovery; choose an "
            "empty folder or a new one"
        )
    if held and not overwrite:
        raise InputError(f"`output` {str(path)!r} holds a discovery; {OTHERWISE}")
    return path
