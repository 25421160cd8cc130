"""Files and folders that have their names only when they are whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from nbody_surrogate.errors import FileFormatError, RunError
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


def test_a_folder_appears_whole(tmp_path):
    with atomic_folder(tmp_path / "deep" / "made") as part:
        (part / "a").write_text("x")
        assert not (tmp_path / "deep" / "made").exists()
    assert names(tmp_path / "deep") == ["made"]
    assert (tmp_path / "deep" / "made").stat().st_mode & 0o777 == 0o755


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
