"""Versions of what the numbers depend on."""

from __future__ import annotations

import importlib.metadata
import platform
from contextlib import suppress
from functools import cache

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """Versions of everything the numbers depend on."""
    return dict(installed_versions())


@cache  # what is installed does not change, and reading it takes a while
def installed_versions() -> dict[str, str]:
    """Read the versions, once in a process."""
    libraries = ("nbody-surrogate", "numpy", "scipy", "numba", "torch")
    found = {name: importlib.metadata.version(name) for name in libraries}
    with suppress(importlib.metadata.PackageNotFoundError):
        found["CyRK"] = importlib.metadata.version("CyRK")
    return {"python": platform.python_version(), **found}
