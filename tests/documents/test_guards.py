"""The Python of the page on guards runs as it stands."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from nbody_surrogate import NBodyWarning, read_h5md

PAGE = (Path(__file__).parents[2] / "docs" / "guards.md").read_text()


def test_the_example_runs_watches_and_resumes(tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    source, reporting = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NBodyWarning)
        exec(compile(source, "guards.md", "exec"), names)
    run, again = names["run"], names["again"]
    assert (again.x == run.x).all()
    assert run.info.seed == 0
    assert run.info.guard.policy == "fallback"
    assert len(names["farthest"].radii) == 4
    assert read_h5md(tmp_path / "run.h5").info == run.info
    exec(compile(reporting, "guards.md", "exec"), names)
    found = names["run"].observables["radius"]
    assert found.shape == (1, 201)
    assert (read_h5md(tmp_path / "radii.h5").observables["radius"] == found).all()
