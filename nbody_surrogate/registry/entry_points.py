"""What installed distributions provide, read from their entry points. Nothing is imported."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nbody_surrogate.contracts.origin import OWN_DISTRIBUTION
from nbody_surrogate.errors import warn

__all__ = [
    "KINDS",
    "VARIABLE",
    "Kind",
    "distribution_of",
    "installed",
    "is_hidden",
    "normalised",
    "package_exists",
    "package_folders",
    "rescan_if_changed",
]

Kind = Literal["systems", "integrators", "surrogates", "presets"]

KINDS: tuple[Kind, ...] = ("systems", "integrators", "surrogates", "presets")
VARIABLE = "NBODY_SURROGATE_PLUGINS"
UNKNOWN = "unknown"  # distribution


def installed(kind: Kind) -> list[EntryPoint]:
    """Entry points of a kind, hidden ones too. They are read once in a process."""
    return [point for point in _scan(tuple(sys.path)).points if point.group == _group(kind)]


def rescan_if_changed() -> None:
    """Forget what was read if something was installed or removed since, as from a notebook."""
    places = tuple(sys.path)
    if _scan(places).stamps != _stamps(places):
        _scan.cache_clear()


class _Scan(NamedTuple):
    points: list[EntryPoint]
    stamps: list[int | None]
    """When each place last changed, in ns."""


@lru_cache(maxsize=1)
def _scan(places: tuple[str, ...]) -> _Scan:
    """Read all entry points of ours, which takes a while: it opens a file of each distribution."""
    stamps = _stamps(places)  # before the reading: what comes meanwhile is then found later
    try:
        points = _ours(entry_points())
    except Exception:  # one distribution's metadata are damaged: the others go on
        points = [point for each in distributions() for point in _readable(each)]
    return _Scan(points, stamps)


def _stamps(places: tuple[str, ...]) -> list[int | None]:
    # a folder's time moves when something is installed into it: looking there is cheap
    stamps: list[int | None] = []
    for place in places:
        try:
            stamps.append(Path(place).stat().st_mtime_ns)
        except OSError:
            stamps.append(None)
    return stamps


def _group(kind: Kind) -> str:
    return f"nbody_surrogate.{kind}"


def _ours(points: Any) -> list[EntryPoint]:
    """Select our groups; the type of all entry points differs between releases of Python."""
    return [point for kind in KINDS for point in points.select(group=_group(kind))]


def _readable(distribution: Distribution) -> list[EntryPoint]:
    try:
        return _ours(distribution.entry_points)
    except Exception as error:
        warn(
            f"entry points of {distribution.name} cannot be read: {error}",
        )
        return []


def is_hidden(point: EntryPoint) -> bool:
    """Whether the environment leaves a plugin out."""
    allowed = os.environ.get(VARIABLE)
    # empty is another thing: then only what ships is seen
    if allowed is None:
        return False
    kept = {normalised(part) for part in allowed.split(",") if part.strip()} | {OWN_DISTRIBUTION}
    return normalised(distribution_of(point)[0]) not in kept


def normalised(distribution: str) -> str:
    """Spell a distribution's name as package indexes do."""
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()


def distribution_of(point: EntryPoint) -> tuple[str, str]:
    """Distribution and version of an entry point."""
    return (UNKNOWN, "") if point.dist is None else _name_and_version(point.dist)


@lru_cache(maxsize=256)  # it parses a file
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    try:
        return distribution.name or UNKNOWN, distribution.version or ""
    except Exception:  # its metadata are missing or damaged, its entry points are not
        return UNKNOWN, ""


def package_folders(module: str) -> list[Path]:
    """Return where the package of a module is; it is not imported."""
    with suppress(ValueError, ImportError):
        spec = find_spec(module.partition(".")[0].strip())
        return [] if spec is None else [*map(Path, spec.submodule_search_locations or ())]
    return []


def package_exists(module: str) -> bool:
    """Whether the package of a module can be found; it is not imported."""
    with suppress(ValueError, ImportError):
        # the package alone: to find a module within it, Python would import it
        return find_spec(module.partition(".")[0].strip()) is not None
    return False
