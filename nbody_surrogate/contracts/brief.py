"""What is shown of an object in a shell: its values in short, and of arrays their shapes alone."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel

__all__ = ["Described", "brief"]

LONGEST = 60  # characters of one value
WHOLE = 360  # and of them all, some lines of a terminal


class Described(ABC):
    """Base of what says by its `description` what it is, its name first."""

    @property
    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Name and parameters as JSON has them."""

    def __repr__(self) -> str:
        name, *rest = self.description.items()
        told = ", ".join(f"{key}={_in_short(value)}" for key, value in rest if value is not None)
        return _cut(f"<{name[0]} {name[1]!r}{': ' * bool(told)}{told}>", ">")


def brief(value: Any) -> str:
    """Return what stands for a dataclass or a named tuple: ``__repr__ = brief`` in its body.

    Arrays are told by their shapes, and what is None or empty is left out.
    """
    shown = []
    for name, content in _fields(value).items():
        if content is None or (isinstance(content, tuple | list | Mapping | str) and not content):
            continue
        shown.append(f"{name}={_in_short(content)}")
    text = f"{type(value).__name__}({', '.join(shown)})"
    return _cut(text, ")")


def _cut(text: str, end: str) -> str:
    return text if len(text) <= WHOLE else text[: WHOLE - 4] + "..." + end


def _fields(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        # what begins with a line below is nobody's business
        named = [each.name for each in dataclasses.fields(value) if not each.name.startswith("_")]
        return {name: getattr(value, name) for name in named}
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return dict(value._asdict())


def _in_short(value: Any) -> str:
    if isinstance(value, np.ndarray) or type(value).__module__.partition(".")[0] == "torch":
        shape = getattr(value, "shape", None)
        return type(value).__name__ if shape is None else f"<{value.dtype} {tuple(shape)}>"
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key!r}: {_in_short(each)}" for key, each in value.items()) + "}"
    elif isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        text = "(" + ", ".join(map(_in_short, value[:4])) + ("" if len(value) <= 4 else ", ...")
        text += ")"
    else:
        text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
