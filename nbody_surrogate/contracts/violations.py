"""A plugin that breaks its contract: one line that names it, its method and what was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nbody_surrogate.contracts.origin import Origin
from nbody_surrogate.contracts.signals import SignalWatch, is_blameless
from nbody_surrogate.errors import PluginError, said_by

__all__ = [
    "array_of",
    "array_or_none",
    "described",
    "plugin_errors",
    "violation",
    "violation_from",
]

FLOAT64 = np.dtype(np.float64)  # made once: np.float64 is made a dtype at each comparison


def violation(origin: Origin, method: str, what: str) -> PluginError:
    """Return the error of a plugin that breaks its contract; `what` follows the method's name."""
    return PluginError(f"{origin}: `{method}` {what}")


@contextmanager
def plugin_errors(origin: Origin, method: str) -> Iterator[None]:
    """Run a plugin's method: what it raises, but for errors of ours, is a violation.

    Raises
    ------
    PluginError
        Naming the plugin, the method and the error.
    """
    with SignalWatch():
        try:
            yield
        # a plugin may also raise what ends a program, which is not its to end
        except BaseException as error:
            if is_blameless(error):
                raise
            raise violation_from(origin, method, error) from error


def violation_from(origin: Origin, method: str, error: BaseException) -> PluginError:
    """Return the error for what a plugin's method raised."""
    # on one line, however the plugin worded it
    words = said_by(error)
    # NumPy's own words for writing into an array that was handed in, all of which are frozen
    if isinstance(error, ValueError) and "read-only" in words:
        return violation(origin, method, "must leave its input as it is, it tried to write into it")
    return violation(origin, method, f"raised {words}")


def array_of(
    origin: Origin, method: Callable[..., Any], shape: tuple[int, ...], *arguments: Any
) -> np.ndarray:
    """Call a plugin's method that must return a float64 array of a shape.

    Raises
    ------
    PluginError
        If it raises, or returns anything else.
    """
    made = array_or_none(origin, method, shape, *arguments)
    if made is None:
        raise violation(origin, method.__name__, f"must return {_wanted(shape)}, got None")
    return made


def array_or_none(
    origin: Origin, method: Callable[..., Any], shape: tuple[int, ...], *arguments: Any
) -> np.ndarray | None:
    """Call a plugin's method as `array_of` does, where None will do too.

    Written without `plugin_errors`, whose cost would be felt in a right-hand side.
    """
    try:
        made = method(*arguments)
    except BaseException as error:
        if is_blameless(error):
            raise
        raise violation_from(origin, method.__name__, error) from error
    if made is None:
        return None
    if isinstance(made, np.ndarray) and made.dtype == FLOAT64 and made.shape == shape:
        return made
    what = f"must return {_wanted(shape)}, got {described(made)}"
    raise violation(origin, method.__name__, what)


def _wanted(shape: tuple[int, ...]) -> str:
    return f"a float64 array of shape {shape}"


def described(value: object) -> str:
    """Say in a few words what a plugin returned."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
