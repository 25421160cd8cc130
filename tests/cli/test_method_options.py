"""Whose an option is: each is the method's, its reference's, or the machine's, or it is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from command_run import SHORT, HardwareOptions, good_json, register_failing
from commands import MISUSE, bad
from nbody_surrogate.cli.compare import compare as compare_command
from nbody_surrogate.cli.method_options import (
    OF_BOTH,
    OF_METHOD,
    as_of_before,
    check_applying,
    check_shared,
    reference_options,
)
from nbody_surrogate.cli.request import Request
from nbody_surrogate.cli.resume import resume as resume_command
from nbody_surrogate.cli.run import run as run_command
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.build import find_method

ADAPTIVE, FIXED = {"rtol", "atol", "norm", "max_step"}, {"substeps", "step"}
TAKES = {
    "dop853": ADAPTIVE,
    "rk45": ADAPTIVE,
    "dop853-compiled": ADAPTIVE | {"threads"},
    "leapfrog": FIXED | {"form", "threads", "device"},
    "exact-flow": FIXED | {"order", "threads", "device"},
    "rk4": FIXED | {"threads", "device"},
    "hermite4": {"eta", "threads"},
    "ballistic": set(),
    "set": {"weights", "dtype", "engine", "compile", "threads", "device"},
}
"""What each method can be told on the command line."""

VALUES = {
    "rtol": 1e-6,
    "atol": 1e-6,
    "norm": "rms",
    "max_step": 0.05,
    "substeps": 4,
    "step": 0.01,
    "form": "kdk",
    "order": 4,
    "eta": 0.01,
    "dtype": "float64",
    "weights": "set",
    "engine": "torch",
    "compile": True,
    "threads": 2,
    "device": "cuda",
}


def given(option, prefix=""):
    field = "compiled" if option == "compile" else prefix + option
    return {field: VALUES[option]}


@pytest.mark.parametrize("option", VALUES)
@pytest.mark.parametrize("name", TAKES)
def test_an_option_of_the_method_is_taken_or_refused(name, option):
    request = Request(integrator=name, no_reference=True, **given(option))
    if option in TAKES[name]:
        check_applying(request, find_method(name), None)
    else:
        with pytest.raises(InputError, match=rf"`{option}`.* does not apply to integrator '{name}"):
            check_applying(request, find_method(name), None)


@pytest.mark.parametrize("option", OF_BOTH)
@pytest.mark.parametrize("name", TAKES)
def test_an_option_of_the_reference_is_taken_or_refused(name, option):
    request = Request(integrator="set", reference=name, **given(option, "reference_"))
    method = find_method("set")
    with pytest.raises(InputError, match=f"`reference_{option}` does not go with `no_reference`"):
        check_applying(request, method, None)
    if option in TAKES[name]:
        check_applying(request, method, find_method(name))
    else:
        with pytest.raises(InputError, match=f"`reference_{option}` does not apply to reference"):
            check_applying(request, method, find_method(name))


def test_a_method_of_anyone_takes_what_its_options_are():
    register_failing("hard", lambda segment: None, HardwareOptions)
    for option in ("substeps", "threads", "device"):
        request = Request(integrator="hard", no_reference=True, **given(option))
        check_applying(request, find_method("hard"), None)
    line = bad(MISUSE, "run", *SHORT, "--integrator", "hard", "--step", 0.1)
    assert "`step` does not apply to integrator 'hard', which takes `substeps`" in line


@pytest.mark.parametrize(
    ("methods", "device", "threads", "refused"),
    [
        (["dop853", "rk45"], "auto", 2, "`threads` 2"),
        (["dop853", "rk45"], "cuda", 1, "`device` 'cuda'"),
        (["dop853", "rk45"], "cpu", 1, None),
        (["dop853", "leapfrog"], "cuda", 2, None),
        (["dop853", "set"], "cuda", 2, None),
    ],
)
def test_of_several_methods_one_must_use_the_hardware(methods, device, threads, refused):
    found = [find_method(name) for name in methods]
    if refused is None:
        check_shared(device, threads, found)
        return
    with pytest.raises(InputError, match=f"{refused} does not apply"):
        check_shared(device, threads, found)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--integrator", "set", "--rtol", 0.01], ["`rtol`", "--reference-rtol is that of"]),
        (["run", "--integrator", "leapfrog", "--atol", 0.01], ["`atol`", "--reference-atol"]),
        (
            ["run", "--integrator", "leapfrog", "--reference", "rk4", "--rtol", 0.01],
            ["`rtol`", "which takes `substeps`, `step`"],
        ),
        (
            ["run", "--integrator", "set", "--reference-substeps", 4],
            ["`reference_substeps`", "'dop853'", "takes `rtol`, `atol`, `norm`, `max_step`"],
        ),
        (["run", "--reference-rtol", 2], ["`reference_rtol`", "must be < 1", "2"]),
        (["run", "--reference-rtol", 1e-9, "--reference-atol", 1e-9], ["must differ from those"]),
        (["run", "--threads", 2], ["`threads` 2", "'dop853'"]),
        (["compare", "--integrators", "rk45", "--reference", "rk45:1e-9", "--threads", 2], ["one"]),
        (["compare", "a.h5", "b.h5", "--threads", 2], ["`threads`", "`integrators` only"]),
        (["compare", "a.h5", "b.h5", "--device", "cpu"], ["`device`", "`integrators` only"]),
        (["compare", "--integrators", "set:1e-6"], ["'set:1e-6'", "takes no number"]),
        (["compare", "--integrators", "leapfrog:1e-6"], ["'leapfrog:1e-6'", "sub-steps"]),
        (["bench", "--integrators", "dop853", "--threads", 2], ["`threads`"]),
    ],
    ids=lambda case: " ".join(map(str, case))[:60],
)  # fmt: skip
def test_the_command_line_refuses_it_in_one_line(arguments, words):
    line = bad(MISUSE, *arguments)
    assert all(word in line for word in words), line


def test_the_reference_is_told_apart_from_the_method():
    tolerances = ["--rtol", 1e-5, "--reference-rtol", 1e-8, "--reference-atol", 1e-10]
    method, reference = good_json(*SHORT, *tolerances)["methods"]
    assert (method["rtol"], method["atol"]) == (1e-5, 1e-9)
    assert (reference["rtol"], reference["atol"]) == (1e-8, 1e-10)


def test_steps_of_the_reference_replace_those_of_the_method_it_is():
    steps = ["--integrator", "leapfrog", "--reference", "leapfrog", "--substeps", 2]
    method, reference = good_json(*SHORT, *steps, "--reference-step", 0.005)["methods"]
    assert (method["substeps"], reference["substeps"], reference["step"]) == (2, None, 0.005)


def test_no_command_has_an_option_of_a_method_that_is_not_in_the_table():
    known = set(VALUES) | {f"reference_{key}" for key in OF_BOTH}
    assert set(OF_METHOD) | {"threads", "device"} == set(VALUES)
    for command in (run_command, resume_command, compare_command):
        names = {each.name for each in command.params}
        tuned = {name for name in names if name.removeprefix("reference_") in VALUES}
        assert tuned <= known


def test_a_restart_file_of_a_release_before_goes_on_as_it_was():
    request = Request(integrator="leapfrog", rtol=1e-6, threads=2)
    leapfrog, dop853 = find_method("leapfrog"), find_method("dop853")
    meant = as_of_before(request, leapfrog, dop853)
    assert meant == replace(request, rtol=None, reference_rtol=1e-6)
    check_applying(meant, leapfrog, dop853)
    alone = as_of_before(Request(rtol=1e-6, threads=2), dop853, dop853)
    assert (alone.rtol, reference_options(alone), alone.threads) == (1e-6, {}, Request().threads)


@pytest.mark.parametrize("end", ["x", ""])
@pytest.mark.parametrize("forces", ["", "@p2"])
def test_what_is_no_number_behind_a_method_is_named(end, forces):
    told = bad(MISUSE, "run", "--system", "spheres", "--integrator", f"leapfrog:{end}{forces}")
    assert f"`integrator` 'leapfrog:{end}': what follows 'leapfrog' must be a number" in told
