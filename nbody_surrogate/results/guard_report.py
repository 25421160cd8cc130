"""What a guard found in a run, as it is stored with the run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["GuardEvent", "GuardReport"]

MOST_LINES = 5  # of events, in words: the first tell what went wrong, more fill the terminal


@dataclass(frozen=True)
class GuardEvent:
    """A segment that tripped the guard.

    Attributes
    ----------
    trajectory : int
    segment : int
        Counted from 0.
    frame : int
        The first frame at fault.
    reason : str
        ``non-finite``, ``energy``, ``momentum``, ``angular momentum``, ``distance``, ``speed``,
        ``particles`` or ``time``.
    detail : str
        The reason with its numbers.
    """

    trajectory: int
    segment: int
    frame: int
    reason: str
    detail: str

    def __str__(self) -> str:
        where = f"trajectory {self.trajectory}, segment {self.segment}, frame {self.frame}"
        return f"{where}: {self.detail}"


@dataclass(frozen=True)
class GuardReport:
    """How a guarded run went.

    Attributes
    ----------
    policy : str
    thresholds : dict
        Those that are finite.
    reference : dict or None
        Name and options of the integrator that replays; None where the policy needs none.
    frames : int
        Frames of each trajectory, the start not counted.
    fallen_back : tuple of int
        Frames of each trajectory that the reference computed.
    events : tuple of GuardEvent
        In the order of the segments, at most one for each trajectory and segment.
    check_time, replay_time : float
        Seconds that the guard's checks and the reference took; both are part of the wall time.
    """

    policy: str
    thresholds: dict[str, float] = field(default_factory=dict)
    reference: dict[str, Any] | None = None
    frames: int = 0
    fallen_back: tuple[int, ...] = ()
    events: tuple[GuardEvent, ...] = ()
    check_time: float = 0.0
    replay_time: float = 0.0

    @property
    def fallback_share(self) -> float:
        """Share of all frames that fell back."""
        return sum(self.fallen_back) / max(self.frames * len(self.fallen_back), 1)

    def __str__(self) -> str:
        """Say in some lines what tripped, what became of it, and what the guard cost."""
        if self.policy == "fallback":
            name = "nothing" if self.reference is None else str(self.reference["integrator"])
            done = f"{self.fallback_share:.3g} of all frames fell back on {name}"
        else:
            tripped = {event.trajectory for event in self.events}
            done = f"{len(tripped)} of {len(self.fallen_back)} tripped"
        cost = f"{1e3 * self.check_time:.3g} ms for checks"
        if self.reference is not None:
            cost += f", {1e3 * self.replay_time:.3g} ms for replays"
        lines = [f"Guard ({self.policy}): {done}; {cost}, part of the wall time."]
        lines += [f"  {event}" for event in self.events[:MOST_LINES]]
        if len(self.events) > MOST_LINES:
            lines.append(f"  and {len(self.events) - MOST_LINES} more segments")
        return "\n".join(lines)

    def of(self, b: int) -> GuardReport:
        """Return what concerns trajectory `b`, as the only one; times are those of all."""
        own = (event for event in self.events if event.trajectory == b)
        events = tuple(replace(event, trajectory=0) for event in own)
        return replace(self, events=events, fallen_back=self.fallen_back[b : b + 1])
