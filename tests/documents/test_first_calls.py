"""What people type first works, or says in one line what would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# in one process, whose imports take longer than all calls
SCRIPT = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
import first_calls, unfit_arrays
print("first calls:")
first_calls.main()
print("unfit arrays:")
unfit_arrays.main()
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_first_calls_work_or_say_what_would(said):
    assert said.partition("unfit arrays:")[0].split() == ["first", "calls:"], said


def test_arrays_that_do_not_fit_are_refused_by_every_public_call(said):
    wrong, _, count = said.partition("unfit arrays:")[2].strip().rpartition("\n")
    assert wrong == ""
    assert int(count.split()[0]) > 500
