"""How a run came about and how it went, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from functools import cache
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from nbody_surrogate.errors import InputError, one_line
from nbody_surrogate.files.limits import PROVENANCE
from nbody_surrogate.results.error_estimate import EstimateReport, ToleranceReport
from nbody_surrogate.results.parareal_report import PararealReport
from nbody_surrogate.results.trajectory import RunInfo

__all__ = ["dump_info", "load_info", "provenance_bytes"]

BASE_BYTES, BYTES_PER_TRAJECTORY = 65536, 1024
"""Bytes kept for what the provenance gains during a run: counters, and how each trajectory went."""

MESSAGE_BYTES = 900
"""Bytes of a message, escaped as JSON, that always fit into a trajectory's room, numbers beside."""


def provenance_bytes(batch: int, start: int = 0) -> int:
    """Bytes that the provenance of a batch may take, of which `start` are known before the run.

    Raises
    ------
    InputError
        If that is more than is ever read.
    """
    room = start + BASE_BYTES + BYTES_PER_TRAJECTORY * batch
    PROVENANCE.require(room, f"of {batch} trajectories")
    return room


def dump_info(info: RunInfo, batch: int, room: int | None = None) -> bytes:
    """Write `info` as JSON, its messages shortened only where they would not fit.

    Parameters
    ----------
    info : RunInfo
    batch : int
    room : int, optional
        Bytes that the text may take; by default as many as are ever read.

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
    room = PROVENANCE.largest if room is None else room
    text = _json(info)
    try:
        load_info(text, batch)  # what cannot be read back is refused now
    except ValueError as error:
        raise InputError(f"`info` must hold what its fields are for: {error}") from None
    if len(text) > room:
        text = _json(replace(info, message=tuple(_shortened(each) for each in info.message)))
    if len(text) > room:
        raise InputError(f"`info` must fit into {room} bytes of JSON, got {len(text)}")
    return text


def _shortened(message: str) -> str:
    """Cut a message to what fits, whatever its characters become as JSON."""
    while len(escaped := json.dumps(message)) > MESSAGE_BYTES:
        # a character becomes 12 bytes at most, so this comes to an end soon and cuts little
        message = message[: len(message) - max(1, (len(escaped) - MESSAGE_BYTES) // 12)]
    return message


def load_info(text: bytes, batch: int) -> RunInfo:
    """Read what `dump_info` wrote.

    Raises
    ------
    ValueError
        If it is not that.
    """
    try:
        # strict, since a number in quotes was not written by `dump_info`
        info: RunInfo = _adapter().validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"provenance {field!r}: {first['msg']}") from None
    if any(len(entries) not in (0, batch) for entries in _entries(info).values()):
        raise ValueError(f"provenance is not about {batch} trajectories")
    _demand_description(info)
    return info


def _demand_description(info: RunInfo) -> None:
    """Demand of free descriptions what is taken for granted wherever a run is shown."""
    described = {"method": info.method}
    if info.guard is not None and info.guard.reference is not None:
        described["guard.reference"] = info.guard.reference
    if info.domain is not None and info.domain.reference is not None:
        described["domain.reference"] = info.domain.reference
    if info.tolerance is not None:
        described["tolerance.solver"] = info.tolerance.solver
    if info.parareal is not None:
        described["parareal.coarse"] = info.parareal.coarse
        described["parareal.fine"] = info.parareal.fine
    for name, method in described.items():
        if not isinstance(method.get("integrator"), str):
            raise ValueError(f"provenance '{name}.integrator' is no name")
    if not isinstance(info.system.get("system", ""), str):
        raise ValueError("provenance 'system.system' is no name")
    for key in ("rtol", "step", "substeps", "eta"):
        value = info.method.get(key)
        missing = value is None and (key != "rtol" or key not in info.method)
        if not missing and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"provenance 'method.{key}' is no number")


@cache
def _adapter() -> Any:
    # made when it is first needed: pydantic takes 20 ms over it
    return TypeAdapter(RunInfo)


def _entries(info: RunInfo) -> dict[str, tuple[Any, ...]]:
    """Fields with one entry for each trajectory."""
    fallen_back = () if info.guard is None else info.guard.fallen_back
    return {
        "status": info.status,
        "message": info.message,
        "good": info.good,
        "guard.fallen_back": fallen_back,
        "domain.since": () if info.domain is None else info.domain.since,
        "domain.fallen_back": () if info.domain is None else info.domain.fallen_back,
    }


def _json(info: RunInfo) -> bytes:
    try:
        # ASCII, as all else is escaped: the bytes to be kept are its characters
        plain = {each.name: getattr(info, each.name) for each in fields(info)}
        plain["guard"] = None if info.guard is None else info.guard.to_dict()
        plain["domain"] = None if info.domain is None else info.domain.stored()
        return json.dumps(plain, default=_plain).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"`info` must hold plain values only: {one_line(error)}") from None


def _plain(value: object) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, EstimateReport | ToleranceReport | PararealReport):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not")
