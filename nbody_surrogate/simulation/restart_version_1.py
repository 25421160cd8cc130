"""Restart files of format version 1, of releases before identifiers, in the form of version 2.

They know no identifier of the run: what is there of it is known by its state at the boundary, and
by system, method and seed. All events of the guard stand in the document, and stay there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from nbody_surrogate.simulation.restart_arrays import as_texts, particles_hash

__all__ = ["in_version_2"]

COUNTS = TypeAdapter(list[int])
WORDS = TypeAdapter(list[str])


def in_version_2(
    header: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Move what version 2 has as arrays; what else is wrong is left to its own checks.

    Raises
    ------
    ValueError
        If what is to be moved is not what it should be.
    """
    rest = dict(header, format_version=2, identifier="", particles=particles_hash(arrays))
    moved = {
        "good": _counts(rest.pop("good", ())),
        "message": as_texts(WORDS.validate_python(rest.pop("message", ()))),
    }
    if isinstance(guard := rest.get("guard"), dict) and isinstance(guard.get("report"), dict):
        report = dict(guard["report"])
        moved["fallen_back"] = _counts(report.pop("fallen_back", ()))
        rest["guard"] = guard | {"report": report}
    return rest, arrays | moved


def _counts(values: Any) -> np.ndarray:
    return np.array(COUNTS.validate_python(values), dtype=np.int64)
