"""The command `resume`, and commands that are ended from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from commands import FAILURE, INTERRUPTED, MISUSE, bad, command, nbody_sim, wait_until
from interrupted_runs import RESTART, assert_same_file, interrupted
from nbody_surrogate import (
    make_system,
    read_h5md,
    simulate,
)
from nbody_surrogate.formats.h5md import H5MDWriter
from nbody_surrogate.simulation.checkpoint import read_restart

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed"),
]


def ended(process, number, frame):
    """End a command by a signal once its restart file has reached a frame; return its stderr."""
    file = Path(RESTART)
    wait_until(lambda: file.exists() and read_restart(file).document.frame >= frame, process)
    process.send_signal(number)
    return process.communicate()[1]


LONG = ["-n", 10, "--duration", 40, "--reference", "leapfrog", "--seed", 1]


def test_signals_end_a_command_and_resume_ends_the_job(folder):
    """One run, ended by SIGTERM and by Ctrl-C; SIGKILL is above."""
    first = command("run", *LONG, "-o", "run.h5", "--checkpoint", RESTART)
    assert ended(first, signal.SIGTERM, 50) == ""
    assert first.returncode == -signal.SIGTERM
    second = command("resume", RESTART)
    stderr = ended(second, signal.SIGINT, 100)
    assert second.returncode == INTERRUPTED
    assert stderr == f"Error: interrupted; go on with nbody-sim resume {RESTART}\n"
    done = nbody_sim("resume", RESTART)
    assert done.exit_code == 0, done.output
    assert "position RMSE" in done.stdout
    start = make_system("charged").sample(1, 10)
    whole = simulate(make_system("charged"), *start, 400, "dop853")
    np.testing.assert_array_equal(read_h5md("run.h5").x, whole.x)
    assert read_h5md("run.reference.h5").info.success
    assert [read_h5md(f"run{kind}.h5").info.seed for kind in ("", ".reference")] == [1, 1]


SLOW = {
    "dop853": ["--integrator", "dop853", "--duration", 40],
    "dop853-compiled": ["--integrator", "dop853-compiled", "--duration", 1000],
    "leapfrog": ["--integrator", "leapfrog", "--substeps", 200, "--duration", 1000],
    "set": ["--integrator", "set", "--duration", 60],
    "guarded set": [
        *["--integrator", "set", "--duration", 60, "--guard", "fallback"],
        *["--threshold", "energy=1e-3", "--threshold", "longest=Infinity"],
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("name", SLOW)
def test_commands_killed_at_random_times_go_on_to_the_same_bits(folder, name, batch):
    """Six kills of each: whatever the process was about, from its first import on."""
    arguments = ["run", *SLOW[name], "-n", 10, "--trajectories", batch, "--no-reference", "-q"]
    rng = np.random.default_rng([batch, len(name)])
    began = time.monotonic()
    assert command(*arguments, "-o", "whole.h5").wait() == 0
    length, kills = time.monotonic() - began, 0
    while kills < 6:
        for file in folder.glob("run.*"):
            file.unlink()
        process = command(*arguments, "-o", "run.h5", "--checkpoint", RESTART)
        while True:
            number = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            try:
                process.communicate(timeout=rng.uniform(0, 3 + length))
                break
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                process.communicate()
            ended = process.returncode
            assert ended in (0, -number, INTERRUPTED), ended  # 0 where it had just finished
            kills += ended != 0
            if Path(RESTART).exists():
                process = command("resume", RESTART, "-q")
            else:  # it died before it had begun
                assert not list(folder.glob("run.h5*"))
                process = command(*arguments, "-o", "run.h5", "--checkpoint", RESTART)
        assert process.returncode == 0
        assert_same_file("run.h5", "whole.h5")


def test_resuming_in_the_reference_goes_on_there(folder, monkeypatch):
    """And the table is that of an uninterrupted run, but for its times."""
    arguments = ["run", "-n", 3, "--integrator", "leapfrog", "--duration", 20, "--json"]
    whole = json.loads(nbody_sim(*arguments, "-o", "whole.h5").stdout)

    def interrupt(*arguments):
        if read_restart(RESTART).document.note["stage"] == "reference":
            raise KeyboardInterrupt
        return sync(*arguments)

    sync = H5MDWriter.sync
    monkeypatch.setattr(H5MDWriter, "sync", interrupt)
    result = nbody_sim(*arguments, "-o", "run.h5", "--checkpoint", RESTART)
    assert result.exit_code == INTERRUPTED
    monkeypatch.undo()
    os.chdir(folder)
    assert Path("run.h5").exists()
    table = json.loads(nbody_sim("resume", RESTART).stdout)  # as JSON, as it was asked for
    for key in ("system", "particles", "seed", "frames", "methods", "status"):
        assert table[key] == whole[key]
    assert table["comparison"]["position_rmse"] == whole["comparison"]["position_rmse"]
    assert_same_file("run.h5", "whole.h5")
    assert_same_file("run.reference.h5", "whole.reference.h5")


def test_misuse_of_resume(folder):
    assert "no such file" in bad(FAILURE, "resume", "nothing")
    Path("text").write_text("no restart file")
    assert "restart file" in bad(FAILURE, "resume", "text")
    interrupted("leapfrog")
    assert "not of nbody-sim run" in bad(FAILURE, "resume", RESTART)
    arguments = ["run", "-n", 2, "--duration", 1, "--checkpoint"]
    assert "`verify`" in bad(MISUSE, *arguments, "a", "--verify")
    assert "`checkpoint`" in bad(MISUSE, *arguments, "missing/a")
