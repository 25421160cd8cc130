"""What hangs on a run: the order of calls, what each sees, and how a run may be ended."""

from __future__ import annotations

import pytest

from nbody_surrogate import (
    Guard,
    InputError,
    Observer,
    Output,
    WarmUp,
    make_integrator,
    read_h5md,
    resume,
    simulate,
)

FRAMES, SEGMENT = 12, 5


class Diary(Observer):
    """Notes each call, with the frames that are done."""

    def __init__(self, name, pages):
        self.name, self.pages = name, pages

    def on_start(self, run):
        self.pages.append((self.name, "start", run.done))

    def on_advance(self, run, frames, advance):
        self.pages.append((self.name, "before", run.done))
        segment = advance()
        self.pages.append((self.name, "after", frames))
        return segment

    def on_segment(self, run, new):
        self.pages.append((self.name, "segment", (new.start, new.stop, run.carry is None)))

    def on_end(self, run):
        self.pages.append((self.name, "end", run.info.success))

    def close(self):
        self.pages.append((self.name, "close", None))


@pytest.fixture
def start(charged):
    return charged.sample(1, 4, 2)


def leapfrog():
    return make_integrator("leapfrog", segment=SEGMENT)


def run_of(charged, start, observers, **options):
    return simulate(charged, *start, FRAMES, leapfrog(), observers=observers, **options)


def test_observers_nest(charged, start):
    pages = []
    run_of(charged, start, [Diary("a", pages), Diary("b", pages)])
    assert pages[:2] == [("a", "start", 0), ("b", "start", 0)]
    first = [("a", "before", 0), ("b", "before", 0), ("b", "after", 5), ("a", "after", 5)]
    first += [("b", "segment", (1, 6, False)), ("a", "segment", (1, 6, False))]
    assert pages[2:8] == first
    assert pages[-5:-4] == [("a", "segment", (11, 13, True))]
    assert pages[-4:-2] == [("b", "end", True), ("a", "end", True)]
    assert pages[-2:] == [("b", "close", None), ("a", "close", None)]


def test_what_an_observer_sees_is_in_the_file(charged, start, tmp_path):
    seen = []

    class Reader(Observer):
        def on_segment(self, run, new):
            written = read_h5md(tmp_path / "run.h5.part")
            seen.append(len(written.t))
            assert (written.x == run.x[:, : run.done + 1]).all()

        def on_end(self, run):
            seen.append(read_h5md(tmp_path / "run.h5").info == run.info)

    run_of(charged, start, Reader(), output=tmp_path / "run.h5")
    assert seen == [6, 11, 13, True]


def test_an_observer_may_change_what_a_segment_is(charged, start):
    class Still(Observer):
        def on_advance(self, run, frames, advance):
            segment = advance()
            x = segment.x.copy()
            x[:] = run.x[:, run.done, None]
            return segment.__class__(**{**vars(segment), "x": x})

    run = run_of(charged, start, Still())
    assert (run.x == run.x[:, :1]).all()


@pytest.mark.parametrize("hook", ["on_start", "on_advance", "on_segment", "on_end"])
def test_an_error_of_an_observer_ends_the_run_and_all_are_closed(charged, start, hook, tmp_path):
    pages = []

    def fail(*_):
        raise RuntimeError("mine")

    failing = Diary("b", pages)
    setattr(failing, hook, fail)
    with pytest.raises(RuntimeError, match="mine"):
        run_of(charged, start, [Diary("a", pages), failing], output=tmp_path / "run.h5")
    assert pages[-2:] == [("b", "close", None), ("a", "close", None)]
    kept = {"on_start": [], "on_advance": ["run.h5.part"], "on_segment": ["run.h5.part"]}
    assert [path.name for path in tmp_path.iterdir()] == kept.get(hook, ["run.h5"])


def test_one_that_was_not_started_is_not_closed(charged, start):
    pages = []
    first = Diary("a", pages)
    first.on_start = lambda run: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run_of(charged, start, [first, Diary("b", pages)])
    assert pages == [("a", "close", None)]


def test_a_callable_is_told_the_frames(charged, start):
    told = []
    run_of(charged, start, lambda done, total: told.append((done, total)))
    assert told[-1] == (FRAMES, FRAMES)
    run_of(charged, start, [WarmUp(), lambda done, total: told.append((done, total))])
    assert told[-1] == (FRAMES, FRAMES)


def test_ticks_are_asked_for_only_where_somebody_listens(charged, start, monkeypatch):
    asked = []
    method = leapfrog()
    plain = type(method)._advance
    monkeypatch.setattr(
        type(method),
        "_advance",
        lambda self, carry, frames, tick: asked.append(tick) or plain(self, carry, frames, tick),
    )
    simulate(charged, *start, 3, method, observers=Diary("a", []))
    simulate(charged, *start, 3, method, observers=lambda done, total: None)
    assert [each.tick is None for each in asked] == [True, False]


def test_a_class_in_place_of_an_observer_is_refused_in_one_line(charged, start):
    with pytest.raises(InputError, match="`observers` must be instances of Observer") as caught:
        run_of(charged, start, [Observer])
    assert "\n" not in str(caught.value)


def test_warming_up_starts_every_method_of_a_guarded_run(charged, start):
    pages = []

    class Counting(Observer):
        def on_start(self, run):
            pages.append(len(run.warm_ups))

    run_of(charged, start, [Counting(), WarmUp()], guard=Guard("fallback"))
    # it replays nothing, and still has a solver: of the spot checks
    run_of(charged, start, [Counting(), WarmUp()], guard="stop")
    run_of(charged, start, [Counting(), WarmUp()])
    assert pages == [2, 2, 1]


def test_a_resumed_run_tells_observers_where_it_goes_on(charged, start, tmp_path):
    pages = []

    def stop(done, total):
        if done > 7:
            raise KeyboardInterrupt

    output = Output(tmp_path / "run.h5", checkpoint=tmp_path / "restart")
    with pytest.raises(KeyboardInterrupt):
        run_of(charged, start, stop, output=output)
    resume(tmp_path / "restart", observers=Diary("a", pages))
    assert pages[0] == ("a", "start", SEGMENT)
    assert [page for page in pages if page[1] == "segment"] == [
        ("a", "segment", (6, 11, False)),
        ("a", "segment", (11, 13, True)),
    ]
