"""The command line about plugins."""

from __future__ import annotations

import re

import pytest

from commands import FAILURE, MISUSE, bad, good, nbody_sim
from json_schemas import documented

pytestmark = pytest.mark.usefixtures("folder")


def test_a_plugin_is_listed_without_being_imported(acme):
    import sys

    rows = documented("list of entry", good("plugins", "list", "--json"), schema=False)
    found = {(row["kind"], row["name"]): row for row in rows}
    assert found["integrator", "still"] == {
        "name": "still",
        "kind": "integrator",
        "distribution": "acme-i",
        "version": "1.0",
        "target": "acme_i_of_a_test:Still",
        "status": "installed",
    }
    assert found["system", "charged"]["status"] == "built-in"
    assert "acme_i_of_a_test" not in sys.modules
    assert re.search(r"still +integrator +acme-i +1.0 +installed", good("plugins", "list"))


def test_the_status_of_a_plugin_that_cannot_be_had(install, monkeypatch):
    import json

    install("alpha", {"one": "A", "two": "A"}, "")
    install("beta", {"two": "A"}, "", surrogates={"three": "A"})
    install("gamma", {"four": "A"}, "")
    monkeypatch.setenv("NBODY_SURROGATE_PLUGINS", "alpha,beta")
    rows = json.loads(good("plugins", "list", "--json"))
    status = {(row["distribution"], row["name"]): row["status"] for row in rows}
    assert status["alpha", "one"] == "installed"
    assert status["alpha", "two"] == status["beta", "two"] == "duplicate"
    assert status["beta", "three"] == "installed"
    assert status["gamma", "four"] == "hidden"
    line = bad(MISUSE, "run", "--integrator", "four")
    assert "hidden by NBODY_SURROGATE_PLUGINS: gamma has it" in line
    assert "gamma 1.0 (hidden)" in good("plugins", "show", "four")


def test_what_a_plugin_is(acme):
    shown = good("plugins", "show", "still")
    assert "integrator still, of acme-i 1.0 (installed)" in shown
    assert "Copies the start." in shown
    assert "segment = 50" in shown
    shown = good("plugins", "show", "charged")
    assert "system charged, of nbody-surrogate" in shown
    assert "coupling = 1.0  k, the force constant" in shown
    assert "\npreset charged" in shown
    assert "\npreset charged" not in good("plugins", "show", "charged", "--kind", "system")
    assert "weights that ship: set, set-kernel, set-small" in good("plugins", "show", "set")
    assert "lacks `_advance`" in bad(FAILURE, "plugins", "show", "lacking")
    assert "there are: " in bad(MISUSE, "plugins", "show", "nobody")


def test_checking_a_plugin(acme):
    passed = good("plugins", "check", "charged", "--kind", "system")
    assert "passed  sampling" in passed
    assert "skipped axial-symmetries" in passed
    passed = good("plugins", "check", "still")  # it moves nothing, which no check forbids
    assert "passed  batch" in passed
    line = bad(FAILURE, "plugins", "check", "lacking")
    assert "lacks `_advance`" in line


def test_a_failed_check_is_told_in_lines_and_in_json(acme):
    result = nbody_sim("plugins", "check", "energetic")
    assert result.exit_code == FAILURE
    assert re.search("FAILED  forces +system 'energetic' of acme-s 1.0: `potential", result.stdout)
    assert result.stderr.startswith("Error: 'energetic' fails ")
    result = nbody_sim("plugins", "check", "energetic", "--json")
    found = documented("list of check", result.stdout, schema=False)
    rows = {row["check"]: row["result"] for row in found}
    assert rows["forces"] == "FAILED"
    assert rows["sampling"] == "passed"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nothing"], "`name` 'nothing' is unknown"),
        (["check", "charged", "--weights", "set"], "`weights` does not apply to system"),
        (["check", "set", "--weights", "none"], "`model` 'none' is neither"),
        (["check", "leapfrog", "--system", "none"], "`system` 'none' is unknown"),
        (["new", "Bad Name"], "`name` must be of lower-case letters"),
        (["new", "leapfrog"], "`name` 'leapfrog' is taken: nbody-surrogate has integrator"),
        (["new", "set", "--kind", "integrator"], "has surrogate 'set'"),
        (["new", "good", "--output", "."], "`output` '.' is there already"),
    ],
)
def test_bad_input(folder, arguments, words):
    assert words in bad(MISUSE, "plugins", *arguments)
