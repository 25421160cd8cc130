"""Tables of tracks, as trackpy and others write them: what is taken for what."""

from __future__ import annotations

import numpy as np
import pytest

from nbody_surrogate.errors import InputError, NBodyWarning
from nbody_surrogate.tracks.given import check_given
from nbody_surrogate.tracks.reading import read_tracks
from refusals import refused
from track_files import DT, NAMES, csv_text, holed, motion, table, write_csv


def read(path, **given):
    (found,) = read_tracks(path, **{"frame_dt": DT, **given})
    return found


def test_rows_in_any_order_give_each_position_its_place(tmp_path):
    x = holed(motion())
    found = read(write_csv(tmp_path / "a.csv", x), length_unit="um", time_unit="s")
    np.testing.assert_array_equal(found.x, x)
    assert found.names == NAMES
    assert (found.frame_dt, found.length_unit, found.time_unit) == (DT, "um", "s")
    assert found.missing == pytest.approx(np.isnan(x[:, :, 0]).mean())
    assert found.source.file == "a.csv" and len(found.source.sha256) == 64


def test_a_plane_has_two_coordinates(tmp_path):
    x = motion(dimensions=2)
    found = read(write_csv(tmp_path / "a.csv", x, "frame,particle,x,y"))
    np.testing.assert_array_equal(found.x, x)


def test_numbers_of_frames_count_from_the_first(tmp_path):
    x = motion(frames=5)
    found = read(write_csv(tmp_path / "a.csv", x, first=-7))
    assert found.frames.tolist() == [-7, -6, -5, -4, -3]
    np.testing.assert_array_equal(found.x, x)


def test_every_fifth_frame_is_five_frames_apart(tmp_path):
    rows = [[str(5 * int(row[0]) + 2), *row[1:]] for row in table(motion(frames=6))]
    (tmp_path / "a.csv").write_text(csv_text(rows))
    found = read(tmp_path / "a.csv")
    assert found.frames.tolist() == [2, 7, 12, 17, 22, 27]
    assert found.frame_dt == 5 * DT and found.missing == 0


def test_what_trackpy_writes_beside_is_left_out_and_told(tmp_path):
    """With pandas' numbers in front, and `frame` a second time as its index has it."""
    x = motion(frames=8)
    rows = [
        [str(k), *row[:2], *row[2:], "9001.5", "3.1", "0.2", row[0]]
        for k, row in enumerate(table(x))
    ]
    (tmp_path / "a.csv").write_text(csv_text(rows, ",frame,particle,x,y,z,mass,size,ecc,frame"))
    found = read(tmp_path / "a.csv")
    np.testing.assert_array_equal(found.x, x)
    assert found.masses is None
    (line,) = found.reading
    assert "columns frame, particle, x, y, z; 4 particles, 8 frames every 0.005" in line
    assert "left out: a column without a name, mass, size, ecc" in line
    assert "`mass` is a brightness" in line and "no unit of length" in line


def test_a_mass_is_one_where_that_is_said(tmp_path):
    x = motion(frames=6)
    rows = [[*row, f"{1 + NAMES.index(row[1])}.5", "-2"] for row in table(x)]
    (tmp_path / "a.csv").write_text(csv_text(rows, "frame,particle,x,y,z,mass,charge"))
    assert read(tmp_path / "a.csv").masses is None
    found = read(tmp_path / "a.csv", columns={"mass": "mass"})
    assert found.masses.tolist() == [1.5, 2.5, 3.5, 4.5]
    assert found.charges.tolist() == [-2.0] * 4
    assert read(tmp_path / "a.csv", columns="charge=none").charges is None


@pytest.mark.parametrize("head", ["frame;particle;x;y;z", "frame\tparticle\tx\ty\tz"])
def test_other_delimiters_and_comments(tmp_path, head):
    x = motion(frames=4)
    text = csv_text(table(x)).partition("\n")[2].replace(",", head[5])
    (tmp_path / "a.csv").write_text(f"# a camera\r\n\r\n{head}\n# more\n{text}", newline="")
    np.testing.assert_array_equal(read(tmp_path / "a.csv").x, x)


