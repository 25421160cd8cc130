"""What is of a wrong type, from code without annotations: one line that names the parameter."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from nbody_surrogate import make_system, simulate
from nbody_surrogate.contracts.arguments import (
    demand_flag,
    demand_kind,
    demand_number,
    demand_path,
    demand_whole,
)
from nbody_surrogate.errors import InputError
from refusals import refused

SCRIPT = r"""
from tempfile import mkdtemp
import numpy as np
import nbody_surrogate as nb
from nbody_surrogate.datasets import DatasetSpec, export_npz, export_nri, generate_dataset
from nbody_surrogate.formats.export import export

system = nb.make_system("charged")
state, particles = system.sample(0, 3)
start = (system, state, particles)
run = nb.simulate(*start, 2)
seen = nb.observe(run[0], seed=0)
tiny = DatasetSpec(particles=2, frames=2, trajectories=1, splits={"train": 1})
tiny = generate_dataset(tiny, mkdtemp() + "/set")

CALLS = [
    ("frames", "2.5", lambda: nb.simulate(*start, frames=2.5)),
    ("frames", "'3'", lambda: nb.simulate(*start, frames="3")),
    ("frames", "None", lambda: nb.simulate(*start, frames=None)),
    ("index", "0 indices", lambda: run[()]),
    ("index", "1 indices", lambda: run[0,]),
    ("index", "3 indices", lambda: run[0, 0, 0]),
    ("frames", "True", lambda: nb.simulate(*start, frames=True)),
    ("system", "'chargd'", lambda: nb.simulate("chargd", state, particles, 2)),
    ("system", "5", lambda: nb.simulate(5, state, particles, 2)),
    ("state", "tuple", lambda: nb.simulate(system, (state.x, state.v), particles, 2)),
    ("particles", "None", lambda: nb.simulate(system, state, None, 2)),
    ("integrator", "int", lambda: nb.simulate(*start, 2, 5)),
    ("dt", "'a'", lambda: nb.simulate(*start, 2, dt="a")),
    ("dt", "True", lambda: nb.simulate(*start, 2, dt=True)),
    ("guard", "5", lambda: nb.simulate(*start, 2, guard=5)),
    ("output", "5", lambda: nb.simulate(*start, 2, output=5)),
    ("frames", "2.5", lambda: nb.parareal(*start, 2.5, coarse="leapfrog:1")),
    ("slices", "'2'", lambda: nb.parareal(*start, 8, coarse="leapfrog:1", slices="2")),
    ("tolerance", "'x'", lambda: nb.parareal(*start, 8, coarse="leapfrog:1", tolerance="x")),
    ("executor", "int", lambda: nb.parareal(*start, 8, coarse="leapfrog:1", executor=5)),
    ("coarse", "5", lambda: nb.parareal(*start, 8, coarse=5)),
    ("fine", "None", lambda: nb.parareal(*start, 8, coarse="leapfrog:1", fine=None)),
    ("reference", "3", lambda: nb.simulate(*start, 2, guard=nb.Guard("fallback", reference=3))),
    ("reference", "3", lambda: nb.Outside("fallback", 3)),
    ("error_estimate", "'no'", lambda: nb.simulate(*start, 2, error_estimate="no")),
    ("error_estimate", "0", lambda: nb.simulate(*start, 2, error_estimate=0)),
    ("verify", "'no'", lambda: nb.simulate(*start, 2, verify="no")),
    ("overwrite", "'no'", lambda: nb.Output("a.h5", "no")),
    ("overwrite", "'no'", lambda: run.save("a.npz", overwrite="no")),
    ("overwrite", "'no'", lambda: nb.resume("a", overwrite="no")),
    ("overwrite", "'no'", lambda: export_npz(tiny, "made", overwrite="no")),
    ("overwrite", "'no'", lambda: export_nri(tiny, "made", overwrite="no")),
    ("allow_inexact", "'no'", lambda: nb.resume("a", allow_inexact="no")),
    ("checkpoint", "5", lambda: nb.Output("a.h5", checkpoint=5)),
    ("observers", "5", lambda: nb.simulate(*start, 2, observers=5)),
    ("observers", "7", lambda: nb.simulate(*start, 2, observers=[7])),
    ("twins", "5", lambda: nb.compare(run, run, 5)),
    ("candidate", "int", lambda: nb.compare(run, 5)),
    ("comparisons", "Trajectory", lambda: nb.comparison_table(run)),
    ("comparisons", "5", lambda: nb.comparison_table(5)),
    ("path", "None", lambda: nb.read_run(None)),
    ("path", "None", lambda: nb.read_h5md(None)),
    ("initial", "None", lambda: nb.read_initial(None)),
    ("path", "5", lambda: nb.resume(5)),
    ("candidate", "NoneType", lambda: nb.render(None, "a.png")),
    ("candidate", "list", lambda: nb.render([run, run], "a.png")),
    ("reference", "int", lambda: nb.render(run[0], "a.png", reference=5)),
    ("candidate", "None", lambda: export(None, "a.npz")),
    ("output", "5", lambda: export(run[0], 5)),
    ("result", "NoneType", lambda: nb.plot(None)),
    ("note", "not JSON serializable", lambda: nb.Checkpoint("a", {"a": np.ones(2)})),
    ("note", "5", lambda: nb.Checkpoint("a", 5)),
    ("frames", "2.5", lambda: run.valid_part(2.5)),
    ("paths", "int", lambda: nb.read_tracks(3)),
    ("paths", "3", lambda: nb.read_tracks([3])),
    ("mend_swaps", "'no'", lambda: nb.read_tracks("a.csv", mend_swaps="no")),
    ("run", "Ensemble", lambda: nb.observe(run, seed=0)),
    ("noise", "'1'", lambda: nb.observe(run[0], noise="1", seed=0)),
    ("every", "1.5", lambda: nb.observe(run[0], every=1.5, seed=0)),
    ("seed", "None", lambda: nb.observe(run[0], seed=None)),
    ("tracks", "got 3", lambda: nb.write_tracks("a.csv", 3)),
    ("tracks", "several", lambda: nb.write_tracks("a.csv", [3])),
    ("overwrite", "'no'", lambda: nb.write_tracks("a.csv", seen, overwrite="no")),
    ("output", "5", lambda: nb.write_tracks(5, seen)),
    ("tracks", "Trajectory", lambda: nb.position_noise(run[0])),
    ("minimum", "1.5", lambda: seen.segments(1.5)),
]
for name, given, call in CALLS:
    try:
        call()
    except nb.InputError as error:
        said = str(error)
        assert f"`{name}`" in said and given in said and "\n" not in said, (name, said)
    else:
        raise AssertionError(name, given)
