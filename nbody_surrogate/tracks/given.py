"""What the user says about files of tracks: what they do not tell themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nbody_surrogate.contracts.arguments import demand_number, shown
from nbody_surrogate.contracts.time_text import number_text
from nbody_surrogate.errors import InputError
from nbody_surrogate.spelling import instead_of
from nbody_surrogate.tracks.columns import columns_of

__all__ = ["Given", "check_given"]

LONGEST_UNIT = 16
SAME = 1e-3  # relative: a time between frames that is given, and one that a file tells
RATE = "`frame_rate` counts frames in a second, so that `time_unit` is s"


@dataclass(frozen=True)
class Given:
    """What was given beside the files.

    Attributes
    ----------
    frame_dt : float or None
    length_unit, time_unit : str or None
    columns : dict of str to str
        From roles to names of columns.
    particles : tuple of str or None
        Those to take; None for all.
    """

    frame_dt: float | None = None
    length_unit: str | None = None
    time_unit: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    particles: tuple[str, ...] | None = None

    def dt_of(self, told: float | None, file: str) -> float:
        """Return the time between the frames of a file, which may tell it.

        Raises
        ------
        InputError
            If nobody says it, or the user something else than the file.
        """
        if told is None and self.frame_dt is None:
            raise InputError(
                f"`frame_dt` is needed: {file} tells no times; give the time between its frames, "
                "or as `frame_rate` the frames in a second"
            )
        if told is None or self.frame_dt is None:
            return float(told or self.frame_dt or 0.0)
        if not math.isclose(told, self.frame_dt, rel_tol=SAME):
            raise InputError(
                f"`frame_dt`, or 1 / `frame_rate`, is not needed: the times of {file} are "
                f"{number_text(told)} from frame to frame, got {number_text(self.frame_dt)}"
            )
        return told

    def units_of(
        self, length: str | None, time: str | None, file: str
    ) -> tuple[str | None, str | None]:
        """Return the units of a file, which may tell them; nothing is converted.

        Raises
        ------
        InputError
            If the user says something else than the file.
        """
        pairs = (("length_unit", length), ("time_unit", time))
        for name, told in pairs:
            given = getattr(self, name)
            if told is not None and given is not None and told != given:
                raise InputError(
                    f"`{name}` is {told[:LONGEST_UNIT]} as {file} says, and nothing is converted, "
                    f"got {given!r}"
                )
        return length or self.length_unit, time or self.time_unit

    def taken(self, names: Sequence[str], file: str) -> list[int]:
        """Return the numbers of the particles to take.

        Raises
        ------
        InputError
            If one is not there.
        """
        if self.particles is None:
            return list(range(len(names)))
        for name in self.particles:
            if name not in names:
                raise InputError(
                    f"`particles` names {name[:40]!r}, which {file} does not hold"
                    f"{instead_of(name, names, {})}"
                )
        return [k for k, name in enumerate(names) if name in self.particles]


def check_given(
    frame_dt: Any = None,
    frame_rate: Any = None,
    length_unit: Any = None,
    time_unit: Any = None,
    columns: Any = None,
    particles: Any = None,
) -> Given:
    """Check what the user gives, before any file is read.

    Raises
    ------
    InputError
        If a value does not fit, or two contradict each other.
    """
    for name, value in (("frame_dt", frame_dt), ("frame_rate", frame_rate)):
        if value is None:
            continue
        number = demand_number(name, value)
        if not (math.isfinite(number) and number > 0 and math.isfinite(1 / number)):
            raise InputError(f"`{name}` must be finite and > 0, got {shown(value)}")
    for name, value in (("length_unit", length_unit), ("time_unit", time_unit)):
        if value is None:
            continue
        fits = isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_UNIT
        if not fits or not value.isprintable():
            raise InputError(
                f"`{name}` must be a text of 1 to {LONGEST_UNIT} characters such as um, "
                f"got {shown(value)}"
            )
    if frame_rate is not None:
        if frame_dt is not None:
            raise InputError("`frame_dt` and `frame_rate` say the same; give one of them")
        if time_unit not in (None, "s"):
            raise InputError(f"{RATE}; give `frame_dt` in {time_unit}")
        frame_dt, time_unit = 1 / float(frame_rate), "s"
    return Given(
        None if frame_dt is None else float(frame_dt),
        length_unit,
        time_unit,
        columns_of(columns),
        _names_of(particles),
    )


def _names_of(particles: Any) -> tuple[str, ...] | None:
    if particles is None:
        return None
    if isinstance(particles, str):
        particles = [each.strip() for each in particles.split(",")]
    if not isinstance(particles, Sequence) or not particles:
        raise InputError(
            f"`particles` must be names of particles, such as '0,3,7', got {shown(particles)}"
        )
    return tuple(str(each) for each in particles)
