"""The log of a training run: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nbody_surrogate.errors import RunError, one_line
from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.new_file import append
from nbody_surrogate.results.bootstrap import plain

__all__ = ["append_log", "cut_log", "forget_log", "read_log"]

NAME = "log.jsonl"


def append_log(folder: Path, entry: dict[str, Any]) -> None:
    """Add a line; a number that is not finite becomes null.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    path = folder / NAME
    try:
        append(path, f"{json.dumps(plain(entry), allow_nan=False)}\n".encode())
    except OSError as error:
        reason = one_line(error)
        raise RunError(f"`output` {str(path)!r} cannot be written: {reason}") from None


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Read the log of a run folder; lines that a kill cut short are left out."""
    path = folder / NAME
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    entries = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            entries.append(entry)
    return entries


def cut_log(folder: Path, step: int) -> None:
    """Forget what the log says of steps that are made again."""
    kept = [entry for entry in read_log(folder) if entry["step"] <= step]
    with atomic_file(folder / NAME) as stream:
        stream.write(
            "".join(json.dumps(plain(entry), allow_nan=False) + "\n" for entry in kept).encode()
        )


def forget_log(folder: Path) -> None:
    """Remove the log of a run that begins anew."""
    (folder / NAME).unlink(missing_ok=True)
