"""Public names: each page of them names what it loads once for types and once for use."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = ["nbody_surrogate", "nbody_surrogate.contracts", "nbody_surrogate.datasets"]


def declared(package):
    """From the source of a page: each name under TYPE_CHECKING, and the module it comes from."""
    tree = ast.parse(Path(package.__file__).read_text())
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names}


@pytest.mark.parametrize("name", PAGES)
def test_types_and_values_are_the_same(name):
    package = importlib.import_module(name)
    # of the front page also the packages inside it, which are no names of their own
    homes = {each: home for each, home in declared(package).items() if home != name}
    public = set(package.__all__) - {"__version__"}
    assert public == homes.keys()
    for each, home in homes.items():
        assert getattr(package, each) is getattr(importlib.import_module(home), each), each
    assert public <= set(dir(package))
    rooms = declared(package).keys() - homes.keys()
    assert all(inspect.ismodule(getattr(package, room)) for room in rooms)
    assert rooms <= set(dir(package))


@pytest.mark.parametrize("name", PAGES)
def test_what_is_not_offered_is_not_there(name):
    package = importlib.import_module(name)
    with pytest.raises(AttributeError, match=rf"module '{name}' has no attribute 'nothing'"):
        _ = package.nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec(f"from {name} import nothing")


SYSTEMS = (
    "AbstractSystem, SystemSpec, Draw, PairLaw, FieldLaw, ForceLaws, Particles, State, stacked"
)
INTEGRATORS = "AbstractIntegrator, IntegratorOptions, Carry, Frames, Limits, Problem, Segment, Tick"


@pytest.mark.parametrize(
    "statement",
    [
        "import nbody_surrogate.contracts",
        f"from nbody_surrogate.contracts import {SYSTEMS}",
        f"from nbody_surrogate.contracts import {INTEGRATORS}",
        "from nbody_surrogate.contracts import Card, CardSystem, InputError",
        "import nbody_surrogate.datasets",
    ],
)
def test_torch_waits_for_the_names_that_need_it(statement):
    heavy = "{'torch', 'pyvista', 'matplotlib'}"
    source = f"{statement}\nimport sys\nprint(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_name_is_loaded_once():
    contracts = importlib.import_module("nbody_surrogate.contracts")
    assert contracts.Draw is vars(contracts)["Draw"]
