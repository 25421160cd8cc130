"""Where a plugin's class comes from, so that a message can name it."""

from __future__ import annotations

import traceback
from typing import NamedTuple

__all__ = ["OWN_DISTRIBUTION", "THIS_SESSION", "Origin", "culprit", "note_origin", "origin_of"]

OWN_DISTRIBUTION = "nbody-surrogate"
THIS_SESSION = "this session"
"""Provides what was registered in this process."""


class Origin(NamedTuple):
    """A plugin, as messages name it.

    Attributes
    ----------
    kind : str
        ``system``, ``integrator``, ``surrogate`` or ``preset``.
    name : str
        As it is registered.
    provider : str
        The distribution and its version, or the module of a class that none provides.
    built_in : bool
        Whether it ships with this package.
    """

    kind: str
    name: str
    provider: str
    built_in: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.provider}"


_origins: dict[type, Origin] = {}


def note_origin(cls: type, origin: Origin) -> None:
    """Remember where a class was found."""
    # by class, since two distributions may provide one name
    _origins[cls] = origin


def origin_of(cls: type, kind: str, name: str | None = None) -> Origin:
    """Say where a class comes from: what the registry knows, or else its module."""
    if cls in _origins:
        return _origins[cls]
    # a class of ours that did not come by its entry point, such as one built directly
    own = cls.__module__.partition(".")[0] == OWN_DISTRIBUTION.replace("-", "_")
    return Origin(kind, name or cls.__qualname__, f"module {cls.__module__}", own)


def culprit(error: BaseException) -> Origin | None:
    """Say whose code an unexpected error comes out of: a plugin's, or None where it is ours.

    A plugin has more of its own than the methods of its contract: properties, arguments' defaults,
    conversions. Libraries that its code or ours calls are passed over.
    """
    by_package = {
        _package(cls.__module__): origin
        for cls, origin in _origins.items()
        if origin.provider != THIS_SESSION  # its package is the user's own program
    }
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):  # the innermost first
        package = _package(str(frame.f_globals.get("__name__")))
        if package in by_package:
            origin = by_package[package]
            return None if origin.built_in else origin
        if package == _package(__name__):
            break
    return None


def _package(module: str) -> str:
    return module.partition(".")[0]
