"""What `integrator=` and the options of a method may be: one spelling, the same limits for all."""

from __future__ import annotations

import numpy as np
import pytest

import nbody_surrogate as nb
from nbody_surrogate.contracts.threads import MOST_THREADS
from nbody_surrogate.errors import InputError
from nbody_surrogate.integrators.build import find_method
from nbody_surrogate.registry.lookup import names
from refusals import refused

THREADED = [
    name for name in sorted(names("integrators")) if "threads" in find_method(name).options
] + ["set"]


@pytest.mark.parametrize(
    ("threads", "words"),
    [(10**6, f"must be <= {MOST_THREADS}"), (0, "must be >= 1")]
    + [(given, "must be a number") for given in (True, "2", b"2")],
)
@pytest.mark.parametrize("name", THREADED)
def test_threads_that_no_machine_has_are_refused_by_each_method(name, threads, words):
    with refused(InputError, "`threads`", name, words):
        nb.make_integrator(name, threads=threads)


@pytest.mark.parametrize(
    ("name", "option"),
    [("leapfrog", {"substeps": True}), ("dop853", {"rtol": "1e-9"}), ("rk4", {"segment": "5"})],
)
def test_no_number_is_made_of_what_is_none(name, option):
    with refused(InputError, *option, "must be a number"):
        nb.make_integrator(name, **option)


def test_numbers_of_numpy_are_numbers():
    assert nb.make_integrator("leapfrog", substeps=np.int64(4)).options.substeps == 4
    assert nb.make_integrator("dop853", rtol=np.float64(1e-6)).options.rtol == 1e-6


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("leapfrog:8", {"name": "leapfrog", "substeps": 8}),
        ("dop853:1e-6", {"name": "dop853", "rtol": 1e-6, "atol": 1e-6}),
    ],
)
def test_a_text_of_the_command_line_is_the_method_with_those_options(text, same):
    system = nb.make_system("charged")
    start = system, *system.sample(0, 3)
    name = same.pop("name")
    run = nb.simulate(*start, 3, integrator=text)
    wanted = nb.simulate(*start, 3, integrator=nb.make_integrator(name, **same))
    np.testing.assert_array_equal(run.x, wanted.x)
    assert run.info.method == wanted.info.method


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("leapfrog:0", "sub-steps must be a whole number"),
        ("leapfrog:x", "what follows 'leapfrog' must be a number"),
        ("copy-last:3", "takes no number"),
        ("leapfrogg", "did you mean 'leapfrog'"),
        ("dop853+numpy", "leave it out"),
        ("rk4+compile", "only models"),
    ],
)
def test_a_text_that_is_none_is_one_line_that_names_the_parameter(text, words):
    system = nb.make_system("charged")
    start = system, *system.sample(0, 3)
    with refused(InputError, "`integrator`", text, words):
        nb.simulate(*start, 2, integrator=text)


def test_a_plot_of_something_says_what_would_draw_it():
    system = nb.make_system("charged")
    run = nb.simulate(system, *system.sample(0, 3), 2, "leapfrog")
    for result in (run, run[0], nb.compare(run, run)):
        with refused(InputError, "`plot` takes no argument", "savefig"):
            result.plot("x")
