"""Formulas of a search: a regression with PySR's interface, over a handful of forms."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import curve_fit

from commands import MISUSE, bad
from nbody_surrogate.cli import pysr_search
from nbody_surrogate.discovery import formulas as formulas_module
from nbody_surrogate.discovery.formulas import FORMULAS, RankedFormula, outdone, rank_formulas
from nbody_surrogate.discovery.options import demand_callables
from nbody_surrogate.discovery.symbolic import searched_formulas
from nbody_surrogate.errors import InputError, RunError


class Forms:
    """Fits each of a few forms by least squares, as a search would end."""

    FORMS = (
        ("{} / x0 ** 4.0", lambda x, a: a / x**4, 1),
        ("{} * x0 / (x0 ** 2 + {}) ** 1.5", lambda x, a, e: a * x / (x * x + e * e) ** 1.5, 2),
    )

    def fit(self, X, y, *, weights):
        assert X.shape == (len(y), 1) and (weights > 0).all()
        assert np.median(X) == pytest.approx(1.0) and np.median(np.abs(y)) == pytest.approx(1.0)
        table = {"complexity": [], "equation": [], "lambda_format": []}
        for k, (text, form, count) in enumerate(self.FORMS):
            found, _ = curve_fit(form, X[:, 0], y, 0.3 * np.ones(count), 1.0 / np.sqrt(weights))
            table["complexity"].append(9 - k)
            table["equation"].append(text.format(*map(str, found)))
            table["lambda_format"].append(lambda X, form=form, found=found: form(X[:, 0], *found))
        self.equations_ = table
        return self


def test_a_right_formula_that_nobody_knew_comes_first(charges, monkeypatch):
    others = tuple(each for each in FORMULAS if each.name != "softened-coulomb")
    monkeypatch.setattr(formulas_module, "FORMULAS", others)
    searched = searched_formulas(charges.estimate, Forms())
    assert [each.name for each in searched] == ["searched-8", "searched-9"]  # simplest first
    best, *rest = rank_formulas(charges.estimate, charges.estimate.problem, searched)
    assert best.formula.name == "searched-8" and best.fits
    assert not any(each.fits for each in rest)
    assert best.formula.freedom == 4  # a, 2, e and 1.5 are numbers
    assert "x0 = r / " in best.to_dict()["text"]


def test_one_that_is_known_is_simpler(charges):
    searched = searched_formulas(charges.estimate, Forms())
    ranked = rank_formulas(charges.estimate, charges.estimate.problem, searched)
    assert [each.formula.name for each in ranked if each.fits] == ["softened-coulomb", "searched-8"]


def test_a_curve_that_a_formula_outdoes_by_far_is_told_of(dust, charges):
    problem = dust.estimate.problem
    frames, least = len(problem.runs[0].x), formulas_module.OUTDONE + problem.layout.curve

    def ranked(gain, fits=True):
        return [RankedFormula(FORMULAS[1], {}, gain / frames, fits)]

    assert outdone([], problem) == outdone(ranked(0.9 * least), problem) == []
    assert outdone(ranked(5.0 * least, fits=False), problem) == []
    (note,) = outdone(ranked(5.0 * least), problem)
    assert "softened-coulomb is far better than the curve" in note and "not to be trusted" in note
    # the likelihood of exact tracks is of rounding
    assert outdone(ranked(5.0 * least), charges.estimate.problem) == []


def test_a_constant_is_a_formula_too(charges):
    class Constant:
        def fit(self, X, y, *, weights):
            one = [1], ["1.0"], [lambda X: 1.0]
            names = "complexity", "equation", "lambda_format"
            self.equations_ = dict(zip(names, one, strict=True))

    searched = searched_formulas(charges.estimate, Constant())
    assert searched[0].force(np.array([1.0, 2.0])).tolist() == [1.0, 1.0]


def test_what_fails_in_a_search_is_told_in_a_line(charges):
    class Broken:
        def fit(self, X, y, *, weights):
            raise KeyError("no Julia")

    with pytest.raises(RunError) as caught:
        searched_formulas(charges.estimate, Broken())
    assert "`search`" in str(caught.value) and "no Julia" in str(caught.value)


def test_what_is_no_regressor_is_refused_before_anything_is_computed():
    with pytest.raises(InputError) as caught:
        demand_callables(None, "pysr")
    assert "`search`" in str(caught.value) and "got str" in str(caught.value)
    with pytest.raises(InputError) as caught:
        demand_callables(5, None)
    assert "`progress`" in str(caught.value)


def test_without_the_package_the_command_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pysr_search, "package_exists", lambda name: False)
    Path("a.csv").write_text("frame,particle,x,y\n")
    line = bad(MISUSE, "discover", "a.csv", "-o", "b", "--pysr", "1")
    assert "`pysr` needs the package pysr" in line and "nbody-surrogate[pysr]" in line
    line = bad(MISUSE, "discover", "a.csv", "-o", "b", "--pysr", "-1")
    assert "`pysr` must be a time in minutes above 0, got -1" in line


def test_a_search_gets_its_time_and_its_seed(monkeypatch):
    search_for = pysr_search.search_for
    assert search_for(None, 0) is None
    given = {}
    module = types.ModuleType("pysr")
    module.PySRRegressor = lambda **options: given.update(options) or "it"
    monkeypatch.setitem(sys.modules, "pysr", module)
    assert search_for(2.0, 7) == "it"
    assert given["timeout_in_seconds"] == 120.0 and given["random_state"] == 7
