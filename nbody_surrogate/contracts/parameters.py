"""Validated parameters: pydantic models whose errors are one clear line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nbody_surrogate.errors import InputError
from nbody_surrogate.spelling import instead_of

__all__ = ["validated"]

Model = TypeVar("Model", bound=BaseModel)

OTHER_WORDS = {
    "n": "`n` in `system.sample(rng=0, n=30)`",
    "n_particles": "`n` in `system.sample(rng=0, n=30)`",
    "particles": "`n` in `system.sample(rng=0, n=30)`",
    "dt": "`frame_dt` of the system, or `dt` of `simulate`",
}
"""What the parameters of systems and methods are often taken to hold, and where it goes."""

LONGEST = 80  # characters of a value in a message


def validated(
    model: type[Model], values: Mapping[str, Any], owner: str, also: Collection[str] = ()
) -> Model:
    """Return ``model(**values)``, or raise one line that names the parameter.

    `also` are names that the owner takes beside those of the model, and that may be misspelt.

    Raises
    ------
    InputError
        If a key is unknown or a value is out of range.
    """
    try:
        return model(**values)
    except ValidationError as error:
        # pydantic tells every error in several lines; one line is for one error
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden" and len(first["loc"]) > 1:
            raise InputError(f"`{key}` is not a parameter of {owner}") from None
        if first["type"] == "extra_forbidden":
            names = sorted({*model.model_fields, *also})
            known = ", ".join(names) or "none"
            hint = instead_of(key, names, OTHER_WORDS)
            raise InputError(
                f"`{key}` is not a parameter of {owner}; known: {known}{hint}"
            ) from None
        if not key:  # of several parameters together; the message names them
            raise InputError(f"{owner}: {_reason(first)}") from None
        given = _shortened(first["input"])
        raise InputError(f"`{key}` of {owner}: {_reason(first)}, got {given}") from None


def _reason(error: Mapping[str, Any]) -> str:
    """Say what must hold, as short as it is: pydantic spells out 1e-13 in digits."""
    for key, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
        if key in error.get("ctx", {}):
            return f"must be {sign} {error['ctx'][key]:g}"
    if error["type"] == "value_error":  # of our own validators
        return str(error["msg"]).removeprefix("Value error, ")
    return str(error["msg"][0].lower() + error["msg"][1:])


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
