"""The folder of a discovery: whole or not there, bounded, and of numbers and text alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from found_laws import changed, found_discovery, found_law
from nbody_surrogate import FileFormatError, InputError, RunError, make_system
from nbody_surrogate.discovery.files import FOUND, LAW, REPORT, read_folder, write_folder

NAMES = [LAW, FOUND]


def one_line(caught, *parts):
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def contents(folder):
    return {each.name: each.read_bytes() for each in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "grains", found_law(), found_discovery())


def test_a_folder_is_read_as_it_was_written(folder):
    found = read_folder(folder)
    spec = make_system("discovered", **found_law()).spec
    assert make_system("discovered", **found.law).spec == spec
    assert json.loads(found.discovery.model_dump_json()) == found_discovery()
    assert sorted(contents(folder)) == sorted(NAMES)


def test_a_report_stands_beside_it(tmp_path):
    folder = write_folder(tmp_path / "a", found_law(), found_discovery(), "<html></html>")
    assert contents(folder)[REPORT] == b"<html></html>"


def test_nothing_is_left_beside_it(folder):
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]
    write_folder(folder, found_law(1), found_discovery(1), overwrite=True)
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]


def test_a_discovery_is_replaced_only_when_told_and_as_a_whole(tmp_path):
    folder = write_folder(tmp_path / "a", found_law(), found_discovery(), "<p>old</p>")
    before = contents(folder)
    with pytest.raises(InputError) as caught:
        write_folder(folder, found_law(1), found_discovery(1))
    one_line(caught, "`output`", "holds a discovery", "--overwrite")
    assert contents(folder) == before
    write_folder(folder, found_law(1), found_discovery(1), overwrite=True)
    assert sorted(contents(folder)) == sorted(NAMES)  # the old report was of the old law
    assert read_folder(folder).law["charges"] == found_law(1)["charges"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_never_replaced(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError) as caught:
        write_folder(tmp_path, found_law(), found_discovery(), overwrite=overwrite)
    one_line(caught, "`output`", "thesis.tex")
    assert sorted(contents(tmp_path)) == ["thesis.tex"]


@pytest.mark.parametrize("held", [[REPORT], [LAW], [LAW, REPORT], [FOUND]])
def test_parts_of_a_discovery_may_be_anybodys(tmp_path, held):
    for name in held:
        (tmp_path / name).write_text("years of work")
    with pytest.raises(InputError) as caught:
        write_folder(tmp_path, found_law(), found_discovery(), overwrite=True)
    one_line(caught, "`output`", "of no discovery")
    assert sorted(contents(tmp_path)) == sorted(held)


def test_a_folder_by_the_name_of_a_file_is_left_alone(folder):
    (folder / REPORT).mkdir()
    with pytest.raises(InputError) as caught:
        write_folder(folder, found_law(1), found_discovery(1), overwrite=True)
    one_line(caught, "`output`", REPORT)


def test_a_place_has_a_name():
    with pytest.raises(InputError) as caught:
        write_folder(".", found_law(), found_discovery(), overwrite=True)
    one_line(caught, "`output`", "with a name", "'.'")


def test_numbers_of_a_law_that_are_text_are_refused(folder):
    law = json.loads((folder / LAW).read_text())
    law["pair"]["scale"] = "1.0"
    (folder / LAW).write_text(json.dumps(law))
    with pytest.raises(FileFormatError) as caught:
        read_folder(folder)
    one_line(caught, LAW, "'pair.scale' must be of numbers")


@pytest.mark.parametrize("name", [LAW, FOUND])
def test_a_key_that_is_there_twice_is_refused(folder, name):
    text = (folder / name).read_text()
    key = next(iter(json.loads(text)))
    (folder / name).write_text(text.replace("{", f'{{"{key}": 1.0,', 1))
    with pytest.raises(FileFormatError) as caught:
        read_folder(folder)
    one_line(caught, name, f"it has '{key}' twice")


@pytest.mark.parametrize("key", ["charges", "drag", "frame_dt", "pair"])
def test_a_law_that_lacks_a_number_is_not_run_by_that_of_an_example(folder, key):
    law = json.loads((folder / LAW).read_text())
    del law[key]
    (folder / LAW).write_text(json.dumps(law))
    with pytest.raises(FileFormatError) as caught:
        read_folder(folder)
    one_line(caught, LAW, f"lacks {key}")


def test_an_empty_folder_becomes_one(tmp_path):
    (tmp_path / "a").mkdir()
    assert read_folder(write_folder(tmp_path / "a", found_law(), found_discovery()))


def test_nothing_is_written_through_a_link_or_a_file(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(target)
    file.write_text("")
    for each in (link, file):
        with pytest.raises(InputError) as caught:
            write_folder(each, found_law(), found_discovery(), overwrite=True)
        one_line(caught, "`output`", "no folder")
    assert contents(target) == {}


def test_what_fails_leaves_what_was_there(folder, monkeypatch):
    before = contents(folder)

    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    from nbody_surrogate.discovery import files

    monkeypatch.setattr(files, "write_new", fail)
    with pytest.raises(RunError) as caught:
        write_folder(folder, found_law(1), found_discovery(1), overwrite=True)
    one_line(caught, "`output`", "No space left")
    assert contents(folder) == before
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]


def test_what_was_there_has_its_name_again_where_the_new_one_cannot_take_it(folder, monkeypatch):
    before, rename = contents(folder), type(folder).rename

    def fail_for_new(path, target):
        if (path / LAW).read_bytes() != before[LAW]:
            raise OSError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", fail_for_new)
    with pytest.raises(RunError):
        write_folder(folder, found_law(1), found_discovery(1), overwrite=True)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("version", 2, "version"),
        ("seed", -1, "seed"),
        ("tracks.frame_dt", 0.0, "frame_dt"),
        ("tracks.dimensions", 4, "dimensions"),
        ("tracks.missing", 1.5, "missing"),
        ("curve.r", [1.0], "equally long"),
        ("curve.edges", [1.0], "one more"),
        ("particles.3.charge.value", "much", "charge"),
        ("particles.3.charge.value", float("nan"), "charge"),
        ("residuals.per_particle", [1.0], "as many particles"),
        ("symmetries.0.p", 2.0, "symmetries.0.p"),
        ("formula", "nonsense", "`formula`"),
        ("forecast.code", "import os", "forecast.code"),
        ("extra", 1, "extra"),
    ],
)
def test_a_wrong_discovery_is_one_line_that_names_the_key(tmp_path, path, value, part):
    wrong = changed(found_discovery(), path, value)
    with pytest.raises(InputError) as caught:
        write_folder(tmp_path / "a", found_law(), wrong)
    one_line(caught, part)
    assert not (tmp_path / "a").exists()
    folder = write_folder(tmp_path / "b", found_law(), found_discovery())
    (folder / FOUND).write_text(json.dumps(wrong))
    with pytest.raises(FileFormatError) as caught:
        read_folder(folder)
    one_line(caught, FOUND, part)


def test_a_wrong_law_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError) as caught:
        write_folder(tmp_path / "a", found_law() | {"drag": -1.0}, found_discovery())
    one_line(caught, "`drag`", "discovered")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "{", "[1]", "nan", '{"code": 1}', "[" * 100_000])
def test_a_damaged_file_is_one_line_that_names_it(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(FileFormatError) as caught:
        read_folder(folder)
    one_line(caught, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_one_line_that_names_it(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError) as caught:
        read_folder(folder)
    one_line(caught, str(folder), name)


def test_no_folder_is_one_line(tmp_path):
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path / "nowhere")
    one_line(caught, "nowhere")


def test_arrays_of_numpy_are_written_as_numbers(tmp_path):
    law = found_law()
    arrays = law | {key: np.array(law[key]).tolist() for key in ("charges", "masses")}
    assert read_folder(write_folder(tmp_path / "a", arrays, found_discovery())).law["drag"] == 0.21
