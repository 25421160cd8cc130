"""Exceptions: misuse raises `InputError`; failure inside a run is a status on its result."""

from __future__ import annotations

import re

__all__ = [
    "DivergenceError",
    "FileFormatError",
    "InputError",
    "InterruptionError",
    "MissingFileError",
    "NBodyError",
    "NBodyWarning",
    "PluginError",
    "RunError",
    "is_out_of_memory",
    "one_line",
]


class NBodyError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(NBodyError, ValueError):
    """A parameter is wrong. The message names it, what was given and what would do."""

    exit_code = 2


class FileFormatError(NBodyError):
    """A file is missing, damaged or of another format."""


class MissingFileError(FileFormatError):
    """There is no file where the user named one, which is misuse."""

    exit_code = 2


class PluginError(NBodyError):
    """A plugin cannot be loaded or breaks its contract."""


class RunError(NBodyError):
    """A run failed as a whole."""


class DivergenceError(RunError):
    """A training's loss is no number any more."""


class InterruptionError(NBodyError):
    """The user ended a run; the message says what is left of it and how to go on."""

    exit_code = 130  # as shells report Ctrl-C


class NBodyWarning(UserWarning):
    """Something is doubtful but allowed, such as a surrogate used outside its card's range."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch says so by a RuntimeError."""
    said = "allocate memory" in str(error) or "out of memory" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and said)


def one_line(error: BaseException) -> str:
    """Return the error's message without line breaks, and not too long."""
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = " ".join(str(message).split()) or type(error).__name__
    if said := re.search(r"error message = '([^']+)'", text):  # HDF5 buries the system's
        text = said[1]
    return text if len(text) <= 200 else text[:197] + "..."
