"""Rooms import downwards and never in circles; plugins come in by the door.

`lint-imports` holds the rooms and the built-ins to it. What it does not see is here: modules one
by one, imports for types only, the examples of the documentation, and what `plugins new` writes.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from examples import EXAMPLES
from nbody_surrogate.registry.scaffold import write_package
from rooms import CORE, DOOR, dependencies, floors, imported

FRONT_ENDS = {CORE, f"{CORE}.testing", f"{CORE}.cli"}
"""What the tests of a plugin may use beside the door."""


def circle(graph):
    """A circle of modules that import each other, or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_module_imports_itself_by_way_of_others():
    graph = dependencies()
    assert len(graph) > 200
    assert circle(graph) == []


def test_a_circle_would_be_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) != []


def test_types_come_from_rooms_below_too():
    """The front page alone, which is no room, names what is in all of them."""
    floor = floors()

    def room(module):
        return ".".join(module.split(".")[:2])

    upward = [
        (module, target)
        for module, targets in dependencies(types=True).items()
        for target in targets
        if room(module) in floor
        and room(target) in floor.keys() - {room(module)}
        and floor[room(target)] <= floor[room(module)]
    ]
    assert upward == []


def check_doors(files):
    """Demand that a plugin imports this project by its doors alone, its tests by the front too."""
    code = [file for file in files if file.suffix == ".py"]
    for file in code:
        allowed = DOOR | FRONT_ENDS if "tests" in file.parts else DOOR
        assert imported(file.read_text()) <= allowed, file.name
    assert any(imported(file.read_text()) & DOOR for file in code)


@pytest.mark.parametrize("kind", ["system", "integrator", "surrogate"])
def test_a_new_plugin_comes_in_by_the_door(kind, tmp_path):
    check_doors(write_package("my-own", kind, tmp_path / "my-own"))


@pytest.mark.parametrize("example", sorted(EXAMPLES.iterdir()), ids=lambda folder: folder.name)
def test_an_example_comes_in_by_the_door(example):
    check_doors(sorted(example.rglob("*.py")))


@pytest.mark.parametrize(
    "line",
    [
        "from nbody_surrogate.contracts.state import State",
        "from nbody_surrogate.contracts import state",
        "from nbody_surrogate import State",
        "from nbody_surrogate.errors import InputError",
        "import nbody_surrogate.layers.egcl",
        "def lazily():\n    from nbody_surrogate.cli import main",
    ],
)
def test_other_ways_in_are_seen(line, tmp_path):
    file = tmp_path / "model.py"
    file.write_text(f"from nbody_surrogate.contracts import Draw\n{line}\n")
    with pytest.raises(AssertionError, match=r"model\.py"):
        check_doors([file])
