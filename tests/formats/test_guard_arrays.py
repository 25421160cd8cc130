"""What a guard found, in H5MD files: whole at any moment, with room for all of it."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from h5md_files import DT, T0, T, make_frames, make_info, make_particles, overwrite, refusal
from nbody_surrogate.errors import InputError
from nbody_surrogate.files.limits import PROVENANCE
from nbody_surrogate.formats.h5md import H5MDWriter, read_h5md
from nbody_surrogate.results.guard_events import GuardEvent, GuardEvents
from nbody_surrogate.results.guard_report import GuardReport

BATCH, SEGMENTS = 3, T - 1
GUARD = "parameters/nbody_surrogate/guard"


def event_of(segment, b):
    """One of each kind: of numbers, of words, of numbers that are none."""
    place = (b, segment, segment + 1)
    if b == 0:
        return GuardEvent.beyond(place, "energy", 0.5 + segment, 0.25)
    if b == 1:
        return GuardEvent(*place, "non-finite", f"the state became non-finite after t = {segment}")
    return GuardEvent.beyond(place, "speed", np.inf, 2.0)


def all_events():
    return [event_of(s, b) for s in range(SEGMENTS) for b in range(BATCH)]


def info_of(events, **more):
    report = GuardReport("fallback", {"energy": 0.25}, {"integrator": "rk45"}, T - 1)
    guard = replace(report, fallen_back=(1,) * BATCH, events=tuple(events))
    return replace(make_info(BATCH), guard=guard, **more)


def written(path, events=(), until=T, **more):
    """Write frame by frame, each a segment, what was found beside it."""
    x, v = make_frames(BATCH)
    info = info_of((), **more)
    with H5MDWriter(
        *(path, make_particles(BATCH), 3, T, T0, DT), info=info, segments=SEGMENTS
    ) as writer:
        for frame in range(until):
            if frame > 0:
                writer.write_events(GuardEvents.of(events), frame - 1, frame)
            writer.write(x[:, frame : frame + 1], v[:, frame : frame + 1])
        if until == T:
            writer.finish(info_of(events, **more))
    return path if until == T else writer.part


def test_a_segment_of_every_trajectory_may_trip(tmp_path):
    run = read_h5md(written(tmp_path / "run.h5", all_events()))
    assert run.info == info_of(all_events())
    assert str(run[1].info.guard.events[0]).startswith("trajectory 0, segment")


def test_a_guard_that_found_nothing_says_so(tmp_path):
    assert read_h5md(written(tmp_path / "run.h5")).info.guard.events == ()


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_an_unfinished_run_tells_what_was_found_by_then(tmp_path, frames):
    events = read_h5md(written(tmp_path / "run.h5", all_events(), frames)).info.guard.events
    assert events == [each for each in all_events() if each.frame < frames]


def test_words_of_any_length_and_kind_fit(tmp_path):
    """However long what a plugin says is, as text and as the JSON of it."""
    said = "\N{PILE OF POO}" * 5000 + '"\\\n\0' * 5000
    events = [GuardEvent(b, s, s + 1, "non-finite", said) for s in range(4) for b in range(BATCH)]
    path = written(tmp_path / "run.h5", events, message=(said,) * BATCH, status=(-1,) * BATCH)
    read = read_h5md(path).info
    assert read.guard.events == GuardEvents.of(events)
    assert all(len(each) > 50 and said.startswith(each) for each in read.message)


def test_what_is_known_before_a_run_has_its_room_however_long_it_is(tmp_path):
    method = {"integrator": "dop853", "note": "n" * 200_000}
    assert read_h5md(written(tmp_path / "run.h5", method=method)).info.method == method


def test_a_batch_whose_account_could_not_be_read_is_refused_before_the_run(tmp_path):
    ones = np.ones((300_000, 1))
    with pytest.raises(InputError) as caught:
        H5MDWriter(tmp_path / "run.h5", type(make_particles())(ones, ones), 2, 1, T0, DT)
    message = str(caught.value)
    assert "300000 trajectories" in message
    assert "256 MiB" in message
    assert "choose fewer trajectories" in message
    assert PROVENANCE.largest < 300_000 * 1024
    assert list(tmp_path.iterdir()) == []


def test_frames_that_could_not_be_read_are_refused_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("", (), {"free": 2**60}))
    with pytest.raises(InputError, match=r"frames of shape .* GiB, and 16 GiB are read at most: "):
        H5MDWriter(tmp_path / "run.h5", make_particles(), 3, 10**8, T0, DT)
    assert list(tmp_path.iterdir()) == []


def test_events_of_other_trajectories_are_refused(tmp_path):
    x, v = make_frames(BATCH)
    with H5MDWriter(
        *(tmp_path / "run.h5", make_particles(BATCH), 3, T, T0, DT), segments=SEGMENTS
    ) as writer:
        writer.write(x, v)
        with pytest.raises(InputError, match="`events` must be of 3 trajectories"):
            writer.finish(info_of([event_of(0, 0), GuardEvent(7, 0, 1, "non-finite", "no")]))
        writer.finish(info_of([event_of(0, 0)]))


def test_the_file_has_a_format_that_releases_before_refuse(tmp_path):
    """They would read that nothing was found."""
    with h5py.File(written(tmp_path / "run.h5")) as file:
        assert file["parameters/nbody_surrogate/format"][()] > 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segments", 0),
        ("segments", -1),
        ("segments", 2**40),
        ("segments", SEGMENTS - 1),
        ("reason", 99),
        ("reason", -1),
    ],
)
def test_contradictions_are_refused(tmp_path, name, value):
    path = written(tmp_path / "run.h5", all_events())
    overwrite(path, f"{GUARD}/{name}", value)
    refusal(path)


@pytest.mark.parametrize("name", ["frame", "reason", "value", "limit", "text", "segments"])
def test_arrays_that_are_missing_or_links_are_refused(tmp_path, name):
    path = written(tmp_path / "run.h5", all_events())
    with h5py.File(path, "r+") as file:
        file.move(f"{GUARD}/{name}", "elsewhere")
    refusal(path)
    with h5py.File(path, "r+") as file:
        file[f"{GUARD}/{name}"] = h5py.SoftLink("/elsewhere")
    assert "link" in refusal(path)
