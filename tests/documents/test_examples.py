"""The tutorial's packages are what `plugins new` writes, and pass their tests where installed."""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
from pathlib import Path

import pytest

from commands import good
from examples import EXAMPLES
from nbody_surrogate.testing import checks

PAGE = EXAMPLES.parent / "plugins.md"
KINDS = {"pairnet": "surrogate", "yukawa": "system", "verlet": "integrator"}


def contents(folder):
    """The files of a package; what building and running leave behind is none of it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    kept = (path for path in found if "__pycache__" not in path.parts and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): path.read_text() for path in kept}


@pytest.mark.parametrize("name", KINDS)
def test_a_new_plugin_is_the_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = good("plugins", "new", name, "--kind", KINDS[name])
    assert contents(tmp_path / name) == contents(EXAMPLES / name)
    for file in contents(EXAMPLES / name):
        assert f"{name}/{file}\n" in printed


def test_names_of_several_words_become_those_of_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good("plugins", "new", "my-own-net", "--output", "elsewhere/net")
    written = contents(tmp_path / "elsewhere" / "net")
    assert 'my-own-net = "nbody_my_own_net.model:MyOwnNet"' in written["pyproject.toml"]
    assert (
        "class MyOwnNet(AbstractSurrogate[MyOwnNetConfig])" in written["nbody_my_own_net/model.py"]
    )
    assert 'surrogate = "my-own-net"' in written["recipe.toml"]
    assert "$" not in "".join(written.values())
    compile(written["nbody_my_own_net/model.py"], "model.py", "exec")


def test_the_surrogate_of_the_tutorial_is_short():
    assert len((EXAMPLES / "pairnet/nbody_pairnet/model.py").read_text().splitlines()) < 60


def test_the_page_is_made_of_the_examples():
    """Each block of code is part of the file that is named before it, word for word."""
    texts = PAGE.read_text().split("```")
    paths = []
    for before, block in zip(texts[::2], texts[1::2], strict=False):
        language, _, code = block.partition("\n")
        if language == "bash":
            continue
        paths.append(re.findall(r"`(\w+/[\w./-]+)`", before)[-1])
        assert code in (EXAMPLES / paths[-1]).read_text(), paths[-1]
    assert {path.split("/")[0] for path in paths} == KINDS.keys()


def test_the_page_lists_every_check():
    page = PAGE.read_text()
    for name, kind in (("leapfrog", "integrator"), ("set", "surrogate"), ("charged", "system")):
        for check in checks(name, kind=kind):
            title = re.sub(":.*", ":NAME", check.name)
            assert f"| `{title}` | {check.demand.removesuffix('.')} |\n" in page


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The Python of a fresh environment that holds the wheels of all examples.

    What they depend on is this environment's, by way of a path file: nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("fresh")
    build = "import os, sys, hatchling.build as backend\n"
    build += "for name in sys.argv[2:]: os.chdir(name), backend.build_wheel(sys.argv[1])"
    run(sys.executable, "-c", build, folder, *(EXAMPLES / name for name in KINDS))
    wheels = sorted(folder.glob("*.whl"))
    assert [wheel.name for wheel in wheels] == [
        f"nbody_{name}-0.1.0-py3-none-any.whl" for name in sorted(KINDS)
    ]
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = next((folder / "venv").glob("*/python"))
    places = [place for place in site.getsitepackages() if Path(place).is_dir()]
    inside = run(python, "-c", "import site; print(site.getsitepackages()[0])").strip()
    lines = [f"import site; site.addsitedir({place!r})" for place in places]
    (Path(inside) / "dependencies.pth").write_text("\n".join(lines) + "\n")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(sys.executable, "-m", "pip", "--python", python, *install, *wheels)
    return python


@pytest.mark.slow
def test_installed_from_their_wheels_they_pass_their_tests(fresh, tmp_path):
    """Conformance, training and runs, by the packages' own tests, in an environment of theirs."""
    environment = {key: value for key, value in os.environ.items() if "NBODY" not in key}
    tests = [EXAMPLES / name / "tests" for name in KINDS]
    options = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", tmp_path)
    said = run(fresh, "-m", "pytest", *options, *tests, cwd=tmp_path, env=environment)
    assert re.search(r"\d+ passed, \d+ skipped", said)