for wrong in (lambda: run[5], lambda: run.state(99)):
    try:
        wrong()
    except IndexError:
        continue
    raise AssertionError
"""


def test_every_call_says_what_is_wrong(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_any_library_will_do():
    assert demand_whole("n", np.int32(3), 1) == 3
    assert demand_number("dt", np.float32(0.5)) == 0.5
    assert demand_flag("verify", np.bool_(True)) is True
    assert demand_path("path", "a.h5").name == "a.h5"
    demand_kind("n", 3, int, "a number")


def test_long_values_are_shortened():
    with refused(InputError, "`n`", "..."):
        demand_whole("n", "x" * 1000, 1)
    with refused(InputError, "`path`", "b'"):
        demand_path("path", b"a.h5")


def test_frames_that_rounding_makes_one_are_refused_before_the_run(tmp_path):
    system = make_system("charged")
    state, particles = system.sample(0, 3)
    late = type(state)(1.0, state.x, state.v)
    with refused(InputError, "`dt`", "rounding", "fewer frames"):
        simulate(system, late, particles, 9, dt=1.2e-16, output=tmp_path / "a.h5")
    assert [each for each in tmp_path.iterdir() if each.suffix == ".h5"] == []


@pytest.mark.parametrize("dt", [1e-13, 0.25])
def test_times_are_products(dt):
    system = make_system("charged")
    state, particles = system.sample(0, 3)
    run = simulate(system, state, particles, 3, dt=dt)
    np.testing.assert_array_equal(run.t, np.arange(4) * dt)
