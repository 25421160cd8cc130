"""A line where code is compiled first, and none where it is not."""

from __future__ import annotations

import logging
import time

import numba
import pytest

import nbody_surrogate.simulation.compiling as compiling
from nbody_surrogate import make_integrator, make_system, simulate
from nbody_surrogate.cli.progress import compiling_shown


def compiled(number, cache=False, times=1):
    """Compile a function that nobody has seen."""
    for k in range(times):
        constant = number + k  # of what is compiled

        def adds(x, constant=constant):
            return x + constant

        numba.njit(cache=cache)(adds)(1.0)


def lines(caplog):
    deadline = time.monotonic() + 5  # another thread says it
    while not caplog.messages and time.monotonic() < deadline:
        time.sleep(0.01)
    return caplog.messages


@pytest.fixture
def told(caplog, monkeypatch):
    caplog.set_level(logging.INFO, compiling.__name__)
    monkeypatch.setattr(compiling, "PATIENCE", 0.0)
    return caplog


def test_one_line_however_many_functions(told):
    with compiling.compiling_noted("toy"):
        compiled(1.0, times=3)
        assert lines(told) == ["compiling toy"]
    compiled(2.0)
    assert told.messages == ["compiling toy"]


def test_it_says_where_it_is_kept(told):
    with compiling.compiling_noted("toy"):
        compiled(time.time(), cache=True)  # another constant each time, which no cache has
        assert lines(told) == ["compiling toy, once: it is kept for later runs"]


def test_what_is_there_is_no_word_worth(told):
    def adds(x):
        return x + 1

    known = numba.njit(adds)
    known(1.0)
    with compiling.compiling_noted("toy"):
        known(2.0)
    assert told.messages == []


def test_short_waits_are_no_word_worth_and_add_up(told, monkeypatch):
    monkeypatch.setattr(compiling, "PATIENCE", 60.0)
    with compiling.compiling_noted("toy"):
        compiled(3.0)
    watch = compiling._Watch("toy")
    for _ in range(2):
        monkeypatch.setattr(compiling, "PATIENCE", watch._spent + 60.0)
        watch.begin(True)
        time.sleep(0.002)
        watch.end()
    assert told.messages == []
    monkeypatch.setattr(compiling, "PATIENCE", watch._spent)
    watch.begin(True)
    assert lines(told)
    watch.end()


def test_a_run_says_it_on_stderr_whatever_that_is(monkeypatch, capsys):
    """In Python the log has it, which says nothing unless it is asked to."""
    monkeypatch.setattr(compiling, "PATIENCE", 0.0)
    system = make_system("charged")
    start = system.sample(0, 3)

    def run():
        method = make_integrator("leapfrog", substeps=1)
        simulate(system, *start, 1, method, observers=lambda done, total: compiled(done))

    run()
    assert capsys.readouterr().err == ""
    with compiling_shown(hidden=True):
        run()
    assert capsys.readouterr().err == ""
    with compiling_shown():
        run()
    assert capsys.readouterr().err == "compiling leapfrog\n"
