"""Running the command line in a test: what a good and a bad call must look like."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from click.testing import CliRunner

from nbody_surrogate.cli import main

MISUSE, FAILURE, INTERRUPTED = 2, 1, 130


def seconds(number):
    """So many seconds of a machine that has nothing else to do: for slow tests only."""
    return number * max(1.0, os.getloadavg()[0] / os.cpu_count())


PROGRAM = [sys.executable, "-c", "from nbody_surrogate.cli.start import start; start()"]
"""What the program `nbody-sim` does, of the sources under test."""


def command(*arguments, **options):
    """Start a command in a process of its own, which hears Ctrl-C."""
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
        **options,
    )


def wait_until(happened, process=None):
    """Wait for an event, however long it takes: what hangs is ended by the limit of all tests.

    A process that ends before is an error, and what it said is shown.
    """
    while not happened():
        if process is not None and process.poll() is not None and not happened():
            said = process.communicate()
            raise AssertionError(f"it ended, exit code {process.returncode}", *said)
        time.sleep(0.01)


def alive(session):
    """Whether a process of a session is alive."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, sid = stat.read_text().rpartition(") ")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(sid) == session and state not in "ZX":
            return True
    return False


def heed_ctrl_c():
    """Before a program: what runs in the background of a script may be told not to."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def nbody_sim(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def good(*arguments):
    """Run a command that must succeed without a word on stderr; return what it prints."""
    result = nbody_sim(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def bad(code, *arguments):
    """Run a command that must fail with one line on stderr and leave no file; return the line."""
    before = contents()
    result = nbody_sim(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert not line.startswith("Error: unexpected")
    assert "Traceback" not in line
    assert contents() == before
    return line


def contents():
    """All files below the working directory, and what is in them.

    It is one of the test's own: in that of the sources, other tests write what they compile.
    """
    assert not Path("pyproject.toml").exists(), "the test is to work in a folder of its own"
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
