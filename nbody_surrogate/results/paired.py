"""Two methods held against each other by their errors on the same starts.

On shared starts errors go up and down together, by a close encounter for one, so intervals of two
separate samples say little: they may overlap where nearly every start tells the methods apart. What
counts is the ratio of the errors start by start:

- the geometric mean of the ratios, with its 95 % interval over starts;
- in how many starts the first is nearer to the truth, with the exact interval of that share
  (Clopper & Pearson, Biometrika 26 (1934) 404);
- p of the signed-rank test of the log ratios (Wilcoxon, Biometrics Bulletin 1 (1945) 80), corrected
  for the number of pairs in a table (Holm, Scandinavian Journal of Statistics 6 (1979) 65);
- its rank-biserial correlation, from -1 to 1, as the size of the effect.

A start that a method failed on, of infinite error, is its worst one: it ranks beyond all others. It
has no ratio, and is left out of the geometric mean. Where both failed, or are equal, it is a tie. A
start of which nothing is known, NaN, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from nbody_surrogate.contracts.arrays import real_array
from nbody_surrogate.contracts.brief import brief
from nbody_surrogate.contracts.wording import counted
from nbody_surrogate.errors import InputError
from nbody_surrogate.results.bootstrap import CONFIDENCE, Interval, mean_interval, plain

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = [
    "BOUND",
    "LEVEL",
    "PairedTest",
    "check_bound",
    "corrected",
    "holm",
    "told_apart",
    "too_few_starts",
]

LEVEL = 0.05
"""Of p after the correction, below which two methods are told apart."""

BOUND = 1.25
"""A factor of errors, either way, within which methods are equivalent: less than it takes to change
the choice of a method, whose errors differ by powers of ten. That of averages in bioequivalence."""

EXACT = 50  # pairs up to which p is exact; beyond, the normal distribution is right to a percent


@dataclass(frozen=True)
class PairedTest:
    """A first method held against a second one.

    Attributes
    ----------
    starts : int
        Of which something is known.
    ratio : Interval
        Geometric mean of the first one's errors over the second one's, below 1 where the first is
        nearer to the truth; over the starts of which there is a ratio, NaN where there is none.
    wins, losses : int
        Starts on which the first one's error is the smaller one, and the larger one.
    win_rate : Interval
        Wins over wins and losses.
    p : float
        Of the signed-rank test, two-sided.
    corrected_p : float
        By Holm's method over the pairs of a table; of a pair alone `p` itself.
    effect : float
        Rank-biserial correlation: 1 where the first is nearer to the truth on all starts, -1 where
        it is on none.
    failures : tuple of int
        Starts that each method failed on.
    bound : float
        A factor within which errors are equivalent.
    """

    starts: int
    ratio: Interval
    wins: int
    losses: int
    win_rate: Interval
    p: float
    corrected_p: float
    effect: float
    failures: tuple[int, int]
    bound: float

    __repr__ = brief

    @classmethod
    def of(
        cls,
        first: ArrayLike,
        second: ArrayLike,
        bound: float = BOUND,
    ) -> PairedTest:
        """Hold the errors of two methods on the same starts against each other.

        Parameters
        ----------
        first, second : array_like, shape (S,)
            Positive, infinite of a failure, NaN where nothing is known; in any units, the same.
        bound : float
            A factor > 1 within which errors are equivalent.

        Raises
        ------
        InputError
            If they are no errors on the same starts.
        """
        check_bound(bound)
        mine = _errors("first", first)
        its = _errors("second", second, len(mine))
        known = ~(np.isnan(mine) | np.isnan(its))
        mine, its = mine[known], its[known]
        logs = _log_ratios(mine, its)
        # two failures are a tie, but no two errors that are equal
        ratios = logs[np.isfinite(logs) & np.isfinite(mine)]
        wins, losses = int((logs < 0).sum()), int((logs > 0).sum())
        p, effect = _signed_ranks(logs)
        return cls(
            starts=len(logs),
            ratio=_exponential(mean_interval(ratios)),
            wins=wins,
            losses=losses,
            win_rate=_share(wins, wins + losses),
            p=p,
            corrected_p=p,
            effect=effect,
            failures=(int(np.isinf(mine).sum()), int(np.isinf(its).sum())),
            bound=float(bound),
        )

    @property
    def outcome(self) -> str:
        """``better`` or ``worse``, the first one; ``equivalent``; else ``not told apart``."""
        told = told_apart(self.corrected_p, self.ratio, self.bound)
        if told == "equivalent" and self.failures[0] != self.failures[1]:
            return "not told apart"
        if told != "different":
            return told
        # Ranks and the mean may contradict each other, as where rare errors are huge: then neither
        # is better. Starts that only one fails on have ranks alone.
        if self.failures == (0, 0) and self.effect * math.log(self.ratio.value) > 0:
            return "not told apart"
        return "better" if self.effect > 0 else "worse"

    def verdict(self, first: str, second: str) -> str:
        """Name the better one, or say ``equivalent`` or ``not told apart``."""
        names = {"better": first, "worse": second}
        found = self.outcome
        return f"{names[found]} better" if found in names else found

    @property
    def numbers(self) -> str:
        """The ratio, the wins and p, as a cell of a table has them."""
        return f"{self.ratio.as_factor()}, {self.wins} of {self.wins + self.losses}, {self._p}"

    def sentence(self, first: str, second: str) -> str:
        """All of it in words, from the verdict to what failed."""
        low, high = (f"{100 * end:.0f}" for end in (self.win_rate.low, self.win_rate.high))
        said = (
            f"{self.verdict(first, second)}: error of {first} over that of {second} "
            f"{self.ratio.as_factor()}, smaller in {self.wins} of {self.wins + self.losses} "
            f"({low}..{high} %), {self._p}, rank-biserial {self.effect:+.2f}"
        )
        failed = [
            f"{name} failed on {counted(count, 'start')}"
            for name, count in zip((first, second), self.failures, strict=True)
            if count
        ]
        return "; ".join([said, *failed])

    @property
    def _p(self) -> str:
        return f"p = {self.corrected_p:.2g}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PairedTest:
        """Read it from JSON."""
        known = {key: values[key] for key in cls.__dataclass_fields__}
        known |= {key: Interval.from_dict(values[key]) for key in ("ratio", "win_rate")}
        known["failures"] = tuple(values["failures"])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain types, fit for JSON; what is not finite becomes None."""
        return dict(plain({**asdict(self), "outcome": self.outcome}))


