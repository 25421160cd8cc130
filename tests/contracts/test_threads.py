"""How many threads are chosen: by the work, the cores, and what a run had."""

import os

import pytest

from nbody_surrogate import make_integrator
from nbody_surrogate.contracts import threads
from nbody_surrogate.contracts.threads import at_most_threads, threads_that_pay, usable_cores


@pytest.fixture
def eight(monkeypatch):
    """A process that may use eight cores."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("work", "wanted"), [(0, 1), (99, 1), (199, 1), (200, 2), (550, 5), (800, 8), (1e9, 8)]
)
def test_each_thread_has_a_share_of_the_work(eight, work, wanted):
    assert threads_that_pay(work, 100) == wanted


def test_no_more_than_is_allowed(eight):
    assert threads_that_pay(1e9, 1, allowed=3) == 3
    assert threads_that_pay(1e9, 1, allowed=30) == 8


@pytest.mark.parametrize(
    ("told", "wanted"), [("3", 3), ("3,2", 3), ("30", 8), ("0", 8), ("", 8), ("many", 8)]
)
def test_a_batch_system_may_give_fewer_cores(eight, monkeypatch, told, wanted):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert usable_cores() == wanted


def test_a_run_that_goes_on_has_the_threads_that_it_had(eight):
    with at_most_threads(16):
        assert threads_that_pay(1e9, 1, allowed=2) == 16
        assert threads_that_pay(50, 100) == 1
    assert threads_that_pay(1e9, 1) == 8


# The rules of methods: trajectories, particles, threads

RULES = [
    (
        "leapfrog",
        {},
        [(1, 100, 1), (8, 30, 1), (64, 30, 2), (8, 100, 4), (512, 5, 1), (4096, 30, 8)],
    ),
    ("dop853-compiled", {}, [(1, 100, 1), (64, 5, 1), (512, 5, 8), (8, 30, 3), (2, 100, 2)]),
    ("leapfrog", {"backend": "torch"}, [(1, 100, 1), (64, 100, 1)]),
    ("dop853", {}, [(512, 100, 1)]),
]


@pytest.mark.parametrize(("name", "options", "cases"), RULES)
def test_the_work_decides(eight, name, options, cases):
    method = make_integrator(name, **options)
    for batch, n, wanted in cases:
        assert method.threads_for(batch, n) == wanted, (batch, n)


@pytest.mark.parametrize("name", ["leapfrog", "dop853-compiled"])
def test_what_is_asked_for_is_obeyed(monkeypatch, name):
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    assert make_integrator(name, threads=7).threads_for(1, 2) == 7
