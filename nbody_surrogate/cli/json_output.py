"""JSON as commands print it: of a named schema, and without numbers that JSON does not have."""

from __future__ import annotations

import json
from typing import Any

from nbody_surrogate.cli.terminal import echo

__all__ = ["json_text", "print_json"]

VERSION = 2
"""Of all schemas, as docs/json.md has them: it grows where a key goes or its meaning changes."""


def json_text(command: str, content: Any, indent: int = 1) -> str:
    """Write what a command found.

    Parameters
    ----------
    command : str
        Its words after ``nbody-sim``; they name the schema, which stands first in an object. A list
        has no place for one.
    content
        Of plain types; a number that is not finite becomes null.
    indent : int
        Spaces for each level.
    """
    from nbody_surrogate.results.bootstrap import plain

    if isinstance(content, dict):
        content = {"schema": f"nbody-sim {command}/{VERSION}", **content}
    return json.dumps(plain(content), indent=indent, allow_nan=False) + "\n"


def print_json(command: str, content: Any, indent: int = 1) -> None:
    """Print what a command found."""
    echo(json_text(command, content, indent), nl=False)
