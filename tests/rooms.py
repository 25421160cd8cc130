"""What modules import, read from their sources: nothing is executed."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = "nbody_surrogate"
PLACES = {
    CORE: ROOT,
    "nbody_simulators": ROOT / "simulators",
    "nbody_set": ROOT / "plugins",
    "nbody_baselines": ROOT / "plugins",
}
DOOR = {f"{CORE}.contracts", f"{CORE}.layers"}


@cache
def modules() -> dict[str, Path]:
    """All modules that ship, by name."""
    found = {}
    for package, place in PLACES.items():
        for file in sorted((place / package).rglob("*.py")):
            parts = file.relative_to(place).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def imported(source: str, types: bool = False) -> set[str]:
    """Modules of this project that a source imports, at its top or in functions.

    What is imported under TYPE_CHECKING counts only where `types` says so.
    """
    tree = ast.parse(source)
    if not types:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, "imports are absolute"
            found |= {_module(node.module, alias.name) for alias in node.names}
    return {name for name in found if name.partition(".")[0] in PLACES}


def _module(place: str, name: str) -> str:
    """What ``from place import name`` imports: a module of that name, or else the place."""
    whole = f"{place}.{name}"
    return whole if whole in modules() else place


def dependencies(types: bool = False) -> dict[str, set[str]]:
    """Each module, and the modules that it imports."""
    return {
        module: imported(file.read_text(encoding="utf-8"), types) - {module}
        for module, file in modules().items()
    }


def floors() -> dict[str, int]:
    """The floor of each room, counted from the roof, as the layers of import-linter have it."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"]
        for contract in tables["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    return {
        f"{CORE}.{room.strip()}": floor
        for floor, rooms in enumerate(layers)
        for room in rooms.split("|")
    }
