"""Text from outside is shown on the terminal as it is, and commands nothing there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nbody_surrogate.cli
from commands import MISUSE, good, nbody_sim
from misbehaving import INTEGRATORS
from nbody_surrogate.cli.console import PlainConsole
from nbody_surrogate.printable import printable

NAME = "[red]x[/nope]"
CLEAR = "\x1b[2J\x1b]0;title\x07"
SHOWN = r"\x1b[2J\x1b]0;title\x07"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", [NAME, "[bold]smile", f"a{CLEAR}"])
def test_names_of_plugins(install, name):
    install("acme", {name: "Still"}, INTEGRATORS)
    for arguments in (["list"], ["show", name]):
        told = good("plugins", *arguments)
        assert name.replace(CLEAR, SHOWN) in told
        assert "\x1b" not in told


def test_names_of_methods_in_a_table(install):
    source = INTEGRATORS + f"\nStill.name = {NAME!r}\n"
    install("acme", {NAME: "Still"}, source)
    told = good("run", "-n", 2, "--duration", 0.2, "--integrator", NAME, "-o", "[i]a.h5")
    assert NAME in told
    assert "[i]a.h5" in told


@pytest.mark.parametrize("text", [CLEAR, "[red]", "‮gpj.exe", "a\rb", "\x9b31m", "\udcff"])
def test_messages_that_repeat_what_was_given(text):
    result = nbody_sim("run", "--integrator", f"x{text}")
    assert result.exit_code == MISUSE
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert line.isprintable()


def test_nothing_else_is_changed():
    text = "Ångström ±5 μ é 三体\n\tA [b] :c: \\x1b"
    assert printable(text) == text
    assert printable("\x00\x1b\x7f\x85\u2028") == r"\x00\x1b\x7f\x85\u2028"


def test_a_console_shows_markup(capsys):
    console = PlainConsole()
    console.print(f"{NAME} :smile: {CLEAR}")
    assert capsys.readouterr().out == f"{NAME} :smile: {SHOWN}\n"


def test_the_command_line_has_no_other_door():
    """Neither rich's own console nor click's echo is used anywhere else."""
    folder = Path(nbody_surrogate.cli.__file__).parent
    for path in folder.rglob("*.py"):
        if path.name in ("terminal.py", "console.py", "interruption.py"):  # which ends a line
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{each.name}" for each in node.names]
            else:
                names = [ast.unparse(node)] if isinstance(node, ast.Attribute) else []
            for name in names:
                assert name not in ("rich.console.Console", "rich.print", "click.echo"), path
                assert name not in ("click.secho", "rich.get_console"), path
        assert "print(" not in path.read_text().replace("_print(", "").replace(".print(", ""), path
