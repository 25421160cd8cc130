"""How a run came about and how it went, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from nbody_surrogate.errors import InputError, one_line
from nbody_surrogate.results.trajectory import RunInfo

__all__ = ["dump_info", "load_info", "provenance_bytes"]

BASE_BYTES, BYTES_PER_TRAJECTORY = 65536, 1024
"""Bytes kept for the provenance, whose length is known only at the end."""

BYTES_PER_EVENT = 256
"""Bytes kept for each segment that may trip a guard."""

SHORT_MESSAGE = 120
"""Characters of a message that always fit into a trajectory's room, escaped as JSON."""


def provenance_bytes(batch: int, segments: int = 0) -> int:
    """Bytes that the provenance of a batch may take, of which a guard watches some segments."""
    return BASE_BYTES + (BYTES_PER_TRAJECTORY + BYTES_PER_EVENT * segments) * batch


def dump_info(info: RunInfo, batch: int, room: int | None = None) -> bytes:
    """Write `info` as JSON, its messages shortened only where they would not fit.

    Raises
    ------
    InputError
        If a value is not plain or not of the type of its field, the text is too long or `info`
        is of another batch.
    """
    for name, entries in _entries(info).items():
        if len(entries) not in (0, batch):
            raise InputError(
                f"`info.{name}` must hold one entry for each of {batch} trajectories, "
                f"got {len(entries)}"
            )
    room = provenance_bytes(batch) if room is None else room
    text = _json(info)
    try:
        load_info(text, batch)  # what cannot be read back is refused now
    except ValueError as error:
        raise InputError(f"`info` must hold what its fields are for: {error}") from None
    if len(text) > room:
        text = _json(replace(info, message=tuple(m[:SHORT_MESSAGE] for m in info.message)))
    if len(text) > room:
        raise InputError(f"`info` must fit into {room} bytes of JSON, got {len(text)}")
    return text


def load_info(text: bytes, batch: int) -> RunInfo:
    """Read what `dump_info` wrote.

    Raises
    ------
    ValueError
        If it is not that.
    """
    try:
        info: RunInfo = _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"provenance {field!r}: {first['msg']}") from None
    if any(len(entries) not in (0, batch) for entries in _entries(info).values()):
        raise ValueError(f"provenance is not about {batch} trajectories")
    return info


@cache
def _adapter() -> Any:
    return TypeAdapter(RunInfo)


def _entries(info: RunInfo) -> dict[str, tuple[Any, ...]]:
    """Fields with one entry for each trajectory."""
    fallen_back = () if info.guard is None else info.guard.fallen_back
    return {
        "status": info.status,
        "message": info.message,
        "good": info.good,
        "guard.fallen_back": fallen_back,
    }


def _json(info: RunInfo) -> bytes:
    try:
        return json.dumps(asdict(info), default=_plain).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"`info` must hold plain values only: {one_line(error)}") from None


def _plain(value: object) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not")
