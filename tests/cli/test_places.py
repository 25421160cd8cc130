"""Places of a command's files: what would destroy or lock out another is refused at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from commands import MISUSE, bad, good, nbody_sim
from nbody_set.model import SET
from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.errors import InputError
from nbody_surrogate.files import atomic
from nbody_surrogate.simulation.file_writer import Output

SHORT = ["-n", "3", "--integrator", "leapfrog", "--duration", "0.5", "-q"]
ALONE = [*SHORT, "--no-reference"]


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["--report", "d.html", "--checkpoint", "d.html"], ["checkpoint", "report"]),
        (["--report", "c.html", "--render", "./c.html"], ["render", "report"]),
        (["--report", "c.html", "--render", "link/c.html"], ["render", "report"]),
        (["--checkpoint", "a.h5"], ["output", "checkpoint"]),
        (["--checkpoint", "a.reference.h5"], ["output", "checkpoint"]),
    ],
)
def test_two_files_of_one_place_are_refused(places, names, overwrite):
    Path("link").symlink_to(".")
    line = bad(MISUSE, "run", *SHORT, "-o", "a.h5", *places, *overwrite)
    assert f"`{names[0]}` and `{names[1]}` must be two files" in line


def test_a_default_name_is_compared_with_nothing():
    line = bad(MISUSE, "run", *SHORT, "--report", "c.html", "--render", "c.html")
    assert "`render` and `report`" in line
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", [".a.h5.lock", "b.h5", "b.h5.part"])
def test_a_restart_file_has_no_name_of_an_output_or_a_lock(name):
    assert "`checkpoint` must not" in bad(MISUSE, "run", *ALONE, "-o", "a.h5", "--checkpoint", name)


@pytest.mark.parametrize("name", ["a.h5", "a.reference.h5"])
def test_in_python_too(name):
    system = make_system("charged")
    state, particles = system.sample(0, 3)
    output = Output("a.h5", checkpoint=name)
    with pytest.raises(InputError, match=r"`checkpoint` must not end in '\.h5'"):
        simulate(system, state, particles, 5, make_integrator("leapfrog"), output=output)
    assert list(Path().iterdir()) == []


def test_going_on_compares_the_files_too():
    good("run", *ALONE, "-o", "a.h5", "--checkpoint", "d.html")
    said = bad(MISUSE, "resume", "d.html", "--report", "d.html", "--overwrite")
    assert "`report` must be another file than `file`, which is read" in said


@pytest.mark.parametrize("name", ["README.md", "evaluation.json"])
def test_an_evaluation_is_no_file_of_its_card(name):
    shutil.copytree(SET.shipped_weights["set"], "mine")
    said = bad(MISUSE, "evaluate", "mine", "--card", "-o", f"mine/../mine/{name}", "--overwrite")
    assert "`output` and `card` must be two files" in said


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["run", "--initial", "a.h5", *ALONE[2:], "-o", "a.h5"], ["initial", "output"]),
        (["run", "--initial", "a.h5", *ALONE[2:], "-o", "hard.h5"], ["initial", "output"]),
        (["run", "--initial", "b.h5.part", *ALONE[2:], "-o", "b.h5"], ["initial", "output"]),
        (
            ["run", "--initial", "s.npz", *ALONE[2:], "-o", "b.h5", "--checkpoint", "./s.npz"],
            ["initial", "checkpoint"],
        ),
        (["export", "a.h5", "a.h5"], ["run", "output"]),
        (["export", "s.npz", "s.npz"], ["run", "output"]),
        (["render", "a.h5", "-o", "a.h5"], ["run", "output"]),
        (["render", "s.npz", "--against", "a.h5", "-o", "a.h5"], ["against", "output"]),
        (["report", "a.h5", "-o", "a.h5"], ["run", "output"]),
        (["resume", "d.html", "--output", "d.html"], ["file", "output"]),
    ],
    ids=lambda value: " ".join(value[:1]),
)
def test_what_is_read_is_not_written_over(read_files, command, names):
    """Refused before anything is written, though it may be replaced."""
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    line = bad(MISUSE, *command, "--overwrite")
    assert f"`{names[1]}` must be another file than `{names[0]}`" in line
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


@pytest.fixture
def read_files():
    system = make_system("charged")
    run = simulate(system, *system.sample(0, 3), 3, "leapfrog")
    run.save("a.h5")
    run[0].save("s.npz")
    Path("hard.h5").hardlink_to("a.h5")
    Path("b.h5.part").write_bytes(Path("a.h5").read_bytes())
    good("run", *ALONE, "-o", "c.h5md", "--checkpoint", "d.html")
    Path("c.h5md").unlink()


def test_the_longest_names_do_not_lock_themselves_out():
    name = "n" * 230
    good("run", *SHORT, "-o", f"{name}.h5")
    assert sorted(map(str, Path().iterdir())) == [f"{name}.h5", f"{name}.reference.h5"]


def test_a_user_s_file_of_a_lock_s_name_is_kept():
    Path(".c.h5.lock").write_text("important")
    assert "'.c.h5.lock' has content" in bad(MISUSE, "run", *ALONE, "-o", "c.h5")


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        (["run", *ALONE, "-o", "b.h5", "--report", "p.html"], "report"),
        (["run", *ALONE, "-o", "b.h5", "--render", "p.html"], "render"),
        (["run", *ALONE, "-o", "b.h5", "--render", "p.vtkhdf"], "render"),
        (["render", "a.h5", "-o", "p.html"], "output"),
        (["report", "a.h5", "-o", "p.html"], "output"),
        (["render", "a.h5", "-o", "p.vtkhdf"], "output"),
    ],
)
def test_what_cannot_be_written_is_called_what_the_user_calls_it(monkeypatch, arguments, parameter):
    good("run", *ALONE, "-o", "a.h5")
    rename = atomic._rename

    def full(part, path, overwrite):
        if path.stem == "p":
            raise OSError("no space")
        rename(part, path, overwrite)

    monkeypatch.setattr(atomic, "_rename", full)
    result = nbody_sim(*arguments)
    assert result.exit_code == 1
    assert f"Error: `{parameter}` 'p." in result.stderr
    assert "cannot be written: no space" in result.stderr
