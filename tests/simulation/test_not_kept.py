"""Runs that hold one segment in memory: the same bits, read from their file when looked at."""

from __future__ import annotations

import mmap
import tracemalloc

import numpy as np
import pytest

from interrupted_runs import FRAMES, RESTART, run_of
from nbody_surrogate import (
    Ensemble,
    Guard,
    InputError,
    Observer,
    Output,
    Reporter,
    RunError,
    load,
    make_integrator,
    resume,
    simulate,
)
from nbody_surrogate.formats.h5md import map_h5md
from nbody_surrogate.simulation import recorder
from nbody_surrogate.simulation.recorder import Recorder
from stopped_runs import Stopping

LENIENT = Guard("warn", energy=1e9, position=np.inf, local=np.inf)
RADIUS = Reporter("radius", lambda t, x, v, particles: np.linalg.norm(x, axis=3))


def assert_same(run: Ensemble, kept: Ensemble) -> None:
    """The same bits, and of the numbers that are looked at none that could be changed."""
    assert (run.t == kept.t).all()
    assert run.observables.keys() == kept.observables.keys()
    pairs = [(run.x, kept.x), (run.v, kept.v)]
    pairs += [(run.observables[name], kept.observables[name]) for name in kept.observables]
    for a, b in pairs:
        np.testing.assert_array_equal(a, b)
        assert a.flags.aligned and not a.flags.writeable
    for key in ("status", "message", "good", "counters", "method", "system"):
        assert getattr(run.info, key) == getattr(kept.info, key)


class Stop(Observer):
    """Interrupts a run once some frames are on the disk."""

    def on_segment(self, run, new):
        if run.done >= 10:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("name", "tolerance"), [("leapfrog", None), ("guarded set", 1e-7)])
def test_it_has_the_same_bits_and_goes_on_to_them(name, tolerance, folder):
    given = {"tolerance": tolerance, "observers": RADIUS}
    kept = run_of(name, 2, "kept.h5", **given)
    assert_same(run_of(name, 2, keep=False, **given), kept)
    given["observers"] = [RADIUS, Stop()]
    with pytest.raises(KeyboardInterrupt):
        run_of(name, 2, "again.h5", checkpoint=RESTART, keep=False, **given)
    assert_same(resume(RESTART, keep=False, observers=RADIUS), kept)
    # it is finished by now, and shown
    assert_same(resume(RESTART, keep=False, observers=RADIUS), kept)


@pytest.mark.parametrize("stopping", ["some", "all"])
def test_trajectories_that_stop_stand_still(charged, folder, stopping):
    state, particles = charged.sample(1, 4, 6)
    if stopping == "all":
        state = state[state.x[:, 0, 0] > 0]
        particles = particles[: len(state.x)]
    lengths = []

    class Lengths(Observer):
        def on_segment(self, run, new):
            lengths.append(new.stop - new.start)

    given = (charged, state, particles, FRAMES, Stopping(segment=5))
    kept = simulate(*given)
    assert {*kept.info.good} == ({3} if stopping == "all" else {3, FRAMES + 1})
    run = simulate(*given, output="run.h5", keep=False, observers=Lengths())
    assert_same(run, kept)
    # no segment of frames that stand still is the rest of the run
    assert lengths == [5, 5, 5, 5, 2]


def test_observers_see_all_frames_as_of_a_run_that_is_kept(charged, folder):
    start, method = charged.sample(0, 4, 3), make_integrator("leapfrog", segment=5)
    kept, seen = simulate(charged, *start, FRAMES, method), []

    class Looking(Observer):
        def look(self, run, *_):
            seen.append(run.done)
            assert (run.x[:, : run.done + 1] == kept.x[:, : run.done + 1]).all()
            assert (run.v[:, : run.done + 1] == kept.v[:, : run.done + 1]).all()

        on_start = on_segment = on_end = look

        def on_advance(self, run, frames, advance):
            self.look(run)
            return advance()

    simulate(charged, *start, FRAMES, method, output="run.h5", keep=False, observers=Looking())
    assert seen == [0, 0, 5, 5, 10, 10, 15, 15, 20, 20, 22, 22]


