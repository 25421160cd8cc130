"""The page on dear forces: its Python runs as it stands, and its command where tblite is there."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from commands import good
from nbody_surrogate.registry import lookup

PAGE = (Path(__file__).parents[2] / "docs" / "dear_forces.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def names():
    names = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "registered", dict(lookup.registered))
        for source in blocks("python"):
            if "import Atoms" not in source or find_spec("ase") is not None:
                exec(compile(source, "dear_forces.md", "exec"), names)
        names["energy"] = names["run"].energy  # while its callable is known
    plt.close("all")
    return names


def test_the_examples_run(names):
    (shown,) = re.findall(r"run.info.counters  # (.*)", PAGE)
    assert str(names["run"].info.counters) == shown
    assert "0.5 times as much being right" in names["said"]
    assert np.ptp(names["energy"]) < 0.05  # of -14.4, by a leapfrog's steps of 0.025


def test_a_calculator_in_python_gives_the_same_run(names):
    pytest.importorskip("ase")
    np.testing.assert_allclose(names["again"].x, names["run"].x, atol=1e-8)


@pytest.mark.slow
def test_the_command_shows_what_the_page_does(tmp_path, monkeypatch):
    pytest.importorskip("ase")
    pytest.importorskip("tblite")
    monkeypatch.chdir(tmp_path)
    (command,), (shown,) = blocks("bash"), blocks("text")
    table = good(*command.split()[1:])
    for line in shown.splitlines():
        label, value = re.split(r"\s{2,}", line)
        (row,) = (each for each in table.splitlines() if each.startswith(label))
        if label in ("forces computed", "energy drift / kinetic energy"):
            assert row.split()[-1] == value
