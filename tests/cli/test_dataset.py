"""`nbody-sim dataset`: what it prints and writes, and that every bad input is one line."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from commands import (
    FAILURE,
    INTERRUPTED,
    MISUSE,
    bad,
    command,
    contents,
    good,
    nbody_sim,
    wait_until,
)
from json_schemas import documented
from nbody_surrogate.datasets import Dataset
from published_sets import write_charged

SMALL = ("--preset", "charged", "-n", 2, "--trajectories", 20, "--frames", 4)

SPEC = """
system = "trap"
particles = 3
trajectories = 10
frames = 4
[parameters]
softening = 0.2
[options]
rtol = 1e-8
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated") / "made"
    good("dataset", "generate", *SMALL, "-o", folder)
    return folder


@pytest.fixture
def made(generated, folder):
    """A copy, which a test may change."""
    return Path(shutil.copytree(generated, "made"))


# Making one


def test_a_preset_is_made_in_data_and_described():
    printed = good("dataset", "generate", *SMALL)
    for words in ("data/charged-n2-seed0", "20: 16 train, 2 validation, 2 test", "label error"):
        assert words in printed
    dataset = Dataset("data/charged-n2-seed0")
    assert dataset.manifest.digest in printed
    assert {path.name for path in dataset.folder.iterdir()} == {"manifest.json", "shard-00000.h5"}


def test_the_same_command_again_changes_nothing_and_says_the_same():
    printed = good("dataset", "generate", *SMALL)
    before = contents()
    assert good("dataset", "generate", *SMALL) == printed
    assert contents() == before


def test_a_spec_and_options_that_change_it():
    Path("mine.toml").write_text(SPEC)
    good("dataset", "generate", "mine.toml", "--seed", 5, "-p", "coupling=2.0", "-q")
    spec = Dataset("data/mine-n3-seed5").spec
    assert (spec.system, spec.seed, spec.trajectories) == ("trap", 5, 10)
    assert spec.parameters == {"softening": 0.2, "coupling": 2.0}
    # the norm, which releases before did not have, and what it settles stand beside what was given
    assert spec.options == {"rtol": 1e-8, "atol": 1e-10, "norm": "particle"}


def test_the_solver_may_move_by_an_approximation():
    text = (
        'system = "spheres"\nparticles = 2\ntrajectories = 10\nframes = 1\n[parameters]\norder = 1'
    )
    Path("mine.toml").write_text(text)
    good("dataset", "generate", "mine.toml", "--integrator", "leapfrog@points", "-o", "made", "-q")
    assert Dataset("made").spec.integrator == "leapfrog@points"


def test_a_preset_with_a_window_takes_a_horizon():
    options = ("--trajectories", 10, "--horizon", 50, "-q")
    good("dataset", "generate", "--preset", "set-paper", *options)
    dataset = Dataset("data/set-paper-n5-h50-seed3")
    assert dataset.t == pytest.approx([*(0.001 + 0.01 * np.arange(10)), 0.15])


def test_a_zero_target_is_warned_about_and_audited_as_wrong():
    options = ("--preset", "set-paper-as-released", "--trajectories", 10, "--horizon", 50)
    result = nbody_sim("dataset", "generate", *options, "-o", "zero")
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: the target, row 10, is left zero")
    assert "fit for nothing" in result.stdout
    audited = nbody_sim("dataset", "audit", "zero")
    assert audited.exit_code == FAILURE
    assert "a model that answers 0 has no error" in " ".join(audited.stdout.split())
    (line,) = audited.stderr.splitlines()
    assert "row 10 is exactly zero in all 10 trajectories" in line


def test_quiet_prints_nothing():
    assert good("dataset", "generate", *SMALL, "-o", "made", "-q") == ""
    assert good("dataset", "verify", "made", "-q") == ""
    assert good("dataset", "audit", "made", "-q") == ""
    assert good("dataset", "export", "made", "-o", "out", "-q") == ""


# Looking at one


def test_info_and_its_json(made):
    assert "charged" in good("dataset", "info", made)
    content = documented("dataset info", good("dataset", "info", made, "--json"))
    assert content["spec"]["particles"] == 2
    assert content["sha256"] == Dataset(made).manifest.digest
    assert len(content["shards"]) == 1


