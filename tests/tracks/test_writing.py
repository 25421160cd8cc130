"""What is written is read back to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nbody_surrogate.errors import FileFormatError, InputError, RunError
from nbody_surrogate.tracks.reading import read_tracks
from nbody_surrogate.tracks.writing import OUTPUTS, write_tracks
from refusals import refused
from track_files import holed, motion, tracks

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def same(found, wanted):
    np.testing.assert_array_equal(found.x, wanted.x)
    for name in ("names", "length_unit", "time_unit", "first_frame", "frame_step"):
        assert getattr(found, name) == getattr(wanted, name), name
    assert found.frame_dt == pytest.approx(wanted.frame_dt, rel=1e-9)
    for name in ("charges", "masses"):
        here, there = getattr(found, name), getattr(wanted, name)
        assert (here is None) == (there is None)
        assert here is None or np.array_equal(here, there)


@pytest.mark.parametrize("suffix", OUTPUTS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_tracks_come_back_as_they_were(tmp_path, suffix, dimensions):
    x = holed(motion(dimensions=dimensions), 0.3)
    plain = tracks(x)
    told = tracks(
        x,
        length_unit="um",
        time_unit="s",
        first_frame=-4,
        frame_step=3,
        charges=np.array([1.0, -2.0, 0.5, 1 / 3]),
        masses=np.arange(1.0, 5.0),
    )
    for wanted in (plain, told):
        path = write_tracks(tmp_path / f"a{suffix}", wanted, overwrite=True)
        (found,) = read_tracks(path)
        same(found, wanted)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_several_runs_go_into_one_table(tmp_path, suffix):
    runs = [tracks(holed(motion(frames=9))), tracks(motion(frames=5, n=2), first_frame=2)]
    found = read_tracks(write_tracks(tmp_path / f"a{suffix}", runs))
    assert [each.source.run for each in found] == ["0", "1"]
    for each, wanted in zip(found, runs, strict=True):
        same(each, wanted)


@pytest.mark.parametrize("suffix", OUTPUTS)
def test_names_may_be_words(tmp_path, suffix):
    wanted = replace(tracks(), names=("#1", "=2+3", 'grain "a", b', "é"))
    (found,) = read_tracks(write_tracks(tmp_path / f"a{suffix}", wanted))
    same(found, wanted)


def test_a_table_looks_as_trackpy_has_it(tmp_path):
    write_tracks(tmp_path / "a.csv", tracks(motion(frames=2, n=1, dimensions=2)))
    head, first, _ = (tmp_path / "a.csv").read_text().splitlines()
    assert head == "frame,particle,t,x,y"
    assert first.startswith("0,0,0.0,")
    write_tracks(tmp_path / "a.parquet", tracks(motion(frames=2)))
    table = parquet.read_table(tmp_path / "a.parquet")
    assert [str(each) for each in table.schema.types] == ["int64", "int64", *["double"] * 4]


def test_chunks_join(tmp_path, monkeypatch):
    monkeypatch.setattr("nbody_surrogate.tracks.writing.CHUNK", 7)
    wanted = tracks(holed(motion()))
    (found,) = read_tracks(write_tracks(tmp_path / "a.csv", wanted))
    same(found, wanted)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("a.txt", tracks(), ("`output`", ".csv, .parquet, .npz")),
        ("none/a.csv", tracks(), ("`output`", "existing folder")),
        ("a.npz", [tracks(), tracks()], ("`output`", "2 runs", "an .npz holds one")),
        ("a.csv", [], ("`tracks`",)),
        ("a.csv", [tracks(), tracks(motion(dimensions=2))], ("`tracks`", "same dimensions")),
        ("a.csv", [tracks(), tracks(length_unit="um")], ("`tracks`", "same length_unit")),
        ("a.csv", replace(tracks(), names=("a", "b", "c", "nan")), ("`names`", "'nan'")),
        ("a.csv", replace(tracks(), names=("a", "b", "c", "3.0")), ("`names`", "'3.0'")),
        ("a.csv", replace(tracks(), names=("a", "b", "c", " d")), ("`names`", "' d'")),
        ("a.csv", replace(tracks(), names=("a", "b", "c", "d\ne")), ("`names`",)),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, given, words):
    with refused(InputError, *words):
        write_tracks(tmp_path / name, given)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays(tmp_path):
    (tmp_path / "a.csv").write_text("mine")
    with refused(InputError, "`output` must not exist yet"):
        write_tracks(tmp_path / "a.csv", tracks())
    assert (tmp_path / "a.csv").read_text() == "mine"


@pytest.mark.parametrize(("suffix", "limit"), [(".csv", "FOREIGN_TEXT"), (".npz", "NPZ")])
def test_no_file_is_written_that_could_not_be_read(tmp_path, monkeypatch, suffix, limit):
    from nbody_surrogate.files.limits import Limit

    monkeypatch.setattr(f"nbody_surrogate.tracks.writing.{limit}", Limit("a", 20, "b"))
    with refused(RunError, "20 bytes are read at most"):
        write_tracks(tmp_path / f"a{suffix}", tracks())
    assert list(tmp_path.iterdir()) == []


# Parquet of others


def written(folder, **columns):
    parquet.write_table(pyarrow.table(columns), folder / "a.parquet")
    return folder / "a.parquet"


GOOD = {"frame": [0, 0, 1, 1], "particle": [1, 2, 1, 2], "x": [0.0, 1.0, 0.1, 1.1], "y": [1.0] * 4}


@pytest.mark.parametrize(
    "particles",
    [
        [1, 2, 1, 2],
        [1.0, 2.0, 1.0, 2.0],
        ["1", "2", "1", "2"],
        pyarrow.array(["1", "2", "1", "2"]).dictionary_encode(),
        pyarrow.array([1, 2, 1, 2], pyarrow.int8()),
    ],
)
def test_particles_of_any_type(tmp_path, particles):
    (found,) = read_tracks(written(tmp_path, **{**GOOD, "particle": particles}), frame_dt=1.0)
    assert found.names == ("1", "2")
    np.testing.assert_allclose(found.x[:, :, 0], [[0, 1], [0.1, 1.1]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": [0.0, None, 1.0, 2.0]}, ("row 2: `x` must be a finite number",)),
        ({"x": [0.0, 1.0, np.inf, 2.0]}, ("row 3: `x`", "inf")),
        ({"x": ["0", "1", "2", "3"]}, ("`x` must hold numbers, its type is string",)),
        ({"x": [[0.0]] * 4}, ("`x` must hold numbers, its type is list",)),
        ({"frame": [0, 0, 1.5, 1]}, ("row 3: `frame` must be a whole number, got 1.5",)),
        ({"frame": [0, 0, 1, 0]}, ("row 4: particle '2' is in this frame already, in row 2",)),
        ({"particle": [1, None, 1, 2]}, ("row 2: `particle`",)),
        ({"particle": ["a", "b", None, "b"]}, ("row 3: `particle`",)),
        ({"particle": ["a", "b", "a", "nan"]}, ("row 4: `particle`",)),
        ({"particle": [True, False, True, False]}, ("`particle` must hold numbers or names",)),
    ],
)
def test_a_wrong_row_of_parquet_is_named(tmp_path, change, words):
    with refused(FileFormatError, "a.parquet", *words):
        read_tracks(written(tmp_path, **{**GOOD, **change}), frame_dt=1.0)


def test_parquet_of_no_positions_takes_no_memory(tmp_path):
    """Runs of equal numbers take no room: a file of a kilobyte may announce any number of rows."""
    rows = 3 * 10**6
    zeros = np.zeros(rows)
    path = written(tmp_path, frame=zeros, particle=zeros, x=zeros, y=zeros)
    assert path.stat().st_size < 10**5
    with refused(FileFormatError, "its 3000000 rows would take"):
        read_tracks(path, frame_dt=1.0)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_damaged_parquet(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with refused(FileFormatError, "a.parquet", "cannot be read as Parquet"):
        read_tracks(tmp_path / "a.parquet", frame_dt=1.0)


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    path = written(tmp_path, **GOOD)
    monkeypatch.setattr("nbody_surrogate.formats.foreign.extra.find_spec", lambda name: None)
    with refused(
        InputError, "is read by pyarrow, which is not installed", "nbody-surrogate[tracks]"
    ):
        read_tracks(path, frame_dt=1.0)
    with refused(InputError, "is written by pyarrow"):
        write_tracks(tmp_path / "b.parquet", tracks())


def test_an_old_pyarrow_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pyarrow, "__version__", "14.0.0")
    with refused(InputError, "version 15 or later, 14.0.0 is installed"):
        read_tracks(written(tmp_path, **GOOD), frame_dt=1.0)
