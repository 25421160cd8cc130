"""Guarded runs that trip everywhere: killed at any moment, they go on, and tell all they found."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import nbody_surrogate.simulation.checkpoint_writer as checkpoint_writer
from interrupted_runs import RESTART, assert_same_file
from nbody_surrogate import (
    Guard,
    InputError,
    make_integrator,
    make_system,
    read_h5md,
    resume,
    simulate,
)
from nbody_surrogate.files.limits import Limit
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.formats.h5md.provenance import provenance_bytes
from nbody_surrogate.simulation.checkpoint import read_restart
from nbody_surrogate.simulation.file_writer import Output

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:guard"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed"),
]

TIMES = {"check_time", "replay_time", "run_time", "spot_check_time", "companion_time"}
BUDGETS = {"warn": 1e-7, "fallback": 1e-7, "stop": 0.03}
"""By the first two every segment trips, by the last each trajectory at another frame."""


def run_of(policy="warn", batch=3, frames=60, output="run.h5", segment=1, **options):
    """Leapfrog of one sub-step, which loses more energy than it may nearly everywhere."""
    system = make_system("charged")
    reference = {"reference": "leapfrog"} if policy == "fallback" else {}
    guard = Guard(policy, energy=BUDGETS[policy], **reference)
    method = make_integrator("leapfrog", substeps=1, segment=segment)
    start = system.sample(3, 4, batch)
    place = Output(output, checkpoint=options.pop("checkpoint", None))
    return simulate(system, *start, frames, method, guard=guard, output=place, **options)


def stopped(frame, **options):
    def stop(done, total):
        if done > frame:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_of(checkpoint=RESTART, observers=stop, **options)


def report_of(run):
    return {k: y for k, y in run.info.guard.to_dict().items() if k not in TIMES}


@pytest.mark.parametrize("policy", ["warn", "stop", "fallback"])
def test_what_was_found_before_an_interruption_is_told_at_the_end(folder, policy):
    """The output holds it, and the restart file is as small as at the start."""
    whole = run_of(policy, frames=12, output="whole.h5")
    stopped(7, policy=policy, frames=12)
    restart = read_restart(RESTART)
    assert restart.document.guard.report.events == ()
    assert Path(RESTART).stat().st_size < 6000
    run = resume(RESTART)
    assert report_of(run) == report_of(whole) == report_of(read_h5md("run.h5"))
    assert len(run.info.guard.events) >= 3
    assert_same_file("run.h5", "whole.h5")


@pytest.mark.slow
def test_a_hundred_trajectories_that_tripped_more_than_a_thousand_times(folder):
    """Of which the account is longer as text than what an unguarded batch is given."""
    whole = run_of(batch=100, frames=800, segment=50, output="whole.h5")
    stopped(660, batch=100, frames=800, segment=50)
    part = read_h5md("run.h5.part")
    assert len(part.info.guard.events) >= 1197
    assert read_restart(RESTART).document.frame == 650
    text = str([str(event) for event in part.info.guard.events])
    assert len(text) > 0.5 * provenance_bytes(100)
    run = resume(RESTART)
    assert report_of(run) == report_of(whole)
    assert_same_file("run.h5", "whole.h5")


def test_restart_files_do_not_grow(folder, monkeypatch):
    """Neither by what the guard finds nor by what does not change."""
    sizes = []

    def write(restart, path):
        before(restart, path)
        sizes.append(Path(path).stat().st_size)

    before = checkpoint_writer.Restart.write
    monkeypatch.setattr(checkpoint_writer.Restart, "write", write)
    run = run_of(checkpoint=RESTART)
    assert len(run.info.guard.events) > 150
    assert len(sizes) == 60
    # counters and times have a digit more or less
    assert max(sizes) < min(sizes) + 300


def test_bonds_are_in_the_first_restart_file_alone(folder):
    system = make_system("springs")
    sizes = []

    def note(done, total):
        sizes.append(Path(RESTART).stat().st_size)

    output = Output("run.h5", checkpoint=RESTART)
    method = make_integrator("leapfrog", segment=2)
    start = system.sample(1, 60, 2)
    simulate(system, *start, 6, method, output=output, observers=note)
    assert sizes[0] > start[1].couplings.nbytes > 50_000
    assert sizes[-1] < 15_000


def test_a_restart_file_that_could_not_be_read_is_refused_before_the_run(folder, monkeypatch):
    small = Limit("`checkpoint`: a restart file", 1000, "choose fewer trajectories")
    monkeypatch.setattr(checkpoint_writer, "RESTART", small)
    with pytest.raises(InputError) as caught:
        run_of(batch=10, checkpoint=RESTART)
    message = str(caught.value)
    assert message.startswith("`checkpoint`: a restart file of 10 trajectories of 4 particles ")
    assert "1000 bytes are read at most: choose fewer trajectories" in message
    assert not list(folder.glob("run*"))


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["warn", "stop", "fallback"])
def test_a_guarded_run_killed_at_random_file_operations_goes_on_to_the_same_bits(folder, policy):
    whole = run_of(policy, batch=2, output="whole.h5")
    operations = [(H5MDWriter, "_put"), (os, "fsync"), (os, "link"), (Path, "replace")]
    rng = np.random.default_rng(7)

    def dying(moment, action):
        """Do it in a process that dies before its file operation of that number."""
        child = os.fork()
        if child == 0:
            seen = iter(range(10**6))

            def counted(function):
                def call(*arguments, **options):
                    if next(seen) == moment:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return function(*arguments, **options)

                return call

            try:
                for place, name in operations:
                    setattr(place, name, counted(getattr(place, name)))
                action()
            finally:
                os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    for _ in range(8):
        killed = dying(int(rng.integers(500)), lambda: run_of(policy, batch=2, checkpoint=RESTART))
        while killed and Path(RESTART).exists():
            killed = dying(int(rng.integers(500)), lambda: resume(RESTART))
        if Path(RESTART).exists():
            run = resume(RESTART)
            assert report_of(run) == report_of(whole)
            assert_same_file("run.h5", "whole.h5")
        for file in folder.glob("*run*"):
            file.unlink()