def test_particles_may_have_names_and_numbers_a_fraction(tmp_path):
    rows = [["0", '"grain, b"', "1", "2", "3"], ["1.0", "grain a", "1", "2", "3"]]
    rows += [["1", '"grain, b"', "1", "2", "3"], ["0", " grain a ", "1", "2", "3"]]
    rows += [["0", "7.0", "4", "5", "6"], ["1", "7", "4", "5", "6"]]
    (tmp_path / "a.csv").write_text(csv_text(rows))
    assert read(tmp_path / "a.csv").names == ("7", "grain a", "grain, b")


def test_some_of_the_particles(tmp_path):
    x = motion()
    found = read(write_csv(tmp_path / "a.csv", x), particles="10, 1")
    assert found.names == ("1", "10")
    np.testing.assert_array_equal(found.x, x[:, [1, 3]])
    with refused(InputError, "`particles` names '11'", "did you mean `1`"):
        read(tmp_path / "a.csv", particles=["11"])


# times


def test_a_time_column_tells_the_frames_and_their_distance(tmp_path):
    x = motion(frames=40)
    x[17] = np.nan  # a frame in which nobody is seen
    rows = [[f"{3.0 + DT * int(row[0]):.4f}", *row[1:]] for row in table(x)]
    (tmp_path / "a.csv").write_text(csv_text(rows, "t [s],particle,x_um,y_um,z_um"))
    (found,) = read_tracks(tmp_path / "a.csv")
    assert found.frame_dt == pytest.approx(DT, rel=1e-9)
    np.testing.assert_array_equal(found.x, x)
    assert (found.length_unit, found.time_unit) == ("um", "s")


def test_times_in_milliseconds_are_even_enough(tmp_path):
    """Of 30 frames in a second: 0, 0.033, 0.067."""
    x = motion(frames=100)
    rows = [[row[0], f"{int(row[0]) / 30:.3f}", *row[1:]] for row in table(x)]
    (tmp_path / "a.csv").write_text(csv_text(rows, "frame,time,particle,x,y,z"))
    (found,) = read_tracks(tmp_path / "a.csv")
    assert found.frame_dt == pytest.approx(1 / 30, rel=1e-4)
    np.testing.assert_array_equal(found.x, x)


def test_frames_in_a_second(tmp_path):
    write_csv(tmp_path / "a.csv", motion(frames=4))
    (found,) = read_tracks(tmp_path / "a.csv", frame_rate=200)
    assert (found.frame_dt, found.time_unit) == (DT, "s")


# several runs


def test_a_column_of_runs_gives_several(tmp_path):
    first, second = motion(frames=9), motion(frames=5, n=2, seed=4)
    rows = [[*row, "b"] for row in table(first)] + [[*row, "a"] for row in table(second, first=3)]
    (tmp_path / "a.csv").write_text(csv_text(rows, "frame,particle,x,y,z,run"))
    found = read_tracks(tmp_path / "a.csv", frame_dt=DT)
    assert [each.source.run for each in found] == ["a", "b"]
    np.testing.assert_array_equal(found[0].x, second)
    np.testing.assert_array_equal(found[1].x, first)
    assert found[0].first_frame == 3


def test_a_file_for_each_run(tmp_path):
    one = write_csv(tmp_path / "a.csv", motion(frames=9))
    other = write_csv(tmp_path / "b.csv", motion(frames=5, n=2))
    found = read_tracks([other, one], frame_dt=DT)
    assert [(each.source.file, each.n) for each in found] == [("b.csv", 2), ("a.csv", 4)]


# which column


