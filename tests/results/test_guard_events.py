"""Events of a guard as arrays: the same events come out, and a part of them costs little."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from nbody_surrogate.results.guard_events import (
    REASONS,
    TEXT_BYTES,
    GuardEvent,
    GuardEvents,
    told_apart,
)
from nbody_surrogate.results.guard_report import GuardReport

DETAILS = {
    "energy": "energy error 0.023 of its scale, the budget is 0.01 by now",
    "momentum": "momentum error 0.023 of its scale, the budget is 0.01 by now",
    "angular momentum": "angular momentum error 0.023 of its scale, the budget is 0.01 by now",
    "distance": "a pair at distance 0.0234, the limit is 0.01",
    "speed": "a particle of speed 0.0234, the limit is 0.01",
    "particles": "a number of particles of 0, the limit is 0.01",
    "time": "time 0.0234 since the start, the limit is 0.01",
    "position": "a position error of 0.023 of the spread at the start, the budget is 0.01 by now",
    "estimate": "an estimated error of 0.023 of the spread at the start, the budget is 0.01 by now",
    "local error": "a frame whose error would be 0.023 of the spread at the end, the limit is 0.01",
}


def some_events():
    numbers = [
        GuardEvent.beyond((b, s, 5 * s + 1), reason, 0.0234, 0.01)
        for s, reason in enumerate(DETAILS)
        for b in (0, 2)
    ]
    return (*numbers, GuardEvent(1, 10, 51, "non-finite", "no way after t = 5"))


def test_events_come_back_as_they_were():
    events = some_events()
    gathered = GuardEvents.of(events)
    assert tuple(gathered) == events
    assert gathered == events
    assert gathered[-1] == events[-1]
    assert gathered[2:4] == events[2:4]
    assert gathered == GuardEvents.of(list(events))
    assert gathered != events[1:]
    assert GuardEvents.of(events[:3]) + GuardEvents.of(events[3:]) == events
    assert GuardEvents.of(()) == ()
    assert not GuardEvents.of(())


@pytest.mark.parametrize("reason", DETAILS)
def test_an_event_says_its_numbers_in_words(reason):
    event = GuardEvent.beyond((0, 1, 2), reason, 0.0234, 0.01)
    assert event.detail == DETAILS[reason]
    assert str(event) == f"trajectory 0, segment 1, frame 2: {DETAILS[reason]}"


def test_the_numbers_of_reasons_never_change():
    """Files hold them. A new one comes at the end."""
    assert REASONS[:11] == (
        *("non-finite", "energy", "momentum", "angular momentum"),
        *("distance", "speed", "particles", "time"),
        *("position", "local error", "estimate"),
    )


def test_the_events_of_one_trajectory_are_as_of_the_only_one():
    gathered = GuardEvents.of(some_events())
    for b in range(4):
        own = gathered.of_trajectories(np.array([b]))
        wanted = [event for event in some_events() if event.trajectory == b]
        assert [event.detail for event in own] == [event.detail for event in wanted]
        assert not own.trajectory.any()


def test_words_are_cut_to_the_room_that_files_have():
    (event,) = GuardEvents.of([GuardEvent(0, 0, 1, "non-finite", "ä" * 500 + "\0")])
    assert event.detail == "ä" * (TEXT_BYTES // 2)
    (event,) = GuardEvents.of([GuardEvent(0, 0, 1, "non-finite", "")])
    assert event.detail  # nothing said is no number either


def test_a_reason_that_no_release_gives_is_refused():
    with pytest.raises(ValueError, match="tuple"):
        GuardEvents.of([GuardEvent(0, 0, 1, "mood", "bad")])


def test_a_report_is_plain_json():
    report = GuardReport("warn", frames=50, fallen_back=(0, 0, 0), events=some_events())
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["events"][0] == asdict(some_events()[0])
    worst = GuardEvent.beyond((0, 0, 1), "energy", np.inf, 0.01)
    plain = GuardReport("warn", events=(worst,)).to_dict()
    json.dumps(plain, allow_nan=False)
    assert plain["events"][0]["value"] is None


def test_a_million_events_of_ten_thousand_trajectories_are_told_apart_at_once():
    """Each trajectory looking through all events would take hours."""
    batch, segments = 10_000, 100
    segment, trajectory = np.divmod(np.arange(batch * segments), batch)
    ones = np.ones(len(segment))
    events = GuardEvents(
        *(trajectory, segment, 50 * segment + 1, np.full(len(segment), 1)),
        *(ones, ones, np.full(len(segment), "", dtype=object)),
    )
    report = GuardReport("warn", fallen_back=(0,) * batch, events=events)
    assert {len(report.of(b).events) for b in range(0, batch, 50)} == {segments}
    assert str(report).endswith("and 999995 more segments")


@pytest.mark.parametrize(
    ("value", "words"),
    [(3e-9, ("3e-09", "1e-09")), (1.0002e-9, ("1.0002e-09", "1e-09")), (1e-9, ("1e-09", "1e-09"))],
)
def test_a_loss_and_its_budget_differ_in_words_where_they_do(value, words):
    assert told_apart(value, 1e-9) == words
