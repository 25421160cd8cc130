"""Tables at the width of a terminal: nothing is longer, nothing is cut, and pipes get all of it."""

from __future__ import annotations

import pytest

import nbody_surrogate.cli.table as table_module
from commands import good
from nbody_surrogate.cli.terminal import line_width
from nbody_surrogate.evaluation.score_table import pair_tables, score_tables
from nbody_surrogate.evaluation.scorecard import HORIZONS, ONE_STEP, Row
from nbody_surrogate.results.bootstrap import Interval
from nbody_surrogate.results.paired import PairedTest

pytestmark = pytest.mark.usefixtures("one_thread")
FEW = ("-n", 3, "--duration", 1)
BENCH = ("bench", "-n", 3, "--trajectories", 2, "--horizon", 0.5, "--horizon", 1, "--seconds", 0.01)
MADE = ("dataset", "generate", "--preset", "springs")
COMMANDS = {
    "run": [("run", *FEW, "--integrator", "leapfrog", "--guard", "warn", "-o", "run.h5")],
    "compare": [
        ("compare", "--integrators", "leapfrog:2,leapfrog:16", "--seeds", 2, *FEW, "--no-floor")
    ],
    "bench": [(*BENCH, "--integrators", "leapfrog:2,leapfrog:16,rk4:4", "-o", "made")],
    "models list": [("models", "list")],
    "plugins list": [("plugins", "list")],
    "dataset": [
        (*MADE, "--trajectories", 6, "--frames", 8, "-o", "data"),
        ("dataset", "info", "data"),
        ("dataset", "audit", "data", "--sample", 2),
    ],
    "plugins check": [("plugins", "check", "copy-last")],
}


@pytest.fixture
def tables(monkeypatch):
    """The tables that are printed."""
    printed, print_table = [], table_module.print_table

    def recorded(table, *arguments, **options):
        printed.append(table)
        print_table(table, *arguments, **options)

    monkeypatch.setattr(table_module, "print_table", recorded)
    return printed


def words_of(table):
    cells = [cell for row in table.rows for cell in row]
    texts = [table.title, *cells, *table.notes, *table.failures]
    return {word for text in texts for word in text.split()}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name == "bench")) for name in COMMANDS],
)
def test_at_80_columns_no_line_is_longer_and_nothing_is_cut(name, tables, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    shown = "".join(good(*command) for command in COMMANDS[name])
    assert shown
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    made = list(tables)
    for table in made:
        assert words_of(table) <= set(shown.split())
    for columns in ("40", "1", ""):  # in a narrow window, in none at all, and in a pipe
        monkeypatch.setenv("COLUMNS", columns)
        for table in made:
            table_module.print_table(table)
            printed = capsys.readouterr().out
            assert words_of(table) <= set(printed.split())
            if not columns:
                lines = [line.split() for line in printed.splitlines()]
                assert all(" ".join(row).split() in lines for row in table.rows)


def test_the_table_of_an_evaluation_fits(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    interval = Interval(1.5e-9, 1.2e-10, 3.4e-8)
    ahead = dict.fromkeys(HORIZONS, interval)
    test = PairedTest.of([1.0, 2.0, 5.0], [2.0, 9.0, 4.0])
    pairs = dict.fromkeys((ONE_STEP, *map(str, HORIZONS)), test)
    rows = [
        Row(name, "charged", 30, 200, interval, interval, ahead, 1280.0, 72.0, 3e-8,
            ahead, dict.fromkeys(HORIZONS, 3e-8), {} if name == "set" else pairs,
            None if name == "set" else Interval(12.0, 3.4, 56.0)).to_dict()
        for name in ("set", "leapfrog, 32 sub-steps", "dop853-compiled, 1e-9")
    ]  # fmt: skip
    (scores,), (held,) = score_tables(rows), pair_tables(rows)
    table_module.print_table(scores)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("leapfrog, 32 sub-steps" in line for line in lines) == 5  # blocks
    assert sum(line.count("1.5e-09 (1.2e-10..3.4e-08)") for line in lines) == 3 * 4
    assert sum(line.endswith("1280           72") for line in lines) == 3
    table_module.print_table(held)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count(": not told apart") for line in lines) == 2 * 4
    for table in (scores, held):
        table_module.print_table(table, wide=True)
        assert max(map(len, capsys.readouterr().out.splitlines())) > 150


def test_lines_are_as_wide_as_the_terminal_or_as_asked(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert line_width() is None  # of a test, which is no terminal
    monkeypatch.setenv("COLUMNS", "72")
    assert line_width() == 72
    assert line_width(wide=True) is None
    for odd in ("0", "-3", "many"):
        monkeypatch.setenv("COLUMNS", odd)
        assert line_width() is None
