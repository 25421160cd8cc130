"""Help and version, and what they import."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest

from commands import good
from nbody_surrogate.cli import main
from nbody_surrogate.cli.run import run as run_command
from nbody_surrogate.cli.train import train as train_command
from nbody_surrogate.simulation.guard.options import Thresholds


def test_version():
    from nbody_surrogate import __version__

    for arguments in (["--version"], ["run", "--version"]):
        assert good(*arguments) == f"nbody-sim, version {__version__}\n"


@pytest.mark.parametrize("command", [run_command, train_command], ids=["run", "train"])
def test_help_lists_every_option(command):
    printed = good(command.name, "--help")
    assert printed == good(command.name, "-h")
    options = [name for option in command.params for name in (*option.opts, *option.secondary_opts)]
    assert len(options) > 4
    for name in options:
        assert name in printed or name.upper() in printed, name
    for command in ("run", "train"):
        assert command in good("--help")


def test_the_options_of_run_are_grouped():
    printed = good("run", "--help")
    heads = [line for line in printed.splitlines() if line.startswith("\u256d\u2500 ")]
    named = [head.strip("\u256d\u256e\u2500 ") for head in heads]
    groups = ["System and start", "Method and reference", "Machine and model", "Guard"]
    assert named[:6] == [*groups, "Error of a surrogate", "Files and output"]
    parts = dict(zip(named, printed.split("\u256d\u2500 ")[1:], strict=True))
    assert "--reference-rtol" in parts["Method and reference"]
    assert "--quiet" in parts["Files and output"]


def test_the_help_of_a_guard_names_every_threshold():
    part = good("run", "--help").split("--threshold", 1)[1].split("--spot-checks", 1)[0]
    for name in Thresholds.model_fields:
        assert name in re.split(r"[^a-z_]+", part), name


def run_python(source, cwd):
    return subprocess.run(
        [sys.executable, "-c", source], cwd=cwd, capture_output=True, text=True, check=False
    )


COMMAND = """
import sys
from nbody_surrogate.cli import main
sys.argv[1:] = {arguments!r}
try:
    main()
except SystemExit as end:
    heavy = {heavy!r} & sys.modules.keys()
    sys.exit(f"imported {{heavy}}" if heavy else end.code)
"""


HEAVY = {"torch", "pyvista", "vtkmodules", "numba", "scipy", "h5py", "numpy", "pydantic"}


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (
            ["--help"],
            HEAVY,
        ),
        (
            ["run", "--help"],
            HEAVY,
        ),
        (["run", "-n", "2", "--duration", "0.1", "-q"], {"torch", "pyvista", "vtkmodules"}),
    ],
    ids=lambda case: " ".join(sorted(case))[:40],
)
def test_nothing_heavy_is_imported_before_it_is_needed(folder, arguments, heavy):
    result = run_python(COMMAND.format(arguments=arguments, heavy=heavy), folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_the_help_of_all_commands_is_theirs_and_loads_none():
    script = (
        "import sys\nfrom nbody_surrogate.cli import main\ntry:\n    main(['--help'])\n"
        "finally:\n    print('loaded', [name for name in HOMES if name in sys.modules])"
    )
    homes = [f"nbody_surrogate.cli.{name}" for name in main.commands]
    program = [sys.executable, "-c", f"HOMES = {homes}\n{script}"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded []\n")
    assert main.commands.summaries == {
        name: inspect.cleandoc(command.help).split("\n\n")[0].replace("\n", " ")
        for name, command in main.commands.items()
    }


def test_a_command_that_is_not_there_is_none():
    assert "rum" not in main.commands
    assert main.commands.get("rum") is None
