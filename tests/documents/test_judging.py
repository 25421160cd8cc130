"""The Python of the page on judging runs as it stands, and its table names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nbody_surrogate

PAGE = (Path(__file__).parents[2] / "docs" / "judging.md").read_text()


@pytest.mark.slow
def test_the_example_prints_both_tables_and_writes_both_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(source, "judging.md", "exec"), {})
    printed = capsys.readouterr().out
    for words in (
        "charged, 5 particles, 4 trajectories (medians), seed 0, 2 time units, frames 0..20",
        "position RMSE at t = 2",
        "Against dop853 (rtol 1e-09): 4 trajectories of 2 time units, medians (95 % intervals)",
        "speeds, distance (noise floor)",
        "leapfrog (dkd, 4 sub-steps) against leapfrog (dkd, 32 sub-steps)",
        "leapfrog (dkd, 32 sub-steps) is ",
    ):
        assert words in printed, words
    assert Path("errors.png").read_bytes().startswith(b"\x89PNG")
    assert "noise floor: a true solution" in Path("report.html").read_text()


def test_the_calls_of_the_table_are_public():
    called = re.findall(r"^\| `nb\.(\w+)\(", PAGE, flags=re.MULTILINE)
    assert len(called) == 10
    assert set(called) <= set(nbody_surrogate.__all__)
