"""Absurd values for all options of all commands: each is refused in one line, or does no harm."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

import absurd_values
from absurd_values import CALLS, leaf, tries
from commands import MISUSE, bad
from nbody_surrogate.cli import main


def leaves(command, *words):
    if isinstance(command, click.Group):
        return [
            each for name, sub in command.commands.items() for each in leaves(sub, *words, name)
        ]
    return [(words, command)]


def test_all_options_of_all_commands_are_tried():
    wanted, tried = set(), set()
    for words, command in leaves(main):
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                wanted.add((words, parameter.name))
            elif not parameter.is_flag:
                wanted.add((words, parameter.opts[-1]))
    for name, call in CALLS.items():
        words = call[: leaf(call)[1]]
        tried |= {(words, option) for option, _ in tries(name)}
    assert wanted == tried


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("name", [name for name in CALLS if tries(name)])
def test_an_absurd_value_is_one_line_or_does_no_harm(tmp_path, name):
    result = subprocess.run(
        [sys.executable, absurd_values.__file__, name, tmp_path], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["tried"] > 8
    assert report["found"] == [], json.dumps(report["found"], indent=1)


HUGE, IMMENSE = 10**9, 10**12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "-n", IMMENSE), ("`particles`", "of memory", "use fewer")),
        (("run", "-n", 3, "--trajectories", IMMENSE), ("`trajectories`", "of memory")),
        (("run", "-n", 10**7, "--system", "springs"), ("coupled in pairs", "of memory")),
        (("run", "-n", 10**5, "--duration", 10**7), ("`frames`", "of memory", "`duration`")),
        (("compare", "--integrators", "rk4", "--seeds", IMMENSE), ("of memory",)),
        (("bench", "-n", IMMENSE), ("of memory",)),
        (("evaluate", "set", "-n", IMMENSE), ("of memory",)),
        (("evaluate", "set", "--dtype", "int8"), ("`dtype`", "float64", "'int8'")),
        (("evaluate", "set", "--device", "tpu"), ("`device`", "'tpu'")),
        (("run", "--threads", HUGE), ("`threads` must be at most 1024",)),
        (("compare", "--integrators", "rk4", "--threads", HUGE), ("`threads` must be at most",)),
        (("bench", "--threads", HUGE), ("`threads` must be at most",)),
        (("evaluate", "set", "--threads", HUGE), ("`threads` must be at most",)),
        (("train", "x.toml", "-o", "x", "--threads", HUGE), ("`threads` must be at most",)),
        (("train", "x.toml", "-o", "x", "--workers", HUGE), ("`workers` must be at most",)),
        (("compare", "--integrators", "rk4", "-o", "."), ("`output`", "name")),
        (("bench", "-o", "/"), ("`output`", "name")),
        (("bench", "--integrators", "leapfrog:nan"), ("`integrators`", "whole number")),
        (("report", "/"), ("`run`",)),
        (("plugins", "new", "my-own", "-o", "x" * 300), ("`output`", "name")),
    ],
    ids=lambda case: " ".join(map(str, case))[:50],
)
def test_what_was_met(arguments, words):
    line = bad(MISUSE, *arguments)
    for word in words:
        assert word in line
