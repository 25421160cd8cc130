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


LONG = ["-n", 6, "--duration", 20, "--reference", "leapfrog", "--seed", 1]


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
    start = make_system("charged").sample(1, 6)
    whole = simulate(make_system("charged"), *start, 200, "dop853")
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


RUN = ["run", "-n", 2, "--integrator", "leapfrog", "--duration", 6, "-q"]  # two segments


def interrupted_in(stage, monkeypatch, *arguments):
    """Interrupt a command at the first boundary of one of its two runs."""

    def interrupt(*given):
        if read_restart(RESTART).document.note["stage"] == stage:
            raise KeyboardInterrupt
        return sync(*given)

    sync = H5MDWriter.sync
    with monkeypatch.context() as patched:
        patched.setattr(H5MDWriter, "sync", interrupt)
        result = nbody_sim(*RUN, *arguments, "--checkpoint", RESTART)
    assert result.exit_code == INTERRUPTED
    return result.stderr


def test_another_run_in_the_place_of_the_methods_is_not_compared_with_the_reference(
    folder, monkeypatch
):
    """Though it is of the same start, and as long."""
    interrupted_in("reference", monkeypatch, "-o", "run.h5")
    Path("run.h5").rename("mine.h5")
    assert "does not exist" in bad(MISUSE, "resume", RESTART)
    assert nbody_sim(*RUN, "--no-reference", "-o", "run.h5").exit_code == 0
    assert "another run" in bad(FAILURE, "resume", RESTART)
    Path("mine.h5").replace("run.h5")
    assert nbody_sim("resume", RESTART).exit_code == 0
    assert read_h5md("run.reference.h5").info.success


@pytest.mark.parametrize("stage", ["method", "reference"])
def test_an_output_elsewhere_is_named_by_the_user(folder, monkeypatch, stage):
    for name in ("kept", "runs"):
        Path(name).mkdir()
    pages = ["--report", "runs/page.html"] if stage == "method" else []
    hint = interrupted_in(stage, monkeypatch, "-o", "runs/run.h5", *pages)
    assert hint.endswith(f"go on with nbody-sim resume {RESTART}\n")  # runs is below
    Path(RESTART).rename(Path("kept", RESTART))
    os.chdir("kept")
    line = bad(MISUSE, "resume", RESTART)
    assert "`output` must be given" in line
    assert f"--output '{folder}/runs/run.h5'" in line
    named = ["--output", "../runs/run.h5"]
    if pages:
        assert "`report` must be given" in bad(MISUSE, "resume", RESTART, *named)
        named += ["--report", "../runs/page.html"]
    assert nbody_sim("resume", RESTART, *named).exit_code == 0
    files = {"run.h5", "run.reference.h5", *(["page.html"] if pages else [])}
    assert {path.name for path in Path("../runs").iterdir()} == files
    assert {path.name for path in Path().iterdir()} == {RESTART}


def test_the_hint_names_what_resume_has_to_be_told(folder, monkeypatch):
    Path("place").mkdir()
    monkeypatch.setitem(globals(), "RESTART", "place/run.restart")
    hint = interrupted_in("method", monkeypatch, "-o", "run.h5")
    assert "nbody-sim resume place/run.restart --output run.h5" in hint
    assert nbody_sim(*hint.split("nbody-sim ")[1].split()).exit_code == 0


@pytest.mark.parametrize("key", ["picture", "report", "reference"])
def test_a_restart_file_from_elsewhere_writes_nothing_outside_its_folder(folder, monkeypatch, key):
    """Wherever it says so: among its files, or in what was asked for."""
    interrupted_in("method", monkeypatch, "-o", "run.h5")
    restart = read_restart(RESTART)
    suffix = {"picture": ".png", "report": ".html", "reference": ".h5"}[key]
    outside = str(folder.parent / f"outside{suffix}")
    note = restart.document.note
    for changed in (
        note | {"files": note["files"] | {key: outside}},
        note | {"request": note["request"] | {"render": outside, "report": outside}},
    ):
        document = restart.document.model_copy(update={"note": changed})
        restart._replace(document=document).write(Path(RESTART))
        result = nbody_sim("resume", RESTART, "--quiet")
        assert not Path(outside).exists()
        if "files" in changed and changed["files"] != note["files"]:
            assert result.exit_code == MISUSE
            assert "outside" in result.stderr


def test_misuse_of_resume(folder):
    assert "no such file" in bad(MISUSE, "resume", "nothing")
    Path("text").write_text("no restart file")
    assert "restart file" in bad(FAILURE, "resume", "text")
    interrupted("leapfrog")
    assert "not of nbody-sim run" in bad(FAILURE, "resume", RESTART)
    arguments = ["run", "-n", 2, "--duration", 1, "--checkpoint"]
    assert "`verify`" in bad(MISUSE, *arguments, "a", "--verify")
    assert "`checkpoint`" in bad(MISUSE, *arguments, "missing/a")
