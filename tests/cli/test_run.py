"""The command line: what it prints and writes, and that every bad input is one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from commands import FAILURE, INTERRUPTED, MISUSE, bad, contents, good, nbody_sim, no_constant
from nbody_set.model import SET
from nbody_surrogate.cli.request import InitialValueProblem
from nbody_surrogate.cli.run import run as run_command
from nbody_surrogate.cli.train import train as train_command
from nbody_surrogate.comparison.comparison import compare
from nbody_surrogate.contracts.integrator import AbstractIntegrator, IntegratorOptions
from nbody_surrogate.contracts.segment import Frames
from nbody_surrogate.contracts.system import AbstractSystem
from nbody_surrogate.contracts.system_spec import Draw, SystemSpec
from nbody_surrogate.files.folder_lock import sole_writer
from nbody_surrogate.formats.h5md import read_h5md
from nbody_surrogate.registry import lookup
from nbody_surrogate.registry.registry import make_system, register_integrator, register_system
from nbody_surrogate.training.trainer import Trainer

KEYS = {
    "system",
    "particles",
    "trajectories",
    "seed",
    "frames",
    "methods",
    "status",
    "message",
    "comparison",
    "drift",
    "guard",
    "label_error",
    "wall_time",
    "files",
}

COMPARISON_KEYS = {
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
}

SHORT = ("-n", 4, "--duration", 0.5)

RECIPE = """
surrogate = "set"
steps = 4
chunk = 4
[model]
width = 4
substeps = 2
[[data]]
batch = 2
spec = { particles = 2, trajectories = 10, frames = 6 }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, empty, and a registry of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lookup, "registered", dict(lookup.registered))
    return tmp_path


def good_json(*arguments):
    return json.loads(good("run", "--json", *arguments), parse_constant=no_constant)


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


@pytest.mark.parametrize(
    ("arguments", "role", "wanted"),
    [
        (["--rtol", "1e-6", "--atol", "1e-7"], 0, {"rtol": 1e-6, "atol": 1e-7}),
        (["--integrator", "leapfrog", "--substeps", "3"], 0, {"substeps": 3}),
        (["--integrator", "leapfrog", "--rtol", "1e-7"], 1, {"rtol": 1e-7}),
        (["--integrator", "set", "-n", "5", "--dtype", "float64"], 0, {"dtype": "float64"}),
        (["--integrator", "set", "-n", "5", "--device", "cpu"], 0, {"device": "cpu"}),
        (["--integrator", "leapfrog", "--reference", "rk45"], 1, {"integrator": "rk45"}),
    ],
)
def test_options_reach_the_methods(arguments, role, wanted):
    found = good_json(*SHORT, *arguments)
    assert found["methods"][role].items() >= wanted.items()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--softening", 0.3, "--frame-dt", 0.25],
        ["-p", "softening=0.3", "--parameter", "frame_dt=0.25"],
    ],
)
def test_options_reach_the_system(arguments):
    found = good_json(*SHORT, *arguments)
    assert found["system"]["softening"] == 0.3
    assert found["system"]["frame_dt"] == 0.25
    assert found["frames"] == 2


def test_a_parameter_is_json_where_it_can_be_read_as_such_and_text_elsewhere():
    parameters = ["-p", "mass_range=[0.5, 2]", "-p", " signs =equal", "-p", "coupling=-1e-1"]
    found = good_json("-n", 4, "--duration", 0.1, *parameters, "-o", "out.h5")
    wanted = {"mass_range": [0.5, 2.0], "signs": "equal", "coupling": -0.1}
    assert found["system"].items() >= wanted.items()
    masses = read_h5md("out.h5").particles.masses
    assert ((masses >= 0.5) & (masses <= 2.0) & (masses != 1.0)).all()


def test_the_frame_spacing_is_the_systems_own():
    register_still("still")
    register_system("slow")(Slow)
    arguments = ["--system", "slow", "--integrator", "still", "--no-reference", "--duration", 10]
    assert good_json(*arguments)["frames"] == 5


class SlowSpec(SystemSpec):
    frame_dt: float = 2.0


