"""Importing what an entry point names. A module may do anything then, so nothing is left to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import Any

from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.signals import SignalWatch, is_a_plugins_own
from nbody_surrogate.errors import PluginError, said_by
from nbody_surrogate.interruption import hint

__all__ = ["import_plugin"]


def import_plugin(point: EntryPoint, origin: Origin) -> Any:
    """Import what an entry point names; whatever that raises is an error of the plugin's.

    Raises
    ------
    PluginError
        If it raises anything, `SystemExit` and `KeyboardInterrupt` of its own too.
    KeyboardInterrupt
        If the user ends it; a note of the error, and what the program says, name the plugin.
    """
    # it may hang, and only the user can tell: then this is what the program says
    where = f"while {origin} was imported"
    with hint(where):
        try:
            with SignalWatch(), _same_filters():
                return _loaded(point, origin)
        except KeyboardInterrupt as error:
            error.add_note(where)
            raise


@contextmanager
def _same_filters() -> Iterator[None]:
    """Undo what is decided on warnings inside.

    Were they made errors, ours would end the program; were they hidden, nobody would hear of the
    next plugin that fails.
    """
    before = list(warnings.filters)
    try:
        yield
    finally:
        # not always, since Python then forgets which warnings were shown once
        if list(warnings.filters) != before:
            warnings.filters[:] = before  # type: ignore[index]  # a list, whatever its stub says
            with warnings.catch_warnings():  # which has the new ones looked at
                pass


def _loaded(point: EntryPoint, origin: Origin) -> Any:
    try:
        return point.load()
    except BaseException as error:
        if not is_a_plugins_own(error):
            raise
        raise PluginError(f"{origin} cannot be imported: {said_by(error)}") from error