def told_apart(p: float, ratio: Interval, bound: float) -> str:
    """Say ``different``, ``equivalent`` or ``not told apart``, by one rule for all comparisons.

    Parameters
    ----------
    p : float
        After the correction for as many pairs as there are.
    ratio : Interval
        Of the errors.
    bound : float
        Within which, either way, the whole interval must lie to call them equivalent.
    """
    if p < LEVEL:
        return "different"
    return "equivalent" if 1 / bound <= ratio.low and ratio.high <= bound else "not told apart"


def holm(p: Sequence[float]) -> list[float]:
    """Correct p of several tests, so that one false alarm among all has the probability `LEVEL`.

    The smallest is multiplied by their number, the next one by one less, and so on; none falls
    below one before it. NaN, of what was not tested, stays NaN.
    """
    found = np.full(len(p), np.nan)
    order = [int(k) for k in np.argsort(p) if not math.isnan(p[k])]
    largest = 0.0
    for place, k in enumerate(order):
        largest = max(largest, min((len(order) - place) * p[k], 1.0))
        found[k] = largest
    return found.tolist()


def corrected(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Return the tests of a table, their p corrected by `holm`."""
    ps = holm([each.p for each in tests])
    return [replace(each, corrected_p=p) for each, p in zip(tests, ps, strict=True)]


def too_few_starts(starts: int, tests: int) -> list[str]:
    """Say where so few starts cannot tell any two methods apart, whatever their errors.

    The smallest p of S starts is that of all signs alike, two of 2^S, and Holm multiplies the
    smallest of a table by the number of its tests.

    Parameters
    ----------
    starts : int
        Of the test that has most of them.
    tests : int
        Of a table, which are corrected for each other.

    Returns
    -------
    list of str
        One line, with how many starts would do, or none.
    """
    if not tests or starts >= (enough := _enough_starts(tests)):
        return []
    least = min(tests * 2.0 ** (1 - starts), 1.0)
    return [
        f"{counted(starts, 'start')} cannot show that a method is better, in "
        f"{counted(tests, 'test')}: p by Holm is {least:.2g} or more; take at least {enough}."
    ]


def _enough_starts(tests: int) -> int:
    """Return the fewest starts of which the smallest p, times the tests, is below `LEVEL`."""
    return math.floor(math.log2(2 * tests / LEVEL)) + 1


def check_bound(bound: float) -> None:
    """Demand a factor.

    Raises
    ------
    InputError
        If it is not above 1.
    """
    if not 1 < bound < math.inf:
        raise InputError(f"`bound` must be a factor > 1, such as {BOUND:g}, got {bound}")


def _errors(name: str, given: ArrayLike, count: int | None = None) -> Float64[np.ndarray, " S"]:
    """Return errors of starts, or say what is wrong with them."""
    errors = real_array(name, given)
    if errors.ndim != 1 or len(errors) != (len(errors) if count is None else count):
        each = "each start" if count is None else f"each of the {counted(count, 'start')}"
        raise InputError(f"`{name}` must have one error of {each}, got shape {errors.shape}")
    if (errors < 0).any():
        raise InputError(f"`{name}` must be errors >= 0, got {errors[errors < 0][0]:g}")
    return errors


def _log_ratios(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Logarithms of the ratios: infinite where only one error is 0 or infinite, 0 of ties."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(first) - np.log(second)  # a quotient of tiny errors may overflow
    return np.where(first == second, 0.0, logs)


def _exponential(logs: Interval) -> Interval:
    with np.errstate(over="ignore"):
        return Interval(*(float(np.exp(each)) for each in (logs.value, logs.low, logs.high)))


def _share(count: int, total: int) -> Interval:
    """Return a share of a count with its exact interval."""
    if not total:
        return Interval(math.nan, 0.0, 1.0)
    from scipy.special import betaincinv  # which half of all comparisons do without

    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(count, total - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
    return Interval(count / total, low, high)


def _signed_ranks(logs: np.ndarray) -> tuple[float, float]:
    """Return p, and the rank-biserial correlation, of the signed-rank test.

    Ties between the two methods are left out, as by Wilcoxon. Ties of ranks share their mean, also
    those of failures; SciPy's exact test takes none.
    """
    logs = logs[logs != 0]
    if not logs.size:
        return 1.0, 0.0
    doubled = _doubled_ranks(np.abs(logs))
    total, lower = int(doubled.sum()), int(doubled[logs < 0].sum())
    effect = (2 * lower - total) / total
    if len(logs) <= EXACT:
        return _exact_p(doubled, min(lower, total - lower)), effect
    # of sums of ranks with random signs, ties and all
    z = (lower - total / 2) / (math.sqrt(float((doubled**2).sum())) / 2)
    return math.erfc(abs(z) / math.sqrt(2)), effect


def _doubled_ranks(values: np.ndarray) -> np.ndarray:
    """Twice the ranks, which are whole numbers then, also of ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((2 * last - counts + 1)[inverse], dtype=np.int64)


def _exact_p(doubled: np.ndarray, smaller: int) -> float:
    """Share of all choices of signs whose sum is at most the smaller one, twice."""
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled.tolist():  # each rank is in the sum, or not
        chances[rank:] = chances[rank:] + chances[:-rank]
        chances /= 2
    return min(2 * float(chances[: smaller + 1].sum()), 1.0)
