"""Where results may go: every command refuses the same names with the same line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbody_surrogate.errors import InputError
from nbody_surrogate.files.output_path import (
    CheckedPath,
    check_distinct,
    check_output_file,
    parameter_of,
)
from nbody_surrogate.formats.export import check_export_path
from nbody_surrogate.formats.h5md import check_output_path
from nbody_surrogate.simulation.checkpoint import check_restart_path
from nbody_surrogate.viz.html.document import check_page_path
from nbody_surrogate.viz.scene import check_picture_path

CHECKS = {
    "`output`.h5": check_output_path,
    "`output`.npz": check_export_path,
    "`report`.html": check_page_path,
    "`render`.png": check_picture_path,
    "`checkpoint`.restart": check_restart_path,
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", CHECKS)
def test_each_check_accepts_what_can_be_written_and_makes_nothing(kind, here):
    check, suffix = CHECKS[kind], kind[kind.index(".") :]
    assert check(f"a{suffix}", False) == Path(f"a{suffix}")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/a", "existing folder"),
        ("folder", "regular file"),
        ("pipe", "regular file"),
        ("a\0b", "file name"),
        ("x" * 300, "file name"),
        ("there", "--overwrite"),
        ("nowhere", "--overwrite"),  # a link to a file that is not there
    ],
)
@pytest.mark.parametrize("kind", CHECKS)
def test_each_check_refuses_what_cannot(kind, name, words, here):
    check, suffix = CHECKS[kind], kind[kind.index(".") :]
    (here / f"folder{suffix}").mkdir()
    os.mkfifo(here / f"pipe{suffix}")
    (here / f"there{suffix}").write_bytes(b"precious")
    (here / f"nowhere{suffix}").symlink_to("gone")
    with pytest.raises(InputError) as caught:
        check(name + suffix, False)
    line = str(caught.value)
    assert line.startswith(kind[: kind.index(".")])
    assert words in line
    assert "\n" not in line
    assert "\0" not in line
    assert (here / f"there{suffix}").read_bytes() == b"precious"
    if words == "--overwrite":
        assert check(name + suffix, True) == Path(name + suffix)


def test_a_line_break_in_a_name_stays_one_line():
    with pytest.raises(InputError) as caught:
        check_output_file("a\nb/c.png", "figure", (".png",))
    assert "\n" not in str(caught.value)


def test_another_suffix_is_told_the_ones_that_are_known():
    with pytest.raises(InputError, match=r"`figure`.*one of \.png, \.svg, got 'a\.bmp'"):
        check_output_file("a.bmp", "figure", (".png", ".svg"))


@pytest.mark.parametrize("name", [".lock", ".a.h5.lock"])
def test_the_name_of_a_lock_is_refused(name):
    with pytest.raises(InputError, match=rf"`checkpoint` must not be named as a lock.*'{name}'"):
        check_restart_path(name, True)


@pytest.mark.parametrize("other", ["a", "./a", "folder/../a", "link/a", "{here}/a"])
def test_two_outputs_in_one_place_are_refused(here, other):
    (here / "folder").mkdir()
    (here / "link").symlink_to(here)
    other = other.format(here=here)
    with pytest.raises(
        InputError, match=r"^`render` and `report` must be two files, got '"
    ) as said:
        check_distinct([("output", "b"), ("render", "a"), ("x", None), ("report", other)])
    assert other in str(said.value)
    assert "\n" not in str(said.value)


def test_outputs_in_places_of_their_own_are_let_pass(here):
    (here / "folder").mkdir()
    # a link's own name is what is replaced, and what it leads to stays
    (here / "link").symlink_to("a")
    check_distinct([("output", "a"), ("render", "folder/a"), ("report", "link"), ("x", None)])
    check_distinct([("output", "a\0b/c"), ("render", "x" * 300), ("y", None), ("z", None)])


def test_an_output_is_called_what_its_check_called_it():
    assert parameter_of(CheckedPath(Path("a"), parameter="report"), "path") == "report"
    assert parameter_of(CheckedPath(Path("a")), "path") == "path"
    assert parameter_of("a", "path") == "path"
    assert parameter_of(None, "path") == "path"
