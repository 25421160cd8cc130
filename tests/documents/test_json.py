"""docs/json.md: its types are all there, and what a command prints is JSON without NaN."""

from __future__ import annotations

import json
import math

import pytest

from commands import good, no_constant
from json_schemas import PLAIN, TABLES, demand, documented
from nbody_surrogate.cli.json_output import json_text
from nbody_surrogate.training.log import append_log, cut_log, read_log


def test_every_type_has_a_table():
    for table in TABLES.values():
        for kind in table.values():
            kind = kind.removesuffix(", optional")
            while " of " in kind and kind.startswith(("list of ", "map of ")):
                kind = kind.split(" of ", 1)[1]
            assert all(each in {*TABLES, *PLAIN, "null"} for each in kind.split(" or ")), kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "text"),
        ("1", "number"),
        (True, "integer"),
        ([1, "a"], "list of integer"),
        ({"value": 1.0, "low": 0.0}, "interval"),
        ({"value": 1.0, "low": 0.0, "high": 1, "more": 1}, "interval"),
    ],
)
def test_what_the_page_does_not_say_is_found(value, kind):
    with pytest.raises(AssertionError):
        demand(value, kind, "it")


def test_no_number_is_nan():
    text = json_text("any", {"a": math.nan, "b": [(math.inf, 1.5)], "c": {"d": -math.inf}})
    found = json.loads(text, parse_constant=no_constant)
    assert found == {"schema": "nbody-sim any/2", "a": None, "b": [[None, 1.5]], "c": {"d": None}}
    assert json.loads(json_text("any", [math.nan])) == [None]


def test_a_training_that_diverges_logs_json(tmp_path):
    append_log(tmp_path, {"step": 1, "residual": math.nan})
    append_log(tmp_path, {"step": 2, "residual": math.inf})
    cut_log(tmp_path, 1)
    text = (tmp_path / "log.jsonl").read_text()
    assert json.loads(text, parse_constant=no_constant) == {"step": 1, "residual": None}
    assert read_log(tmp_path) == [{"step": 1, "residual": None}]


def test_run_prints_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ("run", "-n", 3, "--duration", 0.5, "--integrator", "rk4", "--json")
    guarded = documented(
        "run", good(*run, "--guard", "warn", "--threshold", "energy=inf", "--verify", "-o", "a.h5")
    )
    assert set(guarded["guard"]["thresholds"]) == {"momentum", "angular_momentum", "local"}
    assert guarded["label_error"]["horizons"] == [0.5]
    alone = documented("run", good(*run, "--no-reference", "-o", "b.h5"))
    assert alone["comparison"] is None
    found = documented("compare", good("compare", "a.reference.h5", "a.h5", "--json", "-o", "c"))
    assert documented("compare", (tmp_path / "c.json").read_text()) == found
