"""KEY=VALUE options, as `-p softening=0.2`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from nbody_surrogate.errors import InputError

__all__ = ["key_and_value", "parameters_of"]


def parameters_of(texts: Iterable[str], settled: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the parameters of a system, beside those that have options of their own.

    Raises
    ------
    InputError
        If one is no KEY=VALUE, or is given twice.
    """
    parameters = dict(settled or {})
    for text in texts:
        key, value = key_and_value(text)
        if key in parameters:
            raise InputError(
                f"`parameter` {key!r} is given twice, the second time as {text!r}; give it once, "
                "also where it has an option of its own"
            )
        parameters[key] = value
    return parameters


def key_and_value(
    text: str, option: str = "parameter", example: str = "softening=0.2"
) -> tuple[str, Any]:
    """Split KEY=VALUE; the value is JSON where it can be read as such, else text.

    Raises
    ------
    InputError
        If it is no KEY=VALUE.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise InputError(f"`{option}` must be KEY=VALUE, such as {example}, got {text!r}")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):  # of brackets in brackets
        return key, value
