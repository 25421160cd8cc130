"""Whole HTML pages that load nothing: style and scripts stand inside."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from importlib.resources import files
from pathlib import Path

from nbody_surrogate.files.atomic import atomic_file
from nbody_surrogate.files.output_path import check_output_file

__all__ = ["check_page_path", "document", "resource", "write_page"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What a browser lets the page do: nothing but what is in it."""


def resource(name: str) -> str:
    """Read a file of this package."""
    return (files("nbody_surrogate.viz.html") / name).read_text(encoding="utf-8")


def document(
    title: str, body: str, scripts: str = "", themed: Callable[[str], str] | None = None
) -> str:
    """Make a page of its body, which is HTML, and its scripts; `themed` settles its style."""
    style = resource("style.css")
    style = style if themed is None else themed(style)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body}
<script>{scripts}</script>
</body>
</html>
"""


def check_page_path(
    path: str | os.PathLike[str], overwrite: bool, parameter: str = "report"
) -> Path:
    """Demand that a page can be written there.

    Raises
    ------
    InputError
        If not.
    """
    return check_output_file(path, parameter, (".html", ".htm"), overwrite)


def write_page(path: Path, text: str, overwrite: bool = True, parameter: str = "report") -> Path:
    """Write a page in one step.

    Raises
    ------
    RunError
        If it cannot be written, or is there and `overwrite` is False.
    """
    with atomic_file(path, parameter, overwrite=overwrite) as stream:
        stream.write(text.encode())
    return path
