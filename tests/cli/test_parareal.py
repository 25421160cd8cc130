"""`nbody-sim run --integrator parareal`, what its files say, and how it goes on after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

import nbody_surrogate as nb
from command_run import good_json
from commands import MISUSE, bad, good

OPTIONS = ("coarse=leapfrog:4", "fine=rk4:32", "slices=4", "tolerance=1e-6")
GIVEN = [word for each in OPTIONS for word in ("--integrator-option", each)]
RUN = ("--integrator", "parareal", *GIVEN, "-n", 4, "--duration", 1.2, "--no-reference")


def test_a_run_says_iterations_calls_and_gain_and_so_does_its_file():
    found = good_json(*RUN, "-o", "a.h5")["parareal"]
    assert (found["coarse"]["integrator"], found["fine"]["integrator"]) == ("leapfrog", "rk4")
    assert (found["slices"], found["slice_frames"]) == (4, 3)  # the run is the window
    assert found["speed_up"] == found["serial_calls"] / found["critical_calls"] > 1
    read = nb.load("a.h5").info
    assert read.parareal.iterations == found["iterations"] < 4
    assert read.parareal.windows[0].defects[0][0] > 1e-6
    assert read.label == "parareal (rk4 over leapfrog)"
    nb.load("a.h5").save("a.npz")
    assert nb.load("a.npz").info.parareal == read.parareal


def test_the_table_and_the_page_say_it_in_a_line():
    shown = good("run", *RUN, "-o", "a.h5", "--report", "a.html")
    said = "Parareal: 4 slices by rk4 over leapfrog, "
    assert said in shown
    assert "times faster than rk4 alone" in shown.replace("\n", " ")
    assert said in Path("a.html").read_text(encoding="utf-8")


def test_a_run_that_was_killed_goes_on_to_the_same_bits_and_account(tmp_path):
    system = nb.make_system("charged")
    start = (system, *system.sample(2, 3), 9)
    method = nb.Parareal(coarse="leapfrog:4", fine="dop853:1e-5", slices=3, segment=3)
    whole = nb.simulate(*start, method)

    class Killed(nb.Observer):
        def on_segment(self, run, new):
            if run.done == 6:
                raise KeyboardInterrupt

    checkpoint = nb.Checkpoint(tmp_path / "a.restart")
    with pytest.raises(KeyboardInterrupt):
        output = nb.Output(tmp_path / "a.h5", checkpoint=checkpoint)
        nb.simulate(*start, method, output=output, observers=Killed())
    rest = nb.resume(checkpoint.path, method)
    assert rest.x.tobytes() == whole.x.tobytes()
    assert rest.info.parareal == whole.info.parareal
    assert rest.info.parareal.made == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("slice=4", "did you mean `slices`?"),
        ("slices", "`integrator_option` must be KEY=VALUE"),
        ("slices=0", "`slices`"),
        ("slices=100", "`slices` must be at most 50 for 50 frames"),
        ("coarse=nothing", "`coarse` 'nothing' is no method"),
        ("coarse=dop853:1e-12", "`coarse` dop853 of integrator 'parareal' must cost less"),
        ("threads=2", "has an option of its own: --threads"),
    ],
)
def test_a_wrong_option_is_one_line(given, words):
    line = bad(MISUSE, "run", "--integrator", "parareal", "--integrator-option", given, "-n", 3)
    assert words in line


def test_an_option_is_given_once():
    twice = ("--rtol", "1e-7", "--integrator-option", "rtol=1e-8")
    assert "is given twice" in bad(MISUSE, "run", *twice)
    both = ("--integrator", "leapfrog", "--integrator-option", "substeps=4", "-n", 3)
    found = good_json(*both, "--duration", 0.5, "--no-reference")
    assert found["methods"][0]["substeps"] == 4
