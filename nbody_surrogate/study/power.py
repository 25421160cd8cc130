"""What a study can find: the factor between two models that its seeds would most likely show.

Means of S seeds scatter by a standard deviation s of their logarithms, so the difference of two
models by s times the root of 2; it is told from zero by a paired t-test, at a level that Holm's
correction makes smaller by the number of pairs. The probability is that of the non-central t.
Trajectories of the test set are many, and are left out: their scatter comes on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nbody_surrogate.contracts.wording import counted, figure_text
from nbody_surrogate.results.paired import LEVEL

__all__ = ["POWER", "Power", "factor_found", "measured_spread", "power_of"]

POWER = 0.8  # Cohen, Statistical Power Analysis (1988): a miss is four times as likely as an alarm
LARGEST = 60.0  # of the logarithm of a factor: 26 powers of ten
NODES = 2000  # of the integral, good to three digits
SHOWN = 2.0  # a factor that is worth knowing of


def power_of(factor: float, seeds: int, spread: float, pairs: int = 1) -> float:
    """Return the probability that a true factor between two models' errors is found.

    Parameters
    ----------
    factor : float
    seeds : int
        At least 2.
    spread : float
        Standard deviation of the logarithm of a model's mean error over seeds.
    pairs : int
        Of models, that p are corrected for; that of the first step of Holm's method is taken.
    """
    from scipy.special import gammaincinv, ndtr, stdtrit

    freedom = seeds - 1
    away = abs(math.log(factor)) * math.sqrt(seeds) / (math.sqrt(2) * spread)
    limit = float(stdtrit(freedom, 1 - LEVEL / pairs / 2))
    # over the distribution of the estimated scatter: SciPy's own non-central t, of few degrees of
    # freedom and far from the centre, is not even monotonic
    shares = (np.arange(NODES) + 0.5) / NODES
    scatter = np.sqrt(2 * gammaincinv(freedom / 2, shares) / freedom)
    found = ndtr(away - limit * scatter) + ndtr(-away - limit * scatter)
    return float(found.mean())


def factor_found(seeds: int, spread: float, pairs: int = 1, power: float = POWER) -> float:
    """Return the smallest factor that is found with a probability; see `power_of`."""
    low, high = 0.0, LARGEST
    for _ in range(60):  # halves a range whose power rises from end to end
        middle = (low + high) / 2
        enough = power_of(math.exp(middle), seeds, spread, pairs) >= power
        low, high = (low, middle) if enough else (middle, high)
    return math.exp(high)


def measured_spread(means: Sequence[Sequence[float]]) -> float | None:
    """Pool the scatter of the logarithms of mean errors over seeds, of several models.

    Returns
    -------
    float or None
        None where no model has two seeds, or nothing scatters.
    """
    some = [np.log(each) for each in means if len(each) > 1 and np.all(np.isfinite(each))]
    some = [each for each in some if np.isfinite(each).all()]
    freedom = sum(len(each) - 1 for each in some)
    if not freedom:
        return None
    squares = sum(float(((each - each.mean()) ** 2).sum()) for each in some)
    return math.sqrt(squares / freedom) or None


class Power(NamedTuple):
    """What a study of so many seeds and pairs of models can find."""

    seeds: int
    pairs: int
    spread: float
    measured: bool

    def __str__(self) -> str:
        if not self.pairs:
            return "Power: there is one model, and nothing to tell it from."
        if self.seeds < 2:
            return (
                "Power: of one seed, intervals and p are of its weights on other trajectories, and "
                "say nothing of other seeds."
            )
        source = "measured here" if self.measured else "assumed"
        factor = factor_found(self.seeds, self.spread, self.pairs)
        chance = power_of(SHOWN, self.seeds, self.spread, self.pairs)
        return (
            f"Power: {counted(self.seeds, 'seed')}, whose mean errors scatter by a factor of "
            f"{figure_text(math.exp(self.spread), 3)} ({source}), show a factor of "
            f"{figure_text(factor, 2)} between two models with probability {POWER:g}, and one of "
            f"{SHOWN:g} with probability {chance:.2f}, at p < {LEVEL:g} after Holm over "
            f"{counted(self.pairs, 'pair')}; the scatter of the test set comes on top."
        )
