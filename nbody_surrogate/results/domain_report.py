"""Where a run was outside of what its method was made for, as it is stored with the run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.wording import counted, duration_text

if TYPE_CHECKING:
    from jaxtyping import Int64

__all__ = ["DomainFinding", "DomainReport"]

UNMEASURED = (
    "this card has no measured domain; only numbers, charges, masses and ages are looked at; "
    "`nbody-sim models domain WEIGHTS RECIPE` measures it"
)


@dataclass(frozen=True)
class DomainFinding:
    """One way in which trajectories were outside.

    Attributes
    ----------
    reason : str
        Such as ``nearest below``; one finding each.
    detail : str
        What it was where it was seen first, what the training held, and by how much it is beyond.
    frame : int
        The first frame, 0 for the start.
    trajectories : tuple of int
        Those that it is of, by the end of the run.
    """

    reason: str
    detail: str
    frame: int
    trajectories: tuple[int, ...]

    __repr__ = brief

    def text(self, batch: int) -> str:
        """Return the detail, and of how many of the trajectories it is where that is not plain."""
        return self.detail if batch == 1 else f"{self.detail} ({len(self.trajectories)} of {batch})"


@dataclass(frozen=True)
class DomainReport:
    """What became of the frames of a run that were outside.

    Attributes
    ----------
    policy : str
        ``warn``, ``refuse`` or ``fallback``.
    frames : int
        Frames of each trajectory, the start not counted.
    since : tuple of int
        First frame of each trajectory that was outside, -1 where none was. Of the frames after the
        start every fifth is looked at.
    fallen_back : tuple of int
        Frames of each trajectory that the reference computed.
    findings : tuple of DomainFinding
        In the order in which they were found.
    reference : dict or None
        Name and options of the integrator that takes over; None where the policy needs none.
    check_time, replay_time : float
        Seconds that the checks and the reference took; both are part of the wall time.
    measured : bool
        Whether the method's card has a measured domain; else numbers, charges, masses and ages are
        all that is looked at. True of releases that did not say.
    """

    policy: str
    frames: int = 0
    since: tuple[int, ...] = ()
    fallen_back: tuple[int, ...] = ()
    findings: tuple[DomainFinding, ...] = ()
    reference: dict[str, Any] | None = None
    check_time: float = 0.0
    replay_time: float = 0.0
    measured: bool = True

    __repr__ = brief

    @property
    def outside(self) -> int:
        """How many trajectories were outside, at one frame at least."""
        return sum(frame >= 0 for frame in self.since)

    @property
    def at_start(self) -> int:
        """How many trajectories were outside at their start."""
        return sum(frame == 0 for frame in self.since)

    def __str__(self) -> str:
        """Say in one line what was outside, and what became of it."""
        batch = len(self.since)
        if not self.outside and self.unmeasured:
            return f"`outside` {self.policy!r} found nothing: {self.unmeasured}."
        if not self.outside:
            return "All frames that were looked at are within what the method was trained for."
        said = "; ".join(each.text(batch) for each in self.findings)
        first = min(frame for frame in self.since if frame >= 0)
        where = f"{self.outside} of {counted(batch, 'trajectory')}, {self.at_start} at the start"
        if batch == 1:
            where = "at the start" if first == 0 else f"from frame {first} on"
        line = f"Outside of what the method was trained for ({where}): {said}."
        if self.reference is not None:
            share = f"{sum(self.fallen_back)} of {counted(self.frames * batch, 'frame')}"
            line += f" {share} fell back on {self.reference['integrator']}"
            line += f", in {duration_text(self.replay_time)}."
        if self.unmeasured:
            line += f" More was not looked for: {self.unmeasured}."
        return line

    @property
    def unmeasured(self) -> str:
        """That little is looked at, of a run that asked for more than to be told; else empty."""
        return UNMEASURED if self.policy != "warn" and not self.measured else ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON."""
        return {**asdict(self), "outside": self.outside, "at_start": self.at_start}

    def stored(self) -> dict[str, Any]:
        """Return its fields alone, as files hold them."""
        return asdict(self)

    def taking(self, chosen: Int64[np.ndarray, " S"]) -> DomainReport:
        """Return what concerns some trajectories, shape (S,); times are those of all."""
        places: dict[int, list[int]] = {}
        for place, b in enumerate(chosen.tolist()):
            places.setdefault(b, []).append(place)
        kept = [
            replace(
                each, trajectories=tuple(p for b in each.trajectories for p in places.get(b, ()))
            )
            for each in self.findings
        ]
        return replace(
            self,
            since=tuple(self.since[b] for b in chosen),
            fallen_back=tuple(self.fallen_back[b] for b in chosen),
            findings=tuple(each for each in kept if each.trajectories),
        )
