"""Formulas that a symbolic regression makes of the curve, to be ranked beside the known ones.

The regression sees the curve over visited distances, in units of their median and of the force
there, weighted by its errors. What it finds is judged like any other formula: by frames that were
held out, or, of exact tracks, by its distance to the curve. Its constants are not fitted anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from nbody_surrogate.discovery.estimate import Estimate
from nbody_surrogate.discovery.formulas import Formula, acting
from nbody_surrogate.errors import InputError, RunError, one_line

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["SymbolicRegressor", "demand_regressor", "searched_formulas"]

PLACES = 200
"""Distances that it sees: as many in each part of those visited."""

CONSTANT = re.compile(r"(?<![\w.])\d+\.?\d*(?:[eE][+-]?\d+)?")

LEAST_ERROR = 1e-6
"""Of the force there: a curve of exact tracks has none."""


@runtime_checkable
class SymbolicRegressor(Protocol):
    """What `pysr.PySRRegressor` (Cranmer, arXiv 2305.01582) is to `discover`.

    After the fit it has a table ``equations_``, with columns ``equation``, text of ``x0``;
    ``complexity``, whole numbers; and ``lambda_format``, functions of X (S, 1).
    """

    def fit(self, X: np.ndarray, y: np.ndarray, *, weights: np.ndarray) -> Any:
        """Fit to forces `y` (S,) at distances `X` (S, 1)."""
        ...


def demand_regressor(value: Any) -> None:
    """Refuse what cannot be fitted.

    Raises
    ------
    InputError
    """
    if not callable(getattr(value, "fit", None)):
        raise InputError(
            "`search` must be a symbolic regressor with a method `fit`, such as "
            f"pysr.PySRRegressor(), got {type(value).__name__}"
        )


def searched_formulas(estimate: Estimate, search: SymbolicRegressor) -> tuple[Formula, ...]:
    """Return what a search makes of the central curve, simplest first.

    Parameters
    ----------
    estimate : Estimate
    search : SymbolicRegressor

    Raises
    ------
    RunError
        If it fails.
    """
    part = estimate.unknowns.layout.part("curve")
    r = np.quantile(acting(estimate), np.linspace(0.005, 0.995, PLACES))
    matrix = estimate.problem.curve.matrix(r)
    force = matrix @ estimate.unknowns.vector[part]
    error = np.sqrt(np.einsum("ri,ij,rj->r", matrix, estimate.covariance[part, part], matrix))
    length, size = float(np.median(r)), float(np.median(np.abs(force)))
    error = np.maximum(error, LEAST_ERROR * size)
    try:
        search.fit((r / length)[:, None], force / size, weights=(size / error) ** 2)
        table = search.equations_  # type: ignore[attr-defined]
        rows = sorted(zip(table["complexity"], table["equation"], table["lambda_format"],
                          strict=True), key=lambda row: int(row[0]))  # fmt: skip
    except Exception as error_:  # whatever another library raises
        raise RunError(f"`search`: {one_line(error_)}") from error_
    return tuple(_formula(int(c), str(text), call, length) for c, text, call in rows)


def _formula(complexity: int, text: str, call: Callable[..., Any], length: float) -> Formula:
    def force(r: Float64[np.ndarray, " R"]) -> np.ndarray:
        values = np.asarray(call((r / length)[:, None]), dtype=float)
        return np.broadcast_to(values.reshape(-1) if values.ndim else values, r.shape)

    return Formula(
        f"searched-{complexity}",
        f"A ({text}), x0 = r / {length:.6g}",
        force,
        constants=len(CONSTANT.findall(text)),
    )
