"""A warning names the line of the user's script that led to it, and never one of ours."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from files.test_only_writers import BESIDE, PLACES

PLUGIN = """
from nbody_surrogate.contracts import warn

def doubt():
    warn("doubtful")
"""

SCRIPT = """\
import contextlib
import numpy as np
import nbody_surrogate as nb
from nbody_surrogate.contracts import warn
from nbody_surrogate.formats.export import export
from plugged import doubt

start = nb.make_system("charged"), *nb.make_system("charged").sample(0, 3)
loose = nb.make_integrator("dop853", atol=1.0)
zeros = nb.Reporter("zeros", lambda t, x, v, particles: np.zeros(x.shape[:2]))
run = nb.simulate(*start, 2, loose, observers=[zeros])  # `atol`
nb.simulate(*start, 2, loose)  # `atol`
run[0].save("saved.vtkhdf")  # does not hold
export(run[0], "exported.vtkhdf")  # does not hold
with open("boxed.xyz", "w") as file:
    file.write('1\\nProperties=species:S:1:pos:R:3:vel:R:3 Time=0 pbc="T T T" ')
    file.write('Lattice="9 0 0 0 9 0 0 0 9"\\n')
    file.write("H 0 0 0 0 0 0\\n")
nb.read_initial("boxed.xyz", supplements=nb.Supplements("1", "1"))  # periodic box
doubt()  # doubtful
with contextlib.ExitStack() as stack:
    stack.callback(doubt)
    stack.close()  # doubtful
warn("own words")  # own words
"""

EVERY = [
    (number, line.rpartition("# ")[2])
    for number, line in enumerate(SCRIPT.splitlines(), 1)
    if line[:1] != "#" and "  # " in line
]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Lines of a script that warns, run as a person runs it: without the tests' own frames."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "plugged.py").write_text(PLUGIN)
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return [line for line in done.stderr.splitlines() if "Warning:" in line]


def test_each_warning_names_the_script_and_its_line(said):
    found = [re.match(r".*/script\.py:(\d+): NBodyWarning: (.*)", line) for line in said]
    assert all(found), said
    assert [int(each[1]) for each in found] == [number for number, _ in EVERY], said
    assert all(words in each[2] for each, (_, words) in zip(found, EVERY, strict=True)), said


def test_nothing_else_warns_by_itself():
    """Or it names a line of ours, as any fixed `stacklevel` does in some call."""
    calls = [
        f"{file.relative_to(BESIDE)}:{node.lineno}"
        for place in PLACES
        for file in sorted((BESIDE / place).rglob("*.py"))
        if file.name != "errors.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"warn", "warn_explicit"}
    ]
    assert calls == []
