"""A pool of processes: what is done is said, whatever fails, and nothing outlives its end."""

from __future__ import annotations

import sys
from contextlib import closing
from functools import partial

import pytest

from nbody_surrogate.errors import InputError, RunError
from nbody_surrogate.parallel.processes import run_here, run_on_workers

WORK = '''
import os
import time
from nbody_surrogate.errors import InputError

def work(folder, item, tick):
    """Leave a file; fail at "bad", die at "dead", never end at "endless", be last at "last"."""
    if item == "bad":
        (folder.parent / "failed").touch()
        raise InputError("`item` is bad")
    if item == "dead":
        os._exit(3)
    if item == "endless":
        (folder / "begun").touch()
        time.sleep(1e6)
    while item == "last" and not (folder.parent / "failed").exists():
        time.sleep(0.01)
    tick(2)
    (folder / item).touch()
'''
DIED = "it died"


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Of a module that worker processes find, as this one they would not."""
    (tmp_path / "work_of_a_test.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    from work_of_a_test import work as function

    folder = tmp_path / "done"
    folder.mkdir()
    yield partial(function, folder)
    monkeypatch.delitem(sys.modules, "work_of_a_test")


def done_in(work):
    return {path.name for path in work.args[0].iterdir()}


def test_here_items_are_done_in_turn(work):
    steps = []
    given = iter("abc")
    for item in run_here(work, given, steps.append):
        assert done_in(work) == set("abc"[: len(steps)])
        assert item == "abc"[len(steps) - 1]
    assert steps == [2, 2, 2]


def test_on_workers_all_items_are_done_and_counted(work):
    steps = []
    items = [str(k) for k in range(9)]
    found = list(run_on_workers(work, items, 2, steps.append, died=DIED, finish=True))
    assert sorted(found) == items
    assert done_in(work) == set(items)
    assert sum(steps) == 2 * len(items)


def test_items_are_drawn_as_workers_become_free(work):
    drawn = []

    def items():
        for k in range(12):
            drawn.append(k)
            yield str(k)

    with closing(run_on_workers(work, items(), 2, died=DIED, finish=True)) as found:
        next(found)
        assert len(drawn) <= 2 * 2


def test_where_one_fails_the_others_are_finished_first(work):
    found = []
    with pytest.raises(InputError, match="`item` is bad"):
        for item in run_on_workers(work, ["last", "bad"], 2, died=DIED, finish=True):
            found.append(item)
    assert found == ["last"]
    assert done_in(work) == {"last"}


def test_or_all_end_at_once(work):
    with pytest.raises(InputError, match="`item` is bad"):
        list(run_on_workers(work, ["endless", "bad"], 2, died=DIED, finish=False))
    assert done_in(work) <= {"begun"}


def test_a_worker_that_dies_is_said(work):
    with pytest.raises(RunError, match=f"^{DIED}$"):
        list(run_on_workers(work, ["dead"], 1, died=DIED, finish=True))


def test_a_tick_that_raises_ends_the_workers(work):
    def cancel(_):
        if (work.args[0] / "begun").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_on_workers(work, ["endless"], 1, cancel, died=DIED, finish=True))
    assert done_in(work) == {"begun"}