def test_verify_says_how_many(made):
    printed = good("dataset", "verify", made, "--sample", 3)
    assert "1 of 1 shard has the recorded SHA-256" in printed
    assert "3 of 3 trajectories made again with the same bits" in printed


def test_verify_names_the_shard_that_fails(made):
    shard = made / "shard-00000.h5"
    content = bytearray(shard.read_bytes())
    content[-9] ^= 1
    shard.write_bytes(content)
    result = nbody_sim("dataset", "verify", made)
    assert result.exit_code == FAILURE
    (line,) = result.stderr.splitlines()
    assert "shard-00000.h5" in line
    assert "SHA-256" in line


def test_an_audit_and_its_json(made):
    printed = good("dataset", "audit", made)
    assert printed.startswith("20 trajectories: ok")
    for check in ("NaN", "zero rows", "duplicates", "leakage", "energy", "converged solver"):
        assert check in printed
    found = documented("dataset audit", good("dataset", "audit", made, "--json"))
    assert found["level"] == "ok"
    assert {each["level"] for each in found["findings"]} == {"ok"}


def test_an_audit_of_published_files(made):
    good("dataset", "export", made, "--format", "nri", "-o", "files", "-q")
    options = ("--system", "charged", "--first", 0)
    printed = good("dataset", "audit", "files", *options)
    assert printed.startswith("20 trajectories: ok")
    wrong = nbody_sim("dataset", "audit", "files", "--system", "charged", "-p", "coupling=-1")
    assert "doubtful" in wrong.stdout + wrong.stderr or wrong.exit_code == FAILURE


# To and from others


def test_export_and_import(made):
    printed = good("dataset", "export", made, "--format", "nri", "-o", "files", "--suffix", "_x")
    assert "files/loc_train_x.npy" in printed
    options = ("--system", "charged", "--first", 0, "--task", "1:3")
    assert "imported from 12 files" in good("dataset", "import", "files", "-o", "again", *options)
    ours, theirs = Dataset(made), Dataset("again")
    assert np.array_equal(ours.read(0, 20).x, theirs.read(0, 20).x)
    assert theirs.spec.task.target == 3
    assert "imported, so no trajectory" in good("dataset", "verify", "again")


def test_export_to_archives(made):
    assert "out/train.npz" in good("dataset", "export", made, "-o", "out")
    with np.load("out/test.npz", allow_pickle=False) as arrays:
        assert arrays["x"].shape == (2, 5, 2, 3)
        assert arrays["t"] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    bad(MISUSE, "dataset", "export", made, "-o", "out")
    good("dataset", "export", made, "-o", "out", "--overwrite")


# What is wrong


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["`spec`", "`preset`", "nbody-small"]),
        (("--preset", "chargd"), ["`preset` 'chargd'", "did you mean 'charged'"]),
        (("none.toml",), ["`spec`", "none.toml"]),
        ((*SMALL, "--seed", -1), ["`seed`", ">= 0", "-1"]),
        ((*SMALL, "--trajectories", 0), ["`trajectories`", "0"]),
        ((*SMALL, "-n", 0), ["`particles`", "0"]),
        ((*SMALL, "--workers", 0), ["`workers`", "at least 1", "0"]),
        ((*SMALL, "--integrator", "dop"), ["`integrator` 'dop'"]),
        ((*SMALL, "--integrator", "leapfrog@p1"), ["`approximation` 'p1'", "no approximations"]),
        ((*SMALL, "--integrator", "leepfrog@p1"), ["`integrator` 'leepfrog'", "'leapfrog'"]),
        ((*SMALL, "-p", "softening"), ["`parameter`", "KEY=VALUE"]),
        ((*SMALL, "-p", "soft=1"), ["`soft`", "softening"]),
        ((*SMALL, "--horizon", 5), ["`horizon`", "`window`"]),
        ((*SMALL, "--preset", "set-paper", "--frames", 5), ["`frames`", "`window`"]),
    ],
)
def test_a_wrong_request_is_one_line_and_leaves_nothing(arguments, words):
    line = bad(MISUSE, "dataset", "generate", *arguments)
    assert all(word in line for word in words), line


