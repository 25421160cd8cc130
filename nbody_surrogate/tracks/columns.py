"""Which column of a table of tracks is what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbody_surrogate.contracts.arguments import shown
from nbody_surrogate.errors import InputError
from nbody_surrogate.spelling import instead_of

__all__ = ["AXES", "ROLES", "Chosen", "choose", "columns_of"]

AXES = ("x", "y", "z")
NAMES = {
    "run": ("run",),
    "frame": ("frame",),
    "time": ("t", "time"),
    "particle": ("particle", "particle_id", "id", "track", "track_id", "grain"),
    "x": ("x",),
    "y": ("y",),
    "z": ("z",),
    "charge": ("charge",),
    "mass": ("inertial_mass",),
}
"""What columns are called, in lower case. Not `mass`: trackpy's is a brightness."""

ROLES = tuple(NAMES)
LEFT_OUT = "none"  # in place of a column: take none for this role, whatever there is

LENGTHS = ("nm", "um", "µm", "μm", "micron", "microns", "mm", "cm", "m", "px", "pixel", "pixels")
TIMES = ("ns", "us", "µs", "μs", "ms", "s", "min")
UNITS = {**dict.fromkeys(AXES, LENGTHS), "time": TIMES}
"""Units that may end the name of a column, after an underscore or in brackets."""

WITH_UNIT = re.compile(r"(.+?)(?:_([^\W\d_]+)|\s*[\[(]\s*([^\])]{1,16})\s*[\])])")
MOST_NAMES, LONGEST_NAME = 16, 40  # in a message


@dataclass(frozen=True)
class Chosen:
    """Which column serves which role.

    Attributes
    ----------
    places : dict of str to int
        From roles to numbers of columns; those that are not there are left out.
    again : dict of str to tuple of int
        Other columns of the very same name, which must hold the same.
    length_unit, time_unit : str or None
        As the names of columns tell them.
    left_out : tuple of str
        Columns that are not taken.
    """

    places: dict[str, int]
    again: dict[str, tuple[int, ...]]
    length_unit: str | None
    time_unit: str | None
    left_out: tuple[str, ...]


def columns_of(columns: Any) -> dict[str, str]:
    """Return which column the user names for which role.

    Parameters
    ----------
    columns : str or mapping, optional
        Such as ``"x=x_um,particle=id"`` or ``{"x": "x_um"}``; ``z=none`` leaves a role out.

    Raises
    ------
    InputError
        If it is none of these, or a role is unknown or named twice.
    """
    if columns is None:
        return {}
    if isinstance(columns, str):
        pairs = [_pair(each) for each in columns.split(",")]
    elif isinstance(columns, Mapping):
        pairs = list(columns.items())
    else:
        raise InputError(f"`columns` must be such as 'x=x_um,particle=id', got {shown(columns)}")
    for role, name in pairs:
        if role not in ROLES:
            hint = instead_of(str(role), ROLES, {})
            raise InputError(
                f"`columns` must name roles of {', '.join(ROLES)}, got {shown(role)}{hint}"
            )
        if not isinstance(name, str) or not name:
            raise InputError(f"`columns` must name a column for {role}, got {shown(name)}")
    if len({role for role, _ in pairs}) < len(pairs):
        raise InputError(f"`columns` must name each role once, got {shown(columns)}")
    return dict(pairs)


def _pair(text: str) -> tuple[str, str]:
    role, equals, name = text.partition("=")
    if not equals:
        raise InputError(f"`columns` must be such as 'x=x_um,particle=id', got {text[:40]!r}")
    return role.strip().lower(), name.strip()


def choose(names: Sequence[str], given: Mapping[str, str], file: str) -> Chosen:
    """Choose the columns of a table.

    Parameters
    ----------
    names : sequence of str
        Of its columns, in their order.
    given : mapping
        From roles to the columns that the user has named for them.
    file : str
        What messages call the table.

    Raises
    ------
    InputError
        If a column that the user names is not there, one that is needed is missing, or several
        would do.
    """
    found = {role: _candidates(role, names, given, file) for role in ROLES}
    places = {role: each[0] for role, each in found.items() if each}
    if len(set(places.values())) < len(places):
        raise InputError(f"`columns` must name another column of {file} for each role")
    _demand_needed(places, names, file)
    lengths = {
        unit for axis in AXES if axis in places if (unit := _unit(names[places[axis]], axis))
    }
    if len(lengths) > 1:
        raise InputError(
            f"`columns` must be of one unit of length, those of {file} are in "
            f"{' and '.join(sorted(lengths))}"
        )
    time = _unit(names[places["time"]], "time") if "time" in places else None
    taken = {place for each in found.values() for place in each}
    return Chosen(
        places,
        {role: tuple(each[1:]) for role, each in found.items() if len(each) > 1},
        next(iter(lengths), None),
        time,
        tuple(name for k, name in enumerate(names) if k not in taken),
    )


def _candidates(role: str, names: Sequence[str], given: Mapping[str, str], file: str) -> list[int]:
    """Return the columns for a role, which are several only where all have one name."""
    wanted = given.get(role)
    if wanted is not None and wanted.lower() == LEFT_OUT and wanted not in names:
        return []
    if wanted is not None:
        found = [k for k, name in enumerate(names) if name == wanted]
        if not found:
            hint = instead_of(wanted, names, {})
            raise InputError(
                f"`columns` names {wanted[:LONGEST_NAME]!r} for {role}, which is no column of "
                f"{file}: it has {_listed(names)}{hint}"
            )
        return found
    elsewhere = set(given.values())
    found = [k for k, name in enumerate(names) if _means(name, role) and name not in elsewhere]
    several = list(dict.fromkeys(names[k] for k in found))
    if len(several) > 1:
        shown_names = " and ".join(repr(name[:LONGEST_NAME]) for name in several[:MOST_NAMES])
        raise InputError(
            f"`columns` must say which column of {file} is {role}: it has {shown_names}; give "
            f'columns="{role}={several[0][:LONGEST_NAME]}"'
        )
    return found


def _means(name: str, role: str) -> bool:
    return _split(name, role)[0] in NAMES[role]


def _unit(name: str, role: str) -> str | None:
    return _split(name, role)[1]


def _split(name: str, role: str) -> tuple[str, str | None]:
    """Split a column's name into what it is and the unit that it may end in."""
    plain = name.strip()
    if (parts := WITH_UNIT.fullmatch(plain)) is not None:
        unit = parts[2] or parts[3]
        if unit.strip() in UNITS.get(role, ()):
            return parts[1].strip().lower(), unit.strip()
    return plain.lower(), None


def _demand_needed(places: Mapping[str, int], names: Sequence[str], file: str) -> None:
    missing = [role for role in ("particle", "x", "y") if role not in places]
    if "frame" not in places and "time" not in places:
        missing.insert(0, "frame")
    if missing:
        raise InputError(
            f"{file} lacks a column for {', '.join(missing)}: it has {_listed(names)}; name "
            f'another by columns="{missing[0]}=NAME"'
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(repr(name[:LONGEST_NAME]) for name in names[:MOST_NAMES]) + more
