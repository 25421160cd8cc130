"""Commands that run at the same moment, or are killed at any, in processes that start at once.

A server has imported the package and forks a process for each command: 160 of them cost seconds
in place of minutes, and begin within a millisecond of one another.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

MODULES = (
    "simulation.simulate", "formats.export", "viz.html.report", "viz.render", "training.trainer",
    "study.run_study", "cli.run", "cli.export", "comparison.comparison", "viz.figures.comparison",
)  # fmt: skip

WARM_UP = ("run", "-n", "3", "--integrator", "leapfrog", "--duration", "0.1", "-q")
"""Of what is asked of most of them: its kernels, and those of its reference."""

LOCKS_AND_PARTS = (".lock", ".part")


def serve():
    """Fork processes for the commands of each line on stdin; answer with a line."""
    import importlib

    for name in MODULES:
        importlib.import_module(f"nbody_surrogate.{name}")
    importlib.import_module("matplotlib.figure")
    with TemporaryDirectory() as folder:
        # compiled once, here, and not in each of them
        call([*WARM_UP, "-o", f"{folder}/a.h5"])
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        os.chdir(request["folder"])
        # of the processes of before, whose end would be taken for one of these
        while signal.sigtimedwait({signal.SIGCHLD}, 0):
            pass
        gate, opened = os.pipe()
        children = [start(command, gate, opened) for command in request["commands"]]
        os.close(gate)
        os.close(opened)
        if request["kill_after"] is not None:
            signal.sigtimedwait({signal.SIGCHLD}, request["kill_after"])
            for pid, *_ in children:
                os.kill(pid, signal.SIGKILL)
        print(json.dumps([ended(*child) for child in children]), flush=True)


def start(command, gate, opened):
    """Fork a process that waits for the gate to open; return it with what it will print."""
    out, err = os.memfd_create("out"), os.memfd_create("err")
    if pid := os.fork():
        return pid, out, err
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.close(opened)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.read(gate, 1)  # its end, when the parent has started all
    code = 99
    try:
        code = call(command)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def call(command):
    """Run a command in this process; return its exit code."""
    from nbody_surrogate.cli import main

    try:
        main(command)
    except SystemExit as end:
        return end.code or 0
    return 99


def ended(pid, out, err):
    _, status = os.waitpid(pid, 0)
    texts = [os.pread(each, 2**20, 0).decode() for each in (out, err)]
    os.close(out)
    os.close(err)
    return os.waitstatus_to_exitcode(status), *texts


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its code, negative for a signal, and what it printed."""

    code: int
    stdout: str
    stderr: str

    def assert_one_line(self):
        """Whatever went wrong, it said so in one line."""
        lines = self.stderr.splitlines()
        assert len(lines) == bool(self.code), self.stderr
        assert all(line.startswith("Error: ") for line in lines)
        assert "unexpected" not in self.stderr


class Racers:
    """Runs commands, of the arguments of `nbody-sim`, each in a process of its own."""

    def __init__(self, server):
        self._server = server

    def race(self, folder, commands, kill_after=None):
        """Run commands at once in a folder; with `kill_after` seconds, kill what still runs."""
        request = {
            "folder": str(folder),
            "commands": [[str(part) for part in command] for command in commands],
            "kill_after": kill_after,
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, "the server has died"
        return [Outcome(*each) for each in json.loads(answer)]

    def run(self, folder, *command):
        """Run one command, which must succeed."""
        (outcome,) = self.race(folder, [command])
        assert outcome.code == 0, outcome.stderr
        return outcome


@contextmanager
def racers():
    """Start the server, and end it."""
    # so that a signal's mask is the server's own: SIGCHLD is waited for, not handled
    begin = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})"
    with subprocess.Popen(
        [sys.executable, "-c", f"{begin}; import racing; racing.serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    ) as server:
        assert server.stdout.readline() == "ready\n"
        try:
            yield Racers(server)
        finally:
            server.stdin.close()


def left_over(folder):
    """Names of locks and parts, which no command that has ended leaves."""
    return sorted(
        path.name
        for path in Path(folder).rglob("*")
        if any(end in path.name for end in LOCKS_AND_PARTS)
    )