@pytest.mark.parametrize("old", ["particles = 3", "softening = 0.2", "rtol = 1e-8"])
def test_an_unknown_key_in_a_spec_is_named(old):
    Path("mine.toml").write_text(SPEC.replace(old, old.replace("=", "x =")))
    key = old.partition(" ")[0]
    line = bad(MISUSE, "dataset", "generate", "mine.toml")
    assert f"{key} x" in line or f"`{key}x`" in line or "TOML" in line
    Path("mine.toml").write_text(SPEC.replace(old, f"{old}\n{key}s_ = 1"))
    assert f"`{key}s_`" in bad(MISUSE, "dataset", "generate", "mine.toml")


def test_a_folder_with_another_data_set_is_left_alone(made):
    line = bad(MISUSE, "dataset", "generate", *SMALL, "--seed", 1, "-o", made)
    assert "its `seed` is 0, not 1" in line


@pytest.mark.parametrize("command", ["info", "verify", "audit"])
def test_a_folder_that_is_none(command):
    assert "`folder`" in bad(MISUSE, "dataset", command, "nowhere")
    Path("empty").mkdir()
    assert "manifest.json" in bad(FAILURE, "dataset", command, "empty")


@pytest.mark.parametrize(
    ("option", "word"),
    [(("--task", "1-3"), "INPUT:TARGET"), (("--task", "3:1"), "above"), (("--first", -1), "first")],
)
def test_wrong_options_for_published_files(made, option, word):
    good("dataset", "export", made, "--format", "nri", "-o", "files", "-q")
    assert word in bad(MISUSE, "dataset", "import", "files", "-o", "again", *option)


def test_published_splits_of_unlike_lengths(tmp_path):
    write_charged(tmp_path / "nri", {"train": 2, "test": 3}, size=2)
    result = nbody_sim("dataset", "import", tmp_path / "nri", "-o", "all", "-q")
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: split 'test' of files ")
    assert "`splits` 'test' alone" in line
    printed = good("dataset", "import", tmp_path / "nri", "-o", "test", "--split", "test")
    assert re.search("rows +3, ", printed)
    assert "`splits`" in bad(MISUSE, "dataset", "audit", "all", "--split", "test")


def test_options_for_published_files_are_refused_for_ours(made):
    assert "`task`" in bad(MISUSE, "dataset", "audit", made, "--task", "1:3")


@pytest.mark.parametrize("option", [("--sample", 0), ("--energy-jump", 0)])
def test_wrong_options_of_an_audit(made, option):
    assert option[0].strip("-").replace("-", "_") in bad(MISUSE, "dataset", "audit", made, *option)


def test_a_failing_trajectory_is_one_line_and_shards_are_kept():
    """Unsoftened forces that are not clipped stop the solver in a collision."""
    options = ("--preset", "gravity", "-p", "softening=0", "-p", "coupling=1e300", "-n", 2)
    small = ("--trajectories", 4, "--frames", 4, "-o", "out")
    result = nbody_sim("dataset", "generate", *options, *small)
    assert result.exit_code == FAILURE
    (line,) = result.stderr.splitlines()
    assert "trajectory 0" in line
    assert "0 of 1 shards are finished and kept" in line


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
@pytest.mark.parametrize(
    ("integrator", "shard"),
    [pytest.param("dop853", "2", marks=pytest.mark.slow), ("dop853-compiled", "20")],
)
def test_ctrl_c_ends_it_soon_and_it_goes_on(integrator, shard):
    """A shard is a second's work at most, all of them are many minutes'."""
    arguments = ["--preset", "trap", "-n", 5, "--trajectories", 10**4 * int(shard), "--frames", 50]
    arguments += ["--shard", shard, "--workers", 2, "--integrator", integrator, "-o", "out"]
    with command("dataset", "generate", *arguments) as process:
        try:
            wait_until(lambda: list(Path().glob("out/shard-*.h5")), process)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate()
        finally:
            process.kill()
    assert process.returncode == INTERRUPTED
    assert "finished shards are kept" in error
    assert "Traceback" not in error
    assert list(Path("out").glob("shard-*.h5"))
    assert not list(Path("out").glob("*.part"))
