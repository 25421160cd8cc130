"""What a guarded, checked and reported run does once: starts, checks of paths, scans of plugins."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import nbody_surrogate.files.output_path as output_path
import nbody_surrogate.registry.entry_points as entry_points
from commands import good
from nbody_surrogate.contracts.integrator import AbstractIntegrator

RUN = ("run", "-n", 4, "--duration", 2, "--guard", "fallback", "--integrator", "leapfrog")
FILES = ("-o", "a.h5", "--checkpoint", "a.restart", "--report", "a.html", "--render", "a.vtkhdf")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_method_starts_once_in_a_run(folder, monkeypatch):
    """What the guard computes with starts once more, to be warmed up; nothing trips here.

    The compiled solver makes the spot checks of the only segment.
    """
    starts, checks = Counter(), Counter()
    start, check = AbstractIntegrator.start, AbstractIntegrator.check

    def counted_start(self, *arguments):
        starts[self.name] += 1
        return start(self, *arguments)

    def counted_check(self, *arguments):
        checks[self.name] += 1
        return check(self, *arguments)

    monkeypatch.setattr(AbstractIntegrator, "start", counted_start)
    monkeypatch.setattr(AbstractIntegrator, "check", counted_check)
    good(*RUN, "--threshold", "energy=1")  # a report would run the reference twice more
    assert starts == {"leapfrog": 1, "dop853": 2, "dop853-compiled": 2}
    # before the run: both methods, and the guard's two; the rest is part of each start
    assert checks == {"leapfrog": 2, "dop853": 4, "dop853-compiled": 3}


def test_each_path_is_checked_once(folder, monkeypatch):
    checked = Counter()
    check = output_path._refuse

    def counted(file, *arguments):
        checked[Path(file).name] += 1
        return check(file, *arguments)

    monkeypatch.setattr(output_path, "_refuse", counted)
    good(*RUN, *FILES)
    names = ["a.h5", "a.h5.part", "a.reference.h5", "a.reference.h5.part"]
    assert checked == Counter([*names, "a.html", "a.vtkhdf", "a.restart"])


def test_plugins_are_scanned_once_in_a_process(folder, monkeypatch):
    scans, looks = [], []
    read, stamps = entry_points.entry_points, entry_points._stamps
    monkeypatch.setattr(entry_points, "entry_points", lambda: scans.append(1) or read())
    monkeypatch.setattr(entry_points, "_stamps", lambda at: looks.append(1) or stamps(at))
    entry_points._scan.cache_clear()
    good(*RUN, *FILES)
    assert (len(scans), len(looks)) == (1, 1)
