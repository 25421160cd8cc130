"""Write docs/api.md: every public name, from the code. Run it where the page is out of date."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "api.md"

PACKAGES = {
    "nbody_surrogate": "For runs, comparisons and pictures: `import nbody_surrogate as nb`.",
    "nbody_surrogate.contracts": "For authors of systems, integrators and surrogates.",
    "nbody_surrogate.layers": "For authors of surrogates.",
    "nbody_surrogate.testing": "For the tests of a plugin.",
}

HEAD = """\
# Public names

What is listed here stays from release to release; the modules behind it may move. Quantities are in
reduced units, arrays of float64, and axes are called B (trajectories), F or T (frames),
N (particles) and D (space). `help(name)` has the rest: parameters, shapes, errors and sources.

This page is made from the code by `python docs/make_api.py`.
"""


def page() -> str:
    """Return the page."""
    sections = [HEAD]
    for package, purpose in PACKAGES.items():
        names = importlib.import_module(package).__all__
        entries = [entry(package, name) for name in sorted(names, key=str.lower)]
        sections.append("\n".join([f"## {package}", "", purpose, "", *entries]) + "\n")
    return "\n".join(sections)


def entry(package: str, name: str) -> str:
    """Return a name's line: what it is, how it is called, and what it does."""
    value = getattr(importlib.import_module(package), name)
    said = described(package, name).partition("\n\n")[0].replace("\n", " ")
    return f"- **`{name}{signature(value)}`**, {kind(value)}. {said}"


def kind(value: Any) -> str:
    """Say what a public name is."""
    if inspect.isclass(value):
        exception = issubclass(value, BaseException)
        return "exception" if exception else "abstract class" if abstract(value) else "class"
    if inspect.isfunction(value):
        return "function"
    kinds = {str: "text", dict: "mapping"}
    return kinds.get(type(value), "type")


def abstract(cls: type) -> bool:
    """Whether a class is there to be subclassed."""
    return inspect.isabstract(cls)


def signature(value: Any) -> str:
    """Return the arguments with their defaults, without their types, which are in the docstring."""
    if not callable(value) or kind(value) in ("exception", "type"):
        return ""
    bare = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in inspect.signature(value).parameters.values()
    ]
    return str(inspect.Signature(bare))


def described(package: str, name: str) -> str:
    """Return the docstring of a name: its own, or the text below an assignment."""
    value = getattr(importlib.import_module(package), name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return inspect.getdoc(value) or ""
    tree = ast.parse(inspect.getsource(home(package, name)))
    for statement, after in zip(lines_of(tree), [*lines_of(tree)[1:], None], strict=True):
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        if any(isinstance(each, ast.Name) and each.id == name for each in targets):
            return text_of(after)
    return ""


def lines_of(tree: ast.Module) -> list[ast.stmt]:
    """Return a module's statements, those of its branches too."""
    lines = []
    for statement in tree.body:
        lines += [statement, *(statement.body if isinstance(statement, ast.If) else [])]
    return lines


def text_of(statement: ast.stmt | None) -> str:
    """Return the text that a statement is, if it is one."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return inspect.cleandoc(str(statement.value.value))
    return ""


def home(package: str, name: str) -> Any:
    """Return the module that a public name is imported from, or the package itself."""
    module = importlib.import_module(package)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return importlib.import_module(str(node.module))
    return module


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
