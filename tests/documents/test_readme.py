"""The README's Python runs as it stands, and what it names is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_example_prints_a_comparison(capsys):
    (source,) = block("python")
    exec(compile(source, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "position RMSE" in printed
    assert "set is" in printed


def test_pictures_and_pages_it_names_exist():
    targets = re.findall(r"\]\((?!https)([^)]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target.partition("#")[0]).is_file(), target


@pytest.mark.parametrize("name", ["main-job", "tests"])
def test_the_integration_script_finds_the_command(name):
    script = (ROOT / ".ci" / "run").read_text()
    function = script[script.index("readme_command()") : script.index("\nmain_job=")]
    found = subprocess.run(
        ["bash", "-c", f"{function}\nreadme_command {name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found.strip() in README
    assert found.startswith("python3 -m venv .venv && ")