class Slow(AbstractSystem):
    """Particles without forces, in frames that are far apart."""

    name = "slow"
    Spec = SlowSpec

    def pair_acceleration(self, x, particles):
        return 0.0 * x

    def potential_energy(self, x, particles):
        return 0.0 * x[:, 0, 0]

    def _sample(self, rng, n, dimensions):
        x = rng.normal(size=(n, dimensions))
        return Draw(x, x, np.ones(n), np.ones(n))


# Which hardware the methods are told to use


class HardwareOptions(IntegratorOptions):
    threads: int = 3
    device: str = "best"
    substeps: int = 2


class ToleranceOptions(IntegratorOptions):
    rtol: float = 1e-9


def stand_still(segment):
    pass


def register_still(name, options=IntegratorOptions):
    register_failing(name, stand_still, options)


@pytest.fixture
def compiled(monkeypatch):
    """In place of the compiled solver, whether it is there or not."""
    register_still("stand-in", ToleranceOptions)
    cls = lookup.registered["integrators", "stand-in"]
    monkeypatch.setattr(cls, "name", "dop853-compiled")
    monkeypatch.setitem(lookup.registered, ("integrators", "dop853-compiled"), cls)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], {"threads": 1, "device": "best"}),
        (["--threads", 2], {"threads": 2, "device": "best"}),
        (["--device", "cpu"], {"threads": 1, "device": "cpu"}),
        (["--device", "auto"], {"threads": 1, "device": "best"}),
    ],
)
@pytest.mark.parametrize(
    ("methods", "roles"),
    [
        (["--integrator", "hard", "--reference", "hard"], {0, 1}),
        (["--integrator", "still", "--reference", "hard"], {1}),
        (["--integrator", "hard", "--no-reference"], {0}),
    ],
)
def test_threads_and_device_reach_the_methods_that_take_them(given, wanted, methods, roles):
    register_still("hard", HardwareOptions)
    register_still("still")
    found = good_json(*SHORT, *given, *methods)
    for role, method in enumerate(found["methods"]):
        assert (method.items() >= wanted.items()) == (role in roles)
        assert role in roles or method.keys().isdisjoint(wanted)


# The reference where none is named


@pytest.mark.parametrize(
    ("arguments", "reference"),
    [
        (["-n", 4], "dop853"),
        (["-n", 4, "--trajectories", 2], "dop853-compiled"),
        (["-n", 4, "--trajectories", 2, "--reference", "dop853"], "dop853"),
        (["-n", 4, "--reference", "dop853-compiled"], "dop853-compiled"),
        (["--initial", "two.npz"], "dop853-compiled"),
    ],
)
def test_the_reference_of_several_starts_is_the_compiled_solver(compiled, arguments, reference):
    register_still("still")
    write_npz("two.npz", batch=(2,))
    found = good_json("--integrator", "still", "--duration", 0.5, *arguments)
    assert [method["integrator"] for method in found["methods"]] == ["still", reference]


@pytest.mark.parametrize("integrator", ["dop853", "dop853-compiled", "nbody-surrogate:dop853"])
@pytest.mark.parametrize("trajectories", [1, 2])
def test_both_forms_of_dop853_are_held_against_a_sharper_self(compiled, integrator, trajectories):
    found = good_json(*SHORT, "--integrator", integrator, "--trajectories", trajectories)
    name = integrator.split(":")[-1]
    assert [method["integrator"] for method in found["methods"]] == [name] * 2
    assert [method["rtol"] for method in found["methods"]] == [1e-9, pytest.approx(1e-11)]


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
    (end,) = (len(line) for line in printed if line.startswith(" wall time"))
    for horizon, frame in (("0.5", 5), ("1", 10)):
        label = f" label error at t = {horizon} "
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
    shutil.copytree(SET.shipped_weights["set"], "mine")
    found = [
        good_json("--integrator", "set", "-n", 5, "--duration", 0.2, *more, "-o", name)
        for name, more in (("a.h5", []), ("b.h5", ["--weights", "mine"]))
    ]
    assert found[0]["methods"][0]["weights_hash"] == found[1]["methods"][0]["weights_hash"]
    assert np.array_equal(read_h5md("a.h5").x, read_h5md("b.h5").x)


# Where a run starts from