def test_two_columns_that_would_do_are_not_chosen_between(tmp_path):
    x = motion(frames=4)
    rows = [[*row, "1", "2"] for row in table(x)]
    (tmp_path / "a.csv").write_text(csv_text(rows, "frame,id,x,y,z,particle,x_um"))
    with refused(InputError, "`columns`", "is particle", "'id' and 'particle'", "particle=id"):
        read(tmp_path / "a.csv")
    with refused(InputError, "`columns`", "is x", "'x' and 'x_um'"):
        read(tmp_path / "a.csv", columns="particle=id")
    np.testing.assert_array_equal(read(tmp_path / "a.csv", columns="particle=id,x=x").x, x)


@pytest.mark.parametrize(
    ("head", "given", "words"),
    [
        ("frame,particle,x", {}, ("lacks a column for y", "'frame', 'particle', 'x'")),
        ("particle,x,y", {}, ("lacks a column for frame", 'columns="frame=NAME"')),
        ("a,b,c", {}, ("frame, particle, x, y",)),
        ("frame,particle,x,y", {"columns": "x=xx"}, ("'xx' for x", "did you mean `x`")),
        ("frame,particle,x,y", {"columns": "q=x"}, ("`columns`", "'q'")),
        ("frame,particle,x,y", {"columns": "particl=x"}, ("did you mean `particle`",)),
        ("frame,particle,x,y", {"columns": "x"}, ("'x=x_um,particle=id'",)),
        ("frame,particle,x,y", {"columns": "x=x,x=y"}, ("each role once",)),
        ("frame,particle,x,y", {"columns": "x=x,y=x"}, ("another column", "each role")),
        ("frame,particle,x_um,y_mm", {}, ("one unit of length", "mm and um")),
        ("frame,particle,x_um,y_um", {"length_unit": "mm"}, ("`length_unit` is um", "'mm'")),
        ("frame,particle,x,y", {"frame_dt": None}, ("`frame_dt` is needed", "`frame_rate`")),
    ],
)
def test_columns_that_are_missing_or_not_sure(tmp_path, head, given, words):
    cells = ",".join(["1"] * len(head.split(",")))
    (tmp_path / "a.csv").write_text(f"{head}\n{cells}\n")
    with refused(InputError, *words):
        read(tmp_path / "a.csv", **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"frame_dt": 0}, ("`frame_dt`", "> 0", "got 0")),
        ({"frame_rate": np.nan}, ("`frame_rate`", "nan")),
        ({"frame_dt": 1, "frame_rate": 1}, ("say the same",)),
        ({"frame_rate": 1, "time_unit": "ms"}, ("`time_unit` is s", "in ms")),
        ({"length_unit": ""}, ("`length_unit`",)),
        ({"length_unit": "u\x1bm"}, ("`length_unit`",)),
        ({"group": "a"}, ("`group` goes with H5MD",)),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, given, words):
    write_csv(tmp_path / "a.csv", motion(frames=4))
    with refused(InputError, *words):
        read_tracks(tmp_path / "a.csv", **given)


@pytest.mark.parametrize("name", ["frame_dt", "length_unit", "columns", "particles"])
def test_arguments_of_a_wrong_type(name):
    with refused(InputError, f"`{name}` must be", "got "):
        check_given(**{name: [] if name == "frame_dt" else 3})


def test_a_word_of_other_libraries_is_answered(tmp_path):
    with refused(InputError, "`read_tracks` has no parameter `fps`", "`frame_rate`"):
        read_tracks("a.csv", fps=30)


def test_files_that_are_named_twice_or_none(tmp_path):
    path = write_csv(tmp_path / "a.csv", motion(frames=4))
    for paths, word in (([], "list"), ([path, path], "twice")):
        with refused(InputError, "`paths`", word):
            read_tracks(paths, frame_dt=DT)


def test_a_particle_that_is_seen_once_is_left_out(tmp_path):
    rows = [*table(motion(frames=4)), ["2", "99", "0", "0", "0"]]
    (tmp_path / "a.csv").write_text(csv_text(rows))
    with pytest.warns(NBodyWarning, match=r"line 18: 1 particle seen once, left out: '99'"):
        assert read(tmp_path / "a.csv").names == NAMES
