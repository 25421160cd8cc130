"""Which output a restart file is about: by what is in it, never by its path alone."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from interrupted_runs import FRAMES, RESTART, interrupted, method_of, refused, run_of
from nbody_surrogate import (
    FileFormatError,
    InputError,
    RunError,
    make_system,
    read_h5md,
    resume,
    simulate,
)
from nbody_surrogate.files.name_lock import NameLock
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.simulation.checkpoint import read_restart
from nbody_surrogate.simulation.file_writer import Output

pytestmark = pytest.mark.usefixtures("one_thread")

PART = Path("run.h5.part")


def refused_for_a_full_disk(monkeypatch, name="leapfrog", batch=2):
    """Begin a run over the one that is there, whose restart file is all that there is room for."""

    def full(*arguments, **options):
        raise RunError("No space left on device")

    start = make_system("charged").sample(3, 5, batch)
    output = Output("run.h5", overwrite=True, checkpoint=RESTART)
    with monkeypatch.context() as patched, suppress(RunError):
        patched.setattr(H5MDWriter, "__init__", full)
        patched.setattr(H5MDWriter, "close", lambda self: None)
        simulate(make_system("charged"), *start, FRAMES, method_of(name), output=output)
    assert read_restart(RESTART).document.frame == 0


def test_every_run_that_goes_into_a_file_has_an_identifier_of_its_own(folder):
    one, two = run_of("leapfrog", output="a.h5"), run_of("leapfrog", output="b.h5")
    assert len({one.info.identifier, two.info.identifier, ""}) == 3
    assert read_h5md("a.h5").info == one.info
    start = make_system("charged").sample(3, 5)
    run = simulate(make_system("charged"), *start, 2, method_of("leapfrog"))
    assert run.info.identifier == ""


def test_another_run_is_never_taken_for_one_that_was_not_begun(folder, monkeypatch):
    """It is of the same start and as long, and stands where the other one was to be."""
    old = run_of("dop853", 2)
    refused_for_a_full_disk(monkeypatch)
    refused(InputError, "run.h5' is there", "another run", "--overwrite", "--output")
    run = resume(RESTART, overwrite=True)
    np.testing.assert_array_equal(run.x, run_of("leapfrog", 2, "whole.h5").x)
    assert run.info.identifier != old.info.identifier
    assert read_h5md("run.h5").info.identifier == run.info.identifier


def test_a_run_that_was_not_begun_goes_to_another_name(folder, monkeypatch):
    old = run_of("dop853", 2)
    refused_for_a_full_disk(monkeypatch)
    run = resume(RESTART, output="new.h5")
    np.testing.assert_array_equal(run.x, read_h5md("new.h5").x)
    np.testing.assert_array_equal(run.x, run_of("leapfrog", 2, "whole.h5").x)
    assert read_h5md("run.h5").info == old.info


def test_a_finished_run_is_read_whatever_grows_beside_it(folder):
    run = run_of("leapfrog", 2, checkpoint=RESTART)
    run_of("leapfrog", 2, "other.h5")
    Path("other.h5").rename(PART)  # as of another run that is under way, to replace this one
    np.testing.assert_array_equal(resume(RESTART).x, run.x)
    assert PART.exists()


def test_an_unfinished_run_is_gone_on_with_beside_an_older_one(folder):
    """It was to replace that; whether it still may is asked again."""
    run_of("dop853", 2)
    shutil.copy("run.h5", "older")
    Path("run.h5").unlink()
    interrupted()
    shutil.copy("older", "run.h5")
    refused(InputError, "run.h5", "--overwrite")
    run = resume(RESTART, overwrite=True)
    np.testing.assert_array_equal(run.x, run_of("leapfrog", 2, "whole.h5").x)


def test_an_unfinished_run_of_the_same_start_is_refused(folder):
    """Its frames have the very bits."""
    interrupted()
    shutil.copy(RESTART, "first")
    PART.unlink()
    Path(RESTART).unlink()
    interrupted()
    shutil.copy("first", RESTART)
    refused(FileFormatError, "run.h5.part", "another run")
    refused(FileFormatError, "run.h5.part", "another run", overwrite=True)


@pytest.mark.parametrize("frames", [2, 12])
def test_what_is_there_in_place_of_a_part_is_never_removed(folder, frames):
    interrupted(frames=frames)
    for content in (b"precious", b""):
        PART.write_bytes(content)
        refused((FileFormatError, InputError), "run.h5.part")


def test_a_run_that_was_killed_before_its_first_boundary_begins_anew(folder):
    interrupted(frames=2)
    assert read_restart(RESTART).document.frame == 0
    assert PART.exists()
    np.testing.assert_array_equal(resume(RESTART).x, run_of("leapfrog", 2, "whole.h5").x)


# Places outside


@pytest.fixture
def elsewhere(folder):
    """A restart file that names an output in another folder, and precious files there."""
    place = folder / "place"
    place.mkdir()
    os.chdir(place)
    interrupted(frames=2)
    other = folder / "other"
    other.mkdir()
    shutil.move(RESTART, other / RESTART)
    os.chdir(other)
    return place


@pytest.mark.parametrize("content", [b"precious", None])
def test_an_output_outside_of_the_restart_files_folder_is_refused(elsewhere, content):
    """Whatever is there stays, also what is the run's own."""
    part = elsewhere / "run.h5.part"
    if content is not None:
        part.write_bytes(content)
    before = part.read_bytes()
    refused(InputError, "`output` must be given", "outside", f"--output {str(elsewhere)!r}"[:-1])
    assert part.read_bytes() == before
    assert [path.name for path in elsewhere.iterdir()] == ["run.h5.part"]


def test_an_output_outside_is_taken_where_the_user_names_it(elsewhere):
    run = resume(RESTART, output=elsewhere / "run.h5")
    assert [path.name for path in elsewhere.iterdir()] == ["run.h5"]
    np.testing.assert_array_equal(run.x, run_of("leapfrog", 2).x)


def test_a_link_leads_outside_too(elsewhere, folder):
    other = folder / "other"
    (other / "inside").symlink_to(elsewhere)
    restart = read_restart(RESTART)
    inside = {"output": str(other / "inside" / "run.h5")}
    restart._replace(document=restart.document.model_copy(update=inside)).write(Path(RESTART))
    refused(InputError, "outside")


def test_an_output_in_a_folder_below_is_the_users_own(folder):
    Path("runs").mkdir()

    def stop(done, total):
        if done > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_of("leapfrog", 2, "runs/run.h5", checkpoint=RESTART, observers=stop)
    run = resume(RESTART)
    np.testing.assert_array_equal(run.x, read_h5md("runs/run.h5").x)


def test_a_run_under_way_is_not_gone_on_with(folder):
    interrupted()
    lock = NameLock(Path("run.h5"))
    refused(RunError, "another process")
    lock.release()
    resume(RESTART)
