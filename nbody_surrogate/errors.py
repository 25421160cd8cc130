"""Exceptions: misuse raises `InputError`; failure inside a run is a status on its result."""

from __future__ import annotations

import re
import sys
import warnings
from types import FrameType

import nbody_surrogate.interruption as interruption

__all__ = [
    "ArgumentError",
    "DivergenceError",
    "FileFormatError",
    "InputError",
    "InterruptionError",
    "MissingFileError",
    "NBodyError",
    "NBodyWarning",
    "OutsideError",
    "PluginError",
    "RunError",
    "is_out_of_memory",
    "one_line",
    "said_by",
    "warn",
]

LONGEST = 200  # characters of others' words


class NBodyError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(NBodyError, ValueError):
    """A parameter is wrong. The message names it, what was given and what would do."""

    exit_code = 2


class ArgumentError(InputError, TypeError):
    """A call names a parameter that is not there, or lacks one."""


class OutsideError(InputError, IndexError):
    """A frame or a trajectory is not there."""


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

    exit_code = interruption.EXIT_CODE


class NBodyWarning(UserWarning):
    """Something is doubtful but allowed, such as a surrogate used outside its card's range."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; torch says so by a RuntimeError."""
    if not isinstance(error, RuntimeError):
        return isinstance(error, MemoryError)
    said = _text(error)
    return "allocate memory" in said or "out of memory" in said


def said_by(error: BaseException) -> str:
    """Return the type of a stranger's error and what it says, in one line."""
    words = " ".join(_text(error).split())[:LONGEST]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _text(error: object) -> str:
    """Return an error's words, which are made by code of whoever wrote its class."""
    try:
        return str(error)
    except Exception:
        return ""


def one_line(error: BaseException) -> str:
    """Return the error's message without line breaks, and not too long."""
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = " ".join(_text(message).split()) or type(error).__name__
    if said := re.search(r"error message = '([^']+)'", text):  # HDF5 buries the system's
        text = said[1]
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def warn(message: str) -> None:
    """Warn in one line, naming the line of the user's code that led to it.

    How many calls of ours and of the standard library, such as `contextlib`'s, lie between differs
    from way to way, so no fixed `stacklevel` would name it.
    """
    frame = _users_frame(sys._getframe(1))
    warnings.warn_explicit(
        message,
        NBodyWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _users_frame(caller: FrameType) -> FrameType:
    """Return the innermost frame that is neither the core's nor of the package that warns.

    In a thread of ours there is none: it is the caller's then.
    """
    passed = {_package(caller), __name__.partition(".")[0], *sys.stdlib_module_names}
    passed.discard("__main__")  # a plugin inside the user's script
    frame: FrameType | None = caller
    while frame is not None and _package(frame) in passed:
        frame = frame.f_back
    return caller if frame is None else frame


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
