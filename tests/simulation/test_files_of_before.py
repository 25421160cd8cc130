"""Restart files and runs that the release 0.1.0 wrote: without identifiers, reports as JSON.

Each folder of the archive holds a run of two trajectories of two particles, 12 frames, leapfrog of
one sub-step, seed 3, killed after frame 7, or frame 2; segments are 5 frames. In ``command`` is one
of `nbody-sim run`: one trajectory, 60 frames, killed after frame 50.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from commands import good
from interrupted_runs import RESTART, refused
from nbody_surrogate import Guard, InputError, make_integrator, make_system, read_h5md, resume
from nbody_surrogate.simulation.checkpoint import read_restart
from nbody_surrogate.simulation.simulate import simulate

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:guard"),
]

ARCHIVE = Path(__file__).parents[1] / "data" / "files_of_0.1.0.zip"
GUARDS = {"guarded": "warn", "fallback": "fallback"}
ROUNDING = 1e-9
"""Other machines, and other versions of a compiler, round in other ways."""


@pytest.fixture(params=["guarded", "fallback", "bonds", "begun"])
def kind(request, folder, monkeypatch):
    """Be in the folder of a run; its restart file names its output by the process's own."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    monkeypatch.chdir(folder / request.param)
    return request.param


def whole(kind):
    system = make_system("springs" if kind == "bonds" else "charged")
    policy = GUARDS.get(kind)
    kdk = make_integrator("leapfrog", form="kdk")
    reference = {"reference": kdk} if policy == "fallback" else {}
    guard = None if policy is None else Guard(policy, energy=1e-4, **reference)
    method = make_integrator("leapfrog", substeps=1, segment=5, form="kdk")
    return simulate(system, *system.sample(3, 2, 2), 12, method, guard=guard)


def told(run, found_before=0):
    """What the guard found; releases before measured what they found by other scales."""
    report = run.info.guard
    if report is None:
        return None
    places = [(e.trajectory, e.segment, e.frame, e.reason) for e in report.events]
    return places, [str(e) for e in report.events if e.segment >= found_before]


def test_a_run_of_before_goes_on(kind):
    document = read_restart(RESTART).document
    assert document.identifier == ""
    assert document.frame == (0 if kind == "begun" else 5)
    run, now = resume(RESTART, allow_inexact=True), whole(kind)
    np.testing.assert_allclose(run.x, now.x, rtol=ROUNDING, atol=ROUNDING)
    stored = read_h5md("run.h5")
    assert stored.info == run.info
    assert told(stored, 1) == told(now, 1)
    if kind in GUARDS:
        assert len(stored.info.guard.events) > 1
        assert stored.info.guard.fallen_back == now.info.guard.fallen_back
    # it is finished, and read again
    np.testing.assert_array_equal(resume(RESTART, allow_inexact=True).x, run.x)


def test_a_run_of_before_is_interrupted_again(kind):
    def stop(done, total):
        if done > 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resume(RESTART, allow_inexact=True, observers=stop)
    assert read_restart(RESTART).document.frame == 10
    run = resume(RESTART)
    np.testing.assert_allclose(run.x, whole(kind).x, rtol=ROUNDING, atol=ROUNDING)
    assert told(run, 1) == told(whole(kind), 1)


def test_another_run_is_not_taken_for_one_of_before(kind):
    """Not even one of the same start, where that is all that the restart file knows."""
    if kind != "begun":
        pytest.skip("frames tell them apart")
    Path("run.h5.part").unlink()
    system = make_system("charged")
    other = make_integrator("leapfrog", substeps=2, segment=5)
    simulate(system, *system.sample(3, 2, 2), 12, other, output="run.h5")
    refused(InputError, "another run", allow_inexact=True)


def test_the_report_of_a_finished_run_of_before_is_read(folder):
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    stored = read_h5md("guarded/whole.h5")
    first, *others = stored.info.guard.events
    assert str(first).startswith("trajectory 0, segment 0, frame 1: energy error ")
    assert len(others) == 5
    assert told(stored, 3) == told(whole("guarded"), 3)
    assert str(first) in str(stored.info.guard)


def test_a_new_file_of_an_old_report_tells_the_same(folder):
    """As an export of one of its trajectories writes."""
    from nbody_surrogate.formats.h5md import H5MDWriter

    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    old = read_h5md("guarded/whole.h5")
    with H5MDWriter("new.h5", old.particles, 3, 13, 0.0, 0.1, info=old.info) as writer:
        writer.write(old.x, old.v)
        writer.finish(old.info)
    assert read_h5md("new.h5").info == old.info


def test_a_command_of_before_goes_on(folder, monkeypatch):
    """Its restart file notes fewer options than there are by now."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    monkeypatch.chdir(folder / "command")
    good("resume", RESTART, "--allow-inexact", "--output", "run.h5")
    system = make_system("charged")
    now = simulate(
        system, *system.sample(3, 2), 60, make_integrator("leapfrog", substeps=1, form="kdk")
    )
    np.testing.assert_allclose(read_h5md("run.h5").x, now.x, rtol=ROUNDING, atol=ROUNDING)
    assert read_h5md("run.reference.h5").info.method["integrator"] == "leapfrog"
