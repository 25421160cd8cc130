"""What is wrong with a row is one line that names it."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbody_surrogate.errors import FileFormatError, NBodyError
from nbody_surrogate.tracks.reading import read_tracks
from refusals import posix, refused
from track_files import DT

HEAD = "frame,particle,x,y\n"
GOOD = "0,1,0,0\n0,2,1,1\n1,1,0,0\n1,2,1,1\n"


def written(folder, text):
    path = folder / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path, **given):
    return read_tracks(path, **{"frame_dt": DT, **given})


@pytest.mark.parametrize(
    ("rows", "line", "words"),
    [
        ("2,1,nan,0", 6, ("`x` must be a finite number", "got nan", "leave out rows")),
        ("2,1,0,inf", 6, ("`y` must be a finite number", "got inf")),
        ("2,1,zero,0", 6, ("`x` must be a number, got 'zero'",)),
        ("2,1,1_0,0", 6, ("`x` must be a number, got '1_0'",)),
        ("2,1,,0", 6, ("`x` must be a number, got an empty cell",)),
        ("2.5,1,0,0", 6, ("`frame` must be a whole number, got 2.5",)),
        ("1e300,1,0,0", 6, ("`frame` must be a whole number",)),
        ("two,1,0,0", 6, ("`frame` must be a number, got 'two'",)),
        ("2,,0,0", 6, ("`particle` must be a name", "an empty cell")),
        ("2,NaN,0,0", 6, ("`particle` must be a name", "'NaN'")),
        (f"2,{'a' * 65},0,0", 6, ("`particle` must be a name of at most 64",)),
        ("2,1,0", 6, ("it has 3 values, the first line names 4 columns",)),
        ("2,1,0,0,0", 6, ("it has 5 values",)),
        ("1,2,5,5", 6, ("particle '2' is in this frame already, in line 5",)),
        ("2,1,0,0\n\n# a comment\n2,1,0,0", 9, ("in line 6",)),
        ("2,1,0,0\n3,1,0,0\n2,\x00,0,0", 8, ("`particle`",)),
    ],
)
def test_a_wrong_row_is_named(tmp_path, rows, line, words):
    path = written(tmp_path, HEAD + GOOD + rows + "\n")
    with refused(FileFormatError, "'", f"a.csv', line {line}: ", *words):
        read(path)


def test_a_wrong_row_is_named_in_any_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr("nbody_surrogate.tracks.csv_table.CHUNK", 7)
    rows = [f"{k},1,0,{k}" for k in range(40)]
    assert read(written(tmp_path, HEAD + "\n".join(rows)))[0].x.shape == (40, 1, 2)
    for wrong in ("30,1,0,zero", "29,1,0,0", "30,1,0,nan", "30,1,0"):
        rows[30] = wrong
        with refused(FileFormatError, "line 32: "):
            read(written(tmp_path, HEAD + "\n".join(rows)))


@pytest.mark.parametrize(
    ("times", "line", "words"),
    [
        ((0, 1, 2, 3.5, 4, 5), 5, ("its time 3.5 is uneven", "1.5 after the one before")),
        ((0, 1, 2, 1.5, 4, 5), 5, ("its time 1.5 is not after",)),
        ((0, 1, 2, 3, 4, 105), 7, ("its time 105 is uneven",)),
        ((0, 1, 2, "nan", 4, 5), 5, ("`t` must be a finite number",)),
        ((0, 1, 2, 3, 4, 4), 7, ("is not after that of the frame before, 4",)),
    ],
)
def test_an_uneven_time_is_named(tmp_path, times, line, words):
    rows = "\n".join(f"{k},{t},1,0,0" for k, t in enumerate(times))
    with refused(FileFormatError, f"line {line}: ", *words):
        read_tracks(written(tmp_path, "frame,t,particle,x,y\n" + rows))


def test_times_without_frames_must_be_even_too(tmp_path):
    rows = "\n".join(f"{t},1,0,0" for t in (0, 1, 2, 3.4, 4, 5, 6))
    with refused(FileFormatError, "line 5: ", "its time 3.4 is uneven"):
        read_tracks(written(tmp_path, "t,particle,x,y\n" + rows))


def test_one_frame_has_one_time(tmp_path):
    rows = "0,0,1,0,0\n1,1,1,0,0\n1,1.1,2,0,0\n0,0,2,0,0\n"
    with refused(FileFormatError, "line 4: its time 1.1 is not that of its frame, 1"):
        read_tracks(written(tmp_path, "frame,t,particle,x,y\n" + rows))


def test_a_given_distance_must_be_that_of_the_times(tmp_path):
    path = written(tmp_path, "frame,t,particle,x,y\n0,0,1,0,0\n1,0.1,1,0,0\n")
    assert read(path, frame_dt=0.1)[0].frame_dt == 0.1
    with refused(NBodyError, "`frame_dt`, or 1 / `frame_rate`, is not needed", "0.1", "got 0.2"):
        read(path, frame_dt=0.2)


def test_charges_that_change(tmp_path):
    text = "frame,particle,x,y,charge\n0,1,0,0,2\n1,1,0,0,2\n2,1,0,0,3\n"
    with refused(FileFormatError, "line 4: the charge of a particle changes, from 2 to 3"):
        read(written(tmp_path, text))


def test_columns_of_one_name_must_hold_the_same(tmp_path):
    text = "frame,particle,x,y,frame\n0,1,0,0,0\n1,1,0,0,2\n"
    with refused(FileFormatError, "line 3: two columns 'frame' differ"):
        read(written(tmp_path, text))


def test_all_particles_seen_once(tmp_path):
    with refused(FileFormatError, "line 2: each particle is seen once"):
        read(written(tmp_path, HEAD + "0,1,0,0\n0,2,0,0\n"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("is empty", "first line")),
        ("\n\n", ("is empty",)),
        (HEAD, ("holds no rows",)),
        (HEAD.encode() + b"0,1,\xff,0\n", ("line 2: it is no text",)),
        ("frame,particle," + "x" * 200_000 + "\n0,1,0\n", ("field larger",)),
        (",".join(map(str, range(1001))) + "\n", ("1001 columns", "1000")),
        (HEAD + '0,"1,0,0\n0,1,0,0\n', ("line 3",)),
    ],
)
def test_files_that_are_no_tables(tmp_path, text, words):
    with refused(FileFormatError, *words):
        read(written(tmp_path, text))


def test_frames_far_apart_take_no_memory(tmp_path):
    """Two rows must not ask for the memory of a billion frames."""
    path = written(tmp_path, HEAD + "0,1,0,0\n1,1,0,0\n1000000000,1,0,0\n")
    with refused(FileFormatError, "3 rows of 1 particle over 1000000001 frames would take"):
        read(path)


def test_what_is_too_large_is_not_read(tmp_path, monkeypatch):
    from nbody_surrogate.files.limits import Limit

    monkeypatch.setattr("nbody_surrogate.tracks.csv_table.FOREIGN_TEXT", Limit("a", 20, "b"))
    with refused(FileFormatError, "larger than 20 bytes"):
        read(written(tmp_path, HEAD + GOOD))


@posix
def test_pipes_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name in ("pipe.csv", "folder.csv"):
        with refused(FileFormatError, name, "regular file"):
            read(tmp_path / name)


def test_files_that_are_missing_or_of_no_kind(tmp_path):
    with refused(NBodyError, "does not exist") as caught:
        read(tmp_path / "a.csv")
    assert caught.value.exit_code == 2
    (tmp_path / "a.doc").touch()
    with refused(FileFormatError, "a.doc", ".csv, .tsv, .parquet"):
        read(tmp_path / "a.doc")


CELL = st.text(alphabet="0123456789.,-+einfa\"'#\n\r\t ;_\x00\x1bé", max_size=8)


@given(rows=st.lists(st.lists(CELL, max_size=6), max_size=8), head=st.booleans())
def test_no_text_ends_in_a_traceback(tmp_path_factory, rows, head):
    text = (HEAD if head else "") + "\n".join(",".join(row) for row in rows)
    path = tmp_path_factory.getbasetemp() / "hostile.csv"
    path.write_text(text, newline="")
    try:
        found = read(path)
    except NBodyError as error:
        message = str(error)
        assert "\n" not in message
        assert len(message) < 900
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", message)
    else:
        assert np.isfinite(found[0].x).any()
