"""A run that was killed, at whatever moment, goes on to the bits of one that was not."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from interrupted_runs import METHODS, RESTART, SEGMENT, assert_same_file, method_of, run_of
from nbody_surrogate import (
    make_integrator,
    make_system,
    read_h5md,
    resume,
    simulate,
)
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.simulation.checkpoint import read_restart
from nbody_surrogate.simulation.file_writer import Output

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed"),
]


def assert_same_run(run, whole):
    np.testing.assert_array_equal(run.x, whole.x)
    np.testing.assert_array_equal(run.v, whole.v)
    for key in ("counters", "status", "message", "good", "seed", "system", "method"):
        assert getattr(run.info, key) == getattr(whole.info, key), key
    if whole.info.guard is not None:
        names = ("check_time", "replay_time", "run_time", "spot_check_time", "companion_time")
        times = dict.fromkeys(names, 0.0)
        assert replace(run.info.guard, **times) == replace(whole.info.guard, **times)


def in_a_process(action):
    """Call `action` in a process of its own; return the signal that killed it, or 0."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "batch"),
    [
        *((name, 3) for name in METHODS if name != "set by torch"),
        pytest.param("set by torch", 3, marks=pytest.mark.slow),
        pytest.param("dop853", 1, marks=pytest.mark.slow),
        ("guarded set", 1),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bits(folder, name, batch):
    whole = run_of(name, batch, "whole.h5")

    def die_late(done, total):
        if done > 2.5 * SEGMENT:
            die()

    killed = in_a_process(lambda: run_of(name, batch, checkpoint=RESTART, observers=die_late))
    assert killed == signal.SIGKILL
    assert read_restart(RESTART).document.frame == 2 * SEGMENT
    assert len(read_h5md("run.h5.part").t) == 1 + 2 * SEGMENT
    assert_same_run(resume(RESTART), whole)
    assert_same_file("run.h5", "whole.h5")
    if name == "guarded set":
        assert 0 < whole.info.guard.fallback_share < 1
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_file_operation_goes_on_to_the_same_bits(folder, every):
    """Before each write, flush and renaming, of the output and of the restart file."""
    frames = 2 * SEGMENT + 1
    whole = run_of("leapfrog", 2, "whole.h5", frames)
    operations = [(H5MDWriter, "_put"), (os, "fsync"), (Path, "replace")]

    def killed_before(moment):
        """Run in a process that dies before its file operation of that number."""
        seen = iter(range(1000))

        def counted(function):
            def call(*arguments):
                return die() if next(seen) == moment else function(*arguments)

            return call

        def dying():
            for place, name in operations:
                setattr(place, name, counted(getattr(place, name)))
            run_of("leapfrog", 2, frames=frames, checkpoint=RESTART)

        return in_a_process(dying)

    moment = 0
    while killed_before(moment):
        if Path(RESTART).exists():
            run = resume(RESTART, method_of("leapfrog"))
            np.testing.assert_array_equal(run.x, whole.x)
            assert_same_file("run.h5", "whole.h5")
        else:  # it died before it had begun
            assert not list(folder.glob("run.h5*"))
        for file in ("run.h5", "run.h5.part", RESTART, RESTART + ".part"):
            Path(file).unlink(missing_ok=True)
        moment += every
    assert moment > 20


def test_a_run_that_is_killed_again_and_again(folder):
    whole = run_of("dop853", 2, "whole.h5")

    def dying(after):
        def progress(done, total):
            if done > after:
                die()

        return progress

    assert in_a_process(lambda: run_of("dop853", 2, checkpoint=RESTART, observers=dying(3)))
    for progress in map(dying, (8, 13, 18)):
        assert in_a_process(partial(resume, RESTART, observers=progress))
    assert_same_run(resume(RESTART), whole)
    assert_same_run(resume(RESTART), whole)  # it is finished, and is read again


def test_a_failed_trajectory_stays_frozen(folder):
    """Two opposite charges meet after 2.22 time units; the others go on."""
    system = make_system("charged", softening=0.0)
    state, particles = system.sample(5, 2, 2)
    x, v, charges = (np.array(y) for y in (state.x, state.v, particles.charges))
    x[0], v[0], charges[0] = [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], 0.0, [1.0, -1.0]
    start = type(state)(0.0, x, v), type(particles)(charges, particles.masses)
    method = make_integrator("rk45", segment=SEGMENT, rtol=1e-4, atol=1e-4)
    whole = simulate(system, *start, 40, method)
    assert whole.info.status == (-1, 0)

    def stop(done, total):
        if done > 33:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(
            system, *start, 40, method, output=Output("run.h5", checkpoint=RESTART), observers=stop
        )
    assert_same_run(resume(RESTART), replace(whole, info=replace(whole.info, seed=None)))


def test_keeping_a_restart_file_changes_no_bit(folder):
    run = run_of("guarded set", 2, checkpoint=RESTART)
    assert_same_run(run, run_of("guarded set", 2, "whole.h5"))
