"""What a guard found in a run, as it is stored with the run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.wording import counted, duration_text, rate_text
from nbody_surrogate.results.guard_events import GuardEvent, GuardEvents

if TYPE_CHECKING:
    from jaxtyping import Int64

__all__ = ["GuardEvent", "GuardReport"]

MOST_LINES = 5  # of events, in words: the first tell what went wrong, more fill the terminal


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
    events : GuardEvents
        In the order of the segments, at most one for each trajectory and segment. A sequence of
        `GuardEvent`; any other sequence of them is gathered into one.
    check_time, replay_time : float
        Seconds that the guard's checks and the reference took; both are part of the wall time.
    run_time : float
        Seconds of the whole run, the guard's included; 0 of releases that did not say.
    spot_checked : int
        Frames that were spot-checked.
    spot_check_time, companion_time : float
        Seconds of the checks that went into those, and into the companion run.
    """

    policy: str
    thresholds: dict[str, float] = field(default_factory=dict)
    reference: dict[str, Any] | None = None
    frames: int = 0
    fallen_back: tuple[int, ...] = ()
    events: Sequence[GuardEvent] = ()
    check_time: float = 0.0
    replay_time: float = 0.0
    run_time: float = 0.0
    spot_checked: int = 0
    spot_check_time: float = 0.0
    companion_time: float = 0.0

    __repr__ = brief

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", GuardEvents.of(self.events))

    @property
    def gathered(self) -> GuardEvents:
        """The events as arrays."""
        return GuardEvents.of(self.events)

    @property
    def fallback_share(self) -> float:
        """Share of all frames that fell back."""
        # a report that is made before the run has no frames yet
        return sum(self.fallen_back) / max(self.frames * len(self.fallen_back), 1)

    def __str__(self) -> str:
        """Say in some lines what tripped, what became of it, and what the guard cost."""
        if self.policy == "fallback":
            name = "nothing" if self.reference is None else str(self.reference["integrator"])
            all_frames = self.frames * len(self.fallen_back)
            share = rate_text(100 * self.fallback_share)
            fallen = f"{sum(self.fallen_back)} of {counted(all_frames, 'frame')} ({share} %)"
            done = f"{fallen} fell back on {name}"
        else:
            # one trajectory may trip in many segments
            tripped = np.unique(self.gathered.trajectory)
            done = f"{len(tripped)} of {len(self.fallen_back)} tripped"
        cost = f"{duration_text(self.check_time)} for checks"
        if self.reference is not None:
            cost += f", {duration_text(self.replay_time)} for replays"
        lines = [f"Guard ({self.policy}): {done}; {cost}, part of the wall time."]
        lines += self._checks()
        lines += [f"  {event}" for event in self.events[:MOST_LINES]]
        if len(self.events) > MOST_LINES:
            more = counted(len(self.events) - MOST_LINES, "more segment")
            lines.append(f"  and {more}")
        return "\n".join(lines)

    def _checks(self) -> list[str]:
        """Say what was computed beside the run, and what it cost."""
        all_frames = max(self.frames * len(self.fallen_back), 1)
        done = []
        if self.spot_checked:
            share = rate_text(100 * self.spot_checked / all_frames)
            checks = counted(self.spot_checked, "spot check")
            done.append(f"{checks} ({share} % of frames): {self._share(self.spot_check_time)}")
        if self.companion_time:
            done.append(f"companion run: {self._share(self.companion_time)}")
        return [f"  Of the checks: {'; '.join(done)}."] if done else []

    def _share(self, seconds: float) -> str:
        text = duration_text(seconds)
        if not self.run_time > 0:
            return text
        return f"{text}, {rate_text(100 * seconds / self.run_time)} % of the run"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON; a number that is not finite becomes None."""
        events = [
            {key: _plain(value) for key, value in asdict(event).items()} for event in self.events
        ]
        return {**asdict(replace(self, events=())), "events": events}

    def of(self, b: int) -> GuardReport:
        """Return what concerns trajectory `b`, as the only one; times are those of all."""
        return self.taking(np.array([b]))

    def taking(self, chosen: Int64[np.ndarray, " S"]) -> GuardReport:
        """Return what concerns some trajectories, shape (S,); times are those of all."""
        events = self.gathered.of_trajectories(chosen)
        return replace(self, events=events, fallen_back=_some(self.fallen_back, chosen))


def _some(values: tuple[int, ...], chosen: np.ndarray) -> tuple[int, ...]:
    return tuple(values[b] for b in chosen if b < len(values))


def _plain(value: Any) -> Any:
    # JSON has neither NaN nor infinity
    return None if isinstance(value, float) and not math.isfinite(value) else value
