"""Files and folders that have their names only when they are whole."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate.errors import FileFormatError, RunError
from nbody_surrogate.files import atomic
from nbody_surrogate.files.atomic import (
    atomic_file,
    atomic_folder,
    atomic_path,
    is_part_of,
    part_path,
    rename_part,
    renamed_at_end,
)
from nbody_surrogate.files.json_file import read_json, write_json
from nbody_surrogate.files.npy import NpyFile, save_npy


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_until_it_is_whole_a_file_is_a_part(tmp_path):
    path = tmp_path / "run.h5"
    with atomic_path(path) as part:
        assert is_part_of(path, part.name)
        part.write_bytes(b"half")
        assert names(tmp_path) == [part.name]
    assert names(tmp_path) == ["run.h5"]


def test_a_part_may_keep_the_suffix(tmp_path):
    path = tmp_path / "film.mp4"
    with renamed_at_end(path, keep_suffix=True) as part:
        assert part.suffix == ".mp4"
        assert part.name.startswith(".film.")
        part.write_bytes(b"all")
    assert names(tmp_path) == ["film.mp4"]


@pytest.mark.parametrize("keep_suffix", [False, True])
def test_an_error_leaves_nothing_and_is_the_caller_s(tmp_path, keep_suffix):
    error = OSError("no space")
    writing = renamed_at_end(tmp_path / "a.png", keep_suffix=keep_suffix)
    with pytest.raises(OSError, match="no space") as caught, writing as part:
        part.write_bytes(b"half")
        raise error
    assert caught.value is error
    assert names(tmp_path) == []


def test_a_failure_to_write_is_one_line_that_names_the_parameter(tmp_path):
    for parameter in ("output", "checkpoint"):
        said = f"^`{parameter}` .*cannot be written: no space$"
        with pytest.raises(RunError, match=said), atomic_file(tmp_path / "a", parameter):
            raise OSError("no space")
    assert names(tmp_path) == []


def test_what_is_synced_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(names(tmp_path)))
    with atomic_file(tmp_path / "a", synced=True) as stream:
        stream.write(b"all")
    write_json(tmp_path / "b", 1)
    ((name,),) = seen
    assert is_part_of(tmp_path / "a", name)


def test_a_part_that_was_kept_gets_its_name_later(tmp_path):
    path = tmp_path / "a"
    part_path(path).write_bytes(b"new")
    path.write_bytes(b"old")
    rename_part(path)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_without_leave_a_file_that_has_come_meanwhile_stays(tmp_path):
    path = tmp_path / "a"
    said = "^`output` .*a' cannot be written: the file is there by now$"
    for _ in range(2):
        with pytest.raises(RunError, match=said), atomic_file(path, overwrite=False) as stream:
            stream.write(b"new")
            path.write_bytes(b"precious")
    assert path.read_bytes() == b"precious"
    path.unlink()
    path.symlink_to("gone")
    with pytest.raises(RunError, match=said), atomic_file(path, overwrite=False):
        pass
    path.unlink()
    with atomic_file(path, overwrite=False) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_nlink == 1
    assert names(tmp_path) == ["a"]


def test_so_it_is_on_a_disk_that_knows_one_name_for_a_file(tmp_path, monkeypatch):
    def no_links(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    test_without_leave_a_file_that_has_come_meanwhile_stays(tmp_path)


@pytest.mark.parametrize("to", ["victim", "gone"])
def test_a_link_of_the_final_name_is_replaced_and_not_followed(tmp_path, to):
    victim, path = tmp_path / "victim", tmp_path / "a"
    victim.write_bytes(b"precious")
    path.symlink_to(to)
    with atomic_file(path) as stream:
        stream.write(b"new")
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"
    assert victim.read_bytes() == b"precious"
    assert names(tmp_path) == ["a", "victim"]


def test_of_two_writers_the_last_one_wins_whole(tmp_path):
    path = tmp_path / "a"
    with atomic_file(path) as one:
        one.write(b"one")
        with atomic_file(path) as two:
            two.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    path, token = tmp_path / "film.mp4", "0123456789abcdef"
    left = [f"film.mp4.{token}.part", f".film.{token}.part.mp4"]
    others = [
        "film.mp4.part",  # of a run, which is gone on with
        f"film.mp5.{token}.part",
        f"film.mp4.{token}.part.part",
        "film.mp4.0123.part",
        f".film.{token}.part.gif",
    ]
    for name in (*left, *others):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / f"film.mp4.{token[::-1]}.part").symlink_to("film.mp4.part")
    with atomic_file(path) as stream:
        stream.write(b"all")
    kept = [*others, "film.mp4", f"film.mp4.{token[::-1]}.part"]
    assert names(tmp_path) == sorted(kept)


def test_a_part_that_is_written_is_left_alone(tmp_path, monkeypatch):
    """Also by a writer that looks for those of killed ones in the moment that it is made."""
    path, create = tmp_path / "a", atomic.create_file

    def seen_by_another(part):
        file = create(part)
        monkeypatch.setattr(atomic, "create_file", create)
        atomic._looked_for.clear()
        atomic.remove_left_parts(path)
        return file

    monkeypatch.setattr(atomic, "create_file", seen_by_another)
    with atomic_file(path) as stream:
        atomic._looked_for.clear()
        atomic.remove_left_parts(path)
        stream.write(b"all")
    assert path.read_bytes() == b"all"
    assert names(tmp_path) == ["a"]


def test_the_longest_name_has_parts(tmp_path):
    for name in ("n" * 255, "ä" * 127, "n" * 251 + ".png"):
        with atomic_file(tmp_path / name) as stream:
            stream.write(b"all")
        with atomic_path(tmp_path / name, keep_suffix=True) as part:
            part.write_bytes(b"more")
        assert (tmp_path / name).read_bytes() == b"more"


@pytest.mark.parametrize("keep_suffix", [False, True])
@pytest.mark.parametrize("length", [199, 200, 201, 240])
def test_names_that_begin_alike_have_parts_of_their_own(tmp_path, length, keep_suffix):
    one, other = (tmp_path / f"{'n' * length}{last}.png" for last in "ab")
    with renamed_at_end(one, keep_suffix=keep_suffix) as part:
        assert is_part_of(one, part.name)
        assert not is_part_of(other, part.name)
        # what a long name is shortened to is that of no short one
        assert not is_part_of(one.with_name("n" * 200), part.name)


def test_a_folder_appears_whole(tmp_path):
    with atomic_folder(tmp_path / "deep" / "made") as part:
        (part / "a").write_text("x")
        assert not (tmp_path / "deep" / "made").exists()
    assert names(tmp_path / "deep") == ["made"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o077, 0o700), (0o002, 0o775)])
def test_a_folder_is_as_private_as_the_user_s_umask_says(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_folder(tmp_path / ("n" * 255)) as part:
            assert part.stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)
    (made,) = tmp_path.iterdir()
    assert made.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_folder_that_fails_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)), atomic_folder(tmp_path / "made") as part:
        (part / "a").write_text("x")
        raise error
    assert names(tmp_path) == []


def test_json_is_what_it_was(tmp_path):
    content = {"a": [1, 2.5, None], "b": "ä"}
    write_json(tmp_path / "a.json", content, indent=2)
    assert read_json(tmp_path / "a.json") == content
    assert (tmp_path / "a.json").read_text() == json.dumps(content, indent=2) + "\n"
    with pytest.raises(FileFormatError):
        read_json(tmp_path / "missing.json")


def test_an_array_is_what_numpy_writes(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 2))
    save_npy(tmp_path / "a.npy", values)
    np.save(tmp_path / "b.npy", values)
    assert Path(tmp_path / "a.npy").read_bytes() == Path(tmp_path / "b.npy").read_bytes()
    np.testing.assert_array_equal(NpyFile(tmp_path / "a.npy").read(), values)
