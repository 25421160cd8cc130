"""Write a new plugin package: complete, installable and tested as it stands."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from nbody_surrogate.errors import InputError, RunError, one_line
from nbody_surrogate.files.atomic import atomic_folder
from nbody_surrogate.files.new_file import write_new
from nbody_surrogate.registry.lookup import entries

__all__ = ["write_package"]

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40
PREFIX = "nbody-"
CODE = {"surrogate": "model.py", "system": "system.py", "integrator": "integrator.py"}


def write_package(name: str, kind: str, folder: str | Path) -> list[Path]:
    """Write a package that provides one plugin.

    Parameters
    ----------
    name : str
        What the plugin is to be called; lower-case letters, digits and single hyphens.
    kind : str
        ``surrogate``, ``system`` or ``integrator``.
    folder : path
        Must not be there.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If the name is no name or is taken, or the folder is there.
    RunError
        If the files cannot be written.
    """
    folder = Path(folder)
    _check(name, kind, folder)
    try:
        with atomic_folder(folder) as unfinished:
            _fill(unfinished, name, kind)
    except OSError as error:
        raise RunError(f"{str(folder)!r} cannot be written: {error.strerror}") from None
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _check(name: str, kind: str, folder: Path) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise InputError(
            "`name` must be of lower-case letters, digits and single hyphens, and at most "
            f"{LONGEST} characters, got {name!r}; use one such as my-{kind}"
        )
    # integrators and surrogates are asked for by one option, and share their names
    rivals = {"system"} if kind == "system" else {"integrator", "surrogate"}
    for entry in entries():
        if entry.name == name and entry.kind in rivals:
            owner = entry.distribution or "this session"
            raise InputError(f"`name` {name!r} is taken: {owner} has {entry.kind} {name!r}")
    module = _words(name)["module"]
    if module in sys.stdlib_module_names:
        raise InputError(f"`name` {name!r} would make a module {module!r}, which Python has")
    try:
        # a link that leads nowhere does not exist, and is in the way all the same
        is_there = folder.exists() or folder.is_symlink()
    except (OSError, ValueError) as error:
        raise InputError(f"`output` must be the name of a folder: {one_line(error)}") from None
    if is_there:
        raise InputError(f"`output` {str(folder)!r} is there already; choose another")


def _words(name: str) -> dict[str, str]:
    """Return what the templates are filled in with."""
    distribution = name if name.startswith(PREFIX) else PREFIX + name
    return {
        "name": name,
        "distribution": distribution,
        "module": distribution.replace("-", "_"),
        "title": "".join(part.capitalize() for part in name.split("-")),
    }


def _fill(folder: Path, name: str, kind: str) -> None:
    words = _words(name)
    package, tests = folder / words["module"], folder / "tests"
    package.mkdir()
    tests.mkdir()
    places = {CODE[kind]: package / CODE[kind], "test.py": tests / f"test_{words['module']}.py"}
    for template in (files("nbody_surrogate.registry") / "templates" / kind).iterdir():
        plain = template.name.removesuffix(".template")
        text = Template(template.read_text(encoding="utf-8")).substitute(words)
        # what is no code keeps its name, at the top
        write_new(places.get(plain, folder / plain), text.encode())
    summary = f'"""The {kind} `{name}` for nbody-surrogate."""\n'
    write_new(package / "__init__.py", summary.encode())