def write_npz(path, n=4, batch=(), **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(*batch, n, 3)),
        "v": rng.normal(size=(*batch, n, 3)),
        "charges": rng.choice([-1.0, 1.0], size=(*batch, n)),
        "masses": rng.uniform(0.5, 2.0, size=(*batch, n)),
    } | changes
    np.savez(path, **arrays)
    return arrays


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


# Bad inputs


def make_bad_files():
    """Files and folders that something is wrong with."""
    write_npz("nan.npz", x=np.full((4, 3), np.nan))
    write_npz("shapes.npz", v=np.zeros((3, 3)))
    write_npz("massless.npz", masses=np.zeros(4))
    Path("damaged.npz").write_bytes(Path("nan.npz").read_bytes()[:300])
    Path("damaged.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    Path("start.txt").write_text("1 2 3")
    write_npz("good.npz")
    Path("taken.h5").write_bytes(b"precious")
    Path("folder.h5").mkdir()
    Path("taken.png").write_bytes(b"precious")
    for name in ("corrupt", "version", "incomplete"):
        shutil.copytree(SET.shipped_weights["set"], name)
    weights = Path("corrupt/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    config = json.loads(Path("version/config.json").read_text())
    Path("version/config.json").write_text(json.dumps(config | {"format_version": 99}))
    Path("incomplete/config.json").unlink()


SET_5 = ["--integrator", "set", "-n", "5"]

MISUSES = [
    (["--integrator", "dop835"], ["`integrator`", "'dop835'", "did you mean 'dop853'"]),
    (["--integrator", "x" * 300], ["`integrator`"]),
    (["--system", "charges"], ["`system`", "'charges'", "charged"]),
    (["--system", "x" * 300], ["`system`"]),
    (["--reference", "truth"], ["`reference`", "'truth'"]),
    (["--device", "tpu"], ["`device`", "'tpu'", "cpu"]),
    ([*SET_5, "--device", "tpu"], ["`device`", "'tpu'", "cpu"]),
    (["-n", "0"], ["`particles`", "0"]),
    (["-n", "-3"], ["`particles`", "-3"]),
    (["--trajectories", "0"], ["`trajectories`", "0"]),
    (["--threads", "0"], ["`threads`", "0"]),
    (["--seed", "-1"], ["`seed`", "-1"]),
    (["--softening", "-0.1"], ["`softening`", "-0.1"]),
    (["--softening", "nan"], ["`softening`", "nan"]),
    (["--duration", "nan"], ["`duration`", "nan"]),
    (["--duration", "inf"], ["`duration`", "inf"]),
    (["--duration", "0"], ["`duration`", "0"]),
    (["--duration", "-1"], ["`duration`", "-1"]),
    (["--duration", "0.25"], ["`duration`", "0.25", "use 0.2"]),
    (["--duration", "0.01"], ["`duration`", "0.01", "use 0.1"]),
    (["--duration", "1e300"], ["`duration`", "1e+300"]),
    (["--frame-dt", "nan"], ["`frame_dt`", "nan"]),
    (["--frame-dt", "0"], ["`frame_dt`", "0"]),
    (["--frame-dt", "-0.1"], ["`frame_dt`", "-0.1"]),
    (["--frame-dt", "1e-300"], ["`duration`", "1e-300"]),
    (["--rtol", "nan"], ["`rtol`", "nan"]),
    (["--rtol", "0"], ["`rtol`", "0"]),
    (["--rtol", "-1e-6"], ["`rtol`", "-1e-06"]),
    (["--rtol", "1e-20"], ["`rtol`", "1e-20"]),
    (["--atol", "nan"], ["`atol`", "nan"]),
    (["--atol", "0"], ["`atol`", "0"]),
    (["--integrator", "leapfrog", "--substeps", "0"], ["`substeps`", "0"]),
    (["--integrator", "leapfrog", "--substeps", "-4"], ["`substeps`", "-4"]),
    (["--substeps", "4"], ["`substeps`", "'dop853'"]),
    (["--dtype", "float32"], ["`dtype`", "'dop853'"]),
    (["--weights", "corrupt"], ["`weights`", "'dop853'"]),
    ([*SET_5, "--substeps", "4"], ["`substeps`", "'set'"]),
    (["--integrator", "leapfrog", "--no-reference", "--rtol", "1e-6"], ["`rtol`", "'leapfrog'"]),
    (
        ["--integrator", "leapfrog", "--reference", "leapfrog", "--rtol", "1e-6"],
        ["`rtol`", "'leapfrog'"],
    ),
    ([*SET_5, "--reference", "set"], ["`reference`", "set"]),
    ([*SET_5, "--dtype", "float16"], ["`dtype`", "'float16'", "float32"]),
    ([*SET_5, "--softening", "0.2"], ["`softening`", "0.1", "0.2"]),
    ([*SET_5, "--frame-dt", "0.05"], ["`frame_dt`", "0.1", "0.05"]),
    ([*SET_5, "--weights", "none"], ["`weights`", "'none'"]),
    ([*SET_5, "--weights", "taken.h5"], ["`weights`", "'taken.h5'"]),
    (["--verify", "--rtol", "1e-10"], ["`rtol`", "`verify`", "at least 3e-10", "got 1e-10"]),
    (
        ["--verify", "--integrator", "leapfrog", "--rtol", "1e-12"],
        ["`rtol`", "`verify`", "at least 3e-12", "got 1e-12"],
    ),
    (
        ["--verify", "--no-reference", "--rtol", "1e-12"],
        ["`rtol`", "`verify`", "at least 3e-12", "got 1e-12"],
    ),
    ([*SET_5, "--verify", "--no-reference"], ["`verify` needs a solver", "'set'", "dop853"]),
    (["--verify", "--no-reference", "--integrator", "set", "-n", "4"], ["`verify`", "'set'"]),
    (["--verify", "--reference", "ballistic"], ["`verify` needs a solver", "'ballistic'"]),
    (["-p", "softening"], ["`parameter`", "KEY=VALUE", "got 'softening'"]),
    (["-p", "=0.2"], ["`parameter`", "KEY=VALUE", "got '=0.2'"]),
    (["-p", " =0.2"], ["`parameter`", "KEY=VALUE"]),
    (["-p", ""], ["`parameter`", "KEY=VALUE", "got ''"]),
    (["-p"], ["-p"]),
    (["-p", "coupling=1", "-p", "coupling=1"], ["`parameter` 'coupling' is given twice"]),
    (["-p", "softening=0.2", "--softening", "0.2"], ["`parameter` 'softening'", "twice"]),
    (["-p", "frame_dt=0.2", "--frame-dt", "0.2"], ["`parameter` 'frame_dt'", "twice"]),
    (["-p", "softenin=0.2"], ["`softenin`", "'charged'", "known: ", "softening"]),
    (["-p", "name=charged"], ["`name` is not a parameter of system 'charged'"]),
    (["-p", "self=1"], ["`self` is not a parameter of system 'charged'"]),
    (["-p", "softening=-0.1"], ["`softening`", "'charged'", ">= 0", "-0.1"]),
    (["-p", "softening=much"], ["`softening`", "number", "'much'"]),
    (["-p", "softening=NaN"], ["`softening`", "finite", "nan"]),
    (["-p", "softening="], ["`softening`", "number", "''"]),
    (["-p", f"softening={'[' * 5000}"], ["`softening`", "number", "[[[..."]),
    (["-p", "mass_range=[2, 1]"], ["`mass_range`", "0 < lo <= hi", "[2, 1]"]),
    (["-p", "frame_dt=0"], ["`frame_dt`", "> 0", "got 0"]),
    ([*SET_5, "-p", "softening=0.2"], ["`softening`", "0.1", "0.2"]),
    (["--system", "pendulum", "--reference", "leapfrog"], ["`integrator` leapfrog", "'pendulum'"]),
    (["--initial", "none.npz"], ["`initial`", "none.npz"]),
    (["--initial", "start.txt"], ["`initial`", "start.txt"]),
    (["--initial", "nan.npz"], ["`initial`", "nan.npz", "`x`", "finite"]),
    (["--initial", "shapes.npz"], ["`initial`", "shapes.npz", "`v`", "(4, 3)", "(3, 3)"]),
    (["--initial", "massless.npz"], ["`initial`", "`masses`"]),
    (["--initial", "good.npz", "--initial-frame", "1"], ["`frame`", "1"]),
    (["--initial", "good.npz", "-n", "3"], ["`particles`", "3", "`initial`"]),
    (["--initial", "good.npz", "--trajectories", "2"], ["`trajectories`", "2", "`initial`"]),
    (["--output", "none/out.h5"], ["`output`", "none/out.h5"]),
    (["--output", "folder.h5"], ["`output`", "folder.h5"]),
    (["--output", "out.hdf"], ["`output`", "ending in .h5", "out.hdf"]),
    (["--output", "taken.h5"], ["`output`", "taken.h5", "--overwrite"]),
    (["--output", "x" * 300 + ".h5"], ["`output`"]),
    (["--render", "out.bmp"], ["`render`", "out.bmp", ".png"]),
    (["--render", "none/out.png"], ["`render`", "none/out.png"]),
    (["--render", "taken.png"], ["`render`", "taken.png"]),
    (["--nonsense"], ["--nonsense"]),
    (["--particles"], ["--particles"]),
    (["--particles", "many"], ["many"]),
    (["surplus"], ["surplus"]),
]

FAILURES = [
    ([*SET_5, "--weights", "corrupt"], ["`weights`", "corrupt"]),
    ([*SET_5, "--weights", "version"], ["`weights`", "version 99", "reads 1"]),
    ([*SET_5, "--weights", "incomplete"], ["`weights`", "config.json", "missing"]),
    (["--initial", "damaged.npz"], ["`initial`", "damaged.npz"]),
    (["--initial", "damaged.h5"], ["`initial`", "damaged.h5"]),
]


def name_of(case):
    return " ".join(case)[:40] if isinstance(case, list) else None


@pytest.mark.parametrize(("arguments", "words"), MISUSES, ids=name_of)
def test_misuse(arguments, words):
    make_bad_files()
    line = bad(MISUSE, "run", *arguments)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(("arguments", "words"), FAILURES, ids=name_of)
def test_failure(arguments, words):
    make_bad_files()
    line = bad(FAILURE, "run", *arguments)
    assert all(word in line for word in words), line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("integrator", ["dop853", "set"])
def test_a_device_that_is_not_there(integrator):
    line = bad(MISUSE, "run", "--integrator", integrator, "--device", "cuda")
    assert "`device` 'cuda' is not available" in line
    assert "cpu" in line


def test_a_folder_for_runs_that_cannot_be_made():
    Path("runs").write_text("a file")
    assert "runs" in bad(MISUSE, "run", *SHORT)


def test_an_unknown_command():
    assert "'walk'" in bad(MISUSE, "walk")


# Runs that go wrong on their way


def register_failing(name, action, options=IntegratorOptions):
    """Register an integrator that stands still but for `action(frames)`, x after the frames."""

    @register_integrator(name)
    class Failing(AbstractIntegrator):
        Options = options

        def _start(self, problem, state):
            return {}

        def _advance(self, carry, frames, tick):
            x, v = (np.repeat(carry.arrays[key][:, None], frames, 1) for key in ("x", "v"))
            action(SimpleNamespace(frame=carry.frame, x=x))
            return Frames(x, v)

    Failing.name = name


def lose_the_second_trajectory(segment):
    segment.x[1, 2:] = np.nan


def test_a_trajectory_that_fails_is_told_and_kept():
    register_failing("loses", lose_the_second_trajectory)
    arguments = ["--integrator", "loses", *SHORT, "--trajectories", 3]
    result = nbody_sim("run", *arguments, "-o", "out.h5")
    assert result.exit_code == FAILURE
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert all(word in line for word in ("loses", "trajectory 1", "non-finite after t = 0.2"))
    assert "position RMSE" in result.stdout
    run = read_h5md("out.h5")
    assert run.info.status == (0, -1, 0)
    assert np.isfinite(run.x).all()

    result = nbody_sim("run", *arguments, "--json", "-o", "json.h5")
    assert result.exit_code == FAILURE
    assert json.loads(result.stdout, parse_constant=no_constant)["status"][0] == [0, -1, 0]

    result = nbody_sim("run", *arguments, "--quiet", "-o", "quiet.h5")
    assert result.exit_code == FAILURE
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1


def interrupt(segment):
    if segment.frame >= 50:
        raise KeyboardInterrupt


def test_an_interrupted_run_leaves_what_was_finished():
    register_failing("stopped", interrupt)
    arguments = ["--integrator", "stopped", "-n", 4, "--duration", 10, "-o", "out.h5"]
    result = nbody_sim("run", *arguments)
    assert result.exit_code == INTERRUPTED
    assert result.stderr.startswith("\nError: interrupted")  # after the ^C of the terminal
    assert result.stderr.count("\n") == 2
    assert set(map(str, contents())) == {"out.h5.part"}
    assert read_h5md("out.h5.part").x.shape == (1, 51, 4, 3)


def divide_by_zero(segment):
    raise ZeroDivisionError("a fault\nof the method")


def test_a_fault_is_one_line_unless_a_traceback_is_asked_for(monkeypatch):
    monkeypatch.setattr(InitialValueProblem, "of", divide_by_zero)
    result = nbody_sim("run", *SHORT)
    assert result.exit_code == FAILURE
    assert result.stderr == "Error: unexpected ZeroDivisionError: a fault of the method\n"
    assert contents() == {}
    monkeypatch.setenv("NBODY_SURROGATE_DEBUG", "1")
    assert isinstance(nbody_sim("run", *SHORT).exception, ZeroDivisionError)


def test_a_fault_of_a_plugin_names_it_and_shows_its_traceback_where_asked_for(monkeypatch):
    register_failing("faulty", divide_by_zero)
    line = bad(FAILURE, "run", "--integrator", "faulty", *SHORT)
    assert line.endswith("`_advance` raised ZeroDivisionError: a fault of the method")
    monkeypatch.setenv("NBODY_SURROGATE_DEBUG", "1")
    error = nbody_sim("run", "--integrator", "faulty", *SHORT).exception
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_a_warning_is_one_line_and_quiet_suppresses_it():
    """With numbers that no other run here has, as each warning is shown once in a process."""
    arguments = ["--integrator", "set", "--duration", 0.1, "--no-reference"]
    result = nbody_sim("run", *arguments, "-n", 3)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("Warning: set was trained for particles from 5 to 30, got 3")
    assert good("run", *arguments, "-n", 4, "--quiet") == ""


# Help, version, and what they cost


def test_version():
    from nbody_surrogate import __version__

    for arguments in (["--version"], ["run", "--version"]):
        assert good(*arguments) == f"nbody-sim, version {__version__}\n"


@pytest.mark.parametrize("command", [run_command, train_command], ids=["run", "train"])
def test_help_lists_every_option(command):
    printed = good(command.name, "--help")
    assert printed == good(command.name, "-h")
    options = [name for option in command.params for name in (*option.opts, *option.secondary_opts)]
    assert len(options) > 4
    for name in options:
        assert name in printed or name.upper() in printed, name
    for command in ("run", "train"):
        assert command in good("--help")


def run_python(source, cwd):
    return subprocess.run(
        [sys.executable, "-c", source], cwd=cwd, capture_output=True, text=True, check=False
    )


COMMAND = """
import sys
from nbody_surrogate.cli import main
sys.argv[1:] = {arguments!r}
try:
    main()
except SystemExit as end:
    heavy = {heavy!r} & sys.modules.keys()
    sys.exit(f"imported {{heavy}}" if heavy else end.code)
"""


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"torch", "pyvista", "vtkmodules", "numba", "scipy", "h5py"}),
        (["run", "--help"], {"torch", "pyvista", "vtkmodules", "numba", "scipy", "h5py"}),
        (["run", "-n", "2", "--duration", "0.1", "-q"], {"torch", "pyvista", "vtkmodules"}),
    ],
    ids=lambda case: " ".join(sorted(case))[:40],
)
def test_nothing_heavy_is_imported_before_it_is_needed(folder, arguments, heavy):
    result = run_python(COMMAND.format(arguments=arguments, heavy=heavy), folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


# Training


def test_train_writes_weights_that_run_takes():
    Path("recipe.toml").write_text(RECIPE)
    result = nbody_sim("train", "recipe.toml", "-o", "trained", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    making, diagnosis, weights = result.stderr.splitlines()
    assert making == "making 10 of charged, 2 particles"
    assert diagnosis == "no sign of over-fitting, slow convergence or poor symmetry"
    assert weights == "Weights: trained/weights"
    card = json.loads(Path("trained/weights/config.json").read_text())["card"]
    assert card["training"]["command"] == "nbody-sim train recipe.toml --output trained"
    found = good_json(
        *("--integrator", "set", "--weights", "trained/weights", "-n", 2, "--duration", 0.2)
    )
    assert found["status"] == [[0], [0]]
    assert good("train", "recipe.toml", "-o", "trained", "--quiet") == ""
    assert good("train", "--resume", "trained", "--quiet") == ""
    Path("other.toml").write_text(RECIPE.replace("steps = 4", "steps = 5"))
    assert "another recipe" in bad(MISUSE, "train", "other.toml", "-o", "trained")
    with sole_writer(Path("trained")):
        assert "another process" in bad(MISUSE, "train", "--resume", "trained")


def test_an_interrupted_training_says_how_to_go_on(monkeypatch):
    Path("recipe.toml").write_text(RECIPE)
    descend, left = Trainer._descend, iter([1, 1])

    def interrupted(trainer, which):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return descend(trainer, which)

    monkeypatch.setattr(Trainer, "_descend", interrupted)
    result = nbody_sim("train", "recipe.toml", "-o", "a run", "-q")
    assert result.exit_code == INTERRUPTED
    last = result.stderr.splitlines()[-1]
    assert last == "Error: interrupted; go on with nbody-sim train --resume 'a run'"
    monkeypatch.setattr(Trainer, "_descend", descend)
    assert good("train", "--resume", "a run", "-q") == ""
    assert Path("a run/weights").is_dir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.toml", "-o", "new"], ["`config`", "none.toml"]),
        (["wrong.toml", "-o", "new"], ["`config`", "TOML"]),
        (["typo.toml", "-o", "new"], ["`widht`"]),
        (["softer.toml", "-o", "new"], ["`softening` is 0.1", "0.2"]),
        (["recipe.toml"], ["`output`", "`resume`"]),
        (["-o", "new"], ["CONFIG", "`resume`"]),
        ([], ["CONFIG", "`output`", "`resume`"]),
        (["--resume", "new"], ["`resume` 'new'", "no training run"]),
        (["--resume", "recipe.toml"], ["`resume` 'recipe.toml'", "no training run"]),
        (["recipe.toml", "--resume", "new"], ["`resume`", "CONFIG"]),
        (["--resume", "new", "-o", "new"], ["`resume`", "`output`"]),
        (["recipe.toml", "-o", "new", "--workers", "0"], ["`workers`", "0"]),
        (["recipe.toml", "-o", "new", "--threads", "-1"], ["`threads`", "-1"]),
        (["recipe.toml", "-o", "new", "--device", "abacus"], ["`device` 'abacus'"]),
        (["recipe.toml", "-o", "recipe.toml"], ["`output`", "recipe.toml"]),
    ],
    ids=name_of,
)
def test_misuse_of_train(arguments, words):
    Path("recipe.toml").write_text(RECIPE)
    Path("wrong.toml").write_text("steps =")
    Path("typo.toml").write_text(RECIPE.replace("width", "widht"))
    soft = "spec = { parameters = { softening = 0.2 },"
    Path("softer.toml").write_text(RECIPE.replace("spec = {", soft))
    line = bad(MISUSE, "train", *arguments)
    assert all(word in line for word in words), line
    assert not Path("new").exists()


def test_training_failures_are_one_line(monkeypatch):
    Path("recipe.toml").write_text(RECIPE)

    def hungry(model, x, v, particles):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(SET, "forward", hungry)
        result = nbody_sim("train", "recipe.toml", "-o", "trained", "-q")
    assert result.exit_code == FAILURE
    (line,) = result.stderr.splitlines()
    assert "out of memory at step 0" in line
    assert "try `batch` of 1" in line
    Path("trained/recipe.json").write_text("{")
    assert "damaged" in bad(FAILURE, "train", "--resume", "trained")
