"""Reading TOML that is not trusted."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from nbody_surrogate.errors import FileFormatError, InputError
from nbody_surrogate.files.limits import TOML
from nbody_surrogate.files.untrusted import read_bounded

__all__ = ["read_toml"]


def read_toml(path: str | os.PathLike[str], name: str) -> dict[str, Any]:
    """Read a file of TOML; `name` is that of the parameter that gave its path.

    Raises
    ------
    InputError
        If the file cannot be read, is too large or no TOML.
    """
    label = f"`{name}` {os.fspath(path)!r}"
    try:
        return tomllib.loads(read_bounded(Path(path), TOML.largest).decode())
    except FileFormatError as error:
        raise InputError(f"`{name}` {error}") from None
    except OSError as error:
        raise InputError(f"{label}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # of TOML, of its encoding, or of the path
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{label} is not valid TOML: {reason}") from None
