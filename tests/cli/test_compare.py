"""`nbody-sim compare`: files and methods, one table, one JSON, one figure; and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from commands import FAILURE, MISUSE, bad, good, no_constant
from json_schemas import documented
from nbody_surrogate import make_integrator, make_system, read_h5md, simulate
from nbody_surrogate.comparison.alignment import interpolated


def run(output, frames=20, n=3, integrator="leapfrog", system="charged", dt=0.1, **options):
    physics = make_system(system, frame_dt=dt)
    state, particles = physics.sample(0, n)
    method = make_integrator(integrator, **options)
    return simulate(physics, state, particles, frames, method, output=output)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs of the same start, and others that do not fit."""
    folder = tmp_path_factory.mktemp("runs")
    run(folder / "truth.h5", integrator="dop853")
    run(folder / "coarse.h5", substeps=2)
    run(folder / "fine.h5", substeps=16)
    run(folder / "sparse.h5", frames=10, dt=0.2)
    run(folder / "short.h5", frames=10)
    run(folder / "four.h5", n=4)
    run(folder / "soft.h5", system="gravity", integrator="dop853")
    shutil.copy(folder / "fine.h5", folder / "nm.h5")
    with h5py.File(folder / "nm.h5", "r+") as file:
        file["particles/trajectory_0000/position/value"].attrs["unit"] = np.bytes_("nm")
    (folder / "empty.h5").touch()
    whole = (folder / "fine.h5").read_bytes()
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path, made, monkeypatch):
    """The working directory, with the runs in `runs`."""
    monkeypatch.chdir(tmp_path)
    Path("in").symlink_to(made)
    return tmp_path


def test_files_are_compared_with_the_first():
    printed = good("compare", "in/truth.h5", "in/coarse.h5", "in/fine.h5", "-o", "out")
    for words in ("Against dop853", "2 sub-steps)", "16 sub-steps)", "noise floor", "Lyapunov"):
        assert words in printed
    found = json.loads(Path("out.json").read_text(), parse_constant=no_constant)
    coarse, fine = found["comparisons"]
    assert coarse["errors"]["mse 5"]["median"] > 10 * fine["errors"]["mse 5"]["median"] > 0
    assert {each["name"] for each in fine["distributions"]} == {
        "speeds",
        "pair distances",
        "displacement",
        "bound pairs",
    }
    assert all(each["floor"]["median"] > 0 for each in fine["distributions"][:3])
    assert len(fine["curves"]["bands"]["position_rmse"]["candidate"]["median"]) == 21
    assert found["command"] == "nbody-sim compare in/truth.h5 in/coarse.h5 in/fine.h5"
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")


def test_methods_are_compared_on_the_same_starts():
    arguments = ("--integrators", "leapfrog:4,rk4:4,ballistic", "-n", 3, "--seeds", 4)
    text = good("compare", *arguments, "--duration", 1, "--no-floor", "--json", "-o", "out")
    found = documented("compare", text)
    labels = [each["candidate"] for each in found["comparisons"]]
    assert labels == ["leapfrog:4", "rk4:4", "ballistic"]
    leapfrog, rk4, ballistic = (e["errors"]["mse 10"] for e in found["comparisons"])
    assert rk4["median"] < leapfrog["median"] < ballistic["median"]
    assert leapfrog["low"] < leapfrog["median"] < leapfrog["high"]
    assert found["no_floor"] == "not asked for"
    assert found["comparisons"][0]["trajectories"] == 4


def test_other_times_are_interpolated_only_when_asked():
    line = bad(MISUSE, "compare", "in/truth.h5", "in/sparse.h5")
    assert "frames" in line
    good("compare", "in/truth.h5", "in/sparse.h5", "--interpolate", "--no-floor", "-o", "out")


def test_interpolation_is_exact_for_cubics_and_keeps_the_frames(made):
    truth, sparse = read_h5md(made / "truth.h5"), read_h5md(made / "sparse.h5")
    dense = interpolated(sparse, truth)
    np.testing.assert_allclose(dense.x[:, ::2], sparse.x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(dense.v[:, ::2], sparse.v, rtol=0, atol=1e-12)
    cubic = np.polynomial.Polynomial([1.0, -2.0, 0.5, 3.0])

    def moving(run):
        t = run.t[None, :, None, None] * np.ones_like(run.x)
        return replace(run, x=cubic(t), v=cubic.deriv()(t))

    dense, wanted = interpolated(moving(sparse), truth), moving(truth)
    np.testing.assert_allclose(dense.x, wanted.x, rtol=1e-12)
    np.testing.assert_allclose(dense.v, wanted.v, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("four", ["3 particles", "4 particles"]),
        ("short", ["21 frames", "11 frames"]),
        ("soft", ["'charged'", "'gravity'"]),
    ],
)
def test_files_that_do_not_belong_together_say_what_differs(name, words):
    line = bad(MISUSE, "compare", "in/truth.h5", f"in/{name}.h5")
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("name", "words"),
    [("none", "does not exist"), ("empty", "empty.h5"), ("cut", "cut.h5"), ("nm", "'nm'")],
)
def test_files_that_cannot_be_read_are_named(name, words):
    code = MISUSE if name == "none" else FAILURE
    assert words in bad(code, "compare", "in/truth.h5", f"in/{name}.h5")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["files", "`integrators`"]),
        (["in/truth.h5"], ["candidate", "truth.h5"]),
        (["in/truth.h5", "in/fine.h5", "--integrators", "rk4"], ["either"]),
        (["in/truth.h5", "in/fine.h5", "--seeds", 3], ["`seeds`", "files"]),
        (["in/short.h5", "in/truth.h5", "-o", "none/out"], ["`output`", "none"]),
        (["in/truth.h5", "in/short.h5", "--interpolate"], ["reach", "0 to 2", "0 to 1"]),
        (["--integrators", "rk4", "--interpolate"], ["`interpolate`"]),
        (["--integrators", "rk5"], ["'rk5'", "rk45"]),
        (["--integrators", "rk4", "--seeds", 0], ["`seeds`", "0"]),
        (["--integrators", "rk4", "--duration", 0.55], ["`duration`", "0.55"]),
    ],
)
def test_misuse_of_compare_is_one_line(arguments, words):
    line = bad(MISUSE, "compare", *arguments)
    assert all(word in line for word in words), line
