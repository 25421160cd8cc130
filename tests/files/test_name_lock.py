"""Names that one process at a time writes to."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.files.folder_lock import LOCK, sole_writer
from nbody_surrogate.files.name_lock import NameLock, lock_path

HOLDER = """
import sys
from pathlib import Path
from nbody_surrogate.files.name_lock import NameLock
lock = NameLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_name_is_held_by_one_at_a_time(tmp_path):
    path = tmp_path / "run.h5"
    with NameLock(path):
        assert names(tmp_path) == [".run.h5.lock"]
        with pytest.raises(RunError, match=r"`report` .*run\.h5' is being written by another"):
            NameLock(path, "report")
        with NameLock(tmp_path / "other.h5"):
            pass
    assert names(tmp_path) == []
    lock = NameLock(path)
    lock.release()
    lock.release()
    with NameLock(path):
        pass


def test_a_killed_process_holds_nothing(tmp_path):
    path = tmp_path / "run.h5"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another process"):
            NameLock(path)
        child.kill()
        child.wait()
        assert names(tmp_path) == [".run.h5.lock"]
        with NameLock(path):
            pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("hold", [NameLock, sole_writer])
def test_a_lock_that_another_has_just_removed_is_not_one(tmp_path, monkeypatch, hold):
    """It was opened before the other one ended, and would be taken after: it begins anew."""
    folder = tmp_path / "a"
    folder.mkdir()
    before, flock = hold(folder), fcntl.flock
    before.__enter__()

    def late(*arguments):
        monkeypatch.setattr(fcntl, "flock", flock)
        before.__exit__(None, None, None)
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", late)
    with hold(folder), pytest.raises(RunError, match="another process"), hold(folder):
        pytest.fail("a third writer could begin now")


def test_a_folder_that_another_removes_meanwhile_is_made_again(tmp_path, monkeypatch):
    folder, mkdir = tmp_path / "a", Path.mkdir

    def and_gone(self, *arguments, **options):
        mkdir(self, *arguments, **options)
        monkeypatch.setattr(Path, "mkdir", mkdir)
        self.rmdir()

    monkeypatch.setattr(Path, "mkdir", and_gone)
    with sole_writer(folder):
        assert names(folder) == [LOCK]
    assert names(tmp_path) == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe", "folder"])
def test_what_is_in_the_place_of_a_lock_is_left_alone(tmp_path, kind):
    path, victim = tmp_path / "run.h5", tmp_path / "victim"
    victim.write_bytes(b"precious")
    file = lock_path(path)
    make = {
        "link": lambda: file.symlink_to(victim),
        "link to nothing": lambda: file.symlink_to(tmp_path / "gone"),
        "pipe": lambda: os.mkfifo(file),
        "folder": file.mkdir,
    }
    make[kind]()
    with pytest.raises(InputError, match=r"`output` .*link|regular|directory") as caught:
        NameLock(path)
    assert "\n" not in str(caught.value)
    assert victim.read_bytes() == b"precious"
    assert names(tmp_path) == sorted([file.name, "victim"])


def test_where_nothing_can_be_locked_the_work_goes_on(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with NameLock(tmp_path / "a"), NameLock(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_a_name_as_long_as_a_system_takes_can_be_held(tmp_path):
    path = tmp_path / ("ä" * 127)
    path.touch()
    with NameLock(path):
        assert len(names(tmp_path)) == 2


@pytest.mark.parametrize("length", [190, 200, 240])
def test_names_that_begin_alike_have_locks_of_their_own(tmp_path, length):
    beginning = "n" * length
    with (
        NameLock(tmp_path / f"{beginning}.h5"),
        NameLock(tmp_path / f"{beginning}.reference.h5"),
        NameLock(tmp_path / f"{beginning}"),
        pytest.raises(RunError, match="another process"),
    ):
        NameLock(tmp_path / f"{beginning}.h5")
    assert names(tmp_path) == []


@pytest.mark.parametrize("hold", [NameLock, sole_writer])
def test_a_user_s_file_of_a_lock_s_name_is_refused_and_kept(tmp_path, hold):
    place = tmp_path / "a"
    place.mkdir()
    file = place / LOCK if hold is sole_writer else lock_path(place)
    file.write_text("important")
    with pytest.raises(InputError, match=f"`output` .*'{file.name}' has content, as no"):
        hold(place).__enter__()
    assert file.read_text() == "important"


def test_what_is_written_into_a_lock_that_is_held_is_kept(tmp_path):
    with NameLock(tmp_path / "a") as lock:
        lock.file.write_text("important")
    assert lock.file.read_text() == "important"
