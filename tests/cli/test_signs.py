"""Signs of what goes on: on a terminal alone, and gone when there is something to read."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from commands import PROGRAM, nbody_sim
from nbody_surrogate.cli import progress
from nbody_surrogate.cli.group import _OneLineWarnings
from nbody_surrogate.errors import NBodyWarning

SHORT = ["-n", "2", "--duration", "0.1", "--integrator", "leapfrog", "--no-reference"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def a_terminal(monkeypatch):
    """Stand in for stderr: in the test itself, since pytest puts its own there before."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    return shown


def seen(text):
    """What is left on a terminal's line after all that was written to it."""
    return text.rpartition(progress.CLEARED)[2]


def test_a_sign_is_shown_and_goes_again(monkeypatch):
    terminal = a_terminal(monkeypatch)
    with progress.sign("loading set"):
        assert seen(terminal.getvalue()) == "loading set ..."
        with progress.sign("comparing"):
            assert seen(terminal.getvalue()) == "comparing ..."
        assert seen(terminal.getvalue()) == ""
    assert seen(terminal.getvalue()) == ""


def test_a_sign_goes_with_an_error(monkeypatch):
    terminal = a_terminal(monkeypatch)
    with pytest.raises(KeyError), progress.sign("loading"):
        raise KeyError
    assert seen(terminal.getvalue()) == ""


def test_a_warning_has_its_line_for_itself(monkeypatch):
    terminal = a_terminal(monkeypatch)
    with progress.sign("loading"):
        _OneLineWarnings()(NBodyWarning("doubtful"), NBodyWarning, "", 0)
        assert seen(terminal.getvalue()) == "Warning: doubtful\n"


def test_a_sign_is_as_short_as_the_line_and_commands_nothing(monkeypatch):
    terminal = a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "20")
    with progress.sign("loading \x1b[2J" + 50 * "x"):
        shown = seen(terminal.getvalue())
        assert len(shown) == 19
        assert "\x1b" not in shown


@pytest.mark.parametrize("why", ["a pipe", "no stream", "a dumb terminal", "not wanted"])
def test_there_is_no_sign_where_nobody_looks(monkeypatch, why):
    terminal = a_terminal(monkeypatch)
    stream = io.StringIO() if why == "a pipe" else terminal
    monkeypatch.setattr(sys, "stderr", None if why == "no stream" else stream)
    if why == "a dumb terminal":
        monkeypatch.setenv("TERM", "dumb")
    with progress.sign("loading", hidden=why == "not wanted"):
        pass
    assert stream.getvalue() == ""


@pytest.mark.parametrize("option", ["--json", "--quiet"])
def test_json_and_quiet_show_none(monkeypatch, option):
    monkeypatch.setenv("TERM", "xterm")
    wrapper = "click.testing._NamedTextIOWrapper.isatty"  # of what stands for stderr in there
    monkeypatch.setattr(wrapper, lambda self: True, raising=False)
    result = nbody_sim("run", *SHORT, option)
    assert result.exit_code == 0
    assert result.stderr == ""


@posix
def test_a_terminal_shows_what_loads_and_then_the_table(folder):
    import pty

    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [*PROGRAM, "run", *SHORT], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = read_all(ours)
        printed = process.stdout.read().decode()
    assert process.returncode == 0
    assert shown.startswith("loading leapfrog ...\r\x1b[K")
    # a bar after it, and neither is left when the table comes, which is on standard output
    assert "leapfrog" in shown.partition(progress.CLEARED)[2]
    assert shown.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))
    assert printed.startswith("charged, 2 particles")
    assert "loading" not in printed


def read_all(terminal):
    """Read until whoever holds the other end has closed it."""
    read = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux's way to say so
            piece = b""
        if not piece:
            os.close(terminal)
            return read.decode()
        read += piece
