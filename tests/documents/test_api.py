"""The page of public names is made from the code, and each name says all that a caller needs."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

from docstrings import Docstring, lacking
from nbody_surrogate.registry.entry_points import installed
from nbody_surrogate.registry.lookup import names
from nbody_surrogate.registry.registry import integrator_class, system_class

DOCS = Path(__file__).parents[2] / "docs"


def script():
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_api = script()


def test_the_page_is_what_the_script_makes():
    written = (DOCS / "api.md").read_text(encoding="utf-8")
    assert written == make_api.page(), "run python docs/make_api.py"


@pytest.mark.parametrize("package", make_api.PACKAGES)
def test_public_names_say_all_that_a_caller_needs(package):
    """Arguments, shapes of arrays, units, what is returned and what is raised."""
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__)) > 2
    assert [each for name in module.__all__ for each in lacking(name, getattr(module, name))] == []
    assert [name for name in module.__all__ if not make_api.described(package, name)] == []


METHODS = {
    **dict.fromkeys(names("integrators"), integrator_class),
    **dict.fromkeys(names("systems"), system_class),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_and_systems_name_their_source(name):
    sources = Docstring.of(METHODS[name](name)).sections.get("References", "")
    assert re.search(r"\b(19|20)\d\d\b", sources), sources


def test_all_methods_and_systems_are_there():
    provided = {point.name for kind in ("integrators", "systems") for point in installed(kind)}
    assert provided == METHODS.keys()


class Lacking:
    """A thing."""

    def __init__(self, x):
        if x is None:
            raise ValueError("none")

    def drift(self, x: np.ndarray, dt: float) -> np.ndarray:  # noqa: F821
        """Move on.

        Parameters
        ----------
        x : ndarray
        """

    @property
    def place(self) -> np.ndarray:  # noqa: F821
        """Where it is."""


class Telling:
    """A thing in reduced units.

    Parameters
    ----------
    x : ndarray, shape (B, N)

    Raises
    ------
    ValueError
        If there is none.
    """

    def __init__(self, x):
        if x is None:
            raise ValueError("none")

    def drift(self, x: np.ndarray, dt: float) -> np.ndarray:  # noqa: F821
        """Move on.

        Parameters
        ----------
        x : ndarray, shape (B, N)
        dt : float

        Returns
        -------
        ndarray, shape (B, N)
        """

    @property
    def place(self) -> np.ndarray:  # noqa: F821
        """Where it is, shape (B, N)."""


def test_what_is_lacking_is_seen(monkeypatch):
    for cls in (Lacking, Telling):
        monkeypatch.setattr(cls, "__module__", "nbody_of_a_test")
    assert lacking("Lacking", Lacking) == [
        "Lacking: does not say what `x` is",
        "Lacking: does not say in which units",
        "Lacking: does not say what it raises",
        "Lacking.drift: does not say of which shape `x` is",
        "Lacking.drift: does not say what `dt` is",
        "Lacking.drift: does not say what it returns",
        "Lacking.drift: does not say in which units",
        "Lacking.place: does not say of which shape what it returns is",
    ]
    assert lacking("Telling", Telling) == []


def test_of_errors_the_right_one_is_to_be_named():
    def wrong():
        """Return nothing.

        Raises
        ------
        ValueError
        """
        raise KeyError("it")

    assert lacking("wrong", wrong) == ["wrong: does not say that it raises KeyError"]
    assert inspect.isfunction(wrong)