def test_its_result_is_a_run_like_others(charged, folder):
    run = simulate(charged, *charged.sample(0, 3, 2), 20, "leapfrog", output="a.h5", keep=False)
    whole = load("a.h5")
    assert repr(run) == repr(whole)
    assert (run[0, ::5].x == whole[0, ::5].x).all()
    assert (run.energy == whole.energy).all()
    assert_same(map_h5md("a.h5"), whole)
    # it is a file that is open: another name, or none, changes nothing
    (folder / "a.h5").rename("b.h5")
    run.save("c.h5")
    (folder / "b.h5").unlink()
    assert (run.x == load("c.h5").x).all()


def peak_of(charged, frames, **options):
    """Most memory that is in use at a time while a run goes on, in bytes."""
    start, method = charged.sample(0, 32, 16), make_integrator("leapfrog", substeps=1, segment=5)
    given = {"observers": RADIUS, "guard": LENIENT, **options}
    simulate(charged, *start, 5, method, **given)  # what a first run loads is nobody's
    tracemalloc.start()
    try:
        simulate(charged, *start, frames, method, **given)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_its_memory_does_not_grow_with_its_frames(charged, folder):
    peaks = {}
    for keep in (False, True):
        for frames in (20, 220):
            output = Output("run.h5", overwrite=True)
            peaks[keep, frames] = peak_of(charged, frames, output=output, keep=keep)
    grown = {keep: peaks[keep, 220] - peaks[keep, 20] for keep in (False, True)}
    frames = 200 * 16 * 32 * 7 * 8  # x, v and a number for each particle
    assert grown[True] > 0.7 * frames
    assert grown[False] < 0.05 * frames


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "`keep` False needs an `output`, the file that then holds the frames"),
        ({"output": "run.h5", "verify": True}, "`keep` False does not go with `verify`"),
    ],
)
def test_what_does_not_go_with_it_is_refused_in_one_line(charged, folder, options, said):
    with pytest.raises(InputError, match=said) as caught:
        simulate(charged, *charged.sample(0, 3), 5, "leapfrog", keep=False, **options)
    assert "\n" not in str(caught.value)
    assert not list(folder.iterdir())


def test_a_disk_that_shows_no_files_as_memory_is_told(charged, folder, monkeypatch):
    def fail(*_, **__):
        raise OSError(19, "No such device")

    monkeypatch.setattr(mmap, "mmap", fail)
    with pytest.raises(RunError, match=r"cannot show files as memory.*No such device"):
        simulate(charged, *charged.sample(0, 3), 5, "leapfrog", output="run.h5", keep=False)


def test_it_is_not_refused_for_the_memory_that_its_frames_would_take(charged, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(recorder, "demand_memory", lambda needed, *_: asked.append(needed))
    method = make_integrator("leapfrog", substeps=1, segment=10)
    for frames in (10, 1000):
        output = Output("run.h5", overwrite=True)
        simulate(charged, *charged.sample(0, 3), frames, method, output=output, keep=False)
    assert len(asked) == 2
    assert asked[0] == asked[1]


def test_frames_before_the_segment_are_read_from_the_file(charged, folder):
    taken = []

    class Back(Observer):
        def on_segment(self, run: Recorder, new):
            taken.append((run.take(slice(0, 3))[0], run.x[:, :3].copy()))

    run = simulate(
        charged,
        *charged.sample(0, 3, 2),
        12,
        make_integrator("leapfrog", segment=4),
        output="run.h5",
        keep=False,
        observers=Back(),
    )
    assert len(taken) == 3
    for each in taken:
        for x in each:
            assert (x == run.x[:, :3]).all()
