"""Tables from Python: what they hold, how they print, and that the command line shows the same."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from commands import good
from nbody_surrogate import (
    InputError,
    TextTable,
    compare,
    comparison_table,
    make_integrator,
    make_system,
    read_h5md,
    run_table,
    simulate,
    twins_of,
)
from nbody_surrogate.results.guard_report import GuardEvent, GuardReport


@pytest.fixture(scope="module")
def runs(charged):
    """A verified truth and two leapfrogs: three trajectories, 20 frames."""
    state, particles = charged.sample(1, 4, 3)
    truth = simulate(charged, state, particles, 20, "dop853", verify=True)
    leapfrogs = [
        simulate(charged, state, particles, 20, make_integrator("leapfrog", substeps=number))
        for number in (2, 16)
    ]
    return truth, *leapfrogs


@pytest.fixture(scope="module")
def twins(runs):
    return twins_of(runs[0])


def cells(table):
    """Cells by label."""
    return {row[0]: row[1:] for row in table.rows}


# A run


def test_a_run_alone_has_its_drifts_and_its_wall_time(runs):
    _, coarse, _ = runs
    table = run_table(coarse)
    assert table.title == (
        "charged, 4 particles, 3 trajectories (medians), seed 1, 2 time units, frames 0..20"
    )
    assert table.heads == ("", "leapfrog (dkd, 2 sub-steps)")
    assert list(cells(table)) == [
        "energy drift / kinetic energy",
        "momentum drift",
        "angular momentum drift",
        "wall time, all trajectories",
    ]
    assert table.notes == table.failures == ()


def test_a_verified_run_has_its_label_errors_too(runs):
    assert [label for label in cells(run_table(runs[0])) if "label error" in label] == [
        f"label error at t = {horizon}" for horizon in ("0.5", "1", "2")
    ]


def test_a_run_against_its_reference_has_the_numbers_of_the_comparison(runs):
    truth, coarse, _ = runs
    found = compare(truth, coarse)
    table = run_table(coarse, truth)
    assert table == run_table(coarse, truth, comparison=found)
    assert table.heads == (
        "",
        "leapfrog (dkd, 2 sub-steps)",
        "dop853 (rtol 1e-09)\nthe reference",
    )
    shown = cells(table)
    for horizon, position, velocity in zip(
        found.horizons, found.position_rmse, found.velocity_rmse, strict=True
    ):
        assert shown[f"position RMSE at t = {horizon:g}"] == (f"{position:.2e}", "")
        assert shown[f"velocity RMSE at t = {horizon:g}"] == (f"{velocity:.2e}", "")
    assert shown["label error at t = 2"][0] == ""
    assert float(shown["label error at t = 2"][1]) < 1e-6
    drifts = [f"{found.drifts[role]['energy']:.1e}" for role in ("candidate", "reference")]
    assert shown["energy drift / kinetic energy"] == tuple(drifts)
    assert table.notes == (found.verdict,)


def test_the_start_is_told_as_far_as_it_is_known(runs):
    coarse = runs[1]
    unknown = replace(coarse, info=replace(coarse.info, seed=None))
    assert "trajectories (medians), 2 time units" in run_table(unknown).title
    assert ", from a file, " in run_table(unknown, start="from a file").title


def test_a_guard_and_what_stopped_are_told_below(runs):
    truth, coarse, _ = runs
    events = tuple(GuardEvent(0, k, 5 * k, "energy", f"drift {k}") for k in range(7))
    report = GuardReport("warn", fallen_back=(0, 0, 0), events=events)
    info = replace(coarse.info, guard=report, message=("", "broke", ""))
    table = run_table(replace(coarse, info=info), truth)
    guard = table.notes[1:]
    assert guard[0].startswith("Guard (warn): 1 of 3 tripped; ")
    assert guard[1] == "  trajectory 0, segment 0, frame 0: drift 0"
    assert guard[-1] == "  and 2 more segments"
    assert table.failures == ("leapfrog, trajectory 1 stopped: broke",)
    assert str(table).endswith("\n".join([*guard, *table.failures]))


# Comparisons


def test_a_table_of_comparisons_has_a_column_for_each(runs, twins):
    truth, *others = runs
    found = [compare(truth, run, twins) for run in others]
    table = comparison_table(found)
    assert table.title == (
        "Against dop853 (rtol 1e-09): 3 trajectories of 2 time units, medians (95 % intervals)"
    )
    assert table.heads == ("", "leapfrog (dkd, 2 sub-steps)", "leapfrog (dkd, 16 sub-steps)")
    shown = cells(table)
    for number, each in enumerate(found):
        error = each.errors["mse 20"]
        text = f"{error.median:.1e} ({error.low:.1e}..{error.high:.1e})"
        assert shown["position MSE at frame 20"][number] == text
        speeds = each.distributions[0]
        mark = "" if speeds.within_noise else " !"
        text = f"{speeds.distance.median:.1e} ({speeds.floor.median:.1e}){mark}"
        assert shown["speeds, distance (noise floor)"][number] == text
    assert table.notes[-2:] == tuple(each.verdict for each in found)
    assert "! : farther off than that, by the 95 % interval of the ratio" in table.notes[0]
    assert comparison_table(found[0]) == comparison_table(found[:1])


def test_without_twins_the_table_says_why_there_is_no_floor(runs):
    truth, coarse, _ = runs
    found = compare(truth, coarse)
    assert comparison_table(found).notes[0].endswith("no noise floor: there are no twins.")
    notes = comparison_table(found, "not asked for").notes
    assert notes[0].endswith("there is no noise floor: not asked for.")
    assert "(" not in cells(comparison_table(found))["speeds, distance (noise floor)"][0]


def test_comparisons_of_several_references_have_no_table(runs):
    truth, coarse, fine = runs
    with pytest.raises(InputError, match=r"`comparisons` must have one reference"):
        comparison_table([compare(truth, coarse), compare(fine, coarse)])


# How a table looks


TABLE = TextTable(
    "Title", ("", "one", "two\nthe last"), (("a < b", "1", "22"), ("c", "", "333")), ("A note.",)
)


def test_a_printed_table_is_aligned():
    assert str(TABLE).splitlines() == [
        "Title",
        "",
        "                 two",
        "       one  the last",
        "-----  ---  --------",
        "a < b    1        22",
        "c                333",
        "",
        "A note.",
    ]


WIDE = TextTable(
    "A title of several words that is folded",
    ("", "one step, mean", "in\nfour words", "last"),
    (
        ("leapfrog, 4 sub-steps", "2.4e-11 (1.9e-11..3.0e-11)", "1.0", "1.28 s"),
        ("set", "3.1e-11 (2.0e-11..4.0e-11)", "12.0", "3.10 ms"),
    ),
)
PROSE = TextTable("Findings", ("check", "", "finding"), (
    ("hashes", "ok", "all 3 shards are as recorded"),
    ("energy", "wrong", "the energy of 3 trajectories changes by more than 0.05 of it"),
), words=True)  # fmt: skip


def test_columns_that_do_not_fit_go_below_with_the_labels_again():
    assert WIDE.lines(50) == [
        "A title of several words that is folded",
        "",
        "                                   one step, mean",
        "---------------------  --------------------------",
        "leapfrog, 4 sub-steps  2.4e-11 (1.9e-11..3.0e-11)",
        "set                    3.1e-11 (2.0e-11..4.0e-11)",
        "",
        "                               in",
        "                       four words     last",
        "---------------------  ----------  -------",
        "leapfrog, 4 sub-steps         1.0   1.28 s",
        "set                          12.0  3.10 ms",
        "",
    ]


def test_labels_are_folded_where_columns_then_stand_side_by_side():
    table = TextTable("Two", ("", "one", "two"), (
        ("energy drift / kinetic energy; reference 7e-09", "2.4e-11 (1.9e-11..3.0e-11)", "1.0"),
        ("wall time", "1.28 s", "3.10 ms"),
    ))  # fmt: skip
    assert table.lines(60)[2:] == [
        "                                               one      two",
        "----------------------  --------------------------  -------",
        "energy drift / kinetic",
        "  energy; reference",
        "  7e-09                 2.4e-11 (1.9e-11..3.0e-11)      1.0",
        "wall time                                   1.28 s  3.10 ms",
        "",
    ]


def test_what_fits_in_no_way_is_listed():
    assert WIDE.lines(36)[:7] == [
        "A title of several words that is",
        "  folded",
        "",
        "leapfrog, 4 sub-steps",
        "  one step, mean: 2.4e-11",
        "    (1.9e-11..3.0e-11)",
        "  in four words: 1.0",
    ]


def test_words_are_folded_in_the_last_column():
    assert PROSE.lines(50) == [
        "Findings",
        "",
        "check          finding",
        "------  -----  -------------------------------",
        "hashes  ok     all 3 shards are as recorded",
        "energy  wrong  the energy of 3 trajectories",
        "               changes by more than 0.05 of it",
        "",
    ]
    assert PROSE.lines(30)[2:5] == ["hashes", "  ok", "  finding: all 3 shards are as"]


@pytest.mark.parametrize("table", [WIDE, PROSE, TABLE], ids=["numbers", "prose", "small"])
@pytest.mark.parametrize("width", [1, 7, 20, 36, 40, 50, 64, 80, 200])
def test_no_word_is_broken_and_no_line_too_long(table, width):
    lines = table.lines(width)
    there = {word for line in lines for word in line.split()}
    wanted = {word for row in table.rows for cell in row for word in cell.split()}
    assert wanted <= there
    indented = max(map(len, there)) + 4
    assert all(len(line) <= max(width, indented) for line in lines)


def test_in_a_notebook_texts_cannot_become_markup():
    html = TABLE._repr_html_()
    assert "a &lt; b" in html
    assert "a < b" not in html
    assert html.count("<tr>") == 3


# The command line


def words(line):
    """The words of a line, without a table's rules."""
    return re.sub(r"[─\s-]+", " ", line).strip()


