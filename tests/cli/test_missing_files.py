"""A file or folder that the user names and that is not there is misuse, for every command."""

from __future__ import annotations

import pytest

from commands import MISUSE, bad

COMMANDS = [
    *(["resume", "nothing"], ["export", "nothing.h5", "a.npz"]),
    *(["render", "nothing.h5", "-o", "a.png"], ["report", "nothing.h5", "-o", "a.html"]),
    *(["compare", "nothing.h5", "none.h5"], ["run", "--initial", "nothing.npz"]),
    *(["run", "--initial", "nothing.h5"], ["run", "--integrator", "set", "--weights", "nothing"]),
    *(["train", "nothing.toml", "-o", "a"], ["train", "--resume", "nothing"]),
    *(["study", "nothing.toml", "-o", "a"], ["evaluate", "nothing"]),
    ["evaluate", "set-small", "--dataset", "nothing"],
    *(["dataset", "info", "nothing"], ["dataset", "verify", "nothing"]),
    *(["dataset", "audit", "nothing"], ["dataset", "export", "nothing", "-o", "a"]),
    ["dataset", "import", "nothing", "-o", "a"],
    ["dataset", "generate", "nothing.toml", "-o", "a"],
    ["models", "show", "nothing"],
    ["tracks", "nothing.csv", "--frame-dt", "1"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_what_is_not_there_is_misuse(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert "nothing" in bad(MISUSE, *arguments)
