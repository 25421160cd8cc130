"""Names that a package offers, loaded from their modules when they are first used.

So a package is cheap to import, whatever stands behind its names: torch and pyvista are loaded
together with the first name that needs them. PEP 562 describes the two functions made here.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping

from nbody_surrogate.spelling import instead_of

__all__ = ["lazy_names"]


def lazy_names(
    package: str,
    homes: Mapping[str, Iterable[str]],
    other_words: Mapping[str, str] | None = None,
    rooms: Iterable[str] = (),
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping
        From modules, by their full names, to the names that each provides.
    other_words : mapping, optional
        From names that other libraries have to what does it here, for errors.
    rooms : iterable of str
        Packages inside this one that are attributes of it, as of SciPy.

    Returns
    -------
    load : callable
        Loads a name; raises `AttributeError` for one that is not offered, and names the nearest.
    listed : callable
        Lists the names.
    """
    inside = tuple(rooms)
    home_of = {name: module for module, names in homes.items() for name in names}

    def load(name: str) -> object:
        if name in inside:
            return importlib.import_module(f"{package}.{name}")
        if name not in home_of:
            hint = instead_of(name, [*home_of, *inside], other_words or {})
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        value: object = getattr(importlib.import_module(home_of[name]), name)
        setattr(sys.modules[package], name, value)  # the next use does not come here
        return value

    def listed() -> list[str]:
        return sorted([*home_of, *inside])

    return load, listed
