"""Opening files to write to: nothing is written through a link that somebody has put there."""

from __future__ import annotations

import os

import pytest

from nbody_surrogate.files.new_file import append, create_file, make_subfolder, open_existing
from nbody_surrogate.files.new_file import write_new as write

PLANTED = {
    "a link": lambda at, victim: at.symlink_to(victim),
    "a link to nothing": lambda at, victim: at.symlink_to(victim.with_name("gone")),
    "a hard link": lambda at, victim: at.hardlink_to(victim),
    "a folder": lambda at, victim: at.mkdir(),
    "a pipe": lambda at, victim: os.mkfifo(at),
}


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_bytes(b"precious")
    yield path
    assert path.read_bytes() == b"precious"
    assert not path.with_name("gone").exists()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", PLANTED)
def test_a_new_file_is_new(tmp_path, victim, kind):
    PLANTED[kind](tmp_path / "a", victim)
    with pytest.raises(OSError, match="exists"):
        create_file(tmp_path / "a")
    with pytest.raises(OSError, match="exists"):
        write(tmp_path / "a", b"mine")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", PLANTED)
def test_nothing_is_added_to_what_is_no_file_of_its_own(tmp_path, victim, kind):
    PLANTED[kind](tmp_path / "a", victim)
    with pytest.raises(OSError, match=r"link|regular|directory|No such device"):
        append(tmp_path / "a", b"mine")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", [kind for kind in PLANTED if kind != "a hard link"])
def test_only_a_regular_file_is_gone_on_with(tmp_path, victim, kind):
    PLANTED[kind](tmp_path / "a", victim)
    with pytest.raises(OSError, match=r"link|regular|directory"):
        open_existing(tmp_path / "a")


def test_what_is_written_added_and_changed_is_there(tmp_path):
    path = tmp_path / "a"
    append(path, b"one")
    append(path, b"two")
    with open_existing(path) as file:
        file.seek(3)
        file.write(b"T")
    assert path.read_bytes() == b"oneTwo"
    write(tmp_path / "b", b"all")
    assert (tmp_path / "b").read_bytes() == b"all"
    usual = tmp_path / "c"
    usual.touch()
    assert {each.stat().st_mode for each in tmp_path.iterdir()} == {usual.stat().st_mode}


def test_a_folder_within_another_is_none_that_a_link_leads_to(tmp_path):
    elsewhere, ours = tmp_path / "elsewhere", tmp_path / "ours"
    elsewhere.mkdir()
    (tmp_path / "shortcut").symlink_to(ours)
    ours.mkdir()
    # the folder that the user names may be a link
    assert make_subfolder(tmp_path / "shortcut", "a", "b") == tmp_path / "shortcut" / "a" / "b"
    assert (ours / "a" / "b").is_dir()
    assert make_subfolder(ours, "a", "b").is_dir()
    (ours / "c").symlink_to(elsewhere)
    (ours / "d").touch()
    for names in (("c",), ("c", "b"), ("d",), ("d", "b")):
        with pytest.raises(OSError, match="link or a file"):
            make_subfolder(ours, *names)
    assert list(elsewhere.iterdir()) == []
