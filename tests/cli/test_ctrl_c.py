"""Ctrl-C in any command, at any moment: exit code 130 and one line, and no half file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import absurd_values
from absurd_values import CALLS
from commands import INTERRUPTED, PROGRAM, alive, command, seconds, wait_until
from nbody_surrogate import read_h5md

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="signals, and processes in /proc"
)


def watches(process):
    """Whether a program has come to its first line: there is a thread then that hears Ctrl-C."""
    try:
        return len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1
    except FileNotFoundError:
        return True  # it is over, which `wait_until` says


def pressed(process):
    """Press Ctrl-C in the terminal of a process and all that it has started; what it writes."""
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate()
    wait_until(lambda: not alive(process.pid))
    return stdout, stderr


def test_in_the_first_line_of_the_program(folder):
    """Before any command is loaded."""
    with command("run", start_new_session=True) as process:
        wait_until(lambda: watches(process), process)
        assert pressed(process) == ("", "Error: interrupted\n")
    assert process.returncode == INTERRUPTED
    assert not list(folder.iterdir())


def test_a_program_in_the_background_of_a_script_is_not_meant(folder):
    with subprocess.Popen(
        [*PROGRAM, "--version"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate()[0].startswith("nbody-sim, version")
    assert process.returncode == 0


STUBBORN = """
import os, signal
from nbody_surrogate import interruption
interruption.PATIENCE = 0.1
interruption.watch()
with interruption.hint("it was loaded"):
    while True:
        try:
            print("ready", flush=True)
            while True:
                pass
        except BaseException:
            os.kill(os.getpid(), signal.SIGINT)  # more of it changes nothing
"""


def test_what_does_not_heed_it_is_ended():
    """As where compiled code, or a destructor, lets no exception through."""
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == "Error: interrupted; it was loaded\n"
    assert process.returncode == INTERRUPTED


# All commands


def check_whole(path):
    """Whether a file that has its final name is all there."""
    content = path.read_bytes()
    match path.suffix:
        case ".h5" if path.name.startswith("shard-") or path.name == "empty.h5":
            pass
        case ".h5":
            assert "unfinished" not in " ".join(read_h5md(path).info.message)
        case ".json":
            json.loads(content)
        case ".png":
            assert content[-8:-4] == b"IEND"
        case ".gif":
            assert content.endswith(b";")
        case ".npz":
            with np.load(path) as arrays:
                assert all(arrays[name].size for name in arrays)
        case ".html":
            assert content.rstrip().endswith(b"</html>")


LONGER = {
    # so that there is something to interrupt
    "run": ("run", "-n", "900", "--duration", "2", "-o", "new.h5", "--report", "new.html"),
    "run from the start": ("run", "-n", "300000", "--no-reference", "-o", "new.h5"),
    "report": ("report", "large.h5", "-o", "new.html"),
    "compare files": ("compare", "large.reference.h5", "large.h5", "-o", "new"),
    "compare methods": (
        *("compare", "--integrators", "leapfrog:400000", "-n", "5", "--seeds", "2", "-o", "new"),
    ),
    "dataset generate": (
        *("dataset", "generate", "--preset", "trap", "--trajectories", "2000", "--shard", "20"),
        *("--workers", "2", "-o", "new"),
    ),
    "study": ("study", "study.toml", "-o", "new", "--workers", "2"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("files")
    subprocess.run([sys.executable, absurd_values.__file__, "prepare", place], check=True)
    large = ("-n", 900, "--duration", 1, "--integrator", "leapfrog", "-o", "large.h5", "-q")
    with command("run", *large, cwd=place / "files") as process:
        process.communicate()
    assert process.returncode == 0
    return place


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", CALLS | LONGER)
def test_at_any_moment_of_any_command(files, name):
    """Ten times each, from its first line to its last; after thirty seconds at the latest."""
    place = files / "try"
    call = (CALLS | LONGER)[name]
    rng = np.random.default_rng(len(name))
    length = None
    for _ in range(11):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(files / "files", place)
        before = {path for path in place.rglob("*") if path.is_file()}
        with command(*call, cwd=place, start_new_session=True) as process:
            wait_until(lambda process=process: watches(process), process)
            began = time.monotonic()
            moment = 30.0 if length is None else length * rng.uniform()
            try:
                _, stderr = process.communicate(timeout=moment)
                length = time.monotonic() - began
                assert process.returncode == 0, stderr
                continue
            except subprocess.TimeoutExpired:
                pass
            length = length or 30.0
            began = time.monotonic()
            _, stderr = pressed(process)
            took = time.monotonic() - began
        assert process.returncode in (0, INTERRUPTED), stderr
        assert "Traceback" not in stderr
        if process.returncode:
            errors = [line for line in stderr.splitlines() if not line.startswith("Warning: ")]
            assert [line for line in errors if "rror" in line] == errors[-1:], stderr
            assert errors[-1].startswith("Error: interrupted")
        assert took < seconds(2), stderr
        for path in place.rglob("*"):
            if path.is_file() and path not in before:
                check_whole(path)
