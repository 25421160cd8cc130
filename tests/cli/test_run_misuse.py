"""Bad inputs of `run`: one line each, and no file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from command_run import SHORT, name_of, write_npz
from commands import FAILURE, MISUSE, bad
from nbody_set.model import SET


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
    (["--duration", "1e300"], ["`duration`", "1e300"]),
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
        ["--verify", "--integrator", "leapfrog", "--reference-rtol", "1e-12"],
        ["`reference_rtol`", "`verify`", "at least 3e-12", "got 1e-12"],
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
    ([*SET_5, "--weights", "incomplete"], ["`weights`", "config.json", "missing"]),
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
    (["--output", "out.hdf"], ["`output`", "ending in one of .h5", "out.hdf"]),
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
    (["--initial", "damaged.npz"], ["`initial`", "damaged.npz"]),
    (["--initial", "damaged.h5"], ["`initial`", "damaged.h5"]),
]


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