def test_the_commands_print_the_tables_of_the_library(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = good("run", "-n", 3, "--duration", 1, "--integrator", "leapfrog", "-o", "out.h5")
    truth = read_h5md("out.reference.h5")
    run = read_h5md("out.h5")
    shown = [words(line) for line in printed.splitlines()]
    for line in str(run_table(run, truth)).splitlines():
        assert words(line) in shown, line
    printed = good("compare", "out.reference.h5", "out.h5", "-o", "found")
    shown = [words(line) for line in printed.splitlines()]
    for line in str(comparison_table(compare(truth, run, twins_of(truth)))).splitlines():
        assert words(line) in shown, line


def test_what_a_system_does_not_conserve_is_a_change():
    trap = make_system("trap")
    run = simulate(trap, *trap.sample(0, 3), 5, "leapfrog")
    assert "momentum change (not conserved)" in cells(run_table(run))


def test_the_head_names_parameters_that_are_not_the_defaults():
    system = make_system("charged", softening=0.2)
    run = simulate(system, *system.sample(0, 3), 2, make_integrator("leapfrog"))
    assert run_table(run).title.startswith("charged, softening 0.2, 3 particles, seed 0,")


def test_empty_columns_can_be_left_out():
    table = TextTable("title", ("", "a", "b"), (("x", "", "1"), ("y", "", "2")), ("note",))
    assert table.filled() == TextTable("title", ("", "b"), (("x", "1"), ("y", "2")), ("note",))
