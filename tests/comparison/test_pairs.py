"""Candidates of one reference, held against one another on the same trajectories."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from commands import good
from json_schemas import documented
from nbody_surrogate import (
    InputError,
    compare,
    make_integrator,
    paired_table,
    pairs_of,
    simulate,
)
from refusals import refused

MEASURES = ["mse 1", "ade", "fde"]


@pytest.fixture(scope="module")
def found(charged):
    """Leapfrogs of 2, 4 and again 2 sub-steps, on ten starts."""
    state, particles = charged.sample(1, 3, 10)
    truth = simulate(charged, state, particles, 12, "dop853")
    made = []
    for name, number in (("two", 2), ("four", 4), ("again", 2)):
        method = make_integrator("leapfrog", substeps=number)
        run = simulate(charged, state, particles, 12, method)
        made.append(replace(compare(truth, run), candidate=name))
    return made


def test_all_pairs_of_candidates_are_tested_by_each_measure(found):
    pairs = pairs_of(found)
    names = [("two", "four"), ("two", "again"), ("four", "again")]
    assert [(each.first, each.second) for each in pairs[::3]] == names
    assert [each.measure for each in pairs] == MEASURES * 3
    for each in pairs:
        one, other = (
            next(c for c in found if c.candidate == name).samples[each.measure]
            for name in (each.first, each.second)
        )
        ratio = np.exp(np.log(one / other).mean())
        assert each.test.ratio.value == pytest.approx(ratio)
        assert each.test.wins == (one < other).sum()
    one_step = {(each.first, each.second): each.test for each in pairs if each.measure == "mse 1"}
    assert one_step["two", "four"].outcome == "worse"  # of second order: 16 times, in squares
    assert one_step["two", "four"].ratio.value == pytest.approx(16, rel=0.1)
    # 2 of 2^10 choices of signs; six of nine pairs have a difference, and three have none
    assert one_step["two", "four"].corrected_p >= 6 * one_step["two", "four"].p
    assert one_step["two", "again"].outcome == "equivalent"


def test_values_of_trajectories_are_those_of_the_summaries(found):
    for each in found:
        assert each.samples.keys() == each.errors.keys()
        for key, values in each.samples.items():
            assert np.median(values) == each.errors[key].median


def test_the_table_has_a_row_for_each_pair(found):
    table = paired_table(found)
    assert [row[0] for row in table.rows] == [
        "two against four",
        "two against again",
        "four against again",
    ]
    text = str(table)
    for words in (
        "the same 10 trajectories",
        "final displacement error",
        ": four better",
        ": equi",
    ):
        assert words in text
    assert "factor of 1.25" in text
    assert "factor of 3" in str(paired_table(found, bound=3.0))
    assert "take at least" not in text


def test_the_table_says_where_trajectories_are_too_few(charged):
    state, particles = charged.sample(1, 3, 5)
    truth, *others = (
        simulate(charged, state, particles, 3, make_integrator(name, **options))
        for name, options in (("dop853", {}), ("leapfrog", {"substeps": 1}), ("leapfrog", {}))
    )
    table = paired_table([compare(truth, each) for each in others])
    assert (
        "5 starts cannot show that a method is better, in 3 tests: p by Holm is" in table.notes[-1]
    )
    assert table.notes[-1].endswith("take at least 7.")


def test_what_cannot_be_paired_is_refused(found, charged):
    with refused(InputError, "`comparisons`", "two or more"):
        paired_table(found[:1])
    assert pairs_of([]) == pairs_of(found[:1]) == ()
    state, particles = charged.sample(2, 3, 10)  # as many starts, of another seed
    elsewhere = [simulate(charged, state, particles, 12, each) for each in ("dop853", "leapfrog")]
    for other in (replace(found[1], reference="other"), compare(*elsewhere)):
        with refused(InputError, "`comparisons`", "one reference", "same starts"):
            pairs_of([found[0], other])
    with refused(InputError, "`bound`", "> 1"):
        pairs_of(found, bound=0.5)


@pytest.mark.parametrize("runs", [("leapfrog:2,leapfrog:8", 2), ("leapfrog:2", 0)])
def test_the_command_prints_and_writes_pairs(tmp_path, monkeypatch, runs):
    monkeypatch.chdir(tmp_path)
    methods, cells = runs
    command = ("compare", "--integrators", methods, "-n", 3, "--seeds", 8, "--duration", 0.5)
    printed = good(*command, "--no-floor", "--wide", "-o", "it")
    assert ("leapfrog:2 against leapfrog:8" in printed) == bool(cells)
    assert printed.count("\nFiles: ") == 1
    made = documented("compare", (tmp_path / "it.json").read_text())
    assert [each["measure"] for each in made["pairs"]] == (MEASURES if cells else [])
    for each in made["pairs"]:
        assert (each["outcome"], each["losses"], each["bound"]) == ("worse", 8, 1.25)
    json.dumps(made, allow_nan=False)
