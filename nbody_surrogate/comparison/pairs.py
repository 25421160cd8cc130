"""Candidates of one reference held against one another, trajectory by trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

from nbody_surrogate.comparison.comparison import Comparison
from nbody_surrogate.comparison.text_table import TextTable
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.paired import (
    BOUND,
    LEVEL,
    PairedTest,
    check_bound,
    corrected,
    too_few_starts,
)

__all__ = ["Pair", "paired_table", "pairs_of"]

MEASURES = {
    "mse 1": "MSE of one frame",
    "ade": "average displacement error",
    "fde": "final displacement error",
}
"""Of a run from its first step to its end. More of them would cost p more than they tell."""


class Pair(NamedTuple):
    """Two candidates, by one measure."""

    first: str
    second: str
    measure: str
    test: PairedTest

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "measure": self.measure,
            **self.test.to_dict(),
        }


def pairs_of(comparisons: Sequence[Comparison], bound: float = BOUND) -> tuple[Pair, ...]:
    """Hold each candidate against each other one; p are corrected for all pairs and measures.

    None where there is one candidate, or one trajectory, of which no statistics are made.

    Raises
    ------
    InputError
        If they are not of one reference and the same trajectories, or the bound is no factor > 1.
    """
    check_bound(bound)
    found = list(comparisons)
    if len({(each.reference, each.duration, each.starts) for each in found}) > 1:
        raise InputError("`comparisons` must have one reference and the same starts, got several")
    if not found or found[0].trajectories < 2:
        return ()
    named = [
        (one, other, key, PairedTest.of(one.samples[key], other.samples[key], bound))
        for one, other in combinations(found, 2)
        for key in MEASURES
        if key in one.samples and key in other.samples
    ]
    tests = corrected([test for *_, test in named])
    return tuple(
        Pair(one.candidate, other.candidate, key, test)
        for (one, other, key, _), test in zip(named, tests, strict=True)
    )


def paired_table(
    comparisons: Sequence[Comparison], bound: float = BOUND, pairs: Sequence[Pair] | None = None
) -> TextTable:
    """Return the table of all pairs of candidates that `nbody-sim compare` ends with.

    A cell has the geometric mean over trajectories of the first one's error over the second one's,
    with its 95 % interval; in how many trajectories it is the smaller one; p of the signed-rank
    test, corrected by Holm; and who is better, ``equivalent``, or ``not told apart``.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Two or more, with the same reference, of several trajectories.
    bound : float
        A factor of errors, either way, within which two candidates are equivalent.
    pairs : sequence of Pair, optional
        Of `pairs_of`, where they are known already.

    Returns
    -------
    TextTable

    Raises
    ------
    InputError
        If there are no pairs, or the comparisons are of several references.
    """
    found = pairs_of(comparisons, bound) if pairs is None else pairs
    if not found:
        raise InputError(
            "`comparisons` must be two or more, of two trajectories or more, to be paired"
        )
    measures = [key for key in MEASURES if any(each.measure == key for each in found)]
    cells = {(each.first, each.second, each.measure): _cell(each) for each in found}
    rows = tuple(
        (f"{first} against {second}", *(cells.get((first, second, key), "") for key in measures))
        for first, second in dict.fromkeys((each.first, each.second) for each in found)
    )
    most = max(each.test.starts for each in found)
    starts = counted(most, "trajectory")
    return TextTable(
        f"Paired on the same {starts}: errors of the first over those of the second",
        ("", *(MEASURES[key] for key in measures)),
        rows,
        (
            "Geometric mean of the ratios (95 % interval), trajectories with the smaller error, p "
            f"of the signed ranks by Holm; better: p < {LEVEL:g}; equivalent: the interval is "
            f"within a factor of {found[0].test.bound:g}.",
            *too_few_starts(most, len(found)),
        ),
    )


def _cell(pair: Pair) -> str:
    return f"{pair.test.numbers}: {pair.test.verdict(pair.first, pair.second)}"
