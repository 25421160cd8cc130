"""What `run` prints and writes, where it starts, and what it is held against."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from command_run import SHORT, HardwareOptions, good_json, register_failing, write_npz
from commands import FAILURE, MISUSE, bad, contents, good, nbody_sim, no_constant
from nbody_set.model import SET
from nbody_surrogate.comparison.comparison import compare
from nbody_surrogate.formats.h5md import read_h5md
from nbody_surrogate.registry.registry import make_system

KEYS = {
    "schema",
    "parareal",
    "threads",
    "system",
    "particles",
    "trajectories",
    "seed",
    "frames",
    "methods",
    "status",
    "valid_frames",
    "message",
    "comparison",
    "drift",
    "guard",
    "domain",
    "error_estimate",
    "tolerance",
    "label_error",
    "system_error",
    "wall_time",
    "files",
}
COMPARISON_KEYS = {
    "relative_valid_time",
    "whole_runs",
    "reference",
    "candidate",
    "trajectories",
    "duration",
    "horizons",
    "position_rmse",
    "velocity_rmse",
    "valid_prediction_time",
    "valid_threshold",
    "drift",
    "wall_time",
    "speed_ratio",
    "verdict",
    "normalised_rmse",
    "errors",
    "valid",
    "lyapunov_time",
    "valid_in_lyapunov_times",
    "window",
    "distributions",
    "valid_frames",
    "validity",
    "interpolation",
}


# A run: its table, its JSON and its files


@pytest.mark.parametrize("integrator", ["dop853", "rk45", "leapfrog", "set"])
def test_a_run_ends_with_a_table_and_two_files(integrator):
    printed = good("run", "--integrator", integrator, "-n", 5, "--duration", 0.5)
    for label in (
        "charged, 5 particles, seed 0, 0.5 time units, frames 0..5",
        "position RMSE at t = 0.5",
        "velocity RMSE at t = 0.5",
        "valid prediction time",
        "energy drift / kinetic energy",
        "momentum drift",
        "angular momentum drift",
        "wall time",
        "reference / candidate",
    ):
        assert label in printed
    base = f"runs/charged-{integrator}-n5-seed0"
    assert f"Files: {base}.h5, {base}.reference.h5\n" in printed
    assert {str(path) for path in contents()} == {f"{base}.h5", f"{base}.reference.h5"}
    run, reference = read_h5md(f"{base}.h5"), read_h5md(f"{base}.reference.h5")
    comparison = compare(reference, run)
    for number in (*comparison.position_rmse, *comparison.velocity_rmse):
        assert f"{number:.2e}" in printed
    assert comparison.verdict in printed
    assert run.info.method["integrator"] == integrator
    assert reference.info.label in printed


@pytest.mark.parametrize("more", [(), ("--no-reference",)])
def test_what_a_system_does_not_keep_is_not_called_a_drift(more):
    printed = good("run", "--system", "trap", "-n", 3, "--duration", 0.5, *more)
    assert "momentum change (not conserved)" in printed
    assert "angular momentum drift" in printed
    assert "energy drift / kinetic energy" in printed


def test_a_solver_is_held_against_a_sharper_one():
    found = good_json("--integrator", "dop853", *SHORT)
    assert [method["rtol"] for method in found["methods"]] == [1e-9, pytest.approx(1e-11)]
    found = good_json("--integrator", "leapfrog", "--reference", "leapfrog", *SHORT)
    assert found["methods"][1]["substeps"] > found["methods"][0]["substeps"]


@pytest.mark.parametrize("integrator", ["dop853", "set"])
def test_json_is_one_object_with_the_documented_keys_and_no_nan(integrator):
    found = good_json("--integrator", integrator, "-n", 6, "--duration", 0.5, "--seed", 3)
    assert found.keys() == KEYS
    assert found["comparison"].keys() == COMPARISON_KEYS
    assert found["system"]["system"] == "charged"
    assert (found["particles"], found["trajectories"], found["frames"]) == (6, 1, 5)
    assert found["seed"] == 3
    assert found["status"] == [[0], [0]]
    assert found["message"] == [[""], [""]]
    assert found["drift"] is None
    assert [method["integrator"] for method in found["methods"]] == [integrator, "dop853"]
    assert found["comparison"]["horizons"] == [0.5]
    assert found["comparison"]["valid_prediction_time"] is None  # valid throughout
    assert all(Path(path).is_file() for path in found["files"])
    assert all(time > 0 for time in found["wall_time"])


def test_the_shipped_surrogate_is_close_to_the_truth():
    """A per-coordinate error of 1e-3 is far above what is shipped and far below no motion."""
    found = good_json("--integrator", "set", "-n", 5, "--duration", 0.5)
    assert found["comparison"]["position_rmse"][0] < 1e-3
    assert len(found["methods"][0]["weights_hash"]) == 64


def test_quiet_prints_nothing_and_writes_all_the_same():
    assert good("run", "--quiet", *SHORT) == ""
    assert len(contents()) == 2


def test_files_hold_every_frame_of_every_trajectory_from_the_start_on():
    good("run", "-n", 3, "--duration", 0.5, "--trajectories", 2, "--seed", 7, "-o", "out.h5")
    state, particles = make_system("charged").sample(7, 3, 2)
    for name in ("out.h5", "out.reference.h5"):
        with h5py.File(name) as file:
            assert set(file["particles"]) == {"trajectory_0000", "trajectory_0001"}
            for b in range(2):
                group = file[f"particles/trajectory_{b:04d}"]
                x, t = group["position/value"][()], group["position/time"][()]
                np.testing.assert_allclose(t, 0.1 * np.arange(6), rtol=0, atol=1e-15)
                assert x.shape == (6, 3, 3)
                assert np.isfinite(x).all()
                assert np.array_equal(x[0], state.x[b])
                assert np.array_equal(group["velocity/value"][0], state.v[b])
                assert np.array_equal(group["charge"][()], particles.charges[b])
    assert read_h5md("out.h5").info.seed == 7


def test_a_seed_gives_the_same_run_again():
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        good("run", *SHORT, "--seed", seed, "--no-reference", "-o", f"{name}.h5", "-q")
    a, b, c = (read_h5md(f"{name}.h5").x for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_default_names_never_overwrite():
    good("run", *SHORT)
    first = contents()
    printed = good("run", *SHORT)
    good("run", *SHORT, "--no-reference")
    now = contents()
    assert len(now) == 5
    assert first.items() <= now.items()
    assert "charged-dop853-n4-seed0-2.h5" in printed


def test_an_existing_output_is_kept_unless_overwrite_is_given():
    good("run", *SHORT, "-o", "out.h5")
    line = bad(MISUSE, "run", *SHORT, "--seed", 1, "-o", "out.h5")
    assert "`output`" in line
    assert "--overwrite" in line
    Path("out.h5").unlink()
    assert "out.reference.h5" in bad(MISUSE, "run", *SHORT, "-o", "out.h5")
    good("run", *SHORT, "-o", "out.h5", "--overwrite", "--seed", 1)
    assert read_h5md("out.h5").info.seed == read_h5md("out.reference.h5").info.seed == 1


def test_names_are_printed_as_they_are():
    """Brackets and colons are markup to the library that prints."""
    name = "a[bold]b :smile:.h5"
    assert f"Files: {name}\n" in good("run", *SHORT, "--no-reference", "-o", name)


def test_without_a_reference():
    printed = good("run", *SHORT, "--no-reference", "-o", "out.h5")
    assert set(map(str, contents())) == {"out.h5"}
    assert "RMSE" not in printed
    assert "energy drift / kinetic energy" in printed
    found = good_json(*SHORT, "--no-reference", "-o", "json.h5")
    assert found["comparison"] is None
    assert found["drift"].keys() == {"energy", "momentum", "angular_momentum"}
    assert found["files"] == ["json.h5"]
    assert len(found["methods"]) == len(found["status"]) == 1


# Label errors of the ground truth


@pytest.mark.parametrize(
    ("methods", "verified", "other"),
    [
        (["--integrator", "leapfrog"], "out.reference.h5", "out.h5"),
        (["--integrator", "dop853"], "out.reference.h5", "out.h5"),
        (["--reference", "leapfrog"], "out.reference.h5", "out.h5"),
        (["--integrator", "leapfrog", "--no-reference"], "out.h5", None),
    ],
)
def test_verify_shows_the_label_error_of_the_ground_truth(methods, verified, other):
    arguments = ["-n", 4, "--duration", 1, "--trajectories", 3, "--verify", *methods]
    printed = [line.rstrip() for line in good("run", *arguments, "-o", "out.h5").splitlines()]
    label_error = read_h5md(verified).label_error
    assert label_error.shape == (3, 11)
    assert other is None or read_h5md(other).label_error is None
    (end,) = (len(line) for line in printed if line.startswith("wall time"))
    for horizon, frame in (("0.5", 5), ("1", 10)):
        label = f"label error at t = {horizon} "
        (row,) = (line for line in printed if line.startswith(label))
        assert row.removeprefix(label).split() == [f"{np.median(label_error[:, frame]):.2e}"]
        assert len(row) == end  # in the last column
    assert good_json(*arguments, "-o", "json.h5")["label_error"] == {
        "horizons": [0.5, 1.0],
        "median": pytest.approx(np.median(label_error[:, [5, 10]], axis=0)),
        "largest": pytest.approx(label_error[:, [5, 10]].max(0)),
    }
    assert (label_error[:, [5, 10]] > 0).all()


def test_without_verify_there_is_no_label_error():
    assert "label error" not in good("run", *SHORT, "-o", "out.h5")
    assert good_json(*SHORT)["label_error"] is None
    assert read_h5md("out.reference.h5").label_error is None


def lose_everything(segment):
    segment.x[:, 2:] = np.nan


def test_a_label_error_that_there_is_not_is_said_to_be_none():
    register_failing("loses", lose_everything, HardwareOptions)
    arguments = ["--integrator", "loses", *SHORT, "--no-reference", "--verify"]
    result = nbody_sim("run", *arguments)
    assert result.exit_code == FAILURE
    (row,) = (line for line in result.stdout.splitlines() if "label error at t = 0.5" in line)
    assert row.split("0.5")[1].strip() == "none is good"
    found = json.loads(nbody_sim("run", *arguments, "--json").stdout, parse_constant=no_constant)
    assert found["label_error"] == {"horizons": [0.5], "median": [None], "largest": [None]}


def test_weights_of_ones_own():
    shutil.copytree(SET.shipped_weights["set"], "mine/weights")
    short = ["-n", 5, "--duration", 0.2, "--no-reference"]
    named = (
        ("a.h5", ["--integrator", "set"]),
        ("b.h5", ["--integrator", "set", "--weights", "mine/weights"]),
        ("c.h5", ["--integrator", "set", "--weights", "mine"]),  # the folder of a training
        ("d.h5", ["--integrator", "mine"]),
    )
    found = [good_json(*short, *more, "-o", name)["methods"][0] for name, more in named]
    assert {each["integrator"] for each in found} == {"set"}
    assert len({each["weights_hash"] for each in found}) == 1
    for name, _ in named[1:]:
        assert np.array_equal(read_h5md("a.h5").x, read_h5md(name).x)


# Where a run starts from


def test_a_start_from_arrays():
    arrays = write_npz("start.npz", n=3)
    found = good_json("--initial", "start.npz", "--duration", 0.5, "-o", "out.h5")
    assert found["particles"] == 3
    assert found["seed"] is None
    run = read_h5md("out.h5")
    for name, got in (
        ("x", run.x[0, 0]),
        ("v", run.v[0, 0]),
        ("charges", run.particles.charges[0]),
        ("masses", run.particles.masses[0]),
    ):
        assert np.array_equal(got, arrays[name]), name


def test_a_start_from_a_frame_of_an_earlier_run():
    good("run", *SHORT, "--trajectories", 2, "-o", "first.h5")
    first = read_h5md("first.h5")
    for frame in (3, -1):
        name = f"from{frame}.h5"
        arguments = ["--initial", "first.h5", "--initial-frame", frame, "-o", name]
        good("run", *arguments, "--duration", 0.2)
        second = read_h5md(name)
        assert np.array_equal(second.x[:, 0], first.x[:, frame])
        assert second.t[0] == first.t[frame]
        assert np.array_equal(second.particles.charges, first.particles.charges)
    np.testing.assert_allclose(  # the same trajectory, to the solver's tolerance and its growth
        read_h5md("from3.h5").x[:, 2], first.x[:, 5], rtol=0, atol=1e-6
    )


# Pictures


def test_a_picture():
    printed = good("run", *SHORT, "--render", "out.png", "-o", "out.h5")
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")
    assert "Files: out.h5, out.reference.h5, out.png\n" in printed
    line = bad(MISUSE, "run", *SHORT, "--render", "out.png", "-o", "other.h5")
    assert "`render`" in line
